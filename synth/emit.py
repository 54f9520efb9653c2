"""One delivery as a table: who and when, the columns that conform reads, and the filler for all other fields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.feed import Feed
from conf.schema import Field, Schema
from synth.behaviour import bill, life, usage, visit
from synth.behaviour import contact as inbound
from synth.events import AWAKE, Table, hours, take
from synth.fill import Context, fill
from synth.frame import Column, Frame
from synth.inverse import Source
from synth.keyed import stream, uniform
from synth.plan import Floats, Ints, date_of
from synth.registers import changed_at, profile, profile_rows, shift, shift_rows
from synth.routes import Mapping, held_places, ledger_of, mappings, told_by
from synth.told import attempts, complaint, consent, decision, order
from synth.wording import dates, decimals, instants
from synth.world import World

MAKERS = {
    "visit": visit, "contact": inbound, "order": order, "complaint": complaint, "consent": consent,
    "decision": decision, "bill": bill, "usage": usage, "life": life, "customer": profile, "shift": shift,
}  # fmt: skip
TOLD = {"contact": attempts}
LATE = 0.003  # share of a day's records that are about the day before


@dataclass(frozen=True)
class Period:
    """What a delivery is about: local days ``[first, last)``, one hour of a day, and the data date as a day number."""

    first: int
    last: int
    day: int
    hour: int = -1


@dataclass(frozen=True)
class Rows:
    """Who and when; the ledger's columns where there are such."""

    customer: Ints
    time: Ints
    ledger: Table | None = None


def table_of(world: World, feed: Feed, period: Period, folder: Path, scale: float = 1.0) -> pa.Table:
    """The records of one delivery, typed as stored (phones as digits).

    Args:
        folder: where the ledgers lie. scale: factor of drawn volume (not of registers and ledgers).
    """
    catalogue = world.plan.catalogue
    schema = catalogue.schemas[feed.schema_name]
    rng = stream(world.plan.seed, "feed", feed.code, period.day, period.hour)
    rows = rows_of(world, feed, schema, period, folder, rng, scale)
    maps = mappings(feed, schema)
    columns: dict[str, pa.Array] = {}
    frame = Frame(world, rng, rows.customer, rows.time, ledger=rows.ledger)
    for position, mapping in enumerate(maps):
        entity = mapping.conform.entity
        own = Frame(world, rng, rows.customer, rows.time, mapping.choices, rows.ledger)
        maker = TOLD.get(entity, MAKERS[entity]) if rows.ledger is not None else MAKERS[entity]
        if rows.ledger is None and entity in ("order", "complaint", "consent", "decision", "shift"):
            continue  # a second entity of a drawn record: its fields are filled
        if position and entity == "contact" and rows.ledger is not None and "reached" not in rows.ledger:
            maker = inbound
        _place(columns, schema, mapping, maker(own), rng)
        _place_time(columns, schema, mapping, rows)
    _place_subjects(columns, schema, maps, frame)
    _place_needs(columns, maps, frame)
    tag = f"{feed.unit_code}{date_of(period.day):%y%m%d}{max(period.hour, 0):02d}"
    context = Context(world, schema, rng, rows.customer, rows.time, dict(feed.holds), tag)
    if "ends_at" in schema.by_name and rows.ledger is not None and "shift" in rows.ledger:
        columns["ends_at"] = instants(rows.time + 8 * 3600)
    arrays = [
        _complete(field, columns.get(field.name), context, position) for position, field in enumerate(schema.fields)
    ]
    return pa.table(dict(zip([field.name for field in schema.fields], arrays, strict=True)))


def _complete(field: Field, column: pa.Array | None, context: Context, position: int) -> pa.Array:
    """The field's own column, made up where there is none or where a value must not be missing."""
    if column is None:
        return fill(field, context, position)
    if not field.nullable and column.null_count:
        return pc.coalesce(column, fill(field, context, position))
    return column


def rows_of(
    world: World, feed: Feed, schema: Schema, period: Period, folder: Path, rng: np.random.Generator, scale: float
) -> Rows:
    """Who and when of a delivery, by what its schema conforms to first."""
    entity = schema.conform[0].entity if schema.conform else ""
    places = held_places(world, feed, schema)
    if entity == "shift":
        following = (
            (period.last, period.last + _month_days(period.last))
            if feed.granularity == "monthly"
            else (period.first, period.last)
        )
        table = shift_rows(world, *following, places.get("centre", ()))
        return Rows(np.full(len(table["time"]), -1), table["time"], table)
    if ledger := ledger_of(feed, schema):
        table = _ledger_rows(world, feed, period, folder, ledger)
        return Rows(table["customer"].astype(np.int64), table["time"], table)
    if entity == "customer":
        who = profile_rows(world, period.first, period.last, feed.granularity == "monthly")
        return Rows(who, np.full(len(who), period.last * 86400 - 1))
    sums = {m.choices.get("period", ("",))[0] for m in mappings(feed, schema)}
    if entity == "bill" or (entity == "usage" and "month" in sums):
        who = np.flatnonzero((world["opened"] < period.last) & (world["closed"] >= period.first))
        return Rows(who, np.full(len(who), period.last * 86400 - 1))
    if entity == "usage" and "day" in sums:
        return _active_rows(world, feed, schema, period, places)
    return _drawn_rows(world, feed, schema, period, rng, scale, places)


def _month_days(day: int) -> int:
    first = date_of(day)
    return (first.replace(day=28).toordinal() + 4 - first.toordinal()) - (
        date_of(day + (first.replace(day=28).toordinal() + 4 - first.toordinal())).day - 1
    )


