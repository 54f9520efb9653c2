"""Writes a feed and its schema as YAML from what a sample looks like: a start for a person."""

from __future__ import annotations

from typing import Any

import yaml

from dialects.sniff import Sample


def draft(sample: Sample, code: str, taken: set[str]) -> tuple[str, str]:
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
    if sample.layout == "fixed":
        feed["layout"] = "fixed"
    elif sample.dialect in ("avl", "verf"):
        feed["delimiter"] = {"avl": "$", "verf": "|"}[sample.dialect]
        feed |= {"trailing_delimiter": True} if sample.trailing else {}
    feed |= {"compression": sample.compression} if sample.compression != "none" else {}
    feed |= {"granularity": "monthly"} if sample.monthly else {}
    fields, codes = [], {}
    for one in sample.fields:
        field: dict[str, Any] = {"name": one.name, "type": one.type, "label": one.name}
        field |= {} if one.nullable else {"nullable": False}
        field |= {"personal": "phone"} if one.type == "phone" else {}
        field |= {"scale": one.scale} if one.scale else {}
        field |= {"width": one.width} if one.width else {}
        field |= {"max_length": max(8, 2 * one.longest)} if one.type == "string" else {}
        if one.codes:
            field["codes"] = one.name
            codes[one.name] = dict.fromkeys(one.codes, "what it means")
        fields.append(field)
    schema: dict[str, Any] = {
        "name": code,
        "label": code,
        "doc": "what one record is",
        "key": [sample.fields[0].name],
        "fields": fields,
    }
    schema |= {"codes": codes} if codes else {}
    head = "# A draft from a sample: name the fields, check types and key, then `cpc feeds check`.\n"

    def text(data: dict[str, Any]) -> str:
        return head + yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=120)

    return text(feed), text(schema)
