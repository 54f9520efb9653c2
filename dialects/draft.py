"""Writes a feed and its schema as YAML from what a sample looks like, and reads the sample back with that very draft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import yaml

from conf.feed import Feed
from conf.phones import load_phones
from conf.schema import NUMBERS, Schema
from conf.units import unit_of_name
from dialects.reader import FileRefused, Records, read
from dialects.scanner import BYTES, CONTROL, COUNT, LENGTH
from dialects.sniff import FileSample

#: A draft is good if it reads so much of its sample.
GOOD_SHARE = 0.99
#: What to ask of a sender whose records cannot be read, by the code of the record level.
_REMEDIES = {
    BYTES: "ask the sender to write the whole file in UTF-8 or GB18030 (in fixed widths: GB18030)",
    COUNT: "ask the sender to keep the delimiter out of values, or to put such values in quotes",
    LENGTH: "ask the sender what this record is",
    CONTROL: "ask the sender for one whole record a line: no control character, no line break within a value",
}
_HEAD = "# A draft from a sample: name the fields, check types and key, then `cpc feeds check`.\n"


@dataclass(frozen=True)
class Obstacle:
    """A kind of record of the sample that its draft does not read."""

    count: int
    what: str
    where: str
    remedy: str


@dataclass(frozen=True)
class ReadBack:
    """What the draft made of its own sample."""

    records: int
    rows: int
    obstacles: tuple[Obstacle, ...]

    @property
    def good(self) -> bool:
        """Whether the draft may be used."""
        return self.rows > 0 and self.rows >= GOOD_SHARE * self.records


def draft(sample: FileSample, code: str, taken: set[str]) -> tuple[str, str]:
    """A feed and its schema as YAML, to be read and mended by a person.

    Args:
        sample: what was found.
        code: of the feed, and name of the schema.
        taken: unit codes in use.
    """
    free = next(f"{n:05d}" for n in range(90_000, 100_000) if f"{n:05d}" not in taken)
    feed: dict[str, Any] = {
        "code": code,
        "label": code,
        "source": "name of the source system",
        "service": "hotline",
        "dialect": sample.dialect,
        "schema": code,
        "unit_code": free if sample.unit in taken | {""} else sample.unit,
        "owner": "who answers for it",
        "purpose": "what it is used for (goes to the register of purposes)",
    }
    plain = Feed.model_validate({**feed, "compression": "gzip" if sample.dialect == "jsonl" else "none"})
    if sample.layout == "fixed":
        feed["layout"] = "fixed"
    elif sample.dialect != "jsonl":
        options = {
            "delimiter": sample.separator or plain.delimiter,
            "encoding": sample.encoding,
            "header": sample.header,
            "quoted": sample.quoted,
            "line_numbers": sample.line_numbers,
            "trailing_delimiter": sample.trailing,
        }
        feed |= {name: value for name, value in options.items() if value != getattr(plain, name)}
    feed |= {"compression": sample.compression} if sample.compression != "none" else {}
    feed |= {"granularity": sample.granularity} if sample.granularity != "daily" else {}
    feed |= {"letter": sample.letter} if sample.letter not in ("", plain.letter) else {}
    feed |= {"sender": sample.sender} if sample.sender not in ("", plain.sender) else {}
    fields, codes = [], {}
    for guess in sample.fields:
        field: dict[str, Any] = {"name": guess.name, "type": guess.type, "label": guess.label or guess.name}
        field |= {"alias": guess.alias} if guess.alias else {}
        field |= {} if guess.nullable else {"nullable": False}
        if guess.type in NUMBERS and (unit := unit_of_name(guess.name)):
            field["unit"] = unit
        field |= {"personal": "phone"} if guess.type == "phone" else {}
        field |= {"format": guess.format} if guess.format else {}
        field |= {"scale": guess.scale} if guess.scale else {}
        field |= {"width": guess.width} if guess.width else {}
        field |= {"max_length": max(8, 2 * guess.longest)} if guess.type == "string" else {}
        if guess.codes:
            field["codes"] = guess.name
            codes[guess.name] = dict.fromkeys(guess.codes, "what it means")
        fields.append(field)
    schema: dict[str, Any] = {
        "name": code,
        "label": code,
        "doc": "what one record is",
        "key": list(sample.keys[0]) if sample.keys else [],
        "fields": fields,
    }
    schema |= {"codes": codes} if codes else {}
    return _text(feed), _text(schema)


def _text(data: dict[str, Any]) -> str:
    return _HEAD + yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=120)


def read_back(feed_text: str, schema_text: str, sample: FileSample) -> ReadBack:
    """Read a sample with the draft that was made of it, as a night would."""
    feed = Feed.model_validate(yaml.safe_load(feed_text))
    schema = Schema.model_validate(yaml.safe_load(schema_text))
    content = read(feed, schema, sample.content, lambda numbers: numbers.cast(pa.binary()), phones=load_phones())
    return ReadBack(content.records, content.table.num_rows, tuple(_obstacles(content)))


def _obstacles(content: Records) -> list[Obstacle]:
    """What was set aside, by kind, the most frequent first, each with its first record."""
    kinds: dict[tuple[str, int, bool], list[FileRefused]] = {}
    for record in content.refused:
        kinds.setdefault((record.field, record.code, not record.raw.strip()), []).append(record)
    return [
        _obstacle(records, field, code, empty=empty)
        for (field, code, empty), records in sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[1][0].line))
    ]


def _obstacle(records: list[FileRefused], field: str, code: int, *, empty: bool) -> Obstacle:
    what, remedy = records[0].reason, _REMEDIES.get(code, "ask the sender what this record is")
    if empty:
        what, remedy = "an empty line", "ask the sender to leave empty lines out"
    elif field:
        remedy = f"correct the type of {field} in the draft, or ask the sender"
    return Obstacle(len(records), what, f"line {records[0].line}, byte {records[0].offset}", remedy)
