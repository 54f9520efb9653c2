"""Guesses how a file of an unknown interface speaks: dialect, compression, encoding, separator, fields; how surely.

A guess is a share of the sampled records that agree with it; a person reads the draft that comes of it.
"""

from __future__ import annotations

import datetime as dt
import gzip
import io
import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from conf.errors import MendableError
from dialects import lzw
from dialects.names import AVL, JSONL, VERF

#: So much of a file is looked at, unpacked.
SAMPLE_BYTES, SAMPLE_LINES = 1 << 22, 2000
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x9d", "Z"))
#: Form of every value of a column → type; the first that fits.
_FORMS = (
    ("phone", re.compile(r"1(?:[3-9]\d|00)\d{8}")),  # 100…: the range of synthetic numbers, assigned to nobody
    ("timestamp", re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])([01]\d|2[0-3])[0-5]\d[0-5]\d")),
    ("date", re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])")),
    ("int", re.compile(r"0|-?[1-9]\d{0,8}")),  # no leading zeros: they would be lost
    ("long", re.compile(r"0|-?[1-9]\d{0,17}|-?[1-8]\d{18}")),
    ("decimal", re.compile(r"-?\d{1,12}(\.\d{1,6})?")),
    ("double", re.compile(r"-?\d{1,15}(\.\d+)?([eE][-+]?\d+)?")),
)


@dataclass(frozen=True)
class Guess:
    """A column: name, type and what else a schema says of it."""

    name: str
    type: str
    nullable: bool
    longest: int
    scale: int = 0
    codes: tuple[str, ...] = ()
    width: int = 0


@dataclass(frozen=True)
class Sample:
    """What a file looks like."""

    code: str
    dialect: str
    compression: str
    encoding: str
    encoding_confidence: float
    separator: str
    layout: str
    fields: tuple[Guess, ...]
    fields_confidence: float
    trailing: bool
    records: int
    unit: str = ""
    monthly: bool = False

    def as_row(self) -> dict[str, Any]:
        """For the screen."""
        return {
            "dialect": self.dialect,
            "compression": self.compression,
            "encoding": self.encoding,
            "encoding confidence": round(self.encoding_confidence, 4),
            "layout": self.layout,
            "separator": self.separator,
            "fields": len(self.fields),
            "fields confidence": round(self.fields_confidence, 4),
            "trailing separator": self.trailing,
            "records looked at": self.records,
        }


def sniff(name: str, data: bytes) -> Sample:
    """What ``data``, a file called ``name``, looks like.

    Raises:
        MendableError: it is empty, or no packing that we know.
    """
    compression = next((kind for magic, kind in _MAGIC if data.startswith(magic)), "none")
    content = _head(compression, data, name)
    cut = content if len(content) < SAMPLE_BYTES else content[: content.rfind(b"\n") + 1]
    lines = [line.removesuffix(b"\r") for line in cut.split(b"\n")[:SAMPLE_LINES] if line.strip()]
    if not lines:
        raise MendableError("there is nothing in it", where=name, remedy="take a file with records")
    said = _said_by_name(name)
    if _share(lines, _object) > 0.9:
        return _jsonl(said, compression, lines)
    encoding, sure = encoding_of(lines)
    separator, count, agree = separator_of(lines, encoding)
    if not separator and len({len(line) for line in lines}) == 1:
        return _fixed(said, compression, encoding, sure, lines)
    rows = [fields for line in lines if len(fields := split(line, separator, encoding)) == count]
    trailing = count > 1 and all(fields[-1] == "" for fields in rows)
    columns = list(zip(*[fields[: count - trailing] for fields in rows], strict=True))
    numbered = separator == "\x80" and columns[0] == tuple(str(n) for n in range(1, len(rows) + 1))
    guesses = tuple(guess(f"field_{n}", values) for n, values in enumerate(columns[1:] if numbered else columns, 1))
    dialect = {"\x80": "vgop", "$": "avl"}.get(separator, said.get("dialect", "verf"))
    return Sample(
        said["code"],
        dialect,
        compression,
        encoding,
        sure,
        "0x80" if separator == "\x80" else separator,
        "delimited",
        guesses,
        agree,
        trailing,
        len(lines),
        said.get("unit", ""),
        said.get("monthly", False),
    )


def _head(compression: str, data: bytes, name: str) -> bytes:
    try:
        if compression == "gzip":
            return gzip.GzipFile(fileobj=io.BytesIO(data)).read(SAMPLE_BYTES)
        if compression == "zstd":
            return bytes(zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(SAMPLE_BYTES))
        return lzw.decompress(data, 1 << 30)[:SAMPLE_BYTES] if compression == "Z" else data[:SAMPLE_BYTES]
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise MendableError(f"cannot be unpacked: {error}", where=name, remedy="take a whole file") from error


def _said_by_name(name: str) -> dict[str, Any]:
    """What the name says by the conventions of the dialects."""
    if match := AVL.match(name):
        return {
            "code": f"avl_{match['unit']}",
            "unit": match["unit"],
            "dialect": "avl",
            "monthly": match["date"].endswith("00"),
        }
    if match := VERF.match(name):
        return {
            "code": f"verf_{match['unit']}",
            "unit": match["unit"],
            "dialect": "verf",
            "monthly": len(match["date"]) == 6,
        }
    if match := JSONL.match(name):
        return {"code": match["feed"], "dialect": "jsonl"}
    bare = re.sub(r"[^a-z0-9]+", "_", name.split(".")[0].lower()).strip("_")
    return {"code": bare if re.match(r"[a-z]", bare) else f"feed_{bare or 'new'}"}


