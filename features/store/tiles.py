"""Where partial rows lie: a tile for every month that is over, one for every night of the month at hand.

A snapshot of 180 days then opens some twenty files a family, not 180: of a bucket, opening and decoding 90 nightly
files took ten times as long as the same rows in one (docs/benchmarks/features.md). Nights are folded into a tile of
their own; the first night of a month settles the month before.

A tile's files are ordered by customer, their row groups end with buckets: a task reads those of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.dates import month_end
from conf.feature import Family
from conf.partial import BUCKET_BITS, inputs_with_value
from features.arrays import I64, ints
from runtime.lake import Lake
from runtime.parquet_files import WrittenFile, write_file

#: Rows below which a row group holds further buckets, and rows that a task settles at most (of even customers).
_GROUP, SETTLED = 1 << 14, 4_000_000


@dataclass(frozen=True)
class PartialFile:
    """A live file of partials.

    Attributes:
        tile: its partition.
        path: absolute.
        first, last: the nights that first knew its rows lie between.
        low, high: their customers lie between.
        rows: how many.
    """

    tile: dt.date
    path: str
    first: dt.date
    last: dt.date
    low: int
    high: int
    rows: int

    def only(self, nights: Collection[dt.date]) -> bool:
        """Whether no other nights can be in the file."""
        days = (self.last - self.first).days
        return {self.first + dt.timedelta(days=day) for day in range(days + 1)} <= set(nights)


@dataclass(frozen=True)
class Settle:
    """What a task does: the rows of a tile that are kept, with its fresh ones, in one file of some customers.

    Attributes:
        family: the declaration.
        tile: the partition.
        live: files held so far.
        fresh: files folded just now.
        anew: nights that are left out of the live files.
        low, high: the customers.
        target: the folder of the family's partials.
    """

    family: Family
    tile: dt.date
    live: tuple[str, ...]
    fresh: tuple[str, ...]
    anew: tuple[dt.date, ...]
    low: int
    high: int
    target: Path

    def __call__(self) -> list[WrittenFile]:
        """Write the file; none where no row is left."""
        live = [_without(read_groups(path, self.family, self.low, self.high), self.anew) for path in self.live]
        tables = [*live, *(read_groups(path, self.family, self.low, self.high) for path in self.fresh)]
        rows = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
        customer = ints(rows["customer_id"])
        inside = np.flatnonzero((customer >= self.low) & (customer <= self.high))
        order = np.lexsort([ints(rows["business_date"])[inside], customer[inside]])
        if not inside.size:
            return []
        rows = rows.take(pa.array(inside[order]))
        return [write_file(self.target, rows, {"tile": self.tile}, group_ends(rows))]


def tile_of(night: dt.date, at_hand: dt.date) -> dt.date:
    """The tile of a night when ``at_hand`` is the last night there is."""
    end = month_end(night)
    return end if end < at_hand.replace(day=1) else night


def parts_of(lake: Lake, family: Family) -> list[PartialFile]:
    """The live files of a family's partials, in an order that does not hang on their names."""
    parts = [
        PartialFile(
            tile=file.partition["tile"],
            path=file.path,
            first=file.low["business_date"],
            last=file.high["business_date"],
            low=file.low["customer_id"],
            high=file.high["customer_id"],
            rows=file.rows,
        )
        for file in lake.live_files(family.table, bounds=("business_date", "customer_id"))
    ]
    return sorted(parts, key=lambda part: (part.tile, part.first, part.low, part.high, part.rows, part.path))


@dataclass(frozen=True)
class Change:
    """What becomes of a family's files when nights are folded anew.

    Attributes:
        stay: fresh files that are published as they are.
        settle: tasks that write the others, with what is kept.
        replaced: tiles whose files so far go.
        rows: rows that are settled.
    """

    stay: tuple[WrittenFile, ...]
    settle: tuple[Settle, ...]
    replaced: tuple[dt.date, ...]
    rows: int


