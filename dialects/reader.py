"""Reads a data file, or a piece of it, into typed columns; every record is either a row or set aside with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from conf.errors import UserError
from conf.feed import Feed
from conf.phones import PhoneForms
from conf.schema import Schema
from dialects import gb18030, utf8
from dialects.convert import OTHER, PLAIN, TWICE, Fault, Pseudonym
from dialects.fields import columns_of, match_numbers, text_of
from dialects.jsonlines import ask, cut_objects
from dialects.keys import Prints, find_beaten, fingerprints
from dialects.scanner import BYTES, CONTROL, COUNT, GOOD, LENGTH, LONGEST, QUOTES, Cut, cut_delimited, cut_fixed
from dialects.streams import pieces

#: What is wrong with a record as a whole, by its code (see `convert` for those of a field).
REASONS = {
    LENGTH: f"a record of more than {LONGEST} bytes",
    BYTES: "undecodable bytes",
    COUNT: "column count",
    CONTROL: "a control character",
}
#: Why a record (by its number in the piece) is none, where its code does not say it.
Why = Callable[[int], str]


#: Byte order marks by encoding; no text of one begins with another's (in GB18030 those of UTF-16 stand for nothing).
_MARKS = (
    ("utf-8", utf8.BYTE_ORDER_MARK),
    ("gb18030", gb18030.BYTE_ORDER_MARK),
    ("utf-16", b"\xff\xfe"),
    ("utf-16", b"\xfe\xff"),
)


class EncodingError(UserError):
    """A file is in another encoding than its feed."""


class HeaderError(UserError):
    """The first line does not name the columns of the schema."""


@dataclass(frozen=True)
class FileRefused:
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
        refused: records set aside, in order of line; at most as many as asked for.
        prints: a fingerprint of each row's key, uint64 [rows, 2]; empty where the schema has none.
        faults: how many were set aside by (field, code); the field is empty where the record as a whole is at fault.
        head: lines before the first record: 1 where the piece began with a header.
    """

    table: pa.Table
    line: npt.NDArray[np.int64]
    refused: list[FileRefused]
    prints: Prints
    faults: Counter[tuple[str, int]]
    head: int = 0

    @property
    def records(self) -> int:
        """Rows and records set aside together: what the control file must say."""
        return int(self.table.num_rows) + self.faults.total()

    @property
    def lines(self) -> int:
        """Lines of the file that these are: records, and a header."""
        return self.records + self.head


def find_columns(feed: Feed, schema: Schema, path: Path) -> tuple[int, ...]:
    """Where the header of a file has each field of the schema; empty if the file is.

    Raises:
        HeaderError: it does not name them all, once, and no others.
    """
    start = next(pieces(path, size=LONGEST), b"")
    return _columns(feed, schema, _head(feed, start)) if start else ()


def _head(feed: Feed, content: bytes) -> bytes:
    """What stands before the records of a file: a byte order mark of its encoding, and the header line.

    Raises:
        EncodingError: it begins with the mark of another encoding.
    """
    size = len(_mark(feed, content))
    if feed.header:
        size = content.find(b"\n", size) + 1 or len(content)
    return content[:size]


def _mark(feed: Feed, content: bytes) -> bytes:
    """The byte order mark that a file begins with; empty if it has none."""
    for encoding, mark in _MARKS:
        if content.startswith(mark):
            if encoding == feed.encoding:
                return mark
            raise EncodingError(
                f"it begins with the byte order mark of {encoding}, and the feed is {feed.encoding}",
                where=feed.code,
                remedy=f"ask the sender for {feed.encoding}, or declare another `encoding`",
            )
    return b""