def _share(lines: Sequence[bytes], good: Any) -> float:
    return sum(map(bool, map(good, lines))) / len(lines)


def _object(line: bytes) -> bool:
    try:
        return line.startswith(b"{") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


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
    return b"".join(line[start:end] for start, end in _characters(line) if line[start:end] != b"\x80")


def _characters(line: bytes) -> list[tuple[int, int]]:
    """Bounds of characters of GB18030; a byte that starts none stands alone."""
    found, at = [], 0
    while at < len(line):
        size = 1
        if 0x81 <= line[at] <= 0xFE and at + 1 < len(line):
            trail = line[at + 1]
            size = 4 if 0x30 <= trail <= 0x39 else 2 if 0x40 <= trail <= 0xFE and trail != 0x7F else 1
        found.append((at, min(at + size, len(line))))
        at += size
    return found


def split(line: bytes, separator: str, encoding: str) -> list[str]:
    """Fields of a line; a separator inside a character of GB18030 is none."""
    if encoding != "gb18030" and separator != "\x80":
        text = line.decode("utf-8", "replace")
        return text.split(separator) if separator else [text]
    mark = separator.encode("latin-1")
    fields = [b""]
    for start, end in _characters(line):
        if mark and line[start:end] == mark:
            fields.append(b"")
        else:
            fields[-1] += line[start:end]
    return [field.decode("gb18030", "replace") for field in fields]


def separator_of(lines: Sequence[bytes], encoding: str) -> tuple[str, int, float]:
    """The separator on whose number most lines agree, fields by it, and the share of lines that have so many."""
    best = ("", 1, 0.0)
    for separator in ("\x80", "$", "|", "\t", ",", ";"):
        if separator == "\x80" and encoding == "utf-8":
            continue
        (count, lines_so), *_ = Counter(len(split(line, separator, encoding)) for line in lines).most_common(1)
        share = lines_so / len(lines)
        if count > 1 and (share, count) > (best[2], best[1]):
            best = (separator, count, share)
    return best


def _jsonl(said: dict[str, Any], compression: str, lines: Sequence[bytes]) -> Sample:
    objects = [found for line in lines if _object(line) and (found := json.loads(line)) is not None]
    keys = list(dict.fromkeys(itertools.chain.from_iterable(objects)))
    known = [key for key in keys if re.fullmatch(r"[a-z][a-z0-9_]*", key)]
    guesses = tuple(guess(key, tuple("" if (v := o.get(key)) is None else str(v) for o in objects)) for key in known)
    return Sample(
        said["code"],
        "jsonl",
        "gzip" if compression == "none" else compression,
        "utf-8",
        1.0,
        "",
        "delimited",
        guesses,
        len(objects) / len(lines),
        False,
        len(lines),
    )


def _fixed(said: dict[str, Any], compression: str, encoding: str, sure: float, lines: Sequence[bytes]) -> Sample:
    """Columns start where every line has a space before and most have none at the place itself."""
    size = len(lines[0])
    starts = [0] + [
        at
        for at in range(1, size)
        if all(line[at - 1] == 0x20 for line in lines) and sum(line[at] != 0x20 for line in lines) * 2 >= len(lines)
    ]
    guesses = []
    for number, (start, end) in enumerate(itertools.pairwise([*starts, size]), 1):
        values = tuple(line[start:end].decode("gb18030", "replace").strip() for line in lines)
        one = guess(f"field_{number}", values)
        guesses.append(Guess(one.name, one.type, one.nullable, one.longest, one.scale, one.codes, end - start))
    return Sample(
        said["code"],
        "verf",
        compression,
        encoding,
        sure,
        "",
        "fixed",
        tuple(guesses),
        0.5,
        False,
        len(lines),
        said.get("unit", ""),
        said.get("monthly", False),
    )


def _is(kind: str, value: str) -> bool:
    """Whether there is such a day: the forms alone would take 30 February."""
    if kind not in ("date", "timestamp"):
        return True
    try:
        dt.datetime.strptime(value, "%Y%m%d" if kind == "date" else "%Y%m%d%H%M%S")
    except ValueError:
        return False
    return True


def guess(name: str, values: Sequence[str]) -> Guess:
    """Type of a column from its values (text, empty where missing)."""
    present = [value for value in values if value]
    nullable, longest = len(present) < len(values), max(map(len, present), default=0)
    for kind, form in _FORMS:
        if kind in ("decimal", "double") and not any(set(value) & set(".eE") for value in present):
            continue  # whole numbers that are no long would lose digits
        if present and all(form.fullmatch(value) and _is(kind, value) for value in present):
            scale = max(len(value.partition(".")[2]) for value in present) if kind == "decimal" else 0
            return Guess(name, kind, nullable, longest, scale)
    different = sorted(set(present))
    if 1 < len(different) <= 12 and longest <= 12 and len(present) >= 10 * len(different):
        return Guess(name, "code", nullable, longest, codes=tuple(different))
    return Guess(name, "string", nullable, longest)
