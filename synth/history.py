"""What happened: orders of their own accord, the nights of the past policy, and what came of each contact.

The result is a set of ledgers (arrays, a row an event) that feeds of the same entity share, so that a decision, its
contact, the order that answers it and a later cancellation agree wherever they are told.
Cost: nights × customers for the decisions, all else grows with the number of events.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from conf.money import MICRO
from synth.aftermath import cancellations, complaints, consents
from synth.demand import NONE, background, key_of, orders_of, organic_orders
from synth.events import OFFICE, Table, hours, sort_by, stack, take
from synth.keyed import stream
from synth.plan import Ints
from synth.policy import PolicyNight, best_arcs, decide
from synth.response import find_discount_base, lift, organic
from synth.world import World


def make_history(world: World, folder: Path) -> dict[str, int]:
    """Simulate, write ``decisions/<day>.npz`` a night and ``<ledger>.npz`` for orders, contacts, complaints, consents.

    Returns:
        rows of each ledger.
    """
    (folder / "decisions").mkdir(parents=True, exist_ok=True)
    orders = organic_orders(world)
    contacts, answers, optouts, protests, decided = _nights(world, orders, folder / "decisions")
    plan = world.plan
    orders = stack([take(orders, orders["alive"]), answers])
    orders = sort_by(orders, "time", "customer")
    ledgers = {
        "order": cancellations(world, orders),
        "contact": stack([part for part in (contacts, background(world)) if part]),
        "consent": consents(world, optouts),
        "complaint": complaints(world, protests),
    }
    for name, table in ledgers.items():
        arrays: dict[str, Any] = dict(sort_by(table, "time", "customer"))
        np.savez(folder / f"{name}.npz", **arrays)
    counts = {name: len(table["time"]) for name, table in ledgers.items()}
    return counts | {"decision": decided, "nights": len(plan.night_days)}


def _nights(world: World, orders: Table, folder: Path) -> tuple[Table, Table, Table, Table, int]:
    plan = world.plan
    top, scores = best_arcs(world)
    keys = key_of(world, orders)  # ascending: orders are sorted by customer, product, time
    closed = np.full(world.size, np.iinfo(np.int64).max)  # the day of an opt-out
    next_free = np.zeros(world.size, dtype=np.int64)
    fatigue = np.zeros(world.size, dtype=np.float32)
    pushed = np.zeros((world.size, len(plan.products)), dtype=bool)
    contacts: list[Table] = []
    answers: list[Table] = []
    optouts: list[Table] = []
    protests: list[Table] = []
    decided = 0
    may_ask = ~world["opted_out"] & ~world["minor"] & world["consent_profiling"] & ~world["suspended"]
    for day in plan.night_days:
        living = world.is_living(np.arange(world.size), day)
        owned = pushed.copy()
        had = orders["alive"] & (orders["time"] < day * 86400)
        owned[orders["customer"][had], orders["product"][had]] = True
        night = decide(world, day, top, scores, owned, living & may_ask & (next_free <= day) & (closed > day))
        _save_night(folder / f"{day}.npz", night, living)
        decided += int(living.sum())
        fatigue *= np.float32(np.exp(-1 / 10))
        contact, answer = _contact(world, day, night, orders, keys, fatigue)
        who = contact["customer"]
        pushed[answer["customer"], answer["product"]] = True
        next_free[who] = day + 1 + plan.preset.policy.block_days
        fatigue[who] += 1
        left, angry = _feelings(world, day, contact)
        closed[left["customer"]] = np.minimum(closed[left["customer"]], left["time"] // 86400)
        for pile, table in ((contacts, contact), (answers, answer), (optouts, left), (protests, angry)):
            pile.append(table)
    if not contacts:
        nothing = np.zeros(0, dtype=np.int64)
        empty = dict.fromkeys(("customer", "time", "channel", "product", "night", "seconds"), nothing)
        empty |= {"reached": nothing.astype(bool), "refused": nothing.astype(bool), "converted": nothing.astype(bool)}
        return empty, take(orders, np.zeros(0, dtype=int)), empty, empty, 0
    return stack(contacts), stack(answers), stack(optouts), stack(protests), decided


def _save_night(path: Path, night: PolicyNight, living: np.ndarray) -> None:
    rows = np.flatnonzero(living)
    np.savez(
        path,
        customer=rows.astype(np.int32),
        product=night.product[rows],
        channel=night.channel[rows],
        role=night.role[rows],
        pscore=night.pscore[rows],
        score=night.score[rows],
        digest=night.digest[rows],
        arcs=night.arcs[rows],
    )


def _contact(
    world: World, day: int, night: PolicyNight, orders: Table, keys: Ints, fatigue: np.ndarray
) -> tuple[Table, Table]:
    """The night's contacts, and the orders that they cause; organic orders are discounted, lost or displaced."""
    plan, r = world.plan, world.plan.preset.response
    rng = stream(plan.seed, "contact", day)
    who = np.flatnonzero(night.product >= 0)
    product, channel = night.product[who].astype(np.int64), night.channel[who].astype(np.int64)
    reached = rng.random(len(who)) < world["reach"][who, channel]
    p0 = organic(world, who, np.arange(len(plan.products)), world.is_boosted(who, day))[np.arange(len(who)), product]
    delta = lift(world, who, product, channel, p0, reached=reached.astype(float))
    delta *= r.fatigue ** np.minimum(fatigue[who], 5.0)
    luck = rng.random(len(who))
    converted = luck < delta
    seconds = np.array([h.seconds for h in plan.habits])[channel]
    contact: Table = {
        "customer": who,
        "time": day * 86400 + hours(rng, len(who), OFFICE),
        "channel": channel,
        "product": product,
        "night": np.full(len(who), day),
        "reached": reached,
        "converted": converted,
        "refused": reached & ~converted & (rng.random(len(who)) < 0.25 / (1 + np.exp(world["persuade"][who]))),
        "seconds": np.where(reached, (seconds * rng.gamma(3, 1 / 3, len(who))).astype(np.int64), 0),
    }
    _touch_organic(world, day, contact, np.where(p0 > 0, -delta / np.maximum(p0, 1e-12), 0), luck, orders, keys)
    win = np.flatnonzero(converted)
    late = np.minimum(rng.exponential(1.2, size=len(win)), 6.4)
    own = np.array([plan.channels[c].direction == "outbound" and plan.habits[c].seconds >= 100 for c in channel[win]])
    answer = orders_of(world, who[win], product[win], np.full(len(win), day), rng)
    answer["time"] = contact["time"][win] + (late * 86400).astype(np.int64) + 60
    answer["channel"] = np.where(own, channel[win], answer["channel"])
    discount = (r.discount * find_discount_base(world) * MICRO).astype(np.int64)
    answer["margin"] = answer["margin"] - discount[product[win]]
    answer["night"] = np.full(len(win), day)
    return contact, take(answer, answer["time"] < plan.end_day * 86400)


