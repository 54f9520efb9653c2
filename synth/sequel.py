"""Life after the province's own files: what customers do, and what the contacts of our own plans cause, day by day.

Luck is each customer's own and each day's own: who is contacted changes nothing for anybody else, and a day that has
been lived stays as it was when later days are added. The twin world without contacts is kept beside, as for the past.
Cost: days × customers for draws, all else by the number of events.
Memory: the world's columns and the coming month's orders.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from synth.aftermath import (
    SEVERITIES,
    SEVERITY_SHARES,
    STRAYS,
    complaints,
    draw_complaints,
    follow_tickets,
    refuse,
    stray,
)
from synth.contacts import FORESTALLED, TOUCH_DAYS, Luck, Organic, contact, organic_of, provoke
from synth.demand import NONE, draw_boosted, draw_steady, key_of
from synth.events import Table, first_of, sort_by, stack, take
from synth.history import Course
from synth.keyed import KeyedDraws, hash64, stream, uniform
from synth.plan import BLOCK, Floats, Ints
from synth.response import organic
from synth.twin import NEVER, orders_of_both
from synth.world import World

#: Orders and tickets of later days are numbered by day, so that a later day moves no number.
FIRST_ORDER, ORDERS_A_DAY = 10**9, 10**7
FIRST_TICKET, TICKETS_A_DAY = 10**8, 10**6
CHUNK = 30  # days of organic demand drawn at once
LAPSE_MONTHS = 12  # months of a holding that the truth knows
#: Contacts by a message are answered by a message: this share of those who take or refuse does.
REPLY_SHARE = 0.7


@dataclass(frozen=True)
class PublishedPlan:
    """The contacts of a published plan, customers ascending, each once.

    Attributes:
        day: its decision date.
        run_id: its run.
        decision: ids of its decisions (text).
        customer: positions in the province; product, channel: positions.
    """

    day: int
    run_id: str
    decision: np.ndarray
    customer: Ints
    product: Ints
    channel: Ints


@dataclass(frozen=True)
class Sequel:
    """What came after the province's own files.

    Attributes:
        course: the contacts of our plans and what they met.
        decision: the decision of each contact.
        both: orders of this world and its twin (``synth.twin``), ``lapsed`` and ``twin_lapsed`` (local second a
            holding ends after its first month, −1 where it lasts the year).
        ledgers: ``order``, ``contact``, ``complaint``, ``consent``, ``reply`` of the later days, ascending by time.
    """

    course: Course
    decision: np.ndarray
    both: Table
    ledgers: Mapping[str, Table]


@dataclass
class _State:
    """What a day starts from."""

    fatigue: np.ndarray
    has: set[int] = field(default_factory=set)  # keys of customer and product


def live_on(world: World, past: Course, plans: Sequence[PublishedPlan], until: int) -> Sequel:
    """Live through the days from the decision date up to ``until`` (exclusive).

    Args:
        world: the province.
        past: what happened before.
        plans: one a day at most, of days in ``[world.plan.end_day, until)``.
        until: the first day that is not lived.
    """
    plan = world.plan
    last = max([until, *(p.day + 1 for p in plans)]) + TOUCH_DAYS + 1
    coming = organic_of(world, coming_orders(world, past, last))
    has = past.orders()
    lasting = lasting_products(world)
    state = _State(_fatigue(past, world.size, plan.end_day), set(key_of(world, take(has, lasting[has["product"]]))))
    piles: dict[str, list[Table]] = {name: [] for name in ("contacts", "answers", "optouts", "protests", "touches")}
    decisions: list[np.ndarray] = []
    by_day = {p.day: p for p in plans}
    before = 0
    for day in range(plan.end_day, until):
        state.fatigue *= np.exp(-1 / 10)
        if day not in by_day:
            continue
        for name, table in _answer(world, by_day[day], coming, state, lasting).items():
            piles[name].append(table | ({} if name == "contacts" else {"contact": table["contact"] + before}))
        decisions.append(by_day[day].decision)
        before += len(by_day[day].customer)
    course = (
        Course(coming, **{name: stack(pile) for name, pile in piles.items()}, decided=before)
        if decisions
        else Course.uneventful(coming)
    )
    decision = np.concatenate(decisions) if decisions else np.zeros(0, dtype="U1")
    both = _both(world, course)
    ledgers = {
        "order": _orders(world, past, both, decision),
        "contact": course.contacts | {"decision": decision, "night": np.full(len(decision), NONE)},
        "complaint": _complaints(world, past, course, until),
        "consent": _consents(world, course, until),
        "reply": _replies(world, course, decision),
    }
    for name, table in ledgers.items():
        lived = (table["time"] >= plan.end_day * 86400) & (table["time"] < until * 86400)
        ledgers[name] = sort_by(take(table, lived), "time", "customer")
    return Sequel(course, decision, both, ledgers)


def lasting_products(world: World) -> np.ndarray:
    """Whether each product is one that a customer has from then on, and so takes once."""
    return np.array([p.term_months > 0 for p in world.plan.products])


def coming_orders(world: World, past: Course, last: int) -> Table:
    """Orders that come of their own accord from the decision date up to day ``last``, by customer, product, time."""
    plan = world.plan
    products = np.arange(len(plan.products))
    tables: list[Table] = []
    for block in world.blocks():
        number, p0 = int(block[0]) // BLOCK, organic(world, block, products)
        for chunk in range((last - plan.end_day + CHUNK - 1) // CHUNK):
            rng = stream(plan.luck, "organic later", chunk, number)
            tables.append(draw_steady(world, block, p0, plan.end_day + chunk * CHUNK, CHUNK, rng))
        tables.extend(draw_boosted(world, block, p0, stream(plan.luck, "organic events later", number)))
    orders = sort_by(stack(tables), "time", "customer", "product")
    day, product = orders["time"] // 86400, orders["product"]
    on_sale = (plan.launch_day[product] <= day) & (plan.last_day[product] > day)
    alive = world.is_living(orders["customer"], day) & (day >= plan.end_day) & (day < last)
    orders = take(orders, on_sale & alive)
    keys, repeats = key_of(world, orders), ~lasting_products(world)[orders["product"]]
    had = np.concatenate([past.coming.keys, key_of(world, past.answers)])
    orders = take(orders, repeats | (first_of(keys) & ~np.isin(keys, had)))
    return sort_by(orders, "customer", "product", "time")


def _answer(
    world: World, published: PublishedPlan, coming: Organic, state: _State, lasting: np.ndarray
) -> dict[str, Table]:
    """A day's contacts and what they cause."""
    plan, day, who = world.plan, published.day, published.customer
    orders, p_count = coming.orders, len(plan.products)
    calls, identity = itertools.count(), identify(world, orders)
    luck = Luck(
        lambda rows: KeyedDraws(rows, plan.luck, "answers", day, calls=calls),
        lambda rows: uniform(identity[rows], plan.luck, "displace", day),
    )
    wanted = who * p_count + published.product
    ordered = orders["alive"] & (orders["time"] < day * 86400) & lasting[orders["product"]]
    has = np.isin(wanted, list(state.has)) | np.isin(wanted, coming.keys[ordered])
    contacts, answers, touches = contact(
        world, day, who, published.product, published.channel, state.fatigue[who], coming, luck, has
    )
    left, angry = provoke(world, contacts, luck)
    state.fatigue[who] += 1
    taken = take(answers, lasting[answers["product"]])
    state.has |= set(key_of(world, taken).tolist())
    touches = stack([touches, _forestall(world, coming, taken)])
    return {"contacts": contacts, "answers": answers, "optouts": left, "protests": angry, "touches": touches}


