"""One delivery as a table: who and when, the columns that conform reads, and the filler for all other fields."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.feed import Feed
from conf.schema import Field, Schema
from synth.behaviour import bill, life, usage, visit
from synth.behaviour import contact as inbound
from synth.fill import Context, fill
from synth.frame import Column, Frame
from synth.inverse import InverseSource
from synth.keyed import stream
from synth.ledger_columns import attempts, complaint, consent, decision, order, reply
from synth.plan import date_of
from synth.registers import find_last_change, profile, shift
from synth.routes import Mapping, mappings
from synth.rows import EventRows, Period, rows_of
from synth.wording import dates, decimals, instants
from synth.world import World

MAKERS = {
    "visit": visit,
    "contact": inbound,
    "order": order,
    "complaint": complaint,
    "consent": consent,
    "decision": decision,
    "bill": bill,
    "usage": usage,
    "life": life,
    "customer": profile,
    "shift": shift,
}
TOLD = {"contact": attempts, "visit": reply}
#: What the past shown on banners has not: it was no slate of ours.
NO_SLATE = ("slot", "slate_probability")


def table_of(world: World, feed: Feed, period: Period, folder: Path, scale: float = 1.0) -> pa.Table:
    """The records of one delivery, typed as stored (phones as digits).

    Args:
        world: the province.
        feed: which feed.
        period: which delivery of it.
        folder: where the ledgers lie.
        scale: factor of drawn volume (not of registers and ledgers).
    """
    schema = world.plan.catalogue.schemas[feed.schema_name]
    rng = stream(world.plan.seed, "feed", feed.code, period.day, period.hour)
    return records(world, feed, period, rows_of(world, feed, schema, period, folder, rng, scale), rng)


def records(
    world: World, feed: Feed, period: Period, rows: EventRows, rng: np.random.Generator, first: int = 0
) -> pa.Table:
    """Records of a feed about given customers and times, typed as stored.

    Args:
        world: the province.
        feed: which feed.
        period: which delivery of it.
        rows: who and when, and the ledger's columns where there are such.
        rng: draws of what the rows do not say.
        first: records of the delivery before these (their keys are counted).
    """
    schema = world.plan.catalogue.schemas[feed.schema_name]
    maps = mappings(feed, schema)
    columns: dict[str, pa.Array] = {}
    absent: set[str] = set()
    frame = Frame(world, rng, rows.customer, rows.time, ledger=rows.ledger)
    for position, mapping in enumerate(maps):
        entity = mapping.conform.entity
        if entity == "impression":
            absent |= {source.field for column, source in mapping.sources.items() if column in NO_SLATE}
            continue
        own = Frame(world, rng, rows.customer, rows.time, mapping.choices, rows.ledger)
        maker = TOLD.get(entity, MAKERS[entity]) if rows.ledger is not None else MAKERS[entity]
        if rows.ledger is None and entity in ("order", "complaint", "consent", "decision", "shift"):
            continue  # a second entity of a drawn record: its fields are filled
        if position and entity == "contact" and rows.ledger is not None and "reached" not in rows.ledger:
            maker = inbound
        if entity == "visit" and rows.ledger is not None and "reply" not in rows.ledger:
            maker = visit
        _place(columns, schema, mapping, maker(own), rng)
        _place_time(columns, schema, mapping, rows)
    _place_subjects(columns, schema, maps, frame)
    _place_needs(columns, maps, frame)
    tag = f"{feed.unit_code}{date_of(period.day):%y%m%d}{max(period.hour, 0):02d}"
    context = Context(world, schema, rng, rows.customer, rows.time, dict(feed.holds), tag, first)
    if "ends_at" in schema.by_name and rows.ledger is not None and "shift" in rows.ledger:
        columns["ends_at"] = instants(rows.time + 8 * 3600)
    arrays = [
        _complete(field, columns.get(field.name), context, position, absent=field.name in absent)
        for position, field in enumerate(schema.fields)
    ]
    return pa.table(dict(zip([field.name for field in schema.fields], arrays, strict=True)))


def _complete(field: Field, column: pa.Array | None, context: Context, position: int, *, absent: bool) -> pa.Array:
    """The field's own column, made up where there is none or where a value must not be missing."""
    if absent:
        return pa.nulls(context.size, fill(field, context, position).type)
    if column is None:
        return fill(field, context, position)
    if not field.nullable and column.null_count:
        return pc.coalesce(column, fill(field, context, position))
    return column