def _columns(feed: Feed, schema: Schema, head: bytes) -> tuple[int, ...]:
    line = head.removeprefix(_mark(feed, head))
    wanted = [field.sent_as for field in schema.fields]
    cut = _cut_lines(feed, line, len(wanted) + feed.line_numbers)
    if cut.status.tolist() != [GOOD]:
        count = max(1, line.count(bytes([feed.separator])) + 1 - feed.line_numbers)
        raise HeaderError(
            f"the header does not name the {len(wanted)} columns of schema {schema.name}: it has about {count}",
            where=f"{feed.code}, line 1",
            remedy=f"it must be in {feed.encoding}, separated by {feed.delimiter!r}: {', '.join(wanted)}",
        )
    texts = [text_of(cut.source, b, f, utf8=cut.utf8)[0].as_py() for b, f in zip(cut.begin, cut.finish, strict=True)]
    names = [(text or "").strip() for text in texts[feed.line_numbers :]]
    lost, strange = [name for name in wanted if name not in names], [name for name in names if name not in wanted]
    if lost or strange or len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        bad = {"does not name": lost, "names what the schema does not know:": strange, "names twice": twice}
        raise HeaderError(
            "the header " + "; ".join(f"{what} {', '.join(map(repr, which))}" for what, which in bad.items() if which),
            where=f"{feed.code}, line 1",
            remedy=f"correct the file, or name and alias of the fields in conf/schemas/{schema.name}.yml",
        )
    return tuple(names.index(name) for name in wanted)


def read(
    feed: Feed,
    schema: Schema,
    content: bytes,
    pseudonym: Pseudonym,
    *,
    line: int = 0,
    offset: int = 0,
    twice: Collection[int] = (),
    most: int = 1 << 62,
    columns: tuple[int, ...] = (),
    phones: PhoneForms = PLAIN,
) -> Records:
    """The records of a data file, or of a piece of it that begins and ends where records do.

    Args:
        feed: its contract.
        schema: its fields.
        content: the bytes, unpacked.
        pseudonym: for phone fields.
        line: records of the file before ``content``.
        offset: bytes of the file before ``content``.
        twice: lines that are known to give way to a record of the same key in another piece of the delivery.
        most: records set aside that are given with their bytes; the rest is counted only, so that memory is bounded.
        columns: of a feed with a header, what `find_columns` says; needed where ``content`` is not the file's beginning.
        phones: how numbers in phone fields may be written.

    Raises:
        HeaderError: the header does not name the columns of the schema.
    """
    head = 0
    if offset == 0 and (size := len(_head(feed, content))):
        head = int(feed.header)
        columns = columns or (_columns(feed, schema, content[:size]) if head else ())
        content, line, offset = content[size:], line + head, size
    cut, rest, first, why = _cut(feed, schema, content, line)
    if columns and columns != tuple(range(len(columns))):
        order = [*range(first), *(first + place for place in columns)]
        cut = replace(cut, begin=cut.begin[order], finish=cut.finish[order])
    typed, faults = columns_of(schema, cut, first, pseudonym, phones)
    table = pa.table([*typed, rest], names=[*(field.name for field in schema.fields), "_rest"])
    places = np.flatnonzero(cut.status == GOOD)
    blame = np.full(len(places), -1, np.int64)  # the first fault of each record, in the order of fields
    for number, fault in enumerate(faults):
        blame[fault.rows[blame[fault.rows] < 0]] = number
    prints = fingerprints(schema, table)
    if len(prints):
        again = np.zeros(len(places), bool)
        there = np.flatnonzero(blame < 0)
        again[there[find_beaten(schema, prints[there], lambda rows: table.take(pa.array(there[rows])))]] = True
        if twice:
            again |= (blame < 0) & np.isin(places + line + 1, np.fromiter(twice, np.int64, len(twice)))
        blame[again] = len(faults)
        reason = f"key {', '.join(schema.key)} stands twice in this delivery"
        faults = [*faults, Fault(schema.key[0], TWICE, reason, np.flatnonzero(again))]
        prints = prints[blame < 0]
    keep = blame < 0
    refused, count = _set_aside(schema, content, cut, places, blame, faults, why, most)
    moved = [replace(record, line=record.line + line, offset=record.offset + offset) for record in refused]
    if not keep.all():
        table, places = table.filter(pa.array(keep)), places[keep]
    return Records(table, places + line + 1, moved, prints, count, head)


