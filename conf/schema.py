"""Schemas: what a record of an interface file holds, and how it becomes rows of entities."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field as Key
from pydantic import model_validator

from conf.documents import Strict

Type = Literal["string", "code", "phone", "short", "int", "long", "decimal", "double", "date", "timestamp", "bool"]
#: What kind of personal data a field is; anything but ``none`` is in the register of purposes.
Personal = Literal[
    "none", "phone", "name", "address", "location", "identity", "free_text", "birth", "device", "account"
]


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
    width: int = Key(default=0, ge=0)  # bytes of GB18030, for fixed-width layouts
    max_length: int = Key(default=0, ge=0)  # characters; 0 is unlimited
    personal: Personal = "none"
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> Field:
        if (self.type == "code") != bool(self.codes):
            raise ValueError("type code needs `codes`, and only it")
        if self.type == "phone" and self.personal != "phone":
            raise ValueError("a phone must be marked `personal: phone`")
        if self.format and self.type not in ("date", "timestamp"):
            raise ValueError("`format` is for dates and timestamps")
        if self.format and not (self.format == ISO and self.type == "timestamp"):
            said = re.findall(r"%-?.?", self.format)
            if "%-" in self.format and ("%b" in self.format or "%y" in self.format):
                raise ValueError("format: %b and %y do not go with numbers without leading zeros")
            if not said or (unknown := [one for one in said if one not in DIRECTIVES]):
                wrong = repr(unknown[0]) if said else f"{self.format!r} names no part of a date, it"
                raise ValueError(f"format: {wrong} is none of {' '.join(DIRECTIVES)} (or iso, of a timestamp)")
        return self

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
    fields: tuple[Field, ...]
    codes: dict[str, dict[str, str]] = {}  # code list -> code -> 中文 label
    conform: tuple[Conform, ...] = ()

    @model_validator(mode="after")
    def _closed(self) -> Schema:
        names = [field.name for field in self.fields]
        if len(set(names)) != len(names):
            raise ValueError(f"two fields of one name: {sorted(n for n in set(names) if names.count(n) > 1)}")
        sent = [field.sent_as for field in self.fields]
        if len(set(sent)) != len(sent):
            raise ValueError(f"two fields of one alias: {sorted(n for n in set(sent) if sent.count(n) > 1)}")
        reserved = {"feed", "data_date", "hour", "delivery_id", "file", "line"} & set(names)
        if reserved:
            raise ValueError(f"these names are the loader's own: {sorted(reserved)}")
        if missing := [name for name in self.key if name not in names]:
            raise ValueError(f"key names no field: {missing}")
        for field in self.fields:
            if field.codes and field.codes not in self.codes:
                raise ValueError(f"field {field.name}: no code list {field.codes!r} in this schema")
        for conform in self.conform:
            if conform.subject and conform.subject not in names:
                raise ValueError(f"conform to {conform.entity}: subject names no field: {conform.subject!r}")
        return self

    @property
    def by_name(self) -> dict[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}
