"""What training reads: a bounded sample of matured decisions, each with the snapshot of its time.

Partitions are streamed by Arrow in the order of dates and customers; who is kept depends on a hash of draw key and
date, so the same tables give the same sample on any machine. Every conversion is kept; the weights undo the rest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from conf.errors import UserError
from models.affinity.encode import EncodedFeature, changes, encode, learn
from models.affinity.signals import HEARD, INTERESTED, MISSED, REFUSED, UNKNOWN
from models.affinity.training import CONTROL, EXPLORE, ROLES, USUAL, TrainingSample
from models.arrays import Floats, Ints
from models.bit_sets import read_set, widen
from models.hashing import draw_keys, uniform
from runtime.night import Night

_COLUMNS = (
    "business_date",
    "customer_id",
    "role",
    "product",
    "channel",
    "pscore",
    "ordered",
    "ordered_more",
    "converted",
    "reversed",
    "opted_out",
    "complained",
    "margin_micro",
    "matured",
    "attempted",
    "reached",
    "refused",
    "interested",
    "recent_milli",
)
#: Share of the wanted rows for contacts, control nights, and other decisions to do nothing.
_SHARES = (0.6, 0.15, 0.25)


@dataclass(frozen=True)
class Data:
    """The sample, how it was encoded, and what it stands for.

    Attributes:
        without_snapshot: decisions left out for want of a snapshot.
        without_pscore: explorers' decisions that no draw gave (a limit took the draw back), which teach no weighted figure,
            and those of customers served by the operator's usual rule, which teach nothing at all.
        not_yet: features declared since the last of these snapshots: no matured decision knows them yet.
    """

    sample: TrainingSample
    features: tuple[EncodedFeature, ...]
    decisions: int
    first: dt.date
    last: dt.date
    snapshots: tuple[dt.date, ...]
    without_snapshot: int
    without_pscore: int
    not_yet: tuple[str, ...]


def latest(dates: Sequence[dt.date], at: dt.date) -> dt.date | None:
    """The last of ``dates`` not after ``at``."""
    past = [date for date in dates if date <= at]
    return past[-1] if past else None


def candidates(night: Night) -> list[str]:
    """Columns of the snapshot that a model may use: declared for models, and nothing of staleness."""
    declared = night.catalogue.features
    barred = declared.not_for_models | {family.staleness for family in declared.families}
    return [column.name for column in declared.columns if column.name not in barred]


def partition(
    night: Night, table: str, date: dt.date, columns: Sequence[str], keys: pa.Array | None = None
) -> pa.Table:
    """Columns of one date of a table in the order of customers; of some customers where ``keys`` are given."""
    source = ds.dataset(night.lake.files(table, {"business_date": date}), format="parquet")
    names = [name for name in columns if name in source.schema.names]
    condition = pc.field("customer_id").isin(keys) if keys is not None else None
    rows = source.to_table(columns=names, filter=condition)
    return rows.sort_by("customer_id")


def encode_known(table: pa.Table, features: Sequence[EncodedFeature]) -> Floats:
    """As ``encode``; a feature that an older table lacks, or has in another type, is missing in all of its rows."""
    known = [feature for feature in features if feature.name in table.column_names]
    unlike = changes(table, known)
    table = table.drop_columns(list(unlike))
    for name in [feature.name for feature in features if feature.name not in table.column_names]:
        table = table.append_column(name, pa.nulls(table.num_rows))
    return encode(table, features)


def kinds(rows: pa.Table) -> NDArray[np.int64]:
    """(rows,) 0 a contact, 1 a control night, 2 another decision to do nothing."""
    contact = pc.is_valid(rows["product"]).to_numpy(zero_copy_only=False)
    control = pc.equal(rows["role"], ROLES[CONTROL]).to_numpy(zero_copy_only=False)
    return np.where(contact, 0, np.where(control, 1, 2))


def sample_rows(rows: pa.Table, keys: Ints, date: dt.date, rates: Floats, seed: int) -> tuple[pa.Table, Floats]:
    """The rows that a hash keeps (conversions always), and the weights that undo it.

    Args:
        rows: decisions of one date.
        keys: (rows,) the draw keys of their customers.
        date: their date.
        rates: (3,) share of each kind to keep.
        seed: of the hash.
    """
    draw = uniform(keys, date.toordinal() * 1_000_003 + seed)
    rate = rates[kinds(rows)]
    answer = read_set(rows, "ordered").any(axis=1)
    certain = answer & (kinds(rows) < 2)  # orders of contacts and of control nights are rare and all kept
    keep = certain | (draw < rate)
    weight = np.where(certain, 1.0, 1 / np.maximum(rate, 1e-12))
    return rows.filter(pa.array(keep)), weight[keep]


def read(night: Night) -> Data:
    """The training data as of the night.

    Raises:
        UserError: no matured outcomes, or no snapshots for their dates.
    """
    outcomes = night.lake.dates("outcome")
    snapshots = night.lake.dates("customer_features")
    parts = [(date, part) for date, part in _select_matured(night, outcomes)]
    if not parts:
        raise UserError(
            "no decision has matured yet",
            where="table outcome",
            remedy="run `cpc job feedback --date D` first; a label matures after the horizon of conf/env",
        )
    without_pscore = sum(count_without_pscore(part) for _, part in parts)
    parts = [(date, part.filter(pc.not_equal(part["role"], ROLES[USUAL]))) for date, part in parts]
    used = [(date, part, snapshot) for date, part in parts if (snapshot := latest(snapshots, date)) is not None]
    if not used:
        raise UserError(
            "no snapshot is as old as the decisions",
            where="table customer_features",
            remedy="build the weekly snapshots of their dates first (`cpc demo` does; `features.store.backfill.snapshot_dates`)",
        )
    totals = sum((np.bincount(kinds(part), minlength=3) for _, part, _ in used), np.zeros(3, np.int64))
    rates = np.minimum(1.0, np.array(_SHARES) * night.settings.affinity.rows / np.maximum(totals, 1))
    names = candidates(night)
    newest = partition(night, "customer_features", used[-1][2], ["customer_id", *names])
    features = learn(newest, [name for name in names if name in newest.column_names])
    samples = [_join_snapshots(night, group, features, rates) for group in _by_snapshot(used)]
    dropped = sum(part.num_rows for date, part in parts) - int(totals.sum())
    return Data(
        _stack(samples),
        features,
        int(totals.sum()),
        used[0][0],
        used[-1][0],
        tuple(sorted({snapshot for _, _, snapshot in used})),
        dropped,
        without_pscore,
        tuple(name for name in names if name not in newest.column_names),
    )


def count_without_pscore(rows: pa.Table) -> int:
    """Decisions of explorers, and of customers served by the usual rule, whose probability is not known."""
    drawn = pc.is_in(rows["role"], value_set=pa.array([ROLES[EXPLORE], ROLES[USUAL]]))
    lost = pc.and_(pc.is_null(rows["pscore"]), drawn)
    return int(pc.sum(lost).as_py() or 0)


def _select_matured(night: Night, dates: Sequence[dt.date]) -> Iterator[tuple[dt.date, pa.Table]]:
    for date in dates:
        if date >= night.date:
            continue
        rows = partition(night, "outcome", date, _COLUMNS)
        rows = rows.filter(rows["matured"])
        if rows.num_rows:
            yield date, rows


Used = tuple[dt.date, pa.Table, dt.date]


def _by_snapshot(used: Sequence[Used]) -> list[list[Used]]:
    groups: dict[dt.date, list[Used]] = {}
    for entry in used:
        groups.setdefault(entry[2], []).append(entry)
    return [groups[date] for date in sorted(groups)]


def _join_snapshots(
    night: Night, group: Sequence[Used], features: tuple[EncodedFeature, ...], rates: Floats
) -> TrainingSample:
    """The sampled decisions of the nights that share a snapshot, joined to it."""
    key_of = read_draw_keys(night, group[0][2])
    picked = [(date, *sample_rows(part, key_of(part), date, rates, night.settings.seed)) for date, part, _ in group]
    wanted = pa.array(np.unique(np.concatenate([rows["customer_id"].to_numpy() for _, rows, _ in picked])))
    names = ["customer_id", *(feature.name for feature in features)]
    snapshot = partition(night, "customer_features", group[0][2], names, wanted)
    known, X = snapshot["customer_id"].to_numpy(), encode_known(snapshot, features)
    samples = []
    for date, rows, weight in picked:
        customer = rows["customer_id"].to_numpy()
        at = np.searchsorted(known, customer)
        match = (at < len(known)) & (known[np.minimum(at, len(known) - 1)] == customer) if len(known) else at < 0
        contacts = rows.filter(pa.array(match))
        samples.append(_sample(contacts, key_of(contacts), X[at[match]], date, weight[match]))
    return _stack(samples)


def read_draw_keys(night: Night, date: dt.date) -> Callable[[pa.Table], Ints]:
    """What gives the draw keys of rows by a snapshot; who is not in it, or an older one, is drawn by id."""
    snapshot = partition(night, "customer_features", date, ["customer_id", "draw_key"])
    ids, keys = snapshot["customer_id"].to_numpy(), draw_keys(snapshot)

    def key_of(rows: pa.Table) -> Ints:
        customer = rows["customer_id"].to_numpy()
        at = np.minimum(np.searchsorted(ids, customer), max(0, len(ids) - 1))
        return np.where(ids[at] == customer, keys[at], customer) if len(ids) else customer

    return key_of


def _sample(rows: pa.Table, keys: Ints, X: Floats, date: dt.date, weight: Floats) -> TrainingSample:
    def flags(name: str) -> NDArray[np.bool_]:
        return pc.fill_null(rows[name], False).to_numpy(zero_copy_only=False)

    def ids(name: str) -> NDArray[np.int64]:
        return pc.fill_null(rows[name].cast(pa.int64()), -1).to_numpy(zero_copy_only=False)

    roles = pc.index_in(rows["role"], value_set=pa.array(ROLES)).to_numpy(zero_copy_only=False).astype(np.int64)
    return TrainingSample(
        X=X,
        customer=keys,
        day=np.full(rows.num_rows, date.toordinal(), np.int64),
        role=roles,
        product=ids("product"),
        channel=ids("channel"),
        pscore=pc.cast(pc.fill_null(rows["pscore"], np.nan), pa.float64()).to_numpy(),
        recent=recent_of(rows),
        ordered=read_set(rows, "ordered"),
        answer=_answers(rows),
        converted=flags("converted"),
        reversed=flags("reversed"),
        opted_out=flags("opted_out"),
        complained=flags("complained"),
        margin=rows["margin_micro"].to_numpy() / 1e6,
        weight=weight,
    )


def recent_of(rows: pa.Table) -> Floats:
    """(rows,) contacts of the days before, each halved every week; 0 where a release did not count them."""
    if "recent_milli" not in rows.column_names:
        return np.zeros(rows.num_rows)
    return pc.fill_null(rows["recent_milli"], 0).to_numpy() / 1000


def _answers(rows: pa.Table) -> NDArray[np.int64]:
    """(rows,) how each contact was answered; unknown where none is told of, or by a release that did not know it."""
    columns = ("attempted", "reached", "refused", "interested")
    if not set(columns) <= set(rows.column_names):
        return np.full(rows.num_rows, UNKNOWN, np.int64)
    attempted, reached, refused, interested = (
        pc.fill_null(rows[name], False).to_numpy(zero_copy_only=False) for name in columns
    )
    known = attempted & pc.is_valid(rows["product"]).to_numpy(zero_copy_only=False)
    known &= pc.is_valid(rows["refused"]).to_numpy(zero_copy_only=False)
    answers = np.select([~reached, refused, interested], [MISSED, REFUSED, INTERESTED], HEARD)
    return np.where(known, answers, UNKNOWN)


def _stack(samples: Sequence[TrainingSample]) -> TrainingSample:
    words = max(sample.ordered.shape[1] for sample in samples)
    level = [replace(sample, ordered=widen(sample.ordered, words)) for sample in samples]
    return TrainingSample(
        **{name: np.concatenate([vars(s)[name] for s in level]) for name in TrainingSample.__dataclass_fields__}
    )
