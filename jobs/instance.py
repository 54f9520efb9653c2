"""Reads an assignment instance from files: ``arcs/*.parquet`` and ``limits.yml``, refusing whatever is wrong with it.

The arcs are streamed, a file's row groups at a time, into the compact form of `models.assignment.problem`.
What a fault is told with: file, row (from 0 in its file) and column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field as Key
from pydantic import StrictInt, model_validator

from conf.documents import Strict, read_yaml, validate
from conf.errors import MendableError
from models.assignment.kinds import Numbering, Use, narrow, reduce_kinds
from models.assignment.problem import BLOCK, LARGEST, PICO, Block, Ints, Kinds, Limits, Problem
from models.assignment.sample import split

OWN = {"customer": pa.int64(), "product": pa.int16(), "channel": pa.int16(), "value": pa.int64()}
_BATCH = 1 << 20  # arcs read at once


class InstanceLimit(Strict):
    """A limit of an instance: ``counts`` is 1 or the name of an integer column whose sum counts."""

    name: str = Key(min_length=1)
    at_most: StrictInt | None = None
    at_least: StrictInt | None = None
    counts: Literal[1] | str = 1
    where: dict[str, list[StrictInt]] = {}

    @model_validator(mode="after")
    def _one_side(self) -> InstanceLimit:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("give exactly one of at_most and at_least, an integer")
        if not -(1 << 63) <= self.amount < 1 << 63:
            raise ValueError("the amount does not fit 64 bits")
        if self.counts == 1 and self.amount < 0:
            raise ValueError("a number of arcs cannot be negative")
        return self

    @property
    def amount(self) -> int:
        """The amount, whichever side it is on."""
        found = self.at_most if self.at_least is None else self.at_least
        assert found is not None
        return found

    @property
    def sign(self) -> int:
        """+1 for at most, -1 for at least."""
        return 1 if self.at_least is None else -1


class InstanceLimits(Strict):
    """``limits.yml`` of an instance."""

    choose: Literal["at_most_one", "exactly_one"] = "at_most_one"
    limits: tuple[InstanceLimit, ...] = ()


@dataclass(frozen=True)
class Instance:
    """An instance as read: the problem, the limits as written, and warnings."""

    problem: Problem
    limits: InstanceLimits
    warnings: tuple[str, ...]


def read_limits(path: Path) -> InstanceLimits:
    """Read and check ``limits.yml``.

    Raises:
        MendableError: names the limit's line and what is wrong.
    """
    document = read_yaml(path)
    found = validate(InstanceLimits, document)
    seen: dict[str, int] = {}
    for i, limit in enumerate(found.limits):
        if limit.name in seen:
            raise MendableError(
                f"limit {limit.name!r} is given twice", where=document.where(("limits", i)),
                remedy=f"it is also limit {seen[limit.name] + 1} of the list: rename one",
            )  # fmt: skip
        seen[limit.name] = i
    return found


def arc_files(folder: Path) -> list[Path]:
    """The files of arcs in the order in which they are read.

    Raises:
        MendableError: there are none.
    """
    files = sorted((folder / "arcs").glob("*.parquet"), key=lambda path: path.name)
    if not files:
        raise MendableError(
            "the instance has no arcs", where=str(folder / "arcs"), remedy="put Parquet files of arcs there"
        )
    return files


def read_instance(folder: Path) -> Instance:
    """Read an instance whole.

    Raises:
        MendableError: anything malformed: file, row, column.
    """
    limits = read_limits(folder / "limits.yml")
    wanted = used_columns(limits)
    files = arc_files(folder)
    numbering = Numbering(len(wanted))
    blocks: list[Block] = []
    most = 0
    for chunk in chunks(files, wanted):
        number = numbering.number(chunk.columns)
        most = max(most, int(np.abs(chunk.value).max(initial=0)))
        blocks += split(Block(chunk.customer, chunk.first, chunk.value, number.astype(np.uint32)), BLOCK)
    kinds, kind_of = kinds_of(limits, wanted, numbering.known)
    slim = np.int32 if most < 1 << 31 else np.int64
    done = [
        Block(b.customer, b.first, b.value.astype(slim), narrow(kind_of[b.kind.astype(np.int64)], len(kinds)))
        for b in blocks
    ]
    problem = Problem(done, kinds, limits_of(limits), limits.choose == "exactly_one", most)
    if PICO * most >= LARGEST or any(int(u) >= LARGEST for u in kinds.largest):
        raise MendableError(
            "integers of the instance leave 62 bits", where=str(folder),
            remedy="values must stay below 4.6e12 micro-yuan and uses below 4.6e18: scale them down",
        )  # fmt: skip
    return Instance(problem, limits, warnings_of(limits, kinds))


def limits_of(limits: InstanceLimits) -> Limits:
    """The limits in the at-most form."""
    sign = np.array([limit.sign for limit in limits.limits], np.int64)
    amount = np.array([limit.amount for limit in limits.limits], np.int64) * sign
    return Limits(tuple(limit.name for limit in limits.limits), amount, sign)


def used_columns(limits: InstanceLimits) -> tuple[str, ...]:
    """``product`` and ``channel``, then the columns that limits name, in the alphabet."""
    named = {key for limit in limits.limits for key in limit.where}
    named |= {limit.counts for limit in limits.limits if isinstance(limit.counts, str)}
    return ("product", "channel", *sorted(named - {"product", "channel"}))


def kinds_of(limits: InstanceLimits, wanted: tuple[str, ...], rows: Ints) -> tuple[Kinds, Ints]:
    """Kinds of the distinct rows of the used columns, and the kind of each row."""
    column = {name: rows[:, i] for i, name in enumerate(wanted)}
    uses = []
    for limit in limits.limits:
        mask = np.ones(len(rows), bool)
        for name, values in limit.where.items():
            mask &= np.isin(column[name], np.array(values, np.int64))
        units = np.ones(len(rows), np.int64) if limit.counts == 1 else column[str(limit.counts)]
        uses.append(Use(np.where(mask, units, 0), limit.sign))
    return reduce_kinds(rows[:, 0].copy(), rows[:, 1].copy(), uses)


def warnings_of(limits: InstanceLimits, kinds: Kinds) -> tuple[str, ...]:
    """Limits that no arc touches."""
    touched = set(np.unique(kinds.limit).tolist())
    return tuple(f"limit {limit.name}: no arc counts" for i, limit in enumerate(limits.limits) if i not in touched)


@dataclass(frozen=True)
class Chunk:
    """Whole customers in order: their arcs sorted by (product, channel), and the used columns [arcs, width]."""

    customer: Ints
    first: Ints
    value: Ints
    columns: Ints


def chunks(files: list[Path], wanted: tuple[str, ...]) -> Iterator[Chunk]:
    """Stream the arcs; a customer that goes on in the next batch or file waits for it.

    Raises:
        MendableError: a missing or ill-typed column, a null, customers out of order, an arc twice.
    """
    names = ["customer", "value", *wanted]
    rest: np.ndarray = np.empty((0, len(names)), np.int64)
    last: int | None = None
    for path in files:
        row = 0
        with _opened(path, names) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=names):
                table = _integers(batch, names, path, row)
                _ascending(table[:, 0], last, path, row)
                last = int(table[-1, 0]) if len(table) else last
                whole = np.concatenate((rest, table)) if len(rest) else table
                cut = int(np.searchsorted(whole[:, 0], last or 0)) if len(whole) else 0
                if cut:
                    yield _chunk(whole[:cut], path, row)
                rest = whole[cut:]
                row += len(table)
    if len(rest):
        yield _chunk(rest, files[-1], 0)


def _opened(path: Path, names: list[str]) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise MendableError(
            f"not a Parquet file: {str(error).splitlines()[0]}", where=str(path), remedy="write it again"
        ) from error
    schema = file.schema_arrow
    for name in names:
        if name not in schema.names:
            raise MendableError(
                f"no column {name!r}", where=f"{path.name}, column {name}",
                remedy=f"its columns are: {', '.join(schema.names)}; limits.yml may only name these",
            )  # fmt: skip
        kind = schema.field(name).type
        fits = kind == OWN[name] if name in OWN else pa.types.is_integer(kind) and kind != pa.uint64()
        if not fits:
            raise MendableError(
                f"column {name!r} is {kind}, not {OWN.get(name, 'an integer')}", where=f"{path.name}, column {name}",
                remedy="cast it before writing the file",
            )  # fmt: skip
    return file


def _integers(batch: pa.RecordBatch, names: list[str], path: Path, row: int) -> np.ndarray:
    for i, name in enumerate(names):
        if batch.column(i).null_count:
            at = int(np.flatnonzero(batch.column(i).is_null().to_numpy(zero_copy_only=False))[0])
            raise MendableError(
                "a null", where=f"{path.name}, row {row + at}, column {name}", remedy="every cell must have an integer"
            )
    table = np.empty((batch.num_rows, len(names)), np.int64)
    for i in range(len(names)):
        table[:, i] = batch.column(i).to_numpy(zero_copy_only=False)
    for i, name in enumerate(names):
        if name not in {"product", "channel"} and len(table) and int(table[:, i].min()) == -(1 << 63):
            at = int(table[:, i].argmin())
            raise MendableError(
                "an integer without a positive", where=f"{path.name}, row {row + at}, column {name}",
                remedy="the least int64 has no counterpart: use a smaller magnitude",
            )  # fmt: skip
    return table


def _ascending(customer: Ints, last: int | None, path: Path, row: int) -> None:
    falls = np.flatnonzero(customer[1:] < customer[:-1])
    at = -1 if last is not None and len(customer) and int(customer[0]) < last else int(falls[0]) if len(falls) else -2
    if at != -2:
        raise MendableError(
            f"customers are out of order: {int(customer[at + 1])} comes too late",
            where=f"{path.name}, row {row + at + 1}, column customer",
            remedy="sort by customer; a customer's arcs are consecutive across files in name order",
        )


def _chunk(table: np.ndarray, path: Path, row: int) -> Chunk:
    """Sort the arcs within customers and refuse an arc that is there twice."""
    order = np.lexsort((table[:, 3], table[:, 2], table[:, 0]))
    table = table[order]
    same = (table[1:, 0] == table[:-1, 0]) & (table[1:, 2] == table[:-1, 2]) & (table[1:, 3] == table[:-1, 3])
    if same.any():
        at = int(np.flatnonzero(same)[0])
        customer, product, channel = (int(table[at, i]) for i in (0, 2, 3))
        raise MendableError(
            f"an arc twice: customer {customer}, product {product}, channel {channel}",
            where=f"{path.name}, near row {row}, column product", remedy="keep one of them",
        )  # fmt: skip
    begin = np.concatenate(([0], np.flatnonzero(table[1:, 0] != table[:-1, 0]) + 1, [len(table)]))
    return Chunk(table[begin[:-1], 0].copy(), begin, table[:, 1].copy(), np.ascontiguousarray(table[:, 2:]))
