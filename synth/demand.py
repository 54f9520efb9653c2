"""Orders that come of their own accord, and mass messages that change nothing."""

from __future__ import annotations

import numpy as np

from synth.events import AWAKE, OFFICE, Table, first_of, hours, sort_by, stack, take
from synth.keyed import Draws, stream
from synth.plan import BLOCK, Floats, Ints
from synth.response import organic
from synth.world import World

NONE = -1


def organic_orders(world: World) -> Table:
    """Orders without any contact over the whole period, what was held before it among them (first week)."""
    plan = world.plan
    span = plan.end_day - plan.first_day
    tables: list[Table] = []
    products = np.arange(len(plan.products))
    lasting = np.array([p.term_months > 0 for p in plan.products])
    for block in world.blocks():
        rng = stream(plan.luck, "organic", int(block[0]) // BLOCK)
        p0 = organic(world, block, products)
        before = (rng.random(p0.shape) < 1 - np.exp(-8 * p0)) & lasting & (plan.launch_day < plan.first_day)
        i, p = np.nonzero(before & (world["opened"][block] < plan.first_day)[:, None])
        tables.append(orders_of(world, block[i], p, plan.first_day + rng.integers(0, 6, size=len(i)), rng))
        tables.append(draw_steady(world, block, p0, plan.first_day, span, rng))
        tables.extend(draw_boosted(world, block, p0, rng))
    orders = sort_by(stack(tables), "time", "customer", "product")
    day = orders["time"] // 86400
    rows, product = orders["customer"], orders["product"]
    ok = world.is_living(rows, day) & (plan.launch_day[product] <= day) & (plan.last_day[product] > day)
    orders = take(orders, ok & (day >= plan.first_day) & (day < plan.end_day))
    repeat = ~lasting[orders["product"]]
    orders = take(orders, first_of(key_of(world, orders)) | repeat)
    return sort_by(orders, "customer", "product", "time") | {}


def draw_steady(world: World, block: Ints, p0: Floats, first: int, days: int, rng: np.random.Generator) -> Table:
    """Orders of a block's customers in ``days`` from ``first`` at their usual rate (n × products, of 30 days)."""
    i, p = np.nonzero(rng.poisson(p0 * days / 30.0))
    return orders_of(world, block[i], p, first + rng.integers(0, days, size=len(i)), rng)


def draw_boosted(world: World, block: Ints, p0: Floats, rng: np.random.Generator) -> list[Table]:
    """Orders that life events add in the 30 days after each."""
    plan, tables = world.plan, []
    days = world["event_day"][block]
    for k in range(days.shape[1]):
        boosted = world.is_boosted(block, days[:, k]) & (days[:, [k]] >= 0)
        extra = p0 * (plan.preset.response.event_boost - 1) * boosted[:, plan.need_of]
        i, p = np.nonzero(rng.random(p0.shape) < extra)
        tables.append(orders_of(world, block[i], p, days[i, k] + rng.integers(0, 30, size=len(i)), rng))
    return tables


def orders_of(world: World, customers: Ints, products: Ints, days: Ints, rng: Draws) -> Table:
    """Orders of given customers and products on given days: hour, channel by habit, list margin."""
    plan, n = world.plan, len(customers)
    habit = world["habit"][customers].astype(float)
    liked = np.log(np.array([h.organic for h in plan.habits]) + 1e-9) + 0.8 * habit
    channel = np.argmax(liked + rng.gumbel(size=liked.shape), axis=1) if n else np.zeros(0, dtype=np.int64)
    return {
        "customer": customers.astype(np.int64),
        "product": products.astype(np.int64),
        "time": days.astype(np.int64) * 86400 + hours(rng, n, AWAKE),
        "channel": channel.astype(np.int64),
        "margin": plan.margin_micro[products],
        "night": np.full(n, NONE, dtype=np.int64),
        "alive": np.ones(n, dtype=bool),
    }


def key_of(world: World, table: Table) -> Ints:
    """One number for customer and product."""
    return table["customer"] * len(world.plan.products) + table["product"]


def background(world: World) -> Table:
    """Mass messages of days without a logged night: a part of each channel's volume, to anyone, without effect."""
    plan = world.plan
    tables: list[Table] = []
    may = np.flatnonzero(~world["opted_out"] & ~world["minor"] & ~world["suspended"])
    for day in sorted(set(range(plan.first_day, plan.end_day)) - set(plan.night_days)):
        rng = stream(plan.seed, "background", day)
        selling = np.flatnonzero((plan.launch_day <= day) & (plan.last_day > day))
        for c in plan.outbound:
            habit = plan.habits[c]
            n = min(int(0.3 * habit.daily * world.size / 1000), len(may))
            if not n or not len(selling):
                continue
            who = rng.choice(may, size=n, replace=False)
            who = who[world["may_meet"][who, c] & world.is_living(who, day)]
            reached = rng.random(len(who)) < world["reach"][who, c]
            tables.append(
                {
                    "customer": who,
                    "time": day * 86400 + hours(rng, len(who), OFFICE),
                    "channel": np.full(len(who), c),
                    "product": selling[rng.integers(0, len(selling), len(who))],
                    "night": np.full(len(who), NONE),
                    "reached": reached,
                    "converted": np.zeros(len(who), dtype=bool),
                    "refused": reached & (rng.random(len(who)) < 0.25 / (1 + np.exp(world["persuade"][who]))),
                    "seconds": np.where(reached, habit.seconds, 0),
                }
            )
    return stack(tables)
