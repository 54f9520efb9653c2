"""A night with one delivery of about 20 kB of every feed: many small files are as important as one of 2 GB."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.dates import month_end
from conf.schema import Field, Schema
from conf.settings import load_settings
from dialects import write_delivery
from jobs.night import Night

DATE = dt.date(2026, 1, 31)  # a month's last day: monthly feeds are due too
BYTES = 20_000


def small_night() -> Night:
    """A landing folder below ``CPC_HOME`` with every feed's delivery for ``DATE``."""
    settings = load_settings()
    night = Night(DATE + dt.timedelta(days=1), settings, settings.home / "landing")
    for number, (_, feed) in enumerate(sorted(settings.catalogue.feeds.items())):
        schema = settings.catalogue.schemas[feed.schema_name]
        rows = records(schema, max(1, BYTES // (9 * len(schema.fields))), number)
        date = month_end(DATE) if feed.granularity == "monthly" else DATE
        write_delivery(feed, schema, rows, night.landing, date, hour=9 if feed.granularity == "hourly" else -1)
    return night


def records(schema: Schema, count: int, seed: int) -> pa.Table:
    """Records that a schema takes: keys ascend, other values are drawn within its bounds."""
    random = np.random.default_rng(seed)
    return pa.table({field.name: _column(field, schema, count, random) for field in schema.fields})


def _column(field: Field, schema: Schema, count: int, random: np.random.Generator) -> pa.Array:
    if field.type == "code":
        return pa.array(list(schema.codes[field.codes])).take(pa.array(random.integers(0, len(schema.codes[field.codes]), count)))  # fmt: skip
    low = max(int(field.minimum or 0), 0)
    high = min(int(field.maximum) if field.maximum is not None else low + 99, low + 30_000)
    number = np.arange(count) % (high - low + 1) + low
    if field.type == "phone":
        return pc.cast(pa.array(10_000_000_000 + random.integers(0, 50_000, count)), pa.string())
    if field.type == "string":
        return pc.cast(pa.array(np.arange(count) % 10 ** min(field.max_length or 9, 9)), pa.string())
    if field.type == "bool":
        return pa.array(random.random(count) < 0.5)
    if field.type == "date":
        return pa.array((20_400 + np.arange(count) % 60).astype(np.int32), pa.int32()).cast(pa.date32())
    if field.type == "timestamp":
        return pa.array((1_769_800_000 + np.arange(count)) * 1_000_000, pa.timestamp("us", "UTC"))
    if field.type == "double":
        return pa.array(number.astype(float))
    if field.type == "decimal":
        return pc.cast(pc.cast(pa.array(number), pa.string()), pa.decimal128(18, field.scale))
    kinds = {"short": pa.int16(), "int": pa.int32(), "long": pa.int64()}
    return pc.cast(pa.array(number), kinds[field.type])