def _forestall(world: World, coming: Organic, taken: Table) -> Table:
    """Later orders of what customers took: they have it by then (in place)."""
    keys = key_of(world, taken)
    start, stop = (np.searchsorted(coming.keys, keys, side=side) for side in ("left", "right"))
    pairs = [(order, k) for k in range(len(keys)) for order in range(start[k], stop[k])]
    order, row = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    later = coming.orders["alive"][order] & (coming.orders["time"][order] >= taken["time"][row])
    order, row = order[later], row[later]
    coming.orders["alive"][order] = False
    nothing = np.zeros(len(order), dtype=np.int64)
    return {
        "order": order,
        "contact": taken["contact"][row],
        "kind": np.full(len(order), FORESTALLED),
        "discount": nothing,
    }


def identify(world: World, orders: Table) -> Ints:
    """A number of each order's own that hangs on customer, product and time alone."""
    return (hash64(key_of(world, orders), 0, "order") >> np.uint64(2)).astype(np.int64) ^ orders["time"]


def _both(world: World, course: Course) -> Table:
    """Orders of both worlds, cancellations and lapses drawn by each order's own identity."""
    plan, r = world.plan, world.plan.preset.response
    tables = (course.coming.orders, course.answers)
    identity = identify(world, stack([{name: t[name] for name in ("customer", "product", "time")} for t in tables]))
    draws = (uniform(identity, plan.luck, "cancel later"), uniform(identity, plan.luck, "cancel later when"))
    both = orders_of_both(world, course, draws)
    luck = uniform(identity, plan.luck, "lapse"), uniform(identity, plan.luck, "lapse when")
    lasts = lasting_products(world)[both["product"]]
    led = both["contact"] != NEVER
    for prefix, present, pushed in (("", both["here"], led), ("twin_", both["twin"], np.zeros_like(led))):
        lapsed = time_lapses(both["time"], luck, np.where(pushed, r.lapse_pushed, r.lapse_organic))
        holds = present & lasts & (both[f"{prefix}cancelled"] == NEVER)
        both[f"{prefix}lapsed"] = np.where(holds, lapsed, NEVER)
    return both


