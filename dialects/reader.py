"""Reads the content of a data file into typed columns; every record is either a row or set aside with a reason."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
import zstandard

from conf.errors import MendableError
from conf.feed import Feed
from conf.schema import Schema
from dialects import lzw
from dialects.convert import TWICE, Pseudonym, convert, repeated
from dialects.scanner import BYTES, GOOD, Cut, cut_delimited, cut_fixed

#: A file that unpacks to more than this many times its size, and more than a gibibyte, is a bomb.
BOMB_RATIO, BOMB_BYTES = 200, 1 << 30
REASONS = {
    1: "type", 2: "length", 3: "code list", 4: "missing", 5: "key twice", 6: "undecodable bytes", 7: "column count",
    9: "other",
}  # fmt: skip


@dataclass(frozen=True)
class Refused:
    """A record set aside: where it stood, its bytes, and why."""

    line: int
    offset: int
    raw: bytes
    field: str
    position: int
    code: int
    reason: str


@dataclass(frozen=True)
class Records:
    """What a file held: typed rows with their line numbers, and what was set aside; together all its records.

    Attributes:
        table: the schema's columns and ``_rest`` (unknown keys of jsonl), typed as stored.
        line: line in the file of each row, from 1.
        refused: records set aside, in order of line.
    """

    table: pa.Table
    line: npt.NDArray[np.int64]
    refused: list[Refused]

    @property
    def records(self) -> int:
        """Rows and refused together: what the control file must say."""
        return self.table.num_rows + len(self.refused)


def unpack(feed: Feed, name: str, data: bytes) -> bytes:
    """The content of a data file as sent.

    Raises:
        MendableError: it cannot be unpacked, or would unpack to a bomb's size.
    """
    most = max(BOMB_BYTES, len(data) * BOMB_RATIO)
    try:
        if name.endswith(".gz"):
            content = gzip.GzipFile(fileobj=io.BytesIO(data)).read(most + 1)
        elif name.endswith(".zst"):
            content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(most + 1)
        elif name.endswith(".Z"):
            content = lzw.decompress(data, most)
        else:
            content = data
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise MendableError(
            f"cannot be unpacked: {error}", where=name, remedy=f"ask {feed.source} for it again"
        ) from error
    if len(content) > most:
        raise MendableError(f"unpacks to more than {most} bytes", where=name, remedy=f"ask {feed.source} what it is")
    return content


def read(feed: Feed, schema: Schema, content: bytes, pseudonym: Pseudonym) -> Records:
    """The records of one data file.

    Args:
        feed: its contract.
        schema: its fields.
        content: the file, unpacked.
        pseudonym: for phone fields.
    """
    if feed.dialect == "jsonl":
        cut, columns, rest, reasons = _objects(schema, content)
    else:
        cut, columns, reasons = _fields(feed, schema, content)
        rest = pa.nulls(len(columns[0]) if columns else 0, pa.string())
    line = np.flatnonzero(cut.status == GOOD) + 1
    typed, faults = convert(schema, columns, pseudonym)
    table = pa.table([*typed, rest], names=[*(field.name for field in schema.fields), "_rest"])
    why: dict[int, tuple[str, int, str]] = {}
    for fault in faults:  # in the order of fields: the first fault of a record names it
        for row in fault.rows.tolist():
            why.setdefault(row, (fault.field, fault.code, fault.reason))
    keep = np.ones(table.num_rows, bool)
    keep[list(why)] = False
    twice = np.flatnonzero(keep)[repeated(schema, table.filter(pa.array(keep)))]
    for row in twice.tolist():
        why[row] = (schema.key[0], TWICE, f"key {', '.join(schema.key)} stands twice in this file")
        keep[row] = False
    names = [field.name for field in schema.fields]
    refused = [
        _refused(content, cut, int(position), "", 0, int(cut.status[position]), reasons.get(int(position), ""))
        for position in np.flatnonzero(cut.status != GOOD)
    ]
    for row, (field, code, reason) in why.items():
        refused.append(_refused(content, cut, int(line[row]) - 1, field, names.index(field) + 1, code, reason))
    refused.sort(key=lambda record: record.line)
    if not keep.all():
        table = table.filter(pa.array(keep))
    return Records(table, line[keep], refused)


def _refused(content: bytes, cut: Cut, position: int, field: str, number: int, code: int, reason: str) -> Refused:
    start, end = int(cut.start[position]), int(cut.end[position])
    return Refused(position + 1, start, content[start:end], field, number, code, reason or REASONS[code])


def _fields(feed: Feed, schema: Schema, content: bytes) -> tuple[Cut, list[pa.Array], dict[int, str]]:
    """Text columns of a delimited or fixed-width file."""
    names = [field.name for field in schema.fields]
    numbered = feed.dialect == "vgop"
    if feed.layout == "fixed":
        cut = cut_fixed(content, [field.width for field in schema.fields])
    else:
        separator = 0x80 if numbered else ord(feed.delimiter)
        cut = cut_delimited(content, separator, len(names) + numbered)
    text = _decoded(cut, content, feed, names)
    if not text:
        return cut, [pa.array([], pa.string()) for _ in names], {}
    header = ["", *names] if numbered else names
    table = pacsv.read_csv(
        io.BytesIO(text),
        pacsv.ReadOptions(column_names=header, use_threads=False, block_size=max(len(text), 1 << 16)),
        pacsv.ParseOptions(delimiter="\x1f", quote_char=False, escape_char=False, ignore_empty_lines=False),
        pacsv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), null_values=[""], strings_can_be_null=True
        ),
    )
    columns = [table[name].combine_chunks() for name in header]
    reasons: dict[int, str] = {}
    if numbered:
        columns = _numbered(cut, columns, reasons)
    return cut, [column.chunk(0) if isinstance(column, pa.ChunkedArray) else column for column in columns], reasons


def _numbered(cut: Cut, columns: list[pa.Array], reasons: dict[int, str]) -> list[pa.Array]:
    """Take off the line numbers of vgop; a record whose number is not its line is set aside."""
    good = np.flatnonzero(cut.status == GOOD)
    said = columns[0].to_pylist()
    wrong = [i for i, (position, text) in enumerate(zip(good.tolist(), said, strict=True)) if text != str(position + 1)]
    for i in wrong:
        cut.status[good[i]] = 9
        reasons[int(good[i])] = f"says it is line {said[i]!r}"
    keep = np.ones(len(good), bool)
    keep[wrong] = False
    return [column.filter(pa.array(keep)) for column in columns[1:]] if wrong else columns[1:]


def _decoded(cut: Cut, content: bytes, feed: Feed, names: list[str]) -> bytes:
    """The good records as UTF-8; records that have the form of characters but are none are marked."""
    raw = cut.good.tobytes()
    if raw.isascii():
        return raw
    try:
        return raw.decode("gb18030").encode("utf-8")
    except UnicodeDecodeError:
        kept = []
        positions = np.flatnonzero(cut.status == GOOD)
        for position, line in zip(positions.tolist(), raw.splitlines(keepends=True), strict=True):
            try:
                kept.append(line.decode("gb18030").encode("utf-8"))
            except UnicodeDecodeError:
                cut.status[position] = BYTES
        return b"".join(kept)


def _objects(schema: Schema, content: bytes) -> tuple[Cut, list[pa.Array], pa.Array, dict[int, str]]:
    """Text columns of a jsonl file, and what keys the schema does not know."""
    names = [field.name for field in schema.fields]
    wanted = set(names)
    lines = content.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    lengths = np.fromiter((len(line) for line in lines), np.int64, len(lines))
    start = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]]).astype(np.int64) if len(lines) else np.zeros(0, np.int64)
    status = np.zeros(len(lines), np.uint8)
    values: dict[str, list[str | None]] = {name: [] for name in names}
    rest: list[str | None] = []
    reasons: dict[int, str] = {}
    for position, line in enumerate(lines):
        try:
            found = json.loads(line.decode("utf-8"), parse_float=str, parse_int=str, parse_constant=str)
        except UnicodeDecodeError:
            status[position] = BYTES
            continue
        except ValueError as error:
            status[position], reasons[position] = 9, f"no JSON: {error}"
            continue
        if not isinstance(found, dict):
            status[position], reasons[position] = 9, "no JSON object"
            continue
        for name in names:
            values[name].append(_text(found.get(name)))
        unknown = {key: value for key, value in found.items() if key not in wanted}
        rest.append(json.dumps(unknown, ensure_ascii=False, sort_keys=True) if unknown else None)
    cut = Cut(start, start + lengths, status, np.zeros(0, np.uint8))
    return cut, [pa.array(values[name], pa.string()) for name in names], pa.array(rest, pa.string()), reasons


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