def _touch_organic(
    world: World, day: int, contact: Table, loss: np.ndarray, luck: np.ndarray, orders: Table, keys: Ints
) -> None:
    """What contacts do to orders that would have come anyway within 30 days (in place)."""
    plan, r = world.plan, world.plan.preset.response
    p_count = len(plan.products)
    until = (day + 30) * 86400
    discount = (r.discount * find_discount_base(world) * MICRO).astype(np.int64)
    at = np.searchsorted(keys, contact["customer"] * p_count + contact["product"])
    inside = at < len(keys)
    at = np.minimum(at, max(len(keys) - 1, 0))
    if not len(keys):
        return
    same = inside & (keys[at] == contact["customer"] * p_count + contact["product"])
    same &= (orders["time"][at] >= contact["time"]) & (orders["time"][at] < until) & (orders["night"][at] == NONE)
    hit = at[same & contact["reached"]]
    orders["margin"][hit] -= discount[orders["product"][hit]]
    orders["night"][hit] = day
    orders["alive"][at[same & (luck < loss)]] = False
    orders["alive"][at[same & contact["converted"]]] = False  # the contact came first: it is this order
    rng = stream(plan.seed, "displace", day)
    for k in np.flatnonzero(contact["converted"]):
        start, stop = np.searchsorted(keys, [contact["customer"][k] * p_count, (contact["customer"][k] + 1) * p_count])
        theirs = np.arange(start, stop)
        rival = (plan.need_of[orders["product"][theirs]] == plan.need_of[contact["product"][k]]) & (
            orders["time"][theirs] >= contact["time"][k]
        )
        rival &= (orders["time"][theirs] < until) & (rng.random(len(theirs)) < r.cannibalisation)
        orders["alive"][theirs[rival]] = False


def _feelings(world: World, day: int, contact: Table) -> tuple[Table, Table]:
    """Opt-outs and complaints that the night's contacts provoke."""
    plan, r = world.plan, world.plan.preset.response
    rng = stream(plan.seed, "feelings", day)
    irritable = world["irritable"][contact["customer"]].astype(float)
    factor = np.exp(0.9 * irritable - 0.405) * np.where(contact["reached"], 1.0, 0.2)
    tables = []
    for hazard in (r.opt_out, r.complaint):
        hit = np.flatnonzero(rng.random(len(irritable)) < hazard * factor)
        chosen = take(contact, hit)
        chosen["time"] = chosen["time"] + rng.integers(60, 3 * 86400, size=len(hit))
        tables.append(chosen)
    return tables[0], tables[1]