def _place(
    columns: dict[str, pa.Array], schema: Schema, mapping: Mapping, made: dict[str, Column], rng: np.random.Generator
) -> None:
    for column, source in mapping.sources.items():
        if source.field in columns or source.kind in ("literal", "unknown", "day") or column not in made:
            continue
        placed = to_field(schema, schema.by_name[source.field], source, made[column], rng)
        if placed is not None:
            columns[source.field] = placed
    if mapping.conform.entity == "customer" and "account" in made:
        for field in schema.fields:
            if field.personal == "account" and field.name not in columns:
                columns[field.name] = made["account"]


def to_field(
    schema: Schema, field: Field, source: InverseSource, made: Column, rng: np.random.Generator
) -> pa.Array | None:
    """An entity's column as the field's values; None where they do not fit (the filler then makes them)."""
    if source.kind == "codes":
        back = {value: code for code, value in reversed(source.codes)}
        index = made.dictionary_encode()
        known = [back.get(str(value)) for value in index.dictionary.to_pylist()]
        return pa.array(known, pa.string()).take(index.indices)
    if source.kind == "member":
        others = [c for c in schema.codes.get(field.codes, {}) if c not in source.values] or list(source.values)
        yes, no = (others, list(source.values)) if source.negated else (list(source.values), others)
        truth = np.asarray(made.to_numpy(zero_copy_only=False) if isinstance(made, pa.Array) else made, dtype=bool)
        pick = rng.integers(0, 10**6, len(truth))
        return pa.array(yes + no).take(pa.array(np.where(truth, pick % len(yes), len(yes) + pick % len(no))))
    if field.type in ("string", "code"):
        if not isinstance(made, pa.Array):
            made = pa.array(made).cast(pa.string())
        if field.type == "code":
            known_codes = list(schema.codes[field.codes])
            index = made.dictionary_encode()
            fits = [value if value in known_codes else None for value in index.dictionary.to_pylist()]
            if made.null_count == 0 and None in fits:
                spare = rng.integers(0, len(known_codes), len(made))
                chosen = pa.array(known_codes).take(pa.array(spare))
                return pc.coalesce(pa.array(fits, pa.string()).take(index.indices), chosen)
            return pa.array(fits, pa.string()).take(index.indices)
        return made
    return _cast(field, source, made)


def _cast(field: Field, source: InverseSource, made: Column) -> pa.Array | None:
    mask = None
    if isinstance(made, pa.Array):
        if pa.types.is_boolean(made.type):
            return made if field.type == "bool" else None
        return None
    if field.type == "bool":
        return pa.array(made.astype(bool))
    if field.type == "timestamp":
        return instants(made)
    if field.type == "date":
        return dates(made)
    low, high = field.minimum, field.maximum
    if field.type == "decimal":
        units = made * (10**field.scale * source.over) // source.times if source.times > 1 else made * 10**field.scale
        units = np.clip(
            units, None if low is None else low * 10**field.scale, None if high is None else high * 10**field.scale
        )
        return decimals(np.asarray(units).astype(np.int64), field.scale)
    value = made * source.over / source.times
    if low is not None or high is not None:
        value = np.clip(value, low, high)
    if field.type == "double":
        return pa.array(np.asarray(value, dtype=float), mask=mask)
    kind = {"short": pa.int16(), "int": pa.int32(), "long": pa.int64()}.get(field.type)
    return pa.array(np.rint(value).astype(np.int64)).cast(kind) if kind is not None else None


def _place_time(columns: dict[str, pa.Array], schema: Schema, mapping: Mapping, rows: EventRows) -> None:
    source = mapping.event
    if not source.field or source.field in columns:
        return
    field = schema.by_name[source.field]
    time = rows.time
    if field.type == "date":
        columns[field.name] = dates(time // 86400)
    elif field.type == "timestamp":
        columns[field.name] = instants(time)


def _place_subjects(columns: dict[str, pa.Array], schema: Schema, maps: tuple[Mapping, ...], frame: Frame) -> None:
    subjects = {mapping.conform.subject for mapping in maps} - {""}
    if not subjects:
        subjects = {field.name for field in schema.fields if field.type == "phone"}
        subjects = {next(f.name for f in schema.fields if f.name in subjects)} if subjects else set()
    for name in sorted(subjects):
        if len(frame.customer) and frame.customer.min() < 0:
            continue
        columns[name] = pa.array(frame.world["phone"][frame.customer]).cast(pa.string())
    for mapping in maps:
        if mapping.conform.entity == "customer" and mapping.event.field:
            columns[mapping.event.field] = instants(find_last_change(frame.world, frame.customer, frame.time // 86400))


def _place_needs(columns: dict[str, pa.Array], maps: tuple[Mapping, ...], frame: Frame) -> None:
    for mapping in maps[:1]:
        for name, values in mapping.needs.items():
            if name not in columns:
                columns[name] = pa.array(values).take(pa.array(frame.rng.integers(0, len(values), frame.size)))