def time_lapses(start: Ints, draws: tuple[Floats, Floats], monthly: Floats) -> Ints:
    """When holdings end: some day of the second to twelfth month from ``start``; −1 where they last the year.

    Args:
        start: local seconds from which months of 30 days count.
        draws: two uniform numbers of each: the month, and the day in it.
        monthly: chance of each to end in a month, given that it has not before (geometric).
    """
    survival = np.log(np.maximum(draws[0], 1e-300))
    month = np.where(monthly > 0, survival / np.minimum(np.log1p(-np.minimum(monthly, 0.999)), -1e-12), np.inf)
    ends = month < LAPSE_MONTHS - 1
    full = np.where(ends, np.floor(month), 0).astype(np.int64)
    return np.where(ends, start + ((full + 1) * 30 + (draws[1] * 30)).astype(np.int64) * 86400, NEVER)


def _orders(world: World, past: Course, both: Table, decision: np.ndarray) -> Table:
    """The ledger of orders: those placed, and every end of one, of the past's orders too."""
    here = both["here"]
    led = both["contact"][here]
    names = np.where(led >= 0, decision[np.maximum(led, 0)], "") if len(decision) else np.full(len(led), "")
    orders = take(both, here) | {"decision": names}
    order = np.lexsort((orders["product"], orders["customer"], orders["time"]))
    orders = take(orders, order)
    day = orders["time"] // 86400 - world.plan.end_day
    rank = np.arange(len(day)) - np.searchsorted(day, day, side="left")
    orders["number"] = FIRST_ORDER + day * ORDERS_A_DAY + rank
    return stack(
        [_entries(part, action) for part, action in (*_events(orders), *_events(_past_orders(world, past))[1:])]
    )


def _events(orders: Table) -> tuple[tuple[Table, int], ...]:
    """Orders as placed (action 0), early cancellations (1: the margin goes back), lapses (1: it was earned)."""
    early, late = orders["cancelled"] != NEVER, orders["lapsed"] != NEVER
    blank = {"decision": np.full(len(early), "", dtype="U1")}
    cancelled = orders | blank | {"time": orders["cancelled"], "margin": -orders["margin"]}
    lapsed = orders | blank | {"time": orders["lapsed"], "margin": np.zeros_like(orders["margin"])}
    return (orders, 0), (take(cancelled, early), 1), (take(lapsed, late), 1)


def _entries(orders: Table, action: int) -> Table:
    """Rows of the ledger."""
    columns = ("customer", "product", "channel", "time", "margin", "number", "decision")
    n = len(orders["time"])
    fixed = {"action": np.full(n, action), "night": np.full(n, NONE)}
    return {name: orders[name] for name in columns} | fixed


