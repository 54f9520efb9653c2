"""A training set that can be made again: decisions whose outcome is known, each with the snapshot of its time.

``known: then`` takes the snapshots as their nights knew them. ``known: now`` builds them again from all that has
arrived up to the night at hand, late records and restatements included, for events of the same days: what a model
would learn if nothing were ever late, to be compared with what it can learn. The recipe beside the rows names labels,
features, night and the Delta version of every table read; the same recipe gives the same bytes.

*Reads* outcome, customer_features (now: its dates only), and for now what snapshots are made of. *Writes* files only, no table.
*Cost*: one pass over labels and snapshots, in one thread, spilling beside the result; now: the snapshots first.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from conf.documents import Strict
from conf.errors import UserError
from features.store.snapshots import family_anchors, write_snapshots
from models.bit_sets import MORE, count_words
from models.lifecycle.training_data import candidates, latest
from runtime.duckdb_sql import Files, write_joined
from runtime.lake import Lake, arrow_schema, nullable
from runtime.night import Night

LABELS = (
    "business_date",
    "customer_id",
    "decision_id",
    "role",
    "product",
    "channel",
    "pscore",
    "ordered",
    "converted",
    "reversed",
    "opted_out",
    "complained",
    "margin_micro",
)
ROWS, RECIPE = "rows.parquet", "recipe.json"


class Recipe(Strict):
    """What a training set is made of.

    Attributes:
        night: whose knowledge: labels had matured, and with ``now`` records had arrived, by its cut-off.
        first, last: decision dates of the labels.
        features: columns of the snapshot.
        known: ``then`` or ``now``.
        versions: the Delta version of every table read.
    """

    night: dt.date
    first: dt.date
    last: dt.date
    features: tuple[str, ...]
    known: Literal["then", "now"] = "then"
    versions: dict[str, int]


def recipe(
    night: Night, first: dt.date, last: dt.date, features: Sequence[str], known: Literal["then", "now"]
) -> Recipe:
    """A recipe over the tables as they are; no feature named means all that models may use.

    Raises:
        UserError: a feature that models may not use, or days the wrong way round.
    """
    allowed = candidates(night)
    if unknown := sorted(set(features) - set(allowed)):
        raise UserError(
            f"no feature {unknown[0]!r} that models may use", where="--feature", remedy="`cpc features list` shows them"
        )
    if first > last or last >= night.date:
        raise UserError(
            f"labels from {first} to {last} as of {night.date}",
            where="--from, --to",
            remedy="give the first day, then the last, both before --date",
        )
    made_of = ["outcome", "customer_features"]
    if known == "now":
        made_of += ["customer", "consent", "ops_delivery"]
        made_of += [family.table for family in night.catalogue.features.families]
    versions = {name: night.lake.version(name) for name in made_of if night.lake.exists(name)}
    return Recipe(
        night=night.date, first=first, last=last, features=tuple(features or allowed), known=known, versions=versions
    )


def read_recipe(path: Path) -> Recipe:
    """A recipe written beside a training set.

    Raises:
        UserError: the file is none.
    """
    try:
        return TypeAdapter(Recipe).validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise UserError(
            f"no recipe of a training set: {error}", where=str(path), remedy=f"name the {RECIPE} of one"
        ) from error


def write(night: Night, made: Recipe, out: Path) -> dict[str, Any]:
    """Write rows and recipe into ``out``.

    Raises:
        UserError: no label has matured between the days, or no snapshot is as old as the labels.
    """
    then = replace(night, date=made.night, versions=made.versions)
    lake = then.lake
    out.mkdir(parents=True, exist_ok=True)
    dates = [date for date in then.lake.dates("outcome") if made.first <= date <= made.last]
    pairs = _pairs(dates, then.lake.dates("customer_features"))
    rebuilt = out / "snapshots"
    try:
        snapshots = _snapshots(then, made, sorted({snapshot for _, snapshot in pairs}), rebuilt)
        labels = [file for date, _ in pairs for file in lake.files("outcome", {"business_date": date})]
        rows = write_joined(
            _sql(made, count_words(max((product.id for product in night.catalogue.products), default=0))),
            {
                "labels": Files(_schema(lake, "outcome"), labels),
                "pairs": _table(pairs),
                "snapshots": Files(_schema(lake, "customer_features"), snapshots),
            },
            out / ROWS,
        )
    finally:
        for scratch in (rebuilt, out / "spilled"):
            shutil.rmtree(scratch, ignore_errors=True)
    (out / RECIPE).write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return {
        "rows": rows,
        "features": len(made.features),
        "label dates": len(pairs),
        "label dates without a snapshot": len(dates) - len(pairs),
        "snapshots": len({snapshot for _, snapshot in pairs}),
        "known": made.known,
        "written": str(out),
    }


def _pairs(labels: Sequence[dt.date], snapshots: Sequence[dt.date]) -> list[tuple[dt.date, dt.date]]:
    """Label date → the latest snapshot that its night could have used."""
    matches = [(date, latest(snapshots, date)) for date in labels]
    pairs = [(date, snapshot) for date, snapshot in matches if snapshot is not None]
    if not pairs:
        missing = "no snapshot is as old as the labels" if labels else "no labels between the days"
        raise UserError(
            missing,
            where="tables outcome and customer_features",
            remedy="`cpc job feedback` writes labels, `cpc job snapshot` snapshots; choose days that have both",
        )
    return pairs


def _snapshots(night: Night, made: Recipe, dates: list[dt.date], rebuilt: Path) -> list[str]:
    if made.known == "then":
        return [file for date in dates for file in night.lake.files("customer_features", {"business_date": date})]
    ends = family_anchors(night, dates, made.night)
    return [str(rebuilt / file.path) for file in write_snapshots(night, dates, ends, rebuilt, made.night)]


def _sql(made: Recipe, words: int) -> str:
    """Labels beside features; the further words of ordered products where there are any, else the bytes of before."""
    wanted = (*LABELS, "ordered" + MORE) if words > 1 else LABELS
    labels = ", ".join(f"l.{name}" for name in wanted)
    features = ", ".join(f"s.{name}" for name in made.features)
    return (
        f"select {labels}, s.business_date as snapshot_date, {features} from labels l "
        "join pairs p on p.label = l.business_date "
        "join snapshots s on s.business_date = p.snapshot and s.customer_id = l.customer_id "
        "where l.matured order by l.business_date, l.customer_id, l.decision_id"
    )


def _table(pairs: Sequence[tuple[dt.date, dt.date]]) -> pa.Table:
    label, snapshot = zip(*pairs, strict=True)
    return pa.table({"label": pa.array(label, pa.date32()), "snapshot": pa.array(snapshot, pa.date32())})


def _schema(lake: Lake, table: str) -> pa.Schema:
    return nullable(arrow_schema(lake.table(table)))
