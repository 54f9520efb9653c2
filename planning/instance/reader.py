"""Reads an assignment instance from files: ``arcs/*.parquet`` and ``limits.yml``, refusing whatever is wrong with it.

An arc's key is customer, product, channel and, where the files have such columns, ``slot`` and ``variant``.

The arcs are streamed, a file's row groups at a time, into the compact form of `models.assignment.problem`.
What a fault is told with: file, row (from 0 in its file) and column.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import UserError
from models.arrays import Ints
from models.assignment.problem import KEY_PARTS, LARGEST, PICO, Problem, pack_key
from planning.instance.arc_store import TWICE, UNSORTED, ArcChunk, ArcStore, constant, order_of_arcs
from planning.limits.in_force import LimitsInForce, read_limits

OWN = {"customer": pa.int64(), "product": pa.int16(), "channel": pa.int16(), "value": pa.int64()}
OWN |= dict.fromkeys(KEY_PARTS, pa.int16())
_BATCH = 1 << 20  # arcs read at once
Item = TypeVar("Item")


@dataclass(frozen=True)
class Instance:
    """An instance as read: the problem, the limits as written, and warnings."""

    problem: Problem
    limits: LimitsInForce
    warnings: tuple[str, ...]


def arc_files(folder: Path) -> list[Path]:
    """The files of arcs in the order in which they are read.

    Raises:
        UserError: there are none.
    """
    files = sorted((folder / "arcs").glob("*.parquet"), key=lambda path: path.name)
    if not files:
        raise UserError(
            "the instance has no arcs", where=str(folder / "arcs"), remedy="put Parquet files of arcs there"
        )
    return files


def read_instance(folder: Path, work: Path | None = None) -> Instance:
    """Read an instance whole.

    Args:
        folder: the instance.
        work: an empty folder for the compact form, which is then mapped into memory; None keeps the arcs in memory,
            each with its kind.

    Raises:
        UserError: anything malformed: file, row, column.
    """
    limits = read_limits(folder / "limits.yml")
    files = arc_files(folder)
    key = ("product", "channel", *key_parts(files))
    fixed = tuple(name for name in limits.columns() if name not in key)
    wanted = (*key, *fixed)
    store: ArcStore | None = None
    while store is None:
        try:
            store = _store_arcs(files, wanted, fixed, work)
        except _Varies as error:
            fixed = tuple(name for name in fixed if name not in error.columns)
    kinds, blocks = store.finish(limits)
    problem = Problem(blocks, kinds, limits.arrays(), limits.choose == "exactly_one", store.most)
    if PICO * store.most >= LARGEST or any(int(u) >= LARGEST for u in kinds.largest):
        raise UserError(
            "integers of the instance leave 62 bits",
            where=str(folder),
            remedy="values must stay below 4.6e12 micro-yuan and uses below 4.6e18: scale them down",
        )
    return Instance(problem, limits, limits.warnings(kinds))


def key_parts(files: list[Path]) -> tuple[str, ...]:
    """Those of ``KEY_PARTS`` that the files of arcs have.

    Raises:
        UserError: a file has other ones than the first, or is none.
    """
    parts: tuple[str, ...] | None = None
    for path in files:
        with _open(path) as file:
            names = file.schema_arrow.names
        here = tuple(name for name in KEY_PARTS if name in names)
        if parts is not None and here != parts:
            odd = next(name for name in KEY_PARTS if (name in here) != (name in parts))
            raise UserError(
                f"column {odd!r} is a part of the key in some files and not in others",
                where=f"{path.name}, column {odd}",
                remedy=f"write it into all files of arcs, or into none: {files[0].name} has {', '.join(parts) or 'none'}",
            )
        parts = here
    return parts or ()


class _Varies(Exception):  # noqa: N818 - what is found
    """Columns that are not the same for all arcs of a customer."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        super().__init__(", ".join(columns))
        self.columns = columns


def _store_arcs(files: list[Path], wanted: tuple[str, ...], fixed: tuple[str, ...], work: Path | None) -> ArcStore:
    """All arcs in the store, ``fixed`` taken once a customer.

    Raises:
        _Varies: some of ``fixed`` are not the same for all arcs of a customer.
    """
    store = ArcStore(tuple(name for name in wanted if name not in fixed), fixed, work)
    for chunk in chunks(files, wanted):
        vary = tuple(name for name in fixed if not constant(chunk.columns[name], chunk.first))
        if vary:
            raise _Varies(vary)
        store.add(chunk)
    return store