def _past_orders(world: World, past: Course) -> Table:
    """Orders of the past, with what becomes of them after the decision date."""
    plan, r = world.plan, world.plan.preset.response
    both = orders_of_both(world, past)
    ledger = past.orders()["origin"]
    orders = take(both, ledger) | {"number": np.arange(len(ledger))}
    holds = (orders["cancelled"] == NEVER) & lasting_products(world)[orders["product"]]
    luck = uniform(orders["number"], plan.luck, "lapse"), uniform(orders["number"], plan.luck, "lapse when")
    monthly = np.where(orders["contact"] != NEVER, r.lapse_pushed, r.lapse_organic)
    # what is still held on the decision date counts its months from a month before
    start = np.maximum(orders["time"], (plan.end_day - 30) * 86400)
    orders["lapsed"] = np.where(holds, time_lapses(start, luck, monthly), NEVER)
    return orders | {"decision": np.full(len(ledger), "", dtype="U1")}


def _complaints(world: World, past: Course, course: Course, until: int) -> Table:
    """Steps of the past's tickets, and tickets of the later days."""
    plan = world.plan
    old = complaints(world, past.protests)
    tables = [take(old, old["time"] >= plan.end_day * 86400)]
    protests = {name: course.protests[name] for name in ("customer", "time")}
    protests["kind"] = np.zeros(len(protests["time"]), dtype=np.int64)
    for day in range(plan.end_day, until):
        rng = stream(plan.luck, "complaints", day)
        today = take(protests, protests["time"] // 86400 == day)
        opened = stack([*draw_complaints(world, day, 1, rng), today])
        opened = take(opened, world.is_living(opened["customer"], day))
        n = len(opened["time"])
        # who complains of a contact comes last, so that no other ticket is drawn anew
        opened["ticket"] = FIRST_TICKET + (day - plan.end_day) * TICKETS_A_DAY + np.arange(n)
        draws = KeyedDraws(opened["ticket"], plan.luck, "ticket")
        edges = np.cumsum(SEVERITY_SHARES)
        opened["severity"] = np.array(SEVERITIES)[np.searchsorted(edges, draws.random(n), side="right").clip(max=3)]
        tables.append(follow_tickets(world, opened, draws))
    return stack([{name: table[name] for name in tables[-1]} for table in tables]) if until > plan.end_day else old


def _consents(world: World, course: Course, until: int) -> Table:
    """Refusals that contacts provoked, and statements for no reason that the operator knows."""
    plan = world.plan
    tables = [refuse(world, course.optouts)]
    for day in range(plan.end_day, until):
        rng = stream(plan.luck, "strays", day)
        tables.append(stray(world, day, 1, int(rng.poisson(world.size * STRAYS / 30)), rng))
    table = stack(tables)
    return take(table, world.is_living(table["customer"], table["time"] // 86400))


def _replies(world: World, course: Course, decision: np.ndarray) -> Table:
    """Answers by message to contacts by message: taken, refused, no more of it (``reply`` by position)."""
    plan, contacts = world.plan, course.contacts
    texts = np.array([habit.seconds == 0 for habit in plan.habits])
    stops = np.zeros(len(decision), dtype=bool)
    stops[course.optouts["contact"]] = True
    says = np.select([stops, contacts["converted"], contacts["refused"]], [2, 0, 1], NONE)
    row = np.arange(len(decision))
    identity = contacts["customer"] * 100_000 + contacts["night"]
    speaks = (says != NONE) & texts[contacts["channel"]] & (uniform(identity, plan.luck, "replies") < REPLY_SHARE)
    row = row[speaks]
    wait = 60 + (uniform(identity[row], plan.luck, "reply when") ** 2 * 4 * 3600).astype(np.int64)
    return {
        "customer": contacts["customer"][row],
        "time": contacts["time"][row] + wait,
        "channel": contacts["channel"][row],
        "product": contacts["product"][row],
        "reply": says[row],
        "decision": decision[row],
    }


def _fatigue(past: Course, size: int, day: int) -> np.ndarray:
    """Fading count of each customer's contacts on the eve of a day (as the past's nights count it)."""
    age = day - 1 - past.contacts["night"]
    return np.bincount(past.contacts["customer"], np.exp(-age / 10), minlength=size)
