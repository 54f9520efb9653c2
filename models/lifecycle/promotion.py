"""The gate of ``cpc models promote``: champion and challenger decide the same logged nights again.

Eligible sets come from ``eligible`` of the decision's night where it is stored, otherwise from the nearest stored
night (the log keeps a hash only); the verdict says from how many nights. Control nights are left out: their arm was
fixed. Explorers' and exploiters' nights count with their logged pscore; decisions without one (served as
before, or taken back by a limit) are left out, and the verdict says how many.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from conf.errors import UserError
from models.affinity.bundle import Bundle, load
from models.affinity.encode import encode
from models.affinity.promotion import PromotionBounds, Rounds, judge
from models.affinity.scorer import Menu, prepare
from models.arrays import Floats, Ints
from models.lifecycle.arcs import masks_of, menu, money
from models.lifecycle.registry import version_of
from models.lifecycle.training_data import latest, partition, recent_of
from runtime.model_pointer import champion, fetch
from runtime.night import Night

_NIGHTS = 14  # last matured nights that are judged
_SLICES = ("centre", "grade", "age_group")


def evaluate(night: Night, version: str) -> dict[str, Any]:
    """Judge a version (a number or an alias) against the champion, within the bounds of ``settings.gate``.

    Returns:
        ``passed``, ``checks`` and where the eligible sets came from.

    Raises:
        UserError: there is nothing to judge on.
    """
    candidate = version_of(night.settings, version)
    old, new = champion(night.settings), fetch(night.settings, candidate)
    before, after = load(old.folder), load(new.folder)
    rounds, own, lost = _rounds(night, before, after)
    checks = judge(rounds, _calibration(after), PromotionBounds(**night.settings.gate.model_dump()))
    return {
        "version": candidate.version,
        "champion": old.version,
        "rounds": len(rounds.logged),
        "nights_with_own_masks": own,
        "without_pscore": lost,
        "passed": all(check.passed for check in checks),
        "checks": [asdict(check) for check in checks],
    }


def _calibration(bundle: Bundle) -> dict[str, float]:
    return {name: float(bundle.facts.get("metrics", {}).get(f"{name}_contact", np.nan)) for name in ("ratio", "slope")}


def _rounds(night: Night, before: Bundle, after: Bundle) -> tuple[Rounds, int, int]:
    offered, snapshots = night.lake.dates("eligible"), night.lake.dates("customer_features")
    known = [date for date in night.lake.dates("outcome") if latest(snapshots, date) is not None]
    dates = [date for date in known if _is_matured(night, date)][-_NIGHTS:]
    if not offered or not dates:
        raise UserError(
            "there is no matured night to judge on",
            where="tables outcome, eligible, customer_features",
            remedy="run `cpc job feedback --date D`; it needs matured decisions, snapshots and an eligible night",
        )
    parts, lost = [], 0
    for date in dates:
        masks_date = date if date in offered else min(offered, key=lambda other: (abs((other - date).days), other))
        snapshot = latest(snapshots, date)
        assert snapshot is not None
        names = ["customer_id", "role", "product", "channel", "pscore", "margin_micro", "recent_milli"]
        rows = partition(night, "outcome", date, names)
        rows = rows.filter(pc.not_equal(rows["role"], "control"))
        drawn = rows.filter(pc.is_valid(rows["pscore"]))
        lost += rows.num_rows - drawn.num_rows
        parts.append(_night(night, drawn, snapshot, masks_date, before, after))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("customer", "logged", "pscore", "reward", "champion", "challenger")
    }
    slices = {name: np.concatenate([part.slices[name] for part in parts]) for name in parts[0].slices}
    return Rounds(**joined, slices=slices), sum(date in offered for date in dates), lost


def _is_matured(night: Night, date: Any) -> bool:
    path = night.lake.files("outcome", {"business_date": date})[0]
    return bool(next(pq.ParquetFile(path).iter_batches(1, columns=["matured"]))["matured"][0].as_py())


def _night(night: Night, rows: pa.Table, snapshot_date: Any, masks_date: Any, before: Bundle, after: Bundle) -> Rounds:
    columns = dict.fromkeys(["customer_id", *(f.name for b in (before, after) for f in b.features), *_SLICES])
    snapshot = partition(night, "customer_features", snapshot_date, list(columns))
    eligible = partition(night, "eligible", masks_date, ["customer_id", "masks", "masks_more"])
    customer = rows["customer_id"].to_numpy()
    at, of = _match(snapshot, customer), _match(eligible, customer)
    match = (at >= 0) & (of >= 0)
    rows, customer = rows.filter(pa.array(match)), customer[match]
    snapshot, masks = snapshot.take(pa.array(at[match])), masks_of(eligible)[of[match]]
    table = menu(night.catalogue)
    allowed = table.eligible(masks) & table.outbound()
    logged = _arcs(rows, table)
    recent = recent_of(rows)
    cost = np.append(np.tile(np.array(table.cost_micro), len(table.offers)), 0)[logged] / 1e6
    return Rounds(
        customer=customer,
        logged=logged,
        pscore=rows["pscore"].to_numpy(),
        reward=rows["margin_micro"].to_numpy() / 1e6 - cost,
        champion=_choice(before, table, snapshot, allowed, recent, night),
        challenger=_choice(after, table, snapshot, allowed, recent, night),
        slices={
            name: snapshot[name].to_numpy(zero_copy_only=False) for name in _SLICES if name in snapshot.column_names
        },
    )


def _match(table: pa.Table, customer: Ints) -> Ints:
    """Row of each customer in a table sorted by customer; −1 where absent."""
    known = table["customer_id"].to_numpy()
    if len(known) == 0:
        return np.full(len(customer), -1)
    at = np.minimum(np.searchsorted(known, customer), len(known) - 1)
    return np.where(known[at] == customer, at, -1)


def _arcs(rows: pa.Table, table: Menu) -> Ints:
    """Position of each logged arc, −1 for none."""
    products, channels = (
        pc.index_in(rows[name].cast(pa.int64()), value_set=pa.array([part.id for part in parts]))
        for name, parts in (("product", table.offers), ("channel", table.ways))
    )
    p = pc.fill_null(products.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    c = pc.fill_null(channels.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return np.where((p >= 0) & (c >= 0), p * len(table.ways) + c, -1)


def _choice(
    bundle: Bundle, table: Menu, snapshot: pa.Table, allowed: NDArray[np.bool_], recent: Floats, night: Night
) -> Ints:
    """The arc of highest value above 0, by a bundle; −1 for none."""
    scorer = prepare(bundle, table, money(night.settings))
    out = np.full(snapshot.num_rows, -1)
    for start in range(0, snapshot.num_rows, 4096):
        part = slice(start, start + 4096)
        X, able = encode(snapshot.slice(start, 4096), bundle.features), allowed[part]
        scores = scorer.score(X, able, np.full(len(X), bundle.trailing_micro), recent[part])
        value = np.where(able, scores.value, np.iinfo(np.int64).min)
        best = value.argmax(axis=1)
        out[part] = np.where(value[np.arange(len(best)), best] > 0, best, -1)
    return out
