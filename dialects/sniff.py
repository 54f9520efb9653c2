"""Guesses how a file of an unknown interface speaks: dialect, compression, encoding, separator, header, fields.

A guess is a share of the sampled records that agree with it; `draft` reads the sample back with what comes of it.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import zstandard

from conf.errors import UserError
from conf.feed import DELIMITERS
from dialects import lzw
from dialects.fields import text_of
from dialects.guess import Guess, find_keys, guess, has_header, name_column
from dialects.jsonlines import cut_objects
from dialects.names import AVL, JSONL, VERF
from dialects.scanner import Cut, cut_delimited
from dialects.utf8 import BYTE_ORDER_MARK

#: So much of a file is looked at, unpacked; and so many of its lines for what all lines have in common.
SAMPLE_BYTES, SAMPLE_LINES = 1 << 26, 2000
#: Fewer records than these tell little.
FEW = 20
#: A separator gives at least this share of lines the same number of fields.
A_MOST = 0.5
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x9d", "Z"))
#: What is no text at all: first bytes, what it is, what to ask for.
_NO_TEXT = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "have it sent as text, one record a line (CSV of UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "have it sent as text, one record a line (CSV of UTF-8)"),
    (b"PAR1", "a Parquet file", "have it sent as text, one record a line"),
    (b"\xff\xfe", "UTF-16", "have it sent as UTF-8 or GB18030"),
    (b"\xfe\xff", "UTF-16", "have it sent as UTF-8 or GB18030"),
    (b"\x841\x953", "text of GB18030 behind a byte order mark", "have the mark left out"),
)
_TWO_MARKS = re.compile(r"([^\w\s\"'.:/-])\1|([^\w\s\"'.:/-])[^\w\s]\2")


@dataclass(frozen=True)
class FileSample:
    """What a file looks like; ``encoding`` is what a feed declares, ``written`` what was seen."""

    code: str
    dialect: str
    compression: str
    encoding: str
    written: str
    encoding_confidence: float
    separator: str
    layout: str
    fields: tuple[Guess, ...]
    fields_confidence: float
    records: int
    content: bytes
    trailing: bool = False
    header: bool = False
    quoted: bool = False
    line_numbers: bool = False
    keys: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    unit: str = ""
    letter: str = ""
    sender: str = ""
    granularity: str = "daily"

    def remarks(self) -> list[str]:
        """What a person should know of the draft."""
        notes = [*self.notes, *(f"{field.name}: {field.note}" for field in self.fields if field.note)]
        if coded := [field.name for field in self.fields if field.codes]:
            notes.append(f"code lists hold what the sample has, anything else would be set aside: {', '.join(coded)}")
        if not self.keys:
            notes.append("no columns tell records apart: without a key, a record that stands twice is not seen")
        elif self.records < FEW:
            notes.append(f"only {self.records} records: key, types and code lists are hardly more than guesses")
        return notes

    def as_row(self) -> dict[str, Any]:
        """For the screen."""
        return {
            "dialect": self.dialect,
            "compression": self.compression,
            "encoding": self.written + ("" if self.written == self.encoding else f" (declared as {self.encoding})"),
            "encoding confidence": round(self.encoding_confidence, 4),
            "layout": self.layout,
            "separator": self.separator,
            "header": self.header,
            "quotes": self.quoted,
            "line numbers": self.line_numbers,
            "fields": len(self.fields),
            "fields confidence": round(self.fields_confidence, 4),
            "trailing separator": self.trailing,
            "key candidates": "; ".join(" + ".join(key) for key in self.keys) or "none",
            "records looked at": self.records,
        }


def sniff(name: str, data: bytes, words: Mapping[str, str] | None = None) -> FileSample:
    """What ``data``, a file called ``name``, looks like.

    Args:
        name: of the file.
        data: its bytes, or the first of them.
        words: what columns are called in the catalogue, by their 中文 labels.

    Raises:
        UserError: it is empty, no packing that we know, or no text of records.
    """
    compression = next((kind for magic, kind in _MAGIC if data.startswith(magic)), "none")
    content = _unpack(compression, data, name)
    for magic, what, remedy in _NO_TEXT:
        if content.startswith(magic):
            raise UserError(f"this is {what}, which no dialect carries", where=name, remedy=remedy)
    content = content if len(content) < SAMPLE_BYTES else content[: content.rfind(b"\n") + 1]
    marked = content.startswith(BYTE_ORDER_MARK)
    start = io.BytesIO(content.removeprefix(BYTE_ORDER_MARK))
    lines = [line for raw in itertools.islice(start, SAMPLE_LINES) if (line := raw.rstrip(b"\r\n")).strip()]
    if not lines:
        raise UserError("there is nothing in it", where=name, remedy="take a file with records")
    by_name = _parse_name(name)
    bare = FileSample(
        by_name.pop("code"),
        by_name.pop("dialect", "verf"),
        compression,
        "utf-8",
        "utf-8-sig" if marked else "utf-8",
        1.0,
        "",
        "delimited",
        (),
        1.0,
        0,
        content,
        **by_name,
    )
    if _share(lines, _object) > 0.9:
        return _json_lines(bare, words or {})
    if lines[0].lstrip()[:1] in (b"[", b"{") and _is_json(content):
        raise UserError(
            "this is one JSON value over the whole file", where=name, remedy="have one object sent in each line"
        )
    encoding, sure = encoding_of(lines)
    if marked and encoding == "gb18030":
        raise UserError(
            "a byte order mark of UTF-8 stands before text of GB18030", where=name, remedy="have the mark left out"
        )
    encoding = "utf-8" if marked else encoding
    gbk = encoding == "gb18030" and _share([_without_0x80(line) for line in lines], _reads("gbk")) >= sure
    written = "utf-8-sig" if marked else "gbk" if gbk else encoding
    declared = "gb18030" if encoding == "ascii" else encoding
    bare = replace(bare, encoding=declared, written=written, encoding_confidence=sure)
    if encoding == "ascii":
        bare = replace(bare, notes=("all of it is ASCII: ask the sender how Chinese would be written",))
    return _fields(bare, [_decode(line, declared) for line in lines], lines, words or {}, name)


def _unpack(compression: str, data: bytes, name: str) -> bytes:
    try:
        if compression == "gzip":
            return gzip.GzipFile(fileobj=io.BytesIO(data)).read(SAMPLE_BYTES)
        if compression == "zstd":
            return bytes(zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(SAMPLE_BYTES))
        return lzw.decompress(data, 1 << 30)[:SAMPLE_BYTES] if compression == "Z" else data[:SAMPLE_BYTES]
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise UserError(f"cannot be unpacked: {error}", where=name, remedy="take a whole file") from error


def _parse_name(name: str) -> dict[str, Any]:
    """What the name says by the conventions of the dialects."""
    if match := AVL.match(name):
        monthly = "monthly" if match["date"].endswith("00") else "daily"
        known = {"unit": match["unit"], "letter": match["letter"], "granularity": monthly}
        return {"code": f"avl_{match['unit']}", "dialect": "avl", **known}
    if match := VERF.match(name):
        monthly = "monthly" if len(match["date"]) == 6 else "daily"
        known = {"unit": match["unit"], "sender": match["sender"], "granularity": monthly}
        return {"code": f"verf_{match['unit']}", "dialect": "verf", **known}
    if match := JSONL.match(name):
        hourly = "daily" if match["stamp"].endswith("00") else "hourly"
        return {"code": match["feed"], "dialect": "jsonl", "granularity": hourly}
    bare = re.sub(r"[^a-z0-9]+", "_", name.split(".")[0].lower()).strip("_")
    return {"code": bare if re.match(r"[a-z]", bare) else f"feed_{bare or 'new'}"}


def _share(lines: Sequence[bytes], good: Any) -> float:
    return sum(map(bool, map(good, lines))) / len(lines)


def _object(line: bytes) -> bool:
    return line.lstrip().startswith(b"{") and isinstance(_load(line), dict)


def _load(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_json(content: bytes) -> bool:
    return _load(content) is not None


def _reads(encoding: str) -> Any:
    def reads(line: bytes) -> bool:
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            return False
        return True

    return reads


def encoding_of(lines: Sequence[bytes]) -> tuple[str, float]:
    """The encoding and the share of lines with characters beyond ASCII that it reads; 0x80 alone is a separator."""
    wide = [line for line in lines if not line.isascii()]
    if not wide:
        return "ascii", 1.0
    utf8, gb = _share(wide, _reads("utf-8")), _share(wide, lambda line: _reads("gb18030")(_without_0x80(line)))
    return ("utf-8", utf8) if utf8 >= gb else ("gb18030", gb)


def _without_0x80(line: bytes) -> bytes:
    return b"".join(char for char in _characters(line) if char != b"\x80")


def _characters(line: bytes) -> list[bytes]:
    """Characters of GB18030; a byte that starts none stands alone."""
    characters, at = [], 0
    while at < len(line):
        size = 1
        if 0x81 <= line[at] <= 0xFE and at + 1 < len(line):
            trail = line[at + 1]
            size = 4 if 0x30 <= trail <= 0x39 else 2 if 0x40 <= trail <= 0xFE and trail != 0x7F else 1
        characters.append(line[at : at + size])
        at += size
    return characters


def _decode(line: bytes, encoding: str) -> str:
    """A line as text in which a lone 0x80 is U+0080."""
    if encoding == "utf-8" or b"\x80" not in line:
        return line.decode(encoding, "replace")
    return "".join("\x80" if char == b"\x80" else char.decode("gb18030", "replace") for char in _characters(line))


def split(line: str, separator: str, *, quoted: bool) -> list[str]:
    """Fields of a line, which may stand in quotes."""
    if not quoted or not separator:
        return line.split(separator) if separator else [line]
    try:
        return next(csv.reader([line], delimiter=separator), [""])
    except csv.Error:  # longer than a record may be
        return [line]


def separator_of(lines: Sequence[str]) -> tuple[str, bool, int, float]:
    """The separator by which most lines have the same number of fields, and many; whether quotes enclose fields.

    Returns:
        separator (empty: none), quoted, fields, and the share of lines that have so many.
    """
    best, most = ("", False, 1, 1.0), 0.0
    for separator in ("\x80", "$", *DELIMITERS):
        if not any(separator in line for line in lines):
            continue
        count, share = _agree(lines, separator, quoted=False)
        marks, quoted = re.compile(f'(^|{re.escape(separator)})"'), False
        if any(marks.search(line) for line in lines):
            in_quotes = _agree(lines, separator, quoted=True)
            quoted = in_quotes[1] >= share
            count, share = in_quotes if quoted else (count, share)
        value = share**2 * math.log2(count)
        if count > 1 and share >= A_MOST and value > most:
            best, most = (separator, quoted, count, share), value
    return best


def _agree(lines: Sequence[str], separator: str, *, quoted: bool) -> tuple[int, float]:
    """The number of fields that most lines have, and their share."""
    counts = Counter(len(split(line, separator, quoted=quoted)) for line in lines)
    [(count, agree)] = counts.most_common(1)
    return count, agree / len(lines)


def _text_columns(cut: Cut) -> list[pa.Array]:
    return [text_of(cut.source, b, f, utf8=cut.utf8) for b, f in zip(cut.begin, cut.finish, strict=True)]


def _fields(bare: FileSample, texts: list[str], lines: list[bytes], words: Mapping[str, str], name: str) -> FileSample:
    separator, quoted, count, agree = separator_of(texts)
    if not separator and len({len(line) for line in lines}) == 1 and len(lines) > 1:
        return _sniff_fixed(bare, lines, words)
    if separator and (two := _two_marks(texts, separator)):
        raise UserError(
            f"fields are separated by {two!r}: more than one character cannot be declared",
            where=name,
            remedy="have one mark sent between fields, such as |, a tab or 0x01",
        )
    rows = [row for line in texts if len(row := split(line, separator, quoted=quoted)) == count]
    trailing = count > 1 and all(row[-1] == "" for row in rows)
    count -= trailing
    rows = [row[:count] for row in rows]
    header = len(rows) > 1 and has_header(rows)
    head = [title.strip() for title in rows[0]] if header else []
    if header and (len(set(head)) < count or not all(head)):
        twice = next((title for title in head if head.count(title) > 1), "")
        what = f"two columns are called {twice!r}" if twice else f"column {head.index('') + 1} has no name"
        raise UserError(
            f"the header cannot be declared: {what}", where=f"{name}, line 1", remedy="have every column named, apart"
        )
    body = bare.content.removeprefix(BYTE_ORDER_MARK)
    first, _, rest = body.partition(b"\n")
    if header and split(_decode(first.removesuffix(b"\r"), bare.encoding), separator, quoted=quoted)[:count] != rows[0]:
        raise UserError(
            "lines stand before the header", where=f"{name}, line 1", remedy="have the file begin with its header"
        )
    body = rest if header else body
    mark = separator or "\x1f"  # one column: any byte that is none of its
    cut = cut_delimited(body, ord(mark), count, utf8=bare.encoding == "utf-8", quoted=quoted)
    columns = _text_columns(cut)
    counting = len(columns[0]) > 2 and columns[0].to_pylist() == [str(n) for n in range(1, len(columns[0]) + 1)]
    numbered = counting and separator == "\x80"
    columns, head = (columns[1:], head[1:]) if numbered else (columns, head)
    guesses = _name_columns(head or [""] * len(columns), columns, words)
    notes = list(bare.notes)
    if counting and not numbered:
        notes.append(
            f"{guesses[0].name} counts the records: is it the line, say `line_numbers: true` and drop the field"
        )
    if bare.compression == "zstd":
        raise UserError("a delimited file packed by zstd cannot be declared", where=name, remedy="have gzip sent")
    dialect = bare.dialect
    if not bare.unit:  # no name of a convention says it
        dialect = "avl" if separator == "$" or bare.compression != "none" else "verf"
    return replace(
        bare,
        dialect="vgop" if separator == "\x80" and dialect == "verf" else dialect,
        separator="0x80" if separator == "\x80" else separator,
        quoted=quoted,
        header=header,
        trailing=trailing,
        line_numbers=numbered,
        fields=guesses,
        fields_confidence=agree,
        records=len(cut.status),
        keys=_keys(guesses, columns),
        notes=tuple(notes),
    )


def _two_marks(texts: Sequence[str], separator: str) -> str:
    """Two or three marks that stand wherever the separator does; empty if it stands alone."""
    runs = Counter(match[0] for line in texts for match in _TWO_MARKS.finditer(line) if separator in match[0])
    for run, count in runs.most_common(3):
        if count * run.count(separator) == sum(line.count(separator) for line in texts):
            empty = all(not part for line in texts for part in line.split(separator)[1:-1:2])
            if run != separator * 2 or empty:
                return run
    return ""


def _name_columns(head: Sequence[str], columns: Sequence[pa.Array], words: Mapping[str, str]) -> tuple[Guess, ...]:
    """A guess a column, with the name that it gets and what the file calls it."""
    taken: set[str] = set()
    guesses = []
    for number, (sent, column) in enumerate(zip(head, columns, strict=True), 1):
        name = name_column(sent, number, words, taken)
        guessed = guess(name, column)
        guesses.append(replace(guessed, alias="" if sent in ("", name) else sent, label=sent or name))
    return tuple(guesses)


def _keys(
    guesses: Sequence[Guess], columns: Sequence[pa.Array], but: Collection[str] = ()
) -> tuple[tuple[str, ...], ...]:
    """Candidates for a key among the columns that are not left out."""
    fit = [(field, column) for field, column in zip(guesses, columns, strict=True) if field.name not in but]
    return find_keys([field.name for field, _ in fit], [field.type for field, _ in fit], [column for _, column in fit])


def _json_lines(bare: FileSample, words: Mapping[str, str]) -> FileSample:
    body = bare.content.removeprefix(BYTE_ORDER_MARK)
    objects = [value for line in io.BytesIO(body) if isinstance(value := _load(line), dict)]
    keys = list(dict.fromkeys(itertools.chain.from_iterable(objects)))
    cut, _ = cut_objects(body, keys)
    columns = _text_columns(cut)
    guesses, notes, nested = list(_name_columns(keys, columns, words)), [], set()
    for place, key in enumerate(keys):
        kinds = _kinds(record.get(key) for record in objects)
        if kinds == {bool}:
            guesses[place] = replace(guesses[place], type="bool")
        if kinds & {dict, list}:
            guesses[place] = replace(guesses[place], type="string", codes=(), scale=0, format="")
            nested.add(guesses[place].name)
            notes.append(f"{guesses[place].name} is nested: kept as JSON text")
    return replace(
        bare,
        dialect="jsonl",
        compression="gzip" if bare.compression == "none" else bare.compression,
        fields=tuple(guesses),
        fields_confidence=len(objects) / max(1, len(cut.status)),
        records=len(cut.status),
        keys=_keys(guesses, columns, nested),
        notes=tuple(notes + ([] if bare.compression != "none" else ["files of jsonl come packed: .jsonl.gz or .zst"])),
    )


def _kinds(values: Iterable[Any]) -> set[type]:
    return {type(value) for value in values if value is not None}


def _sniff_fixed(bare: FileSample, lines: list[bytes], words: Mapping[str, str]) -> FileSample:
    """Columns start where every line has a space before and most have none at the place itself."""
    size = len(lines[0])
    starts = [0] + [
        at
        for at in range(1, size)
        if all(line[at - 1] == 0x20 for line in lines) and sum(line[at] != 0x20 for line in lines) * 2 >= len(lines)
    ]
    bounds = list(itertools.pairwise([*starts, size]))
    columns = [
        pa.array([line[start:end].decode("gb18030", "replace").rstrip(" ") or None for line in lines], pa.string())
        for start, end in bounds
    ]
    guesses = _name_columns([""] * len(columns), columns, words)
    return replace(
        bare,
        dialect="verf",
        layout="fixed",
        fields=tuple(replace(field, width=end - start) for field, (start, end) in zip(guesses, bounds, strict=True)),
        fields_confidence=0.5,
        records=len(lines),
        keys=_keys(guesses, columns),
    )
