"""Schemas: what a record of an interface file holds, and how it becomes rows of entities."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field as Key
from pydantic import model_validator

from conf.bounds import MOST
from conf.documents import Misfit, Strict
from conf.errors import suggest
from conf.units import BY, name_fault

Type = Literal["string", "code", "phone", "short", "int", "long", "decimal", "double", "date", "timestamp", "bool"]
#: What kind of personal data a field is; anything but ``none`` is in the register of purposes.
Personal = Literal[
    "none", "phone", "name", "address", "location", "identity", "free_text", "birth", "device", "account"
]

#: Types that hold numbers.
NUMBERS = frozenset({"short", "int", "long", "decimal", "double"})
#: The greatest quantity that a record may hold in a long: mappings turn 分 into micro-元.
LARGEST_QUANTITY = 900_000_000_000_000
_RESERVED = frozenset({"feed", "data_date", "hour", "delivery_id", "file", "line"})


#: What a ``format`` may hold; with ``-`` a number is written without leading zeros (2020/3/18).
DIRECTIVES = ("%Y", "%m", "%d", "%H", "%M", "%S", "%-m", "%-d", "%-H", "%-M", "%-S", "%y", "%b")
#: The format of instants by ISO 8601: any fraction of a second, any zone, Shanghai where none is said.
ISO = "iso"


class Field(Strict):
    """A column of a record.

    ``alias`` is what the file calls it (a JSON key, a name in the header line) where that is not ``name``.

    A ``phone`` is replaced by its keyed pseudonym (32 bytes) while loading; the stored column keeps the name.
    A ``timestamp`` in a file is Shanghai time written as ``format`` says, or with the zone it says itself where the
    format is ``iso`` (``2026-01-09T08:00:00.5+08:00``, ``…Z``); the stored one is UTC.
    A ``decimal`` has ``scale`` digits after the point and is stored as decimal(18, scale).
    """

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    type: Type
    label: str
    alias: str = ""
    doc: str = ""
    unit: str = ""
    nullable: bool = True
    codes: str = ""  # name of a code list, for type code
    scale: int = Key(default=0, ge=0, le=9)
    format: str = ""  # strptime format of date and timestamp; the dialect's default if empty
    width: int = Key(default=0, ge=0, le=MOST)  # bytes of GB18030, for fixed-width layouts
    max_length: int = Key(default=0, ge=0, le=MOST)  # characters; 0 is unlimited
    personal: Personal = "none"
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> Field:
        if (self.type == "code") != bool(self.codes):
            at = ("codes",) if self.codes else ("type",)
            raise Misfit("type code needs `codes`, and only it", *at, remedy="name a code list, or another type")
        if self.type == "phone" and self.personal != "phone":
            raise Misfit("a phone must be marked `personal: phone`", "type", remedy="add `personal: phone`")
        if self.format and (fault := _format_fault(self.format, self.type)):
            raise Misfit(fault, "format", remedy="write it in these, such as %Y%m%d%H%M%S")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise Misfit(
                f"minimum {self.minimum:g} is above maximum {self.maximum:g}", "minimum", remedy="exchange them"
            )
        if self.type in NUMBERS and (unit_fault := name_fault(self.name, self.unit)):
            what, remedy = unit_fault
            raise Misfit(what, *(("unit",) if self.unit else ("name",)), remedy=remedy)
        return self

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """What a value may be: as declared; a quantity in a long at most so much that ten thousand times it still fits."""
        large = float(LARGEST_QUANTITY) if self.type == "long" and self.unit else None
        least = -large if large is not None and self.minimum is None else self.minimum
        return least, large if self.maximum is None else self.maximum

    @property
    def sent_as(self) -> str:
        """What a file calls it."""
        return self.alias or self.name


class Conform(Strict):
    """How a record of this schema becomes one row of an entity.

    ``subject`` is the phone field through which ``subscriber`` finds the customer at the event's time (empty:
    the row is about no customer, e.g. shifts). ``columns`` maps entity columns to Spark SQL over the schema's
    fields; what is not mapped is null.
    """

    entity: str
    subject: str = ""
    event_time: str
    where: str = "true"
    columns: dict[str, str] = {}


class Schema(Strict):
    """An interface: its fields in the order of the file, its key, its code lists, and what it conforms to."""

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    doc: str
    key: tuple[str, ...]
    fields: tuple[Field, ...] = Key(min_length=1)
    codes: dict[str, dict[str, str]] = {}  # code list -> code -> 中文 label
    codes_of: dict[
        str, Literal["channel", "outbound_channel"]
    ] = {}  # code list -> rows of channels.yml that are in it too
    conform: tuple[Conform, ...] = ()

    @model_validator(mode="after")
    def _check_references(self) -> Schema:
        names = [field.name for field in self.fields]
        sent = [field.sent_as for field in self.fields]
        wrong: list[Misfit] = []
        for i, field in enumerate(self.fields):
            if field.name in names[:i]:
                wrong.append(Misfit(f"two fields are called {field.name!r}", "fields", i, "name", remedy="rename one"))
            elif field.sent_as in sent[:i]:
                what = f"two fields of one alias: {field.sent_as!r}"
                wrong.append(Misfit(what, "fields", i, "alias" if field.alias else "name", remedy="give one an alias"))
            if field.name in _RESERVED:
                what = f"{field.name!r} is the loader's own name"
                wrong.append(Misfit(what, "fields", i, "name", remedy="choose another name"))
            if field.codes and field.codes not in (lists := {*self.codes, *self.codes_of}):
                what = f"no code list {field.codes!r} in this schema"
                wrong.append(Misfit(what, "fields", i, "codes", remedy=suggest(field.codes, lists)))
            if field.unit.startswith(BY) and (by := field.unit.removeprefix(BY)) not in names:
                wrong.append(Misfit(f"no field {by!r}", "fields", i, "unit", remedy=suggest(by, names)))
        for i, name in enumerate(self.key):
            if name not in names:
                wrong.append(Misfit(f"key names no field: {name!r}", "key", i, remedy=suggest(name, names)))
        phones = [field.name for field in self.fields if field.type == "phone"]
        for i, conform in enumerate(self.conform):
            if conform.subject and conform.subject not in phones:
                what = f"subject names no field of a phone: {conform.subject!r}"
                wrong.append(Misfit(what, "conform", i, "subject", remedy=suggest(conform.subject, phones)))
        Misfit.raise_all(wrong)
        return self

    @property
    def by_name(self) -> dict[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}

    @property
    def moments(self) -> tuple[str, ...]:
        """The fields that say when a record happened: those that its event times are made of."""
        words = [word for conform in self.conform for word in re.findall(r"\w+", conform.event_time)]
        return tuple(dict.fromkeys(word for word in words if word in self.by_name))


def _format_fault(text: str, kind: str) -> str:
    """What is wrong with the format of a field of a type; empty if nothing."""
    if kind not in ("date", "timestamp"):
        return "`format` is for dates and timestamps"
    if text == ISO and kind == "timestamp":
        return ""
    directives = re.findall(r"%-?.?", text)
    if "%-" in text and ("%b" in text or "%y" in text):
        return "%b and %y do not go with numbers without leading zeros"
    unknown = [directive for directive in directives if directive not in DIRECTIVES]
    if directives and not unknown:
        return ""
    wrong = repr(unknown[0]) if directives else f"{text!r} names no part of a date, it"
    return f"{wrong} is none of {' '.join(DIRECTIVES)} (or iso, of a timestamp)"