def _ledger_rows(world: World, feed: Feed, period: Period, folder: Path, ledger: str) -> Table:
    if ledger == "decision":
        table = _decisions(folder, period)
    else:
        whole = _ledger(str(folder / f"{ledger}.npz"))
        span = slice(*np.searchsorted(whole["time"], [period.first * 86400, period.last * 86400]))
        table = {name: column[span] for name, column in whole.items()}
    if period.hour >= 0:
        table = take(table, table["time"] % 86400 // 3600 == period.hour)
    return take(table, told_by(world, world.plan.catalogue, feed, table, ledger))


@lru_cache(maxsize=8)
def _ledger(path: str) -> Table:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _decisions(folder: Path, period: Period) -> Table:
    tables: list[Table] = []
    for day in range(period.first, period.last):
        path = folder / "decisions" / f"{day}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as stored:
                table = {name: stored[name] for name in stored.files}
            n = len(table["customer"])
            table["time"] = day * 86400 + 4 * 3600 + 1800 + np.arange(n) * 1200 // max(n, 1)
            tables.append(table)
    if not tables:
        names = ("customer", "product", "channel", "role", "score", "arcs", "time")
        empty: Table = {name: np.zeros(0, dtype=np.int64) for name in names}
        return empty | {"pscore": np.zeros(0), "digest": np.zeros(0, dtype=np.uint64)}
    return {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}


def appeal(world: World, entity: str, mapping: Mapping | None) -> Floats:
    """How often each customer makes records of this kind, relative to others."""
    base = world["value"] * 0.15
    if mapping is None:
        return np.exp(base)
    if entity == "visit":
        codes = [c.code for c in world.plan.channels]
        mine = [codes.index(v) for v in mapping.choices.get("channel", ()) if v in codes]
        liking = world["habit"][:, mine].max(axis=1) if mine else world["digital"]
        return np.exp(base + 0.8 * liking)
    if entity == "contact":
        return np.exp(base - 0.3 * world["digital"] + 0.4 * world["irritable"])
    if entity == "usage":
        return np.exp(base + 0.6 * world["intent"][:, {"voice": 0, "sms": 1, "mms": 1}.get(_only(mapping, "kind"), 2)])
    return np.exp(base)


def _only(mapping: Mapping, column: str) -> str:
    values = mapping.choices.get(column, ())
    return values[0] if len(values) == 1 else ""


def _weights(world: World, feed: Feed, schema: Schema, period: Period, places: dict[str, tuple[str, ...]]) -> Floats:
    maps = mappings(feed, schema)
    weight = appeal(world, maps[0].conform.entity if maps else "", maps[0] if maps else None).astype(float)
    alive = (world["opened"] < period.last) & (world["closed"] >= period.last)
    for kind, codes in places.items():
        geography = world.plan.geography
        known = [c.code for c in (geography.centres if kind == "centre" else geography.cities)]
        alive = alive & np.isin(world[kind], [known.index(code) for code in codes])
    return np.where(alive, weight, 0.0)


def _drawn_rows(
    world: World, feed: Feed, schema: Schema, period: Period, rng: np.random.Generator, scale: float,
    places: dict[str, tuple[str, ...]],
) -> Rows:  # fmt: skip
    weight = np.cumsum(_weights(world, feed, schema, period, places))
    total = weight[-1] if len(weight) else 0.0
    season = _season(period) * (1 + 0.08 * rng.normal())
    wanted = feed.rows_per_1000 * world.size / 1000 * max(season, 0.1) * scale
    n = int(rng.poisson(wanted)) if total > 0 else 0
    who = np.searchsorted(weight, rng.random(n) * total, side="right").clip(max=world.size - 1)
    day = period.first + rng.integers(0, max(period.last - period.first, 1), n)
    second = hours(rng, n, AWAKE) if period.hour < 0 else period.hour * 3600 + rng.integers(0, 3600, n)
    day = day - (rng.random(n) < LATE) if period.hour < 0 and period.last - period.first == 1 else day
    time = np.sort(day * 86400 + second, kind="stable")
    return Rows(
        who.astype(np.int64),
        np.maximum(time, (world["opened"][who].astype(np.int64) + 1) * 86400 - 1).clip(max=period.last * 86400 - 1),
    )


def _season(period: Period) -> float:
    """Weekday and hour of day as factors around 1 (months: 1)."""
    from synth.events import WEEK

    if period.last - period.first > 1:
        return 1.0
    day = float(WEEK[(period.first + 3) % 7])
    return day if period.hour < 0 else day * float(AWAKE[period.hour] / AWAKE.mean())


def _active_rows(world: World, feed: Feed, schema: Schema, period: Period, places: dict[str, tuple[str, ...]]) -> Rows:
    weight = _weights(world, feed, schema, period, places)
    wanted = feed.rows_per_1000 * world.size / 1000
    chance = 1 - np.exp(-weight * wanted / max(weight.sum(), 1e-9) * 1.3)
    who = np.flatnonzero(uniform(np.arange(world.size), world.plan.seed, feed.code, period.day) < chance)
    return Rows(who, np.full(len(who), period.last * 86400 - 1))


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


def to_field(schema: Schema, field: Field, source: Source, made: Column, rng: np.random.Generator) -> pa.Array | None:
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
    return _typed(field, source, made)


def _typed(field: Field, source: Source, made: Column) -> pa.Array | None:
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


def _place_time(columns: dict[str, pa.Array], schema: Schema, mapping: Mapping, rows: Rows) -> None:
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
            columns[mapping.event.field] = instants(changed_at(frame.world, frame.customer, frame.time // 86400))


def _place_needs(columns: dict[str, pa.Array], maps: tuple[Mapping, ...], frame: Frame) -> None:
    for mapping in maps[:1]:
        for name, values in mapping.needs.items():
            if name not in columns:
                columns[name] = pa.array(values).take(pa.array(frame.rng.integers(0, len(values), frame.size)))
