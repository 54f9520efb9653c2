"""Who and when the records of a delivery are about: registers, ledgers, or draws by who does such things."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from conf.dates import month_end
from conf.feed import Feed
from conf.schema import Schema
from synth.events import AWAKE, WEEK, Table, hours, take
from synth.keyed import uniform
from synth.plan import Floats, Ints, date_of, day_of
from synth.registers import profile_rows, shift_rows
from synth.routes import Mapping, ledger_of, mappings, narrow_places, select_rows
from synth.traits import EVENTS
from synth.world import World

LATE = 0.003  # share of a day's records that are about the day before


@dataclass(frozen=True)
class Period:
    """What a delivery is about: local days ``[first, last)``, one hour of a day, and the data date as a day number."""

    first: int
    last: int
    day: int
    hour: int = -1


@dataclass(frozen=True)
class EventRows:
    """Who and when; the ledger's columns where there are such."""

    customer: Ints
    time: Ints
    ledger: Table | None = None


def rows_of(
    world: World, feed: Feed, schema: Schema, period: Period, folder: Path, rng: np.random.Generator, scale: float
) -> EventRows:
    """Who and when of a delivery, by what its schema conforms to first."""
    entity = schema.conform[0].entity if schema.conform else ""
    places = narrow_places(world, feed, schema)
    if entity == "shift":
        span = (period.first, period.last)
        if feed.granularity == "monthly":  # the calendar of the month to come
            span = (period.last, day_of(month_end(date_of(period.last))) + 1)
        table = shift_rows(world, *span, places.get("centre", ()))
        return EventRows(np.full(len(table["time"]), -1), table["time"], table)
    if ledger := ledger_of(feed, schema):
        table = _ledger_rows(world, feed, period, folder, ledger)
        return EventRows(table["customer"].astype(np.int64), table["time"], table)
    if entity == "customer":
        who = profile_rows(world, period.first, period.last, feed.granularity == "monthly")
        return EventRows(who, np.full(len(who), period.last * 86400 - 1))
    sums = {m.choices.get("period", ("",))[0] for m in mappings(feed, schema)}
    if entity == "bill" or (entity == "usage" and "month" in sums):
        who = np.flatnonzero((world["opened"] < period.last) & (world["closed"] >= period.first))
        return EventRows(who, np.full(len(who), period.last * 86400 - 1))
    if entity == "usage" and "day" in sums:
        return _draw_customers(world, feed, schema, period, places)
    return _draw_rows(world, feed, schema, period, rng, scale, places)


def _ledger_rows(world: World, feed: Feed, period: Period, folder: Path, ledger: str) -> Table:
    if ledger == "decision":
        table = _decisions(folder, period)
    else:
        entries = _ledger(str(folder / f"{ledger}.npz"))
        span = slice(*np.searchsorted(entries["time"], [period.first * 86400, period.last * 86400]))
        table = {name: column[span] for name, column in entries.items()}
    if period.hour >= 0:
        table = take(table, table["time"] % 86400 // 3600 == period.hour)
    return take(table, select_rows(world, world.plan.catalogue, feed, table, ledger))


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


def appeal(world: World, entity: str, mapping: Mapping | None, period: Period) -> Floats:
    """How often each customer makes records of this kind, relative to others."""
    base = world["value"] * 0.15
    if mapping is None:
        return np.exp(base)
    if entity == "visit":
        codes = [c.code for c in world.plan.channels]
        channels = [codes.index(v) for v in mapping.choices.get("channel", ()) if v in codes]
        liking = world["habit"][:, channels].max(axis=1) if channels else world["digital"]
        return np.exp(base + 0.8 * liking)
    if entity == "contact":
        return np.exp(base - 0.3 * world["digital"] + 0.4 * world["irritable"])
    if entity == "life":
        reported = np.array([name in mapping.choices.get("kind", tuple(EVENTS)) for name in EVENTS])
        days = world["event_day"]
        return np.exp(base) * (0.2 + 15.0 * ((days >= period.first) & (days < period.last) & reported).any(axis=1))
    if entity == "usage":
        return np.exp(base + 0.6 * world["intent"][:, {"voice": 0, "sms": 1, "mms": 1}.get(_only(mapping, "kind"), 2)])
    return np.exp(base)


def _only(mapping: Mapping, column: str) -> str:
    values = mapping.choices.get(column, ())
    return values[0] if len(values) == 1 else ""


def _weights(world: World, feed: Feed, schema: Schema, period: Period, places: dict[str, tuple[str, ...]]) -> Floats:
    maps = mappings(feed, schema)
    weight = appeal(world, maps[0].conform.entity if maps else "", maps[0] if maps else None, period).astype(float)
    alive = (world["opened"] < period.last) & (world["closed"] >= period.last)
    for kind, codes in places.items():
        geography = world.plan.geography
        known = [c.code for c in (geography.centres if kind == "centre" else geography.cities)]
        alive = alive & np.isin(world[kind], [known.index(code) for code in codes])
    return np.where(alive, weight, 0.0)


def _draw_rows(
    world: World,
    feed: Feed,
    schema: Schema,
    period: Period,
    rng: np.random.Generator,
    scale: float,
    places: dict[str, tuple[str, ...]],
) -> EventRows:
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
    joined = (world["opened"][who].astype(np.int64) + 1) * 86400 - 1  # nobody acts before the day he comes
    return EventRows(who.astype(np.int64), np.maximum(time, joined).clip(max=period.last * 86400 - 1))


def _season(period: Period) -> float:
    """Weekday and hour of day as factors around 1 (months: 1)."""
    if period.last - period.first > 1:
        return 1.0
    day = float(WEEK[(period.first + 3) % 7])
    return day if period.hour < 0 else day * float(AWAKE[period.hour] / AWAKE.mean())


def _draw_customers(
    world: World, feed: Feed, schema: Schema, period: Period, places: dict[str, tuple[str, ...]]
) -> EventRows:
    weight = _weights(world, feed, schema, period, places)
    wanted = feed.rows_per_1000 * world.size / 1000
    chance = 1 - np.exp(-weight * wanted / max(weight.sum(), 1e-9) * 1.3)
    who = np.flatnonzero(uniform(np.arange(world.size), world.plan.seed, feed.code, period.day) < chance)
    return EventRows(who, np.full(len(who), period.last * 86400 - 1))