def change_of(
    family: Family,
    live: Sequence[PartialFile],
    fresh: Sequence[WrittenFile],
    anew: Collection[dt.date],
    at_hand: dt.date,
    target: Path,
) -> Change:
    """Tiles that lose or gain nights, and tiles of nights whose month is over by now: each is settled once.

    Args:
        family: the declaration.
        live: its files so far.
        fresh: files of the nights ``anew``.
        anew: nights of which nothing is kept.
        at_hand: the last night there is.
        target: the folder of the family's partials.
    """
    touched = {tile_of(night, at_hand) for night in anew}
    touched |= {tile_of(part.tile, at_hand) for part in live if part.tile != tile_of(part.tile, at_hand)}
    replaced = [part for part in live if tile_of(part.tile, at_hand) in touched]
    stay, settle, rows = list(fresh), [], 0
    for tile in sorted(touched):
        parts = [part for part in replaced if tile_of(part.tile, at_hand) == tile and not part.only(anew)]
        files = [file for file in stay if file.partition["tile"] == tile.isoformat()]
        if parts or _thin(files):
            stay = [file for file in stay if file not in files]
            settle += _plan_tasks(family, tile, parts, files, anew, target)
            rows += sum(part.rows for part in parts) + sum(file.rows for file in files)
    return Change(tuple(stay), tuple(settle), tuple(sorted({part.tile for part in replaced})), rows)


def _thin(files: Sequence[WrittenFile]) -> bool:
    """Whether a bucket's rows are spread over so many files that reading them is mostly opening them."""
    if len(files) < 2:
        return False
    buckets = (max(file.most("customer_id") for file in files) >> BUCKET_BITS) + 1
    return sum(file.rows for file in files) < len(files) * buckets * _GROUP and buckets > 1


def _plan_tasks(
    family: Family,
    tile: dt.date,
    parts: Sequence[PartialFile],
    fresh: Sequence[WrittenFile],
    anew: Collection[dt.date],
    target: Path,
) -> list[Settle]:
    """The tasks that settle a tile: each takes whole buckets, and some `SETTLED` rows."""
    high = max([part.high for part in parts] + [file.most("customer_id") for file in fresh])
    rows = sum(part.rows for part in parts) + sum(file.rows for file in fresh)
    buckets = (high >> BUCKET_BITS) + 1
    tasks = min(buckets, -(-rows // SETTLED))
    bounds = [(buckets * task // tasks) << BUCKET_BITS for task in range(tasks + 1)]
    paths = tuple(part.path for part in parts), tuple(str(target / file.path) for file in fresh)
    return [Settle(family, tile, *paths, tuple(anew), low, end - 1, target) for low, end in pairwise(bounds)]


def read_groups(path: str, family: Family, low: int, high: int) -> pa.Table:
    """The row groups of a file of partials that hold customers ``low`` … ``high``, texts as dictionaries."""
    texts = ["feed", *(source.name for source in inputs_with_value(family) if source.type == "string")]
    footer, least, most = _footer(path)
    wanted = np.flatnonzero((least <= high) & (most >= low)).tolist()
    with pq.ParquetFile(path, metadata=footer, read_dictionary=texts) as file:
        return file.read_row_groups(wanted, use_threads=False)


@lru_cache(maxsize=512)
def _footer(path: str) -> tuple[pq.FileMetaData, I64, I64]:
    """What a file says of itself, and the least and greatest customer of each row group.

    A worker reads a bucket after the other of the same files, and a file is never written twice: without this the
    cost of footers grows with the square of the customers.
    """
    footer = pq.read_metadata(path)
    column = footer.schema.names.index("customer_id")
    statistics = [footer.row_group(group).column(column).statistics for group in range(footer.num_row_groups)]
    return footer, np.array([group.min for group in statistics]), np.array([group.max for group in statistics])


def group_ends(rows: pa.Table) -> list[int]:
    """Where row groups end: with a bucket, once a group has `_GROUP` rows, so that a bucket reads little else."""
    bucket = ints(rows["customer_id"]) >> BUCKET_BITS
    ends: list[int] = []
    for end in (*(np.flatnonzero(np.diff(bucket)) + 1).tolist(), rows.num_rows):
        if end == rows.num_rows or end - (ends[-1] if ends else 0) >= _GROUP:
            ends.append(end)
    return ends


def _without(rows: pa.Table, nights: Collection[dt.date]) -> pa.Table:
    if not nights:
        return rows
    return rows.filter(pc.invert(pc.is_in(rows["business_date"], value_set=pa.array(sorted(nights), pa.date32()))))
