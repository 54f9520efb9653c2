"""Writes a delivery of any feed in its dialect: data parts first, the control file last."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from conf.feed import Feed
from conf.schema import Schema
from dialects import lzw
from dialects.names import Named, local_text
from dialects.render import join_bytes, render_delimited, render_fixed, text_columns, write_header


def write_delivery(
    feed: Feed,
    schema: Schema,
    table: pa.Table,
    folder: Path,
    data_date: dt.date,
    hour: int = -1,
    resend: int = 0,
    created: dt.datetime | None = None,
    raw: dict[int, bytes] | None = None,
) -> list[Path]:
    """Write ``table`` as one delivery of ``feed`` into ``folder``.

    Args:
        feed: the contract.
        schema: the records; ``table`` has its columns typed as stored, phones as digits.
        table: rows in the order of the file.
        folder: made if absent.
        data_date: the date it is about; of a monthly feed any day of the month.
        hour: of an hourly feed.
        resend: resend number, batch or revision; 0 is the first.
        created: creation time said by the control file (aware); the next midnight in Shanghai if absent.
        raw: row of ``table`` (from 0) → bytes that stand in its place in the file, for faults on purpose.

    Returns:
        The files written, the control file last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    created = created or dt.datetime.combine(
        data_date + dt.timedelta(1), dt.time(0, 30), dt.timezone(dt.timedelta(hours=8))
    )
    named = Named(feed, data_date, hour, resend)
    parts = []
    size = -(-table.num_rows // feed.parts) if table.num_rows else 0
    for number in range(1, feed.parts + 1):
        rows = table.slice((number - 1) * size, size)
        content = content_of(feed, schema, rows, _within(raw, (number - 1) * size, size))
        packed = pack(feed, content)
        path = folder / named.part(number)
        path.write_bytes(packed)
        parts.append((path, packed, rows.num_rows))
    control = folder / named.control
    control.write_bytes(control_of(named, [(p.name, b, n) for p, b, n in parts], created))
    return [*(path for path, _, _ in parts), control]


def _within(raw: dict[int, bytes] | None, start: int, size: int) -> dict[int, bytes]:
    return {row - start: line for row, line in (raw or {}).items() if start <= row < start + size}


def content_of(feed: Feed, schema: Schema, rows: pa.Table, raw: dict[int, bytes]) -> bytes:
    """The bytes of one part before compression."""
    if feed.dialect == "jsonl":
        content = json_lines(schema, rows)
    elif feed.layout == "fixed":
        content = render_fixed(schema, text_columns(schema, rows))
    else:
        content = render_delimited(feed, text_columns(schema, rows))
    if raw:
        content = _with_raw(content, raw, b"\r\n" if feed.dialect == "vgop" else b"\n")
    return write_header(feed, schema) + content if feed.header else content


def _with_raw(content: bytes, raw: dict[int, bytes], end: bytes) -> bytes:
    """``content`` with some of its lines replaced."""
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n"))
    pieces, copied = [], 0
    for row in sorted(raw):
        pieces += [content[copied : ends[row - 1] + 1 if row else 0], raw[row]]
        copied = ends[row] + 1 - len(end)
    return b"".join([*pieces, content[copied:]])


def json_lines(schema: Schema, rows: pa.Table) -> bytes:
    """One object a line; missing values are left out, instants are Shanghai time as in the other dialects."""
    columns = text_columns(schema, rows)
    bare = [field.type in {"short", "int", "long", "double", "decimal"} for field in schema.fields]
    names = [json.dumps(field.sent_as, ensure_ascii=False)[1:-1] for field in schema.fields]
    text = _objects(names, columns, bare)
    here = [rows.num_rows - column.null_count for column in columns]
    quotes = sum((2 if plain else 4) * count for plain, count in zip(bare, here, strict=True))
    controls = int((np.frombuffer(text, np.uint8) < 0x20).sum())
    if text.count(b'"') == quotes and b"\\" not in text and controls == rows.num_rows:
        return text
    escaped = [
        column
        if plain
        else pa.array([v and json.dumps(v, ensure_ascii=False)[1:-1] for v in column.to_pylist()], pa.string())
        for column, plain in zip(columns, bare, strict=True)
    ]
    return _objects(names, escaped, bare)


def _objects(names: list[str], columns: list[pa.Array], bare: list[bool]) -> bytes:
    """Lines ``{"name":"value",…}`` of values that need no escape; nulls are left out."""
    if columns[0].null_count:
        pieces = [_cell(name, "", column, plain) for name, column, plain in zip(names, columns, bare, strict=True)]
        body = pc.binary_join_element_wise(*pieces, ",", null_handling="skip")
        return join_bytes(pc.binary_join_element_wise("{", body, "}\n", ""))
    pieces, before = [], "{"
    for name, column, plain in zip(names, columns, bare, strict=True):
        if column.null_count:
            pieces += [before, _cell(name, ",", column, plain)]
            before = ""
            continue
        mark = "" if plain else '"'
        pieces += [f'{before}{"," if pieces else ""}"{name}":{mark}', column]
        before = mark
    return join_bytes(pc.binary_join_element_wise(*pieces, before + "}\n", "", null_handling="skip"))


def _cell(name: str, before: str, column: pa.Array, bare: bool) -> pa.Array:
    mark = "" if bare else '"'
    return pc.binary_join_element_wise(f'{before}"{name}":{mark}', column, mark, "")


def pack(feed: Feed, content: bytes) -> bytes:
    """Compressed as the feed is; the same content gives the same bytes."""
    if feed.compression == "gzip":
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=4, mtime=0, filename="") as out:
            out.write(content)
        return buffer.getvalue()
    if feed.compression == "zstd":
        return zstandard.ZstdCompressor(level=3).compress(content)
    return lzw.compress(content) if feed.compression == "Z" else content


def control_of(named: Named, parts: list[tuple[str, bytes, int]], created: dt.datetime) -> bytes:
    """The control file: one line a part, or the manifest."""
    when = local_text(created)
    if named.feed.dialect == "avl":
        return "".join(f"{name}${len(data)}${n}${named.date_text}${when}\n" for name, data, n in parts).encode("ascii")
    if named.feed.dialect == "jsonl":
        manifest = {
            "feed": named.feed.code,
            "stamp": named.stamp,
            "revision": named.resend,
            "created": when,
            "records": sum(n for _, _, n in parts),
            "parts": [
                {"name": name, "bytes": len(data), "records": n, "sha256": hashlib.sha256(data).hexdigest()}
                for name, data, n in parts
            ],
        }
        return (json.dumps(manifest, indent=1) + "\n").encode("ascii")
    date = f"{named.date_text:<8}"
    return "".join(f"{name:<40}{len(data):<20}{n:<20}{date}{when:<14}\r\n" for name, data, n in parts).encode("ascii")