def chunks(files: list[Path], wanted: tuple[str, ...]) -> Iterator[ArcChunk]:
    """Stream the arcs; a customer that goes on in the next batch or file waits for it.

    Raises:
        UserError: a missing or ill-typed column, a null, customers out of order, an arc twice.
    """
    names = list(dict.fromkeys(("customer", "value", *wanted)))
    rest: dict[str, np.ndarray] = {}
    last: int | None = None
    path, row = files[0], 0
    for path, row, batch in ahead(_batches(files, names)):
        if not batch.num_rows:
            continue
        table = _integers(batch, names, path, row)
        customer = table["customer"]
        _ascending(customer, last, path, row)
        last = int(customer[-1])
        rows = {name: np.concatenate((rest[name], table[name])) for name in names} if rest else table
        cut = int(np.searchsorted(rows["customer"], last))
        if cut:
            yield _chunk({name: column[:cut] for name, column in rows.items()}, path, row)
        rest = {name: column[cut:] for name, column in rows.items()}
    if rest:
        yield _chunk(rest, path, row)


def _batches(files: list[Path], names: list[str]) -> Iterator[tuple[Path, int, pa.RecordBatch]]:
    for path in files:
        row = 0
        with _open_file(path, names) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=names):
                yield path, row, batch
                row += batch.num_rows


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items; the next is made by another thread while one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"not a Parquet file: {str(error).splitlines()[0]}", where=str(path), remedy="write it again"
        ) from error


def _open_file(path: Path, names: list[str]) -> pq.ParquetFile:
    file = _open(path)
    schema = file.schema_arrow
    for name in names:
        if name not in schema.names:
            raise UserError(
                f"no column {name!r}",
                where=f"{path.name}, column {name}",
                remedy=f"its columns are: {', '.join(schema.names)}; limits.yml may only name these",
            )
        kind = schema.field(name).type
        fits = kind == OWN[name] if name in OWN else pa.types.is_integer(kind) and kind != pa.uint64()
        if not fits:
            raise UserError(
                f"column {name!r} is {kind}, not {OWN.get(name, 'an integer')}",
                where=f"{path.name}, column {name}",
                remedy="cast it before writing the file",
            )
    return file


def _integers(batch: pa.RecordBatch, names: list[str], path: Path, row: int) -> dict[str, np.ndarray]:
    for name in names:
        if batch.column(name).null_count:
            at = int(np.flatnonzero(batch.column(name).is_null().to_numpy(zero_copy_only=False))[0])
            raise UserError(
                "a null", where=f"{path.name}, row {row + at}, column {name}", remedy="every cell must have an integer"
            )
    table = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in names}
    for name in ("product", "channel", *KEY_PARTS):
        if name in table and len(table[name]) and int(table[name].min()) < 0:
            raise UserError(
                f"a {name} below 0",
                where=f"{path.name}, row {row + int(table[name].argmin())}, column {name}",
                remedy="number products, channels, slots and variants from 0: below 0 means none in a plan",
            )
    for name, column in table.items():
        if column.dtype == np.int64 and len(column) and int(column.min()) == -(1 << 63):
            raise UserError(
                "an integer without a positive",
                where=f"{path.name}, row {row + int(column.argmin())}, column {name}",
                remedy="the least int64 has no counterpart: use a smaller magnitude",
            )
    return table


def _ascending(customer: Ints, last: int | None, path: Path, row: int) -> None:
    falls = np.flatnonzero(customer[1:] < customer[:-1])
    at = -1 if last is not None and len(customer) and int(customer[0]) < last else int(falls[0]) if len(falls) else -2
    if at != -2:
        raise UserError(
            f"customers are out of order: {int(customer[at + 1])} comes too late",
            where=f"{path.name}, row {row + at + 1}, column customer",
            remedy="sort by customer; a customer's arcs are consecutive across files in name order",
        )


def _chunk(table: dict[str, np.ndarray], path: Path, row: int) -> ArcChunk:
    """Sort the arcs within customers where they are not, and refuse an arc that is there twice."""
    key = ["channel", *(name for name in KEY_PARTS if name in table)]
    customer, product, rest = table["customer"], table["product"], _pack(table, key)
    state = order_of_arcs(customer, product, rest)
    if state == UNSORTED:
        order = np.lexsort((rest, product, customer))
        table = {name: column[order] for name, column in table.items()}
        customer, product, rest = table["customer"], table["product"], rest[order]
        state = order_of_arcs(customer, product, rest)
    if state == TWICE:
        same = (customer[1:] == customer[:-1]) & (product[1:] == product[:-1]) & (rest[1:] == rest[:-1])
        at = int(np.flatnonzero(same)[0])
        raise UserError(
            "an arc twice: " + ", ".join(f"{name} {table[name][at]}" for name in ("customer", "product", *key)),
            where=f"{path.name}, near row {row}, column product",
            remedy="keep one of them",
        )
    begin = np.concatenate(([0], np.flatnonzero(customer[1:] != customer[:-1]) + 1, [len(customer)]))
    return ArcChunk(customer[begin[:-1]], begin, table["value"], table)


def _pack(table: dict[str, np.ndarray], names: list[str]) -> np.ndarray:
    """Some parts of the key in one column; a single one as it is."""
    return table[names[0]] if len(names) == 1 else pack_key([table[name] for name in names])
