"""Experiment files that users bring: CSV (also .gz; any of ``,;|`` or tab) or Parquet, read in batches by Arrow."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from conf.errors import UserError


def batches(path: Path) -> Iterator[pa.Table]:
    """The file's rows in batches of some tens of thousands.

    Raises:
        UserError: the file is absent, empty, or not readable as what its name says.
    """
    if not path.exists():
        raise UserError(f"no file {path.name}", where=str(path), remedy="mend the path")
    try:
        if path.suffix == ".parquet":
            for batch in pq.ParquetFile(path).iter_batches(65_536):
                yield pa.Table.from_batches([batch])
            return
        options = pacsv.ParseOptions(delimiter=_delimiter(path))
        with pacsv.open_csv(path, parse_options=options, read_options=pacsv.ReadOptions(block_size=8 << 20)) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path.name} cannot be read: {str(error).splitlines()[0]}",
            where=str(path),
            remedy="write CSV with a header (UTF-8; comma, semicolon, bar or tab; .gz allowed) or Parquet",
        ) from error


def _delimiter(path: Path) -> str:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        head = file.readline()
    return max(",;|\t", key=head.count)


def read(path: Path) -> pa.Table:
    """All rows; the type of a column is that of its first batch."""
    parts = list(batches(path))
    if not parts:
        raise UserError(f"{path.name} has no rows", where=str(path), remedy="give a file with rows")
    return pa.concat_tables(parts, promote_options="permissive")


def need(table: pa.Table, path: Path, names: Sequence[str]) -> None:
    """Check that columns are there.

    Raises:
        UserError: names the first that is not.
    """
    for name in names:
        if name not in table.column_names:
            raise UserError(
                f"{path.name} has no column {name!r}",
                where=f"{path}, header: {', '.join(table.column_names[:30])}",
                remedy=f"it needs the columns: {', '.join(names)}",
            )


def numbers(table: pa.Table, path: Path, name: str, *, first_row: int = 0) -> NDArray[np.float64]:
    """A column as finite float64.

    Raises:
        UserError: names row (from 1, header not counted) and column of what is no number.
    """
    try:
        values = table[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise UserError(
            f"column {name!r} is not numeric: {str(error).splitlines()[0]}",
            where=str(path),
            remedy="write plain numbers",
        ) from error
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise UserError(
            f"column {name!r} has no finite number",
            where=f"{path}, row {first_row + int(bad[0]) + 1}, column {name}",
            remedy="fill it in or leave the row out",
        )
    return np.asarray(values)


def texts(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column as text, so that 7 and "7" are the same key."""
    column = table[name]
    if pa.types.is_floating(column.type) and pc.all(pc.equal(pc.floor(column), column)).as_py():
        column = column.cast(pa.int64())
    return column.cast(pa.string())
