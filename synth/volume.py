"""How much a feed sends: a factor on its declared rows so that a night has the bytes asked for."""

from __future__ import annotations

from functools import lru_cache

from conf.catalogue import Catalogue
from conf.feed import Feed
from conf.schema import Field, Schema
from synth.plan import LoggedPlan
from synth.routes import ledger_of

_TYPICAL = {
    "string": 10,
    "code": 5,
    "phone": 11,
    "short": 2,
    "int": 4,
    "long": 8,
    "decimal": 6,
    "double": 6,
    "date": 8,
    "timestamp": 14,
    "bool": 1,
}
_REGISTERS = ("customer", "bill", "shift")


def field_bytes(field: Field) -> int:
    """Bytes that a value of ``field`` takes, roughly."""
    if field.type == "string" and field.max_length:
        return min(48 if field.personal == "free_text" else 14, field.max_length)
    return _TYPICAL[field.type]


def row_bytes(feed: Feed, schema: Schema) -> int:
    """Bytes of a record of ``feed`` as source text, roughly (fixed widths and JSON keys counted)."""
    if feed.layout == "fixed":
        return sum(field.width for field in schema.fields) + 2
    keys = sum(len(field.name) + 5 for field in schema.fields) if feed.dialect == "jsonl" else 0
    return keys + sum(field_bytes(field) + 1 for field in schema.fields) + 2


@lru_cache(maxsize=8)
def nightly_bytes(catalogue: Catalogue) -> tuple[float, float]:
    """Source bytes a night and customer by declared volumes: of drawn feeds, and of registers and ledgers."""
    drawn = fixed = 0.0
    for feed in catalogue.feeds.values():
        if feed.granularity == "monthly":
            continue
        schema = catalogue.schemas[feed.schema_name]
        size = row_bytes(feed, schema) * feed.rows_per_1000 / 1000 * (24 if feed.granularity == "hourly" else 1)
        if is_drawn(feed, schema):
            drawn += size
        else:
            fixed += size
    return drawn, fixed


def is_drawn(feed: Feed, schema: Schema) -> bool:
    """Whether the volume of a feed is free: not a register, a ledger or one row a customer."""
    if ledger_of(feed, schema):
        return False
    if any(conform.entity in _REGISTERS for conform in schema.conform):
        return False
    return not any(
        "'day'" in c.columns.get("period", "") or "'month'" in c.columns.get("period", "") for c in schema.conform
    )


def scale_of(plan: LoggedPlan, code: str) -> float:
    """Factor on a feed's declared rows for the bytes asked for (1 where none were)."""
    feed = plan.catalogue.feeds[code]
    if plan.bytes_per_day is None or not is_drawn(feed, plan.catalogue.schemas[feed.schema_name]):
        return 1.0
    if feed.granularity == "monthly":
        return 1.0
    drawn, fixed = nightly_bytes(plan.catalogue)
    return max(0.02, (plan.bytes_per_day / plan.customers - fixed) / drawn) if drawn else 1.0
