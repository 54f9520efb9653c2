"""Records as bytes: Arrow columns → text fields → lines of GB18030 or UTF-8, quoted where they must be, vectorised.

The text of a field: integers and decimals in plain digits, doubles as Python writes them, dates ``%Y%m%d``,
timestamps ``%Y%m%d%H%M%S`` of Shanghai time, booleans ``1`` and ``0``, a missing value is empty.
"""

from __future__ import annotations

import datetime as dt
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.errors import UserError
from conf.feed import Feed
from conf.schema import ISO, Field, Schema

#: A byte that no GB18030 character contains: stands for 0x80 until the text has been encoded.
_STAND_IN = "\x1f"


def text_columns(schema: Schema, rows: pa.Table) -> list[pa.Array]:
    """Every field of ``schema`` as strings, in its order; nulls where missing."""
    columns = []
    for field in schema.fields:
        column = rows[field.name]
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        columns.append(text_of(field, column))
    return columns


def text_of(field: Field, column: pa.Array) -> pa.Array:
    """One column as text."""
    kind = column.type
    if pa.types.is_timestamp(kind) and field.format == ISO:
        return pc.strftime(pc.cast(column, pa.timestamp("us", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_timestamp(kind):
        local = pc.local_timestamp(pc.cast(column, pa.timestamp("s", "Asia/Shanghai"), safe=False))
        return _time_text(local, field.format or "%Y%m%d%H%M%S")
    if pa.types.is_date(kind):
        return _days(column, field.format or "%Y%m%d")
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "1", "0")
    return pc.cast(column, pa.string())


def _time_text(local: pa.Array, form: str) -> pa.Array:
    """Local times (seconds) as text: days and times of day are few, so that each is formatted once."""
    clock = ("%H", "%M", "%S", "%-H", "%-M", "%-S")
    cut = min((form.index(part) for part in clock if part in form), default=len(form))
    if any(part in form[cut:] for part in ("%Y", "%y", "%m", "%d")):  # a date behind its time
        return pc.strftime(local, format=form)
    day = _days(pc.cast(pc.floor_temporal(local, unit="day"), pa.date32()), form[:cut])
    if cut == len(form):
        return day
    second = pc.cast(pc.cast(local, pa.time32("s")), pa.int32())
    return pc.binary_join_element_wise(day, _times_of_day(form[cut:]).take(second), "")


def _days(column: pa.Array, form: str) -> pa.Array:
    """Dates as text, each different one formatted once."""
    coded = pc.dictionary_encode(column)
    if "%-" in form:  # which Arrow does not know
        return pa.array([day.strftime(form) for day in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)
    return pc.strftime(coded.dictionary, format=form).take(coded.indices)


@cache
def _times_of_day(form: str) -> pa.Array:
    """The text of each second of a day."""
    if "%-" in form:
        start = dt.datetime(2000, 1, 1)
        return pa.array([(start + dt.timedelta(seconds=n)).strftime(form) for n in range(86_400)])
    return pc.strftime(pa.array(np.arange(86400), pa.timestamp("s")), format=form)


def write_header(feed: Feed, schema: Schema) -> bytes:
    """The line that names the columns."""
    names = [pa.array([name]) for name in ["line"] * feed.line_numbers + [field.sent_as for field in schema.fields]]
    return render_delimited(feed.model_copy(update={"line_numbers": False}), names)


def render_delimited(feed: Feed, columns: list[pa.Array]) -> bytes:
    """Lines of a delimited file, each ended by the dialect's line end.

    Raises:
        UserError: a value holds the delimiter or a line end: the format has no way to write it.
    """
    separator = _STAND_IN if feed.delimiter == "0x80" else feed.delimiter
    end = "\r\n" if feed.dialect == "vgop" else "\n"
    rows, named = len(columns[0]), columns
    if feed.quoted:
        columns = [_in_quotes(column, separator) for column in columns]
    if feed.line_numbers:
        columns = [pc.cast(pa.array(range(1, len(columns[0]) + 1), pa.int64()), pa.string()), *columns]
    tail = (separator if feed.trailing_delimiter else "") + end
    last = pc.binary_join_element_wise(columns[-1], tail, "", null_handling="replace", null_replacement="")
    lines = pc.binary_join_element_wise(*columns[:-1], last, separator, null_handling="replace", null_replacement="")
    text = join_bytes(lines)
    expected = {"\n": rows, "\r": end.count("\r") * rows}
    if not feed.quoted:
        expected[separator] = (len(columns) - 1 + feed.trailing_delimiter) * rows
    if any(text.count(mark.encode()) != count for mark, count in expected.items()):
        raise _unwritable(feed, named, sorted(expected))
    if feed.encoding == "utf-8":
        return text
    encoded = text.decode("utf-8").encode("gb18030")
    return encoded.replace(b"\x1f", b"\x80") if feed.delimiter == "0x80" else encoded


def _in_quotes(column: pa.Array, separator: str) -> pa.Array:
    """Values that hold the separator or a quote stand in quotes, which are doubled inside."""
    marked = pc.or_(pc.match_substring(column, separator), pc.match_substring(column, '"'))
    doubled = pc.replace_substring(column, pattern='"', replacement='""')
    return pc.if_else(marked, pc.binary_join_element_wise('"', doubled, '"', ""), column)


def _unwritable(feed: Feed, columns: list[pa.Array], marks: list[str]) -> UserError:
    """The first field with a value that holds one of the marks."""
    position, bad = next(
        (position, mark)
        for position, column in enumerate(columns, start=1)
        for mark in marks
        if pc.any(pc.match_substring(column, mark)).as_py()
    )
    return UserError(
        f"a value holds {bad!r}, which the dialect cannot write",
        where=f"{feed.code}, field {position}",
        remedy="clean the value before it is written",
    )


def render_fixed(schema: Schema, columns: list[pa.Array]) -> bytes:
    """Lines of a fixed-width file: every field padded with spaces to its width in bytes of GB18030.

    Raises:
        UserError: a value is wider than its field.
    """
    padded = [_pad(field, column) for field, column in zip(schema.fields, columns, strict=True)]
    lines = pc.binary_join_element_wise(*padded, "\n", "", null_handling="replace", null_replacement="")
    return join_bytes(lines).decode("utf-8").encode("gb18030")


def _pad(field: Field, column: pa.Array) -> pa.Array:
    coded = pc.dictionary_encode(pc.fill_null(column, ""))
    values = []
    for value in coded.dictionary.to_pylist():
        spare = field.width - len(value.encode("gb18030"))
        if spare < 0:
            raise UserError(
                f"{value!r} is wider than {field.width} bytes", where=f"field {field.name}", remedy="widen the field"
            )
        values.append(value + " " * spare)
    return pa.array(values, pa.string()).take(coded.indices)


def join_bytes(lines: pa.Array) -> bytes:
    """The bytes of consecutive strings: Arrow keeps them side by side already."""
    if isinstance(lines, pa.ChunkedArray):
        return b"".join(join_bytes(chunk) for chunk in lines.chunks)
    if len(lines) == 0:
        return b""
    _, offsets, data = lines.buffers()
    width = 8 if pa.types.is_large_string(lines.type) else 4
    view = memoryview(offsets).cast("q" if width == 8 else "i")
    return memoryview(data)[view[lines.offset] : view[lines.offset + len(lines)]].tobytes()
