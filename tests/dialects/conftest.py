"""A schema with every type of field, and feeds of each dialect that speak it."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conf.feed import Feed
from conf.schema import Schema
from dialects.convert import Fault, column_of, judge_column

UTC = dt.UTC
FIELDS: list[dict[str, Any]] = [
    {"name": "no", "type": "long", "label": "流水", "nullable": False, "width": 20},
    {"name": "phone", "type": "phone", "label": "号码", "personal": "phone", "width": 12},
    {"name": "word", "type": "string", "label": "文字", "max_length": 6, "width": 24},
    {"name": "kind", "type": "code", "label": "类别", "codes": "kinds", "width": 4},
    {"name": "small", "type": "short", "label": "小", "minimum": -5, "maximum": 5, "width": 6},
    {"name": "whole", "type": "int", "label": "整", "width": 11},
    {"name": "money", "type": "decimal", "label": "元", "scale": 2, "width": 20},
    {"name": "share", "type": "double", "label": "率", "width": 24},
    {"name": "day", "type": "date", "label": "日", "width": 8},
    {"name": "at", "type": "timestamp", "label": "时", "width": 14},
    {"name": "flag", "type": "bool", "label": "否", "width": 1},
]
FORMS: dict[str, dict[str, Any]] = {
    "avl": {"dialect": "avl", "delimiter": "$"},
    "avl_z": {"dialect": "avl", "delimiter": "$", "compression": "Z"},
    "avl_gz": {"dialect": "avl", "delimiter": "$", "compression": "gzip", "trailing_delimiter": True},
    "verf": {"dialect": "verf", "delimiter": "|"},
    "verf_trailing": {"dialect": "verf", "delimiter": "|", "trailing_delimiter": True},
    "verf_fixed": {"dialect": "verf", "layout": "fixed"},
    "vgop": {"dialect": "vgop"},
    "csv_bare": {"dialect": "verf", "delimiter": ",", "quoted": True},
    "csv": {"dialect": "verf", "delimiter": ",", "encoding": "utf-8", "header": True, "quoted": True},
    "jsonl_gz": {"dialect": "jsonl", "compression": "gzip"},
    "jsonl_zst": {"dialect": "jsonl", "compression": "zstd"},
}


def schema_of(**changes: Any) -> Schema:
    """The schema with every type; ``changes`` replace keys of it."""
    data = {
        "name": "every",
        "label": "全",
        "doc": "every type",
        "key": ("no",),
        "fields": FIELDS,
        "codes": {"kinds": {"a": "甲", "b": "乙"}},
    }
    return Schema.model_validate(data | changes)


def feed_of(form: str, **changes: Any) -> Feed:
    """A feed of one of the forms of a dialect."""
    data = {
        "code": "tried",
        "label": "试",
        "source": "a test",
        "service": "hotline",
        "schema": "every",
        "unit_code": "12345",
        "owner": "tests",
        "purpose": "tests",
        "letter": "t",
        "sender": "20086",
    }
    return Feed.model_validate(data | FORMS[form] | changes)


def pseudonym(numbers: pa.Array) -> pa.Array:
    """A keyed hash as the loader's, by the standard library."""
    return pa.array([v and hmac.digest(b"test", v.encode(), hashlib.sha256) for v in numbers.to_pylist()], pa.binary())


def rows_of(**columns: list[Any]) -> pa.Table:
    """Typed rows; columns not given are null."""
    types = {
        "no": pa.int64(),
        "phone": pa.string(),
        "word": pa.string(),
        "kind": pa.string(),
        "small": pa.int16(),
        "whole": pa.int32(),
        "money": pa.decimal128(18, 2),
        "share": pa.float64(),
        "day": pa.date32(),
        "at": pa.timestamp("us", "UTC"),
        "flag": pa.bool_(),
    }
    count = len(next(iter(columns.values())))
    return pa.table({name: pa.array(columns.get(name, [None] * count), kind) for name, kind in types.items()})


@pytest.fixture(params=sorted(FORMS))
def form(request: pytest.FixtureRequest) -> str:
    """Each form of a dialect in turn."""
    return str(request.param)


def convert(schema: Schema, columns: list[pa.Array]) -> tuple[list[pa.Array], list[Fault]]:
    """Texts of every field of ``schema`` as stored, and their faults: the reference of the compiled columns."""
    typed: list[pa.Array] = []
    faults: list[Fault] = []
    for field, column in zip(schema.fields, columns, strict=True):
        value, bad, code, reason = column_of(field, schema, column, pseudonym)
        judge_column(faults, field, value, np.asarray(column.is_null()), bad, code, reason)
        typed.append(value)
    return typed, faults
