"""Every eligible arc scored, priced at last night's limits, and the few worth keeping: a task by files of customers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from conf.catalogue import Catalogue, load_catalogue
from conf.errors import UserError
from models.affinity.bundle import load
from models.affinity.encode import ChangedFeatureError, MissingFeatureError, encode
from models.affinity.prune import prune
from models.affinity.scorer import BASES, Menu, Money, Scorer, Scores, prepare
from models.arrays import Floats, Ints
from models.lifecycle.arcs import masks_of, menu, money
from models.lifecycle.training_data import recent_of
from planning.limits.declared import DeclaredLimits
from runtime.lake import arrow_schema, nullable
from runtime.model_pointer import champion
from runtime.night import Night
from runtime.parquet_files import WrittenFile, write_file

_BLOCK = 4096  # customers scored at once: bounds memory


TRAILING_NIGHTS = 14


PRIOR_NIGHTS = 7.0  # weight of the whole's trailing value in a customer's own


@dataclass(frozen=True)
class ScoringTask:
    """What a task needs, small enough to send: names and numbers, no rows."""

    date: dt.date
    catalogue: str  # folder
    model: str  # folder
    model_version: str
    sha256: str
    features: tuple[str, ...]  # files of customer_features of the night
    assigned: tuple[tuple[str, ...], ...]  # files of `assignment` of each earlier night
    prices: tuple[tuple[str, int], ...]  # pico-元 a unit by limit
    money: Money
    keep: int
    out: str  # folder of `candidate`


@lru_cache(maxsize=2)
def _scorer(model: str, sha256: str, catalogue: str, money: Money) -> Scorer:
    """The champion made ready for the menu, once a process; ``sha256`` makes a changed model another entry."""
    return prepare(load(Path(model)), menu(load_catalogue(Path(catalogue))), money)


def menu_of(task: ScoringTask) -> Menu:
    """The menu whose arcs a task scores."""
    return _scorer(task.model, task.sha256, task.catalogue, task.money).menu


@dataclass(frozen=True)
class ScoredBlock:
    """Customers of a file of ``eligible`` with every arc scored, whether it will be kept or not.

    Attributes:
        customers: ids, int64 [n], ascending.
        rows: their snapshot.
        eligible: arcs that passed every rule, bool [n, arcs of the menu].
        scores: of every eligible arc.
        absent: customers left out because the snapshot does not have them.
    """

    customers: Ints
    rows: pa.Table
    eligible: NDArray[np.bool_]
    scores: Scores
    absent: int


def blocks(task: ScoringTask, path: str, only: Sequence[int] | None = None) -> Iterator[ScoredBlock]:
    """Every eligible arc of the customers of a file of ``eligible``, scored; nothing is stored.

    Args:
        task: champion, snapshot, prices.
        path: the file.
        only: these customers alone (ids).
    """
    scorer = _scorer(task.model, task.sha256, task.catalogue, task.money)
    catalogue = load_catalogue(Path(task.catalogue))
    wanted = None if only is None else pc.field("customer_id").isin(list(only))
    source = ds.dataset(path, format="parquet")
    wide = set(source.schema.names)  # a night of an older release did not count recent contacts
    columns = [name for name in ("customer_id", "masks", "masks_more", "recent_milli") if name in wide]
    eligible = source.to_table(columns=columns, filter=wanted).sort_by("customer_id")
    masks = masks_of(eligible)
    some = masks.any(axis=(1, 2))
    customers, masks, recent = eligible["customer_id"].to_numpy()[some], masks[some], recent_of(eligible)[some]
    if len(customers) == 0:
        return
    snapshot = _snapshot(task, scorer, DeclaredLimits.from_catalogue(catalogue), customers)
    for start in range(0, len(customers), _BLOCK):
        part = slice(start, start + _BLOCK)
        yield _block(task, scorer, snapshot, customers[part], masks[part], recent[part])


@dataclass(frozen=True)
class ScoringCounts:
    """What a task counts."""

    customers: int = 0
    arcs: int = 0
    kept: int = 0
    without_snapshot: int = 0


@dataclass(frozen=True)
class Scored:
    """What became of a file of ``eligible``: candidates, or why the champion cannot score tonight's snapshot.

    The fault is a value: what a task raises reaches the driver as text that Spark words.

    Attributes:
        written: the candidates; None where there are none.
        counts: what was counted.
        missing: features that the champion needs and the snapshot lacks.
        changed: features that are of another type than the champion learnt, each in words.
    """

    written: WrittenFile | None = None
    counts: ScoringCounts = ScoringCounts()
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def score_file(task: ScoringTask, path: str) -> Scored:
    """Score the customers of one file of ``eligible`` and write their candidates."""
    try:
        return _score_file(task, path)
    except MissingFeatureError as error:
        return Scored(missing=error.names)
    except ChangedFeatureError as error:
        return Scored(changed=error.changes)


def _score_file(task: ScoringTask, path: str) -> Scored:
    scorer = _scorer(task.model, task.sha256, task.catalogue, task.money)
    catalogue = load_catalogue(Path(task.catalogue))
    limits = DeclaredLimits.from_catalogue(catalogue)
    counts, parts = ScoringCounts(), []
    for block in blocks(task, path):
        parts.append(_candidate_rows(task, scorer, catalogue, limits, block))
        counts = ScoringCounts(
            counts.customers + len(block.customers) + block.absent,
            counts.arcs + int(block.eligible.sum()),
            counts.kept + parts[-1].num_rows,
            counts.without_snapshot + block.absent,
        )
    if not parts:
        return Scored(counts=counts)
    return Scored(write_file(Path(task.out), pa.concat_tables(parts), {"business_date": task.date}), counts)


def _snapshot(task: ScoringTask, scorer: Scorer, limits: DeclaredLimits, customers: Ints) -> pa.Table:
    """The customers' rows of ``customer_features``, ascending, with what the model and the limits name."""
    source = ds.dataset(list(task.features), format="parquet")
    names = [feature.name for feature in scorer.bundle.features]
    if missing := sorted(set(names) - set(source.schema.names)):
        raise MissingFeatureError(missing)
    named = set(limits.reads) & set(source.schema.names)
    key = pc.field("customer_id")
    near = (key >= int(customers[0])) & (key <= int(customers[-1]))
    return source.to_table(columns=["customer_id", *dict.fromkeys([*names, *sorted(named)])], filter=near).sort_by(
        "customer_id"
    )