def _set_aside(
    schema: Schema,
    content: bytes,
    cut: Cut,
    places: npt.NDArray[np.int64],
    blame: npt.NDArray[np.int64],
    faults: list[Fault],
    why: Why,
    most: int,
) -> tuple[list[FileRefused], Counter[tuple[str, int]]]:
    """The first ``most`` records at fault, by line, and how many there are by field and code."""
    codes, sizes = np.unique(cut.status[cut.status != GOOD], return_counts=True)
    count = Counter({("", int(code)): int(size) for code, size in zip(codes, sizes, strict=True)})
    numbers, sizes = np.unique(blame[blame >= 0], return_counts=True)
    for number, size in zip(numbers.tolist(), sizes.tolist(), strict=True):
        count[faults[number].field, faults[number].code] += size
    names = [field.name for field in schema.fields]
    at_fault = np.full(len(cut.status), -1, np.int64)
    at_fault[places] = blame
    shown = np.flatnonzero((cut.status != GOOD) | (at_fault >= 0))[:most]
    refused = []
    for place in shown.tolist():
        if at_fault[place] >= 0:
            fault = faults[at_fault[place]]
            field, position, code, reason = fault.field, names.index(fault.field) + 1, fault.code, fault.reason
        else:
            code = int(cut.status[place])
            field, position, reason = "", 0, why(place) or REASONS[code]
        start, end = int(cut.start[place]), int(cut.end[place])
        refused.append(FileRefused(place + 1, start, content[start:end], field, position, code, reason))
    return refused, count


def _cut(feed: Feed, schema: Schema, content: bytes, line: int) -> tuple[Cut, pa.Array, int, Why]:
    """Records, unknown keys of each good one, fields before the schema's, and why a record is none."""
    if feed.dialect == "jsonl":
        cut, rest = cut_objects(content, [field.sent_as for field in schema.fields])
        return cut, rest, 0, lambda place: _ask_why(content[cut.start[place] : cut.end[place]], int(cut.status[place]))
    why = cast(Why, _silent)
    if feed.layout == "fixed":
        cut = cut_fixed(content, [field.width for field in schema.fields])
    else:
        cut = _cut_lines(feed, content, len(schema.fields) + feed.line_numbers)
        if feed.quoted:
            cut, why = _refuse_quotes(cut)
        if feed.line_numbers:
            cut, why = _check_numbers(cut, line - feed.header, why)
    return cut, pa.nulls(cut.begin.shape[1], pa.string()), int(feed.line_numbers), why


def _cut_lines(feed: Feed, content: bytes, fields: int) -> Cut:
    return cut_delimited(content, feed.separator, fields, utf8=feed.encoding == "utf-8", quoted=feed.quoted)


def _refuse_quotes(cut: Cut) -> tuple[Cut, Why]:
    """Records with quotes that do not enclose a field are set aside."""
    wrong = cut.status == QUOTES
    reason = "quotes do not enclose one field of this line (a line end within quotes ends the record)"
    return replace(cut, status=np.where(wrong, np.uint8(OTHER), cut.status)), lambda n: reason if wrong[n] else ""


def _silent(_: int) -> str:
    return ""


def _ask_why(line: bytes, code: int) -> str:
    parsed = ask(line) if code == OTHER else {}
    return parsed[1] if isinstance(parsed, tuple) else ""


def _check_numbers(cut: Cut, line: int, before: Why) -> tuple[Cut, Why]:
    """Hold the line numbers of a file against its records; a record that says another is set aside."""
    good = np.flatnonzero(cut.status == GOOD)
    same = match_numbers(cut.source, cut.begin[0], cut.finish[0], good + line + 1)
    if same.all():
        return cut, before
    status = cut.status.copy()
    status[good[~same]] = OTHER
    spans = cut.begin[0], cut.finish[0]

    def why(place: int) -> str:
        row = int(np.searchsorted(good, place))
        if row == len(good) or good[row] != place:
            return before(place)
        text = text_of(cut.source, spans[0][row : row + 1], spans[1][row : row + 1])[0].as_py()
        return f"says it is line {text!r}"

    return replace(
        cut, status=status, begin=np.compress(same, cut.begin, axis=1), finish=np.compress(same, cut.finish, axis=1)
    ), why
