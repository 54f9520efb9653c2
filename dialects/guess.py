"""Guesses the type of a column from its values, and which columns tell records apart.

A type is taken only where every value reads as it, by the loader's own converter for dates: a draft loses no digit.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from conf.schema import ISO, Field
from dialects.instants import instants

#: A column of at most so many different, short values, each seen ten times on average, is a code list.
MOST_CODES, LONGEST_CODE, A_CODE = 40, 24, 10
#: Values of which so many are of a type are worth a word where the others are not.
NEARLY = 0.9
_LOOKED_AT = 2_000
#: Form of every value of a column → type; the first that fits.
_FORMS = (
    ("phone", re.compile(r"1(?:[3-9]\d|00)\d{8}", re.ASCII)),  # 100…: the range of synthetic numbers, nobody's
    ("timestamp", re.compile(r"(19|20)\d{12}", re.ASCII)),
    ("date", re.compile(r"(19|20)\d{6}", re.ASCII)),
    ("int", re.compile(r"0|-?[1-9]\d{0,8}", re.ASCII)),  # no leading zeros: they would be lost
    ("long", re.compile(r"0|-?[1-9]\d{0,17}|-?[1-8]\d{18}", re.ASCII)),
    ("decimal", re.compile(r"-?\d{1,12}(\.\d{1,6})?", re.ASCII)),
    ("double", re.compile(r"-?\d{1,15}(\.\d+)?([eE][-+]?\d+)?", re.ASCII)),
    ("bool", re.compile(r"true|false")),
)
_DAYS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y/%-m/%-d", "%Y-%-m-%-d", "%Y.%-m.%-d", "%Y年%m月%d日", "%Y年%-m月%-d日"),
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%b-%y"),
)
_CLOCKS = (" %H:%M:%S", "T%H:%M:%S", " %-H:%M:%S", " %H:%M", " %-H:%M")
_DATED = re.compile(r"\d{1,4}[-/.年]", re.ASCII)


@dataclass(frozen=True)
class Guess:
    """A column: name, type and what else a schema says of it; ``note`` is a word for whoever reads the draft."""

    name: str
    type: str
    nullable: bool
    longest: int
    scale: int = 0
    codes: tuple[str, ...] = ()
    width: int = 0
    format: str = ""
    alias: str = ""
    label: str = ""
    note: str = ""


def guess(name: str, values: Sequence[str] | pa.Array) -> Guess:
    """Type of a column from its values (text, empty or null where missing)."""
    tally = pc.value_counts(pa.array(values, pa.string()) if not isinstance(values, pa.Array) else values)
    counts = {
        value: n for value, n in zip(tally.field(0).to_pylist(), tally.field(1).to_pylist(), strict=True) if value
    }
    present = sum(counts.values())
    bare = Guess(name, "string", present < len(values), max(map(len, counts), default=0))
    if not counts:
        return bare
    for kind in ("phone", "timestamp", "date", "int", "long", "decimal", "double", "bool"):
        if all(_fits(kind, counts)):
            scale = max(len(value.partition(".")[2]) for value in counts) if kind == "decimal" else 0
            return replace(bare, type=kind, scale=scale)
    if _DATED.match(next(iter(counts))) and (dated := _guess_date(bare, list(counts))):
        return dated
    if 1 < len(counts) <= MOST_CODES and bare.longest <= LONGEST_CODE and present >= A_CODE * len(counts):
        return replace(bare, type="code", codes=tuple(sorted(counts)))
    return replace(bare, note=_nearly(counts))


def _fits(kind: str, values: Mapping[str, int] | Sequence[str]) -> list[bool]:
    """Whether each value is of a plain form."""
    form = dict(_FORMS)[kind]
    if kind in ("decimal", "double") and not any(set(value) & set(".eE") for value in values):
        return [False]  # whole numbers that are no long would lose digits
    good = [form.fullmatch(value) is not None for value in values]
    return _read_as(kind, "", list(values)) if kind in ("date", "timestamp") and all(good) else good


def _read_as(kind: str, form: str, values: list[str]) -> list[bool]:
    """Whether the loader reads each value as a date or timestamp of a form."""
    field = Field.model_validate({"name": "x", "type": kind, "label": "x", "format": form})
    return np.asarray(pc.is_valid(instants(field, pa.array(values, pa.string())))).tolist()


def _guess_date(bare: Guess, values: list[str]) -> Guess | None:
    """The form of dates or times that reads all values; none where two forms of different meaning do."""
    forms = [("date", form) for form in _DAYS]
    forms += [("timestamp", day + clock) for day in _DAYS for clock in _CLOCKS if not ("%b" in day and "%-" in clock)]
    forms.append(("timestamp", ISO))
    good = [
        (kind, form)
        for kind, form in forms
        if _read_as(kind, form, values[:1])[0] and all(_read_as(kind, form, values))
    ]
    if not good:
        return None
    kind, form = good[0]
    if any("%d/%m" in pattern for _, pattern in good) and any("%m/%d/%Y" in pattern for _, pattern in good):
        return replace(bare, note="a date, but nothing in the sample tells day from month: say its `format`")
    return replace(bare, type=kind, format=form)


def _nearly(counts: Mapping[str, int]) -> str:
    """Whether most values of a text column are of another type."""
    values = list(itertools.islice(counts, _LOOKED_AT))
    for kind in ("int", "long", "decimal", "double"):
        good = _fits(kind, values)
        if len(good) == len(values) and NEARLY <= sum(good) / len(values) < 1:
            odd = next(value for value, right in zip(values, good, strict=True) if not right)
            return f"text, though most values are {kind}: {odd[:20]!r} is not"
    return ""


def find_keys(names: Sequence[str], types: Sequence[str], columns: Sequence[pa.Array]) -> tuple[tuple[str, ...], ...]:
    """Candidates for a key: columns, or else two or three together, that are never empty and never the same twice."""
    rows = len(columns[0]) if columns else 0
    full = [n for n, column in enumerate(columns) if not _has_missing(column) and types[n] not in ("double", "decimal")]
    coded = {n: _codes(columns[n]) for n in full}
    sizes = {n: int(coded[n].max(initial=-1)) + 1 for n in full}
    if single := sorted((n for n in full if sizes[n] == rows), key=lambda n: types[n] in ("date", "timestamp")):
        return tuple((names[n],) for n in single[:3])
    best = sorted(full, key=lambda n: (-sizes[n], n))[:10]
    for count in (2, 3):
        for chosen in itertools.combinations(best, count):
            if np.prod([float(sizes[n]) for n in chosen]) >= rows and _apart(coded, sizes, chosen) == rows:
                return (tuple(names[n] for n in sorted(chosen)),)
    return ()


def _has_missing(column: pa.Array) -> bool:
    return bool(column.null_count or pc.any(pc.equal(column, "")).as_py())


def _codes(column: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(pc.dictionary_encode(column).indices).astype(np.int64)


def _apart(coded: Mapping[int, npt.NDArray[np.int64]], sizes: Mapping[int, int], chosen: Sequence[int]) -> int:
    """How many different values columns have together."""
    mixed = np.zeros(len(coded[chosen[0]]), np.int64)
    for n in chosen:
        mixed = np.unique(mixed * sizes[n] + coded[n], return_inverse=True)[1].astype(np.int64)
    return int(mixed.max(initial=-1)) + 1


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: it looks like none of the others.

    Names are there, differ, and are neither numbers nor dates; none stands in its column again; and in some column
    the other values are of a type, or repeat, so that one that is neither stands out.
    """
    first, rest = rows[0], rows[1:]
    names = [name for name in first if name]
    if (
        len(names) < len(first) - 1
        or not names
        or not rest
        or any(guess("x", [name]).type != "string" for name in names)
    ):
        return False
    stands_out = False
    for name, values in zip(first, zip(*rest, strict=True), strict=True):
        if name in values:
            return False
        there = Counter(value for value in values if value)
        typed = bool(there) and guess("x", values).type not in ("string", "code")
        stands_out |= typed or (len(there) * 3 <= len(rest) and len(rest) >= 6)
    return stands_out or len(set(names)) < len(names)


def name_column(sent: str, number: int, words: Mapping[str, str], taken: set[str]) -> str:
    """A name for a column that a file calls ``sent``: a word of the catalogue's, its own words, or its number."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", sent) if sent.isascii() else ""
    name = words.get(sent) or re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")
    if not re.match(r"[a-z]", name):
        name = f"field_{name or number}"
    name = f"sent_{name}" if name in ("feed", "data_date", "hour", "delivery_id", "file", "line") else name
    free = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(2)))
    chosen = next(candidate for candidate in free if candidate not in taken)
    taken.add(chosen)
    return chosen
