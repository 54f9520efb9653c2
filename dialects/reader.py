"""Reads a data file, or a piece of it, into typed columns; every record is either a row or set aside with a reason."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from conf.feed import Feed
from conf.schema import Schema
from dialects.convert import OTHER, TWICE, Fault, Pseudonym, convert
from dialects.fields import columns_of, text_of
from dialects.keys import Prints, fingerprints, repeated
from dialects.scanner import BYTES, GOOD, Cut, cut_delimited, cut_fixed

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
        prints: a fingerprint of each row's key, uint64 [rows, 2]; empty where the schema has none.
    """

    table: pa.Table
    line: npt.NDArray[np.int64]
    refused: list[Refused]
    prints: Prints

    @property
    def records(self) -> int:
        """Rows and refused together: what the control file must say."""
        return self.table.num_rows + len(self.refused)


def read(
    feed: Feed,
    schema: Schema,
    content: bytes,
    pseudonym: Pseudonym,
    *,
    line: int = 0,
    offset: int = 0,
    twice: Collection[int] = (),
) -> Records:
    """The records of a data file, or of a piece of it that begins and ends where records do.

    Args:
        feed: its contract.
        schema: its fields.
        content: the bytes, unpacked.
        pseudonym: for phone fields.
        line: records of the file before ``content``.
        offset: bytes of the file before ``content``.
        twice: lines whose key an earlier piece of the delivery is known to hold.
    """  # fmt: skip
    reasons: dict[int, str] = {}
    if feed.dialect == "jsonl":
        cut, columns, rest = _objects(schema, content, reasons)
        typed, faults = convert(schema, columns, pseudonym)
    else:
        cut, typed, faults = _fields(feed, schema, content, pseudonym, line, reasons)
        rest = pa.nulls(len(typed[0]), pa.string())
    lines = np.flatnonzero(cut.status == GOOD) + line + 1
    table = pa.table([*typed, rest], names=[*(field.name for field in schema.fields), "_rest"])
    why: dict[int, tuple[str, int, str]] = {}
    for fault in faults:  # in the order of fields: the first fault of a record names it
        for row in fault.rows.tolist():
            why.setdefault(row, (fault.field, fault.code, fault.reason))
    keep = np.ones(table.num_rows, bool)
    keep[list(why)] = False
    prints = fingerprints(schema, table)
    if len(prints):
        there = np.flatnonzero(keep)
        known = np.isin(lines, np.fromiter(twice, np.int64, len(twice))) if twice else np.zeros(len(lines), bool)
        for row in (*there[repeated(prints[there])].tolist(), *np.flatnonzero(known & keep).tolist()):
            why[row] = (schema.key[0], TWICE, f"key {', '.join(schema.key)} stands twice in this delivery")
            keep[row] = False
        prints = prints[keep]
    names = [field.name for field in schema.fields]
    refused = [
        _refused(content, cut, int(position), "", 0, int(cut.status[position]), reasons.get(int(position), ""))
        for position in np.flatnonzero(cut.status != GOOD)
    ]
    for row, (field, code, reason) in why.items():
        position = int(lines[row]) - line - 1
        refused.append(_refused(content, cut, position, field, names.index(field) + 1, code, reason))
    refused.sort(key=lambda record: record.line)
    moved = [replace(one, line=one.line + line, offset=one.offset + offset) for one in refused]
    if not keep.all():
        table, lines = table.filter(pa.array(keep)), lines[keep]
    return Records(table, lines, moved, prints)


def _refused(content: bytes, cut: Cut, position: int, field: str, number: int, code: int, reason: str) -> Refused:
    start, end = int(cut.start[position]), int(cut.end[position])
    return Refused(position + 1, start, content[start:end], field, number, code, reason or REASONS[code])


def _fields(
    feed: Feed, schema: Schema, content: bytes, pseudonym: Pseudonym, line: int, reasons: dict[int, str]
) -> tuple[Cut, list[pa.Array], list[Fault]]:
    """Typed columns of delimited or fixed-width records."""
    if feed.layout == "fixed":
        cut = cut_fixed(content, [field.width for field in schema.fields])
    elif feed.dialect == "vgop":
        cut = _numbered(cut_delimited(content, 0x80, len(schema.fields) + 1), line, reasons)
    else:
        cut = cut_delimited(content, ord(feed.delimiter), len(schema.fields))
    return cut, *columns_of(schema, cut, int(feed.dialect == "vgop"), pseudonym)


def _numbered(cut: Cut, line: int, reasons: dict[int, str]) -> Cut:
    """Hold the line numbers of vgop against the lines; a record that says another is set aside."""
    good = np.flatnonzero(cut.status == GOOD)
    wanted = [str(line + 1 + position) for position in good.tolist()]
    said = text_of(cut.source, cut.begin[0], cut.finish[0])
    same = np.asarray(pc.fill_null(pc.equal(said, pa.array(wanted, pa.string())), False))
    if same.all():
        return cut
    for row in np.flatnonzero(~same).tolist():
        cut.status[good[row]] = OTHER
        reasons[int(good[row])] = f"says it is line {said[row].as_py()!r}"
    return replace(cut, begin=cut.begin[:, same], finish=cut.finish[:, same])


def _objects(schema: Schema, content: bytes, reasons: dict[int, str]) -> tuple[Cut, list[pa.Array], pa.Array]:
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
    nowhere = np.zeros((0, 0), np.int32)
    cut = Cut(np.frombuffer(content, np.uint8), start, start + lengths, status, nowhere, nowhere)
    return cut, [pa.array(values[name], pa.string()) for name in names], pa.array(rest, pa.string())


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