def _block(
    task: ScoringTask, scorer: Scorer, snapshot: pa.Table, customers: Ints, masks: Ints, recent: Floats
) -> ScoredBlock:
    known = snapshot["customer_id"].to_numpy()
    at = np.minimum(np.searchsorted(known, customers), max(0, len(known) - 1))
    match = known[at] == customers if len(known) else np.zeros(len(customers), bool)
    customers, masks, recent = customers[match], masks[match], recent[match]
    rows = snapshot.take(pa.array(at[match]))
    eligible = scorer.menu.eligible(masks)
    trailing = _trailing(task, customers, scorer.bundle.trailing_micro)
    scores = scorer.score(encode(rows, scorer.bundle.features), eligible, trailing, recent)
    return ScoredBlock(customers, rows, eligible, scores, int((~match).sum()))


def _candidate_rows(
    task: ScoringTask, scorer: Scorer, catalogue: Catalogue, limits: DeclaredLimits, block: ScoredBlock
) -> pa.Table:
    """Rows of ``candidate`` of a block: the arcs that can win at last night's prices."""
    scores, eligible, customers = block.scores, block.eligible, block.customers
    reduced = scores.value - limits.charges(block.rows, dict(task.prices))
    mask = prune(
        scores.value,
        reduced,
        eligible & ~limits.find_closed(),
        scorer.menu.outbound(),
        scorer.menu.channel(),
        limits.floors(),
        keep=task.keep,
    )
    who, arc = np.nonzero(mask)
    seconds = np.array([channel.seconds for channel in catalogue.channels], np.int32)
    columns = {
        "customer_id": customers[who],
        "product": scorer.menu.product()[arc],
        "channel": scorer.menu.channel()[arc],
        "value_micro": scores.value[who, arc],
        "p_convert": scores.p_convert[who, arc],
        "p_base": scores.p_base[who, arc],
        "effect_micro": scores.effect[who, arc],
        "cost_micro": scorer.money.cost[arc],
        "seconds": seconds[arc % len(catalogue.channels)],
        "basis": np.array(BASES, object)[scorer.basis[arc]],
        "model_version": np.full(len(who), task.model_version, object),
    }
    schema = nullable(arrow_schema(catalogue.tables["candidate"]))
    fields = [field for field in schema if field.name in columns]
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in fields}, pa.schema(fields))


