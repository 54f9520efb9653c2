"""What is expected of the records of a schema: generated from the schema, extended by ``extended/<schema>.yml``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field as Key
from pydantic import model_validator

from conf.documents import Document, Misfit, Strict, read_yaml, validate
from conf.errors import Report, UserError, refuse, suggest
from conf.feed import Feed
from conf.schema import NUMBERS, Field, Schema

EXTENDED = Path(__file__).resolve().parent / "extended"
#: What is measured of a column; the bounds are inclusive.
Kind = Literal[
    "empty",  # share of records without a value
    "min",  # least number
    "max",  # greatest number
    "average",  # mean of a number
    "earliest",  # days from the data date back to the earliest date or time
    "latest",  # days from the data date to the latest date or time (its own day counts 0 … 1)
    "longest",  # characters of the longest text
    "other_codes",  # share of records with a code that is not expected
    "share",  # share of records with one of `codes`
    "n_distinct",  # number of different values
    "duplicate_share",  # share of records whose key was there before
    "faults",  # share of records set aside because of the column
]
Severity = Literal["stop", "warn", "info"]
TIMES = frozenset({"date", "timestamp"})


@dataclass(frozen=True)
class Expect:
    """One expectation: ``kind`` of ``column`` lies between ``low`` and ``high`` (None: open).

    Attributes:
        column: a field of the schema; '' is the record as a whole.
        codes: the codes meant by ``other_codes`` and ``share``.
        severity: ``stop`` holds the delivery back until it is released, ``warn`` is shown, ``info`` is noted.
        rows: fewer records than this are not judged (a mean of three says nothing).
        why: in the domain's words, for Data Docs; empty where the schema says it.
    """

    column: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    codes: tuple[str, ...] = ()
    severity: Severity = "warn"
    rows: int = 0
    why: str = ""

    @property
    def name(self) -> str:
        """What the check is called in ``ops_quality``: unique within a suite."""
        chosen = f" {'+'.join(self.codes)}" if self.kind == "share" else ""
        return f"{self.kind} {self.column or 'record'}{chosen}"


class Row(Strict):
    """An expectation as written in ``extended/<schema>.yml``."""

    column: str = ""
    kind: Kind
    low: float | None = None
    high: float | None = None
    codes: tuple[str, ...] = ()
    severity: Severity = "warn"
    rows: int = Key(default=50, ge=0)
    why: str

    @model_validator(mode="after")
    def _check_bounds(self) -> Row:
        if self.low is None and self.high is None:
            raise Misfit("give `low`, `high` or both", "kind", remedy="add a bound")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise Misfit(f"low {self.low:g} is above high {self.high:g}", "low", remedy="exchange them")
        if (self.kind in ("share", "other_codes")) != bool(self.codes):
            at = "codes" if self.codes else "kind"
            raise Misfit("share and other_codes need `codes`, and only they", at, remedy="add or remove `codes`")
        return self


class Extension(Strict):
    """What people who know the domain add to (or loosen in) the generated suite of a schema."""

    schema_name: str
    expect: tuple[Row, ...] = ()


def suite(schema: Schema, feed: Feed | None = None, folder: Path = EXTENDED) -> tuple[Expect, ...]:
    """The suite of ``schema``; with ``feed`` narrowed by what the feed holds and its threshold.

    An extension of the same column and kind replaces the generated expectation.

    Raises:
        UserError: an extension names no field, or a kind that its type does not have.
    """
    chosen = {expect.name: expect for expect in generate_suite(schema, feed)}
    chosen |= {expect.name: expect for expect in extend_suite(schema, folder)}
    return tuple(chosen.values())


def generate_suite(schema: Schema, feed: Feed | None = None) -> Iterator[Expect]:
    """What the schema itself says."""
    threshold = feed.quarantine_threshold if feed else 0.01
    yield Expect("", "duplicate_share", high=0.0, severity="stop")
    yield Expect("", "faults", high=threshold, severity="stop")
    for field in schema.fields:
        yield from _of_field(field, schema, feed)
    for name in sorted(event_fields(schema)):
        yield Expect(name, "latest", high=1.0, why="an event cannot lie after its data date")


def _of_field(field: Field, schema: Schema, feed: Feed | None) -> Iterator[Expect]:
    if not field.nullable:
        yield Expect(field.name, "empty", high=0.0, severity="stop")
    if field.type in NUMBERS and field.minimum is not None:
        yield Expect(field.name, "min", low=field.minimum)
    if field.type in NUMBERS and field.maximum is not None:
        yield Expect(field.name, "max", high=field.maximum)
    if field.type == "string" and field.max_length:
        yield Expect(field.name, "longest", high=field.max_length)
    if field.codes:
        narrowed = feed.holds.get(field.name) if feed else None
        codes = narrowed or tuple(schema.codes[field.codes])
        yield Expect(field.name, "other_codes", high=0.0, codes=codes, severity="stop" if narrowed else "warn")


def event_fields(schema: Schema) -> set[str]:
    """Timestamps of the schema that are the event time of an entity as they are."""
    return {
        conform.event_time
        for conform in schema.conform
        if (field := schema.by_name.get(conform.event_time)) and field.type == "timestamp"
    }


def extend_suite(schema: Schema, folder: Path = EXTENDED) -> tuple[Expect, ...]:
    """What ``<folder>/<schema>.yml`` adds; nothing if there is no such file.

    Raises:
        UserError: it does not fit the schema.
    """
    path = folder / f"{schema.name}.yml"
    if not path.exists():
        return ()
    rows = read_extension(path, {schema.name: schema}).expect
    return tuple(Expect(r.column, r.kind, r.low, r.high, r.codes, r.severity, r.rows, r.why) for r in rows)


def read_extension(
    path: Path, schemas: Mapping[str, Schema], report: Report = refuse, broken: Collection[str] = ()
) -> Extension:
    """An extension as written, held against its schema; what does not fit is reported (``broken`` schemas are not).

    Raises:
        UserError: the file itself is not sound.
    """
    document = read_yaml(path)
    extension = validate(Extension, document)
    if extension.schema_name != path.stem:
        what = f"the file is called {path.name} but is about {extension.schema_name!r}"
        report(UserError(what, where=document.where(("schema_name",)), remedy=f"rename it, or write {path.stem!r}"))
    elif extension.schema_name in broken:
        return extension
    elif extension.schema_name not in schemas:
        what, where = f"no schema {extension.schema_name!r}", document.where(("schema_name",))
        report(UserError(what, where=where, remedy=suggest(extension.schema_name, schemas)))
    else:
        for i, row in enumerate(extension.expect):
            _check(row, schemas[extension.schema_name], document, i, report)
    return extension


def _check(row: Row, schema: Schema, document: Document, i: int, report: Report) -> None:
    field = schema.by_name.get(row.column)
    if field is None:
        if row.column or row.kind not in ("duplicate_share", "faults"):
            what, where = f"no field {row.column!r} in schema {schema.name}", document.where(("expect", i, "column"))
            report(UserError(what, where=where, remedy=suggest(row.column, schema.by_name)))
        return
    fits: Mapping[str, bool] = {
        "min": field.type in NUMBERS,
        "max": field.type in NUMBERS,
        "average": field.type in NUMBERS,
        "earliest": field.type in TIMES,
        "latest": field.type in TIMES,
        "longest": field.type == "string",
        "share": bool(field.codes),
        "other_codes": bool(field.codes),
        "duplicate_share": False,
    }
    if not fits.get(row.kind, True):
        what = f"{row.kind} cannot be asked of {row.column}, a {field.type}"
        where = document.where(("expect", i, "kind"))
        report(UserError(what, where=where, remedy="see the kinds in expectations/suite.py"))
    for code in row.codes if field.codes else ():
        if code not in (known := schema.codes[field.codes]):
            what, where = f"no code {code!r} in {row.column}", document.where(("expect", i, "codes"))
            report(UserError(what, where=where, remedy=suggest(code, known)))
