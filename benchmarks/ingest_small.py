"""A night with one delivery of every feed, of 20 kB or of any size: many small files are as important as one of 2 GB."""

from __future__ import annotations

import datetime as dt
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.dates import month_end
from conf.schema import Field, Schema
from conf.settings import load_settings
from dialects import write_delivery
from dialects.keys import find_beaten, fingerprints
from dialects.writer import content_of
from runtime.night import Night

DATE = dt.date(2026, 1, 31)  # a month's last day: monthly feeds are due too
BYTES = 20_000
#: Below so many bytes in all, processes that write cost more than they save.
SMALL = 50_000_000


def night_of(size: int = BYTES) -> tuple[Night, int]:
    """A landing folder below ``CPC_HOME`` with a delivery of about ``size`` bytes of every feed for ``DATE``.

    Returns:
        the night, and all bytes before they are packed.
    """
    settings = load_settings()
    night = Night(DATE + dt.timedelta(days=1), settings, settings.home / "landing")
    names = sorted(settings.catalogue.feeds)
    if size * len(names) < SMALL:
        return night, sum(send(code, number, size, night.landing) for number, code in enumerate(names))
    with ProcessPoolExecutor(2, mp_context=mp.get_context("spawn")) as pool:
        made = pool.map(send, names, range(len(names)), [size] * len(names), [night.landing] * len(names))
        return night, sum(made)


def send(code: str, number: int, size: int, landing: Path) -> int:
    """Write the delivery of one feed; its bytes before they are packed."""
    catalogue = load_settings().catalogue
    feed = catalogue.feeds[code]
    schema = catalogue.schemas[feed.schema_name]
    some = records(schema, 200, number)
    a_record = max(1, len(content_of(feed, schema, some, {})) // some.num_rows)
    rows = records(schema, max(1, size // a_record), number)
    date = month_end(DATE) if feed.granularity == "monthly" else DATE
    write_delivery(feed, schema, rows, landing, date, hour=9 if feed.granularity == "hourly" else -1)
    return a_record * int(rows.num_rows)


def records(schema: Schema, count: int, seed: int) -> pa.Table:
    """Records that a schema takes: keys ascend and stand once, other values are drawn within its bounds."""
    random = np.random.default_rng(seed)
    made = pa.table({field.name: _column(field, schema, count, random) for field in schema.fields})
    twice = find_beaten(schema, fingerprints(schema, made), lambda rows: made.take(pa.array(rows)))
    once = np.ones(count, bool)
    once[twice] = False
    return made.filter(pa.array(once))


def _column(field: Field, schema: Schema, count: int, random: np.random.Generator) -> pa.Array:
    if field.type == "code":
        return pa.array(list(schema.codes[field.codes])).take(
            pa.array(random.integers(0, len(schema.codes[field.codes]), count))
        )
    low = max(int(field.minimum or 0), 0)
    high = min(int(field.maximum) if field.maximum is not None else low + 99, low + 30_000)
    number = np.arange(count) % (high - low + 1) + low
    if field.type == "phone":
        return pc.cast(pa.array(10_000_000_000 + np.arange(count)), pa.string())
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