def _trailing(task: ScoringTask, customers: Ints, mean: int) -> Ints:
    """(customers,) reduced value a night of late, micro-元: own nights, shrunk to the mean of all."""
    if not task.assigned or len(customers) == 0:
        return np.full(len(customers), mean, np.int64)
    total, nights = np.zeros(len(customers), np.int64), np.zeros(len(customers), np.int64)
    key = pc.field("customer_id")
    near = (key >= int(customers[0])) & (key <= int(customers[-1]))
    for files in task.assigned:
        rows = ds.dataset(list(files), format="parquet").to_table(
            columns=["customer_id", "value_micro", "price_micro", "role"], filter=near & (pc.field("role") == "exploit")
        )
        who = rows["customer_id"].to_numpy()
        at = np.minimum(np.searchsorted(customers, who), len(customers) - 1)
        match = customers[at] == who
        value = pc.fill_null(rows["value_micro"], 0).to_numpy() - pc.fill_null(rows["price_micro"], 0).to_numpy()
        np.add.at(total, at[match], np.maximum(value[match], 0))
        np.add.at(nights, at[match], 1)
    return np.rint((total + PRIOR_NIGHTS * mean) / (nights + PRIOR_NIGHTS)).astype(np.int64)


def prices_before(night: Night) -> tuple[dict[str, int], dt.date | None]:
    """Prices of the last night before this one, pico-元 a unit by limit, signed as in certificates, and its date.

    No prices and no date where no night was decided before.
    """
    before = night.before("limit_price")
    if before is None:
        return {}, None
    rows = night.lake.arrow("limit_price", partition={"business_date": before}, columns=["limit", "price_pico"])
    return dict(sorted(zip(rows["limit"].to_pylist(), rows["price_pico"].to_pylist(), strict=True))), before


@dataclass(frozen=True)
class ValueBasis:
    """What scores rest on besides the model that the task names.

    Attributes:
        prices_of: the night whose prices judge what is kept; None where none was decided before.
        degraded: why another champion than the registry's serves; empty where none does.
    """

    prices_of: dt.date | None
    degraded: str


def plan(night: Night) -> tuple[ScoringTask, list[str], ValueBasis]:
    """The task, the files to run it on, and what the scores rest on.

    Raises:
        UserError: no champion, nothing eligible, or no snapshot of tonight.
    """
    files = night.lake.files("eligible", night.partition)
    features = night.lake.files("customer_features", night.partition)
    for table, paths, job in (("eligible", files, "eligibility"), ("customer_features", features, "snapshot")):
        if not paths:
            raise UserError(
                f"table {table} has no rows of {night.date}",
                where=f"table {table}",
                remedy=f"run `cpc nightly --date {night.date} --from {job}`",
            )
    model = champion(night.settings)
    prices, of = prices_before(night)
    past = night.past("assignment")[-TRAILING_NIGHTS:]
    assigned = tuple(tuple(night.lake.files("assignment", {"business_date": date})) for date in past)
    night.lake.delta("candidate")
    task = ScoringTask(
        night.date,
        str(night.catalogue.root),
        str(model.folder),
        model.version,
        model.sha256,
        tuple(features),
        assigned,
        tuple(prices.items()),
        money(night.settings),
        night.settings.solve.keep_arcs,
        str(night.lake.path("candidate")),
    )
    return task, files, ValueBasis(of, f"last champion kept: {model.degraded}" if model.degraded else "")
