"""A night's contacts and what they cause: answers, refusals, what they take from orders that come anyway, feelings.

The past policy's nights and the answers to our own plans go through here alike. What differs is where luck comes
from (``Luck``): one stream in the order of the night's contacts, or draws of each customer's own, which do not
change with who else is contacted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from conf.money import MICRO
from synth.demand import NONE, key_of, orders_of
from synth.events import OFFICE, Table, hours, stack, take
from synth.keyed import Draws
from synth.plan import Floats, Ints
from synth.response import find_discount_base, lift, organic
from synth.world import World

#: How a contact touches an order that would have come anyway: within 30 days, and later what a customer then has.
DISCOUNTED, LOST, REPLACED, DISPLACED, FORESTALLED = 0, 1, 2, 3, 4
TOUCH_DAYS = 30


@dataclass(frozen=True)
class Luck:
    """Where a night's draws come from.

    Attributes:
        of: draws of some customers (positions), row by row.
        rivals: a uniform number for each of these orders (positions in the table of organic orders).
    """

    of: Callable[[Ints], Draws]
    rivals: Callable[[Ints], Floats]


@dataclass(frozen=True)
class Organic:
    """Orders that come of their own accord, sorted by customer, product, time; contacts change them in place.

    ``keys`` is one number for customer and product, ascending.
    """

    orders: Table
    keys: Ints


def organic_of(world: World, orders: Table) -> Organic:
    """Orders with their keys."""
    return Organic(orders, key_of(world, orders))


def contact(
    world: World,
    day: int,
    who: Ints,
    product: Ints,
    channel: Ints,
    fatigue: np.ndarray,
    coming: Organic,
    luck: Luck,
    has: np.ndarray | None = None,
) -> tuple[Table, Table, Table]:
    """Contact customers on a day; orders in ``coming`` are discounted, lost, replaced or displaced (in place).

    Args:
        world: the province.
        day: of the contacts.
        who: positions of customers, ascending, each once.
        product: position of what is offered to each.
        channel: position of the channel of each.
        fatigue: fading count of each one's contacts before (n).
        coming: what would come anyway.
        luck: where draws come from.
        has: whether each has the product already, and is not moved by its offer (None: nobody).

    Returns:
        contacts (a row one of ``who``); the orders they cause (``contact`` is their row of the first); touches (a row
        an order touched: ``order`` position in ``coming``, ``contact``, ``kind``, ``discount`` in micro-元), in order.
    """
    plan, r = world.plan, world.plan.preset.response
    draws, n = luck.of(who), len(who)
    reached = draws.random(n) < world["reach"][who, channel]
    p0 = organic(world, who, np.arange(len(plan.products)), world.is_boosted(who, day))[np.arange(n), product]
    delta = lift(world, who, product, channel, p0, reached=reached.astype(float))
    delta *= r.fatigue ** np.minimum(fatigue, 5.0)
    if has is not None:
        delta = np.where(has, 0.0, delta)
    chance = draws.random(n)
    converted = chance < delta
    seconds = np.array([h.seconds for h in plan.habits])[channel]
    contacts: Table = {
        "customer": who,
        "time": day * 86400 + hours(draws, n, OFFICE),
        "channel": channel,
        "product": product,
        "night": np.full(n, day),
        "reached": reached,
        "converted": converted,
        "refused": reached & ~converted & (draws.random(n) < 0.25 / (1 + np.exp(world["persuade"][who]))),
        "seconds": np.where(reached, (seconds * draws.gamma(3, 1 / 3, n)).astype(np.int64), 0),
    }
    discount = (r.discount * find_discount_base(world) * MICRO).astype(np.int64)
    loss = np.where(p0 > 0, -delta / np.maximum(p0, 1e-12), 0)
    touches = _touch(world, day, contacts, chance < loss, discount, coming, luck)
    win = np.flatnonzero(converted)
    draws = luck.of(who[win])
    late = np.minimum(draws.exponential(1.2, size=len(win)), 6.4)
    own = np.array([plan.channels[c].direction == "outbound" and plan.habits[c].seconds >= 100 for c in channel[win]])
    answers = orders_of(world, who[win], product[win], np.full(len(win), day), draws)
    answers["time"] = contacts["time"][win] + (late * 86400).astype(np.int64) + 60
    answers["channel"] = np.where(own, channel[win], answers["channel"])
    answers["margin"] = answers["margin"] - discount[product[win]]
    answers["night"] = np.full(len(win), day)
    answers["contact"] = win
    return contacts, answers, touches


def _touch(
    world: World, day: int, contacts: Table, repelled: np.ndarray, discount: Ints, coming: Organic, luck: Luck
) -> Table:
    """What contacts do to orders that would have come anyway within 30 days (in place), a row an order and kind."""
    plan, orders, keys = world.plan, coming.orders, coming.keys
    p_count, until = len(plan.products), (day + TOUCH_DAYS) * 86400
    touches: list[Table] = []

    def note(kind: int, order: Ints, contact: Ints) -> None:
        size = np.full(len(order), kind)
        given = discount[orders["product"][order]] if kind == DISCOUNTED else np.zeros(len(order), dtype=np.int64)
        touches.append({"order": order, "contact": contact, "kind": size, "discount": given})

    if not len(keys):
        nothing = np.zeros(0, dtype=np.int64)
        note(LOST, nothing, nothing)
        return stack(touches)
    wanted = contacts["customer"] * p_count + contacts["product"]
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    same = keys[at] == wanted
    same &= (orders["time"][at] >= contacts["time"]) & (orders["time"][at] < until) & (orders["night"][at] == NONE)
    hit = np.flatnonzero(same & contacts["reached"])
    orders["margin"][at[hit]] -= discount[orders["product"][at[hit]]]
    orders["night"][at[hit]] = day
    note(DISCOUNTED, at[hit], hit)
    for kind, gone in ((LOST, same & repelled), (REPLACED, same & contacts["converted"])):
        row = np.flatnonzero(gone)  # replaced: the contact came first, its order is this one
        orders["alive"][at[row]] = False
        note(kind, at[row], row)
    for k in np.flatnonzero(contacts["converted"]):
        start, stop = np.searchsorted(
            keys, [contacts["customer"][k] * p_count, (contacts["customer"][k] + 1) * p_count]
        )
        theirs = np.arange(start, stop)
        rival = (plan.need_of[orders["product"][theirs]] == plan.need_of[contacts["product"][k]]) & (
            orders["time"][theirs] >= contacts["time"][k]
        )
        rival &= (orders["time"][theirs] < until) & (luck.rivals(theirs) < plan.preset.response.cannibalisation)
        orders["alive"][theirs[rival]] = False
        note(DISPLACED, theirs[rival], np.full(int(rival.sum()), k))
    return stack(touches)


def provoke(world: World, contacts: Table, luck: Luck) -> tuple[Table, Table]:
    """Opt-outs and complaints that a night's contacts provoke: the contacts' columns, ``time`` and ``contact``."""
    r = world.plan.preset.response
    draws = luck.of(contacts["customer"])
    irritable = world["irritable"][contacts["customer"]].astype(float)
    factor = np.exp(0.9 * irritable - 0.405) * np.where(contacts["reached"], 1.0, 0.2)
    tables = []
    for hazard in (r.opt_out, r.complaint):
        hit = np.flatnonzero(draws.random(len(irritable)) < hazard * factor)
        chosen = take(contacts, hit) | {"contact": hit}
        wait = luck.of(contacts["customer"][hit]).integers(60, 3 * 86400, size=len(hit))
        chosen["time"] = chosen["time"] + wait
        tables.append(chosen)
    return tables[0], tables[1]
