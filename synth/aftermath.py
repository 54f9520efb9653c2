"""What follows: cancellations of orders, complaints and faults with their steps, consents and opt-outs."""

from __future__ import annotations

import numpy as np

from synth.events import AWAKE, Table, hours, stack, take
from synth.keyed import Draws, stream, uniform
from synth.plan import Floats, Ints
from synth.world import World

ACTIONS = ("subscribe", "cancel", "renew", "change")
STEPS = ("open", "progress", "closed", "reopened")
KINDS = ("complaint", "fault")
SEVERITIES = (1, 2, 3, 4)
SEVERITY_SHARES = (0.4, 0.35, 0.2, 0.05)
CONSENTS = ("marketing", "personalisation", "profiling")
ALL_CHANNELS = -1
STRAYS = 0.003  # refusals and returns a customer and month without a reason that the operator knows


def cancellations(world: World, orders: Table) -> Table:
    """Orders with an ``action`` and their cancellations (within 28 days; the margin goes back)."""
    plan = world.plan
    n = len(orders["time"])
    number = np.arange(n)
    cancelled = time_cancellations(world, orders["time"], cancel_draws(world, n), orders["night"] >= 0)
    gone = np.flatnonzero(cancelled >= 0)
    back = take(orders, gone) | {"time": cancelled[gone]}
    back["margin"] = -back["margin"]
    tables = [
        orders | {"action": np.zeros(n, dtype=np.int64), "number": number},
        back | {"action": np.ones(len(gone), dtype=np.int64), "number": gone},
    ]
    both = stack(tables)
    return take(both, both["time"] < plan.end_day * 86400)


def cancel_draws(world: World, n: int, name: str = "cancel") -> tuple[Floats, Floats]:
    """Two uniform numbers for each of ``n`` orders by number: whether it is cancelled early, and when."""
    number = np.arange(n)
    return uniform(number, world.plan.luck, name), uniform(number, world.plan.luck, f"{name} when")


def time_cancellations(world: World, time: Ints, draws: tuple[Floats, Floats], pushed: np.ndarray) -> Ints:
    """When orders of ``time`` are cancelled within their first 28 days; −1 where they are not.

    Args:
        world: the province.
        time: local seconds of the orders.
        draws: of ``cancel_draws``.
        pushed: whether a contact led to each, or met it: such are cancelled more often.
    """
    r = world.plan.preset.response
    gone = draws[0] < np.where(pushed, r.cancel_pushed, r.cancel_organic)
    return np.where(gone, time + (3600 + draws[1] * 27 * 86400).astype(np.int64), -1)


def complaints(world: World, provoked: Table) -> Table:
    """Complaints and network faults, each step a row, those to come after the last data date among them."""
    plan = world.plan
    span = plan.end_day - plan.first_day
    rng = stream(plan.seed, "complaints")
    tables = draw_complaints(world, plan.first_day, span, rng)
    tables.append(
        {"customer": provoked["customer"], "time": provoked["time"], "kind": np.zeros(len(provoked["time"]), dtype=int)}
    )
    opened = stack(tables)
    opened = take(opened, world.is_living(opened["customer"], opened["time"] // 86400))
    n = len(opened["time"])
    order = np.lexsort((opened["customer"], opened["time"]))
    opened = take(opened, order) | {
        "ticket": np.arange(n),
        "severity": rng.choice(SEVERITIES, n, p=SEVERITY_SHARES),
    }
    return follow_tickets(world, opened, rng)


def draw_complaints(world: World, first: int, days: int, rng: np.random.Generator) -> list[Table]:
    """Complaints and network faults that nobody provoked, in ``days`` from ``first``: ``customer, time, kind``."""
    irritable = world["irritable"].astype(float)
    tables = []
    for kind, monthly in enumerate((0.006, 0.008)):
        rate = monthly * days / 30 * np.exp((0.8, 0.2)[kind] * irritable - (0.32, 0.02)[kind])
        who = np.repeat(np.arange(world.size), rng.poisson(rate))
        time = (first + rng.integers(0, days, size=len(who))) * 86400 + hours(rng, len(who), AWAKE)
        tables.append({"customer": who, "time": time, "kind": np.full(len(who), kind)})
    return tables


def follow_tickets(world: World, opened: Table, draws: Draws) -> Table:
    """The steps of tickets: opened, worked on, closed, some reopened; a row a step, whenever it comes.

    Args:
        world: the province.
        opened: ``customer, time, kind, ticket, severity`` of the openings.
        draws: of each ticket.
    """
    plan, n = world.plan, len(opened["time"])
    rows = [opened | {"step": np.zeros(n, dtype=int)}]
    again = opened["time"]
    for step, (chance, days) in enumerate(((0.7, 1.5), (0.93, 4.0), (0.04, 3.0)), start=1):
        again = again + 600 + (draws.exponential(days, n) * 86400).astype(np.int64)
        goes = draws.random(n) < chance
        rows.append(take(opened | {"time": again, "step": np.full(n, step)}, goes))
    table = stack(rows)
    table["satisfied"] = uniform(table["ticket"], plan.seed, "satisfied") < 0.7
    paid = uniform(table["ticket"], plan.seed, "paid")
    table["compensation"] = np.where((table["step"] == 2) & (paid < 0.15), np.floor(paid * 300) * 1_000_000, 0).astype(
        np.int64
    )
    return table


def consents(world: World, optouts: Table) -> Table:
    """What customers stated when they came, refusals after contacts, and a few that come back."""
    plan = world.plan
    rows = np.arange(world.size)
    start = np.maximum(world["opened"].astype(np.int64), plan.first_day)
    time = start * 86400 + (uniform(rows, plan.seed, "stated") * 8 * 3600).astype(np.int64) + 9 * 3600
    tables = [
        _consent(rows, time, kind, ALL_CHANNELS, granted)
        for kind, granted in enumerate((~world["opted_out"], world["consent_personal"], world["consent_profiling"]))
    ]
    tables.append(refuse(world, optouts))
    span = plan.end_day - plan.first_day
    rng = stream(plan.seed, "strays")
    tables.append(stray(world, plan.first_day + 1, span, int(world.size * STRAYS * span / 30), rng))
    table = stack(tables)
    inside = table["time"] < plan.end_day * 86400
    return take(table, inside & world.is_living(table["customer"], table["time"] // 86400))


def refuse(world: World, optouts: Table) -> Table:
    """Opt-outs as statements: of the channel that provoked them, or of all."""
    narrow = uniform(optouts["customer"], world.plan.seed, "narrow") < 0.4
    channel = np.where(narrow, optouts["channel"], ALL_CHANNELS)
    return _consent(optouts["customer"], optouts["time"], 0, channel, np.zeros(len(narrow), dtype=bool))


def stray(world: World, first: int, days: int, n: int, rng: np.random.Generator) -> Table:
    """``n`` refusals and returns (two to one) for no reason that the operator knows, in ``days`` from ``first``."""
    who = rng.integers(0, world.size, size=n)
    time = (first + rng.integers(0, days, size=n)) * 86400 + hours(rng, n, AWAKE)
    return _consent(who, time, 0, ALL_CHANNELS, rng.random(n) < 1 / 3)


def _consent(who: Ints, time: Ints, kind: int, channel: int | Ints, granted: np.ndarray) -> Table:
    n = len(who)
    return {
        "customer": who.astype(np.int64),
        "time": time.astype(np.int64),
        "kind": np.full(n, kind),
        "channel": np.broadcast_to(np.asarray(channel, dtype=np.int64), n).copy(),
        "granted": granted.astype(bool),
    }
