"""The known response function: what a customer orders with and without a contact, and what it is worth.

For customer i, product p, channel c over the 30 days after a decision::

    p0(i, p)     = base_p · exp(spread·(0.75·intent_g + 0.35·taste_i·load_p) − 0.35·sense_i·dear_p − …) · boost_g
    push(i, p, c) = effect · push_c · ease_p
                    · exp(persuasion·persuade_i + 0.35·intent_g + 0.3·habit_c − 0.25·sense_i·dear_p − …)
    delta        = reach(i, c) · ((1 − p0)·min(push, 0.8) − dogs·p0·[irritable])
    margin effect = discounted, less cancellations, less what it takes from other products of the group.

All of it is elementwise on broadcast index arrays, so a block, a night's contacts and the truth use one function.
"""

from __future__ import annotations

import numpy as np

from conf.money import MICRO
from synth.plan import Floats, Ints
from synth.world import World

DEAR = 0.35
EASE = 0.7  # how far a push works better for what sells by itself
DOG_FROM = 1.3  # customers this irritable (standard deviations) are lost by a contact


def organic(world: World, rows: Ints, products: Ints, boosted: np.ndarray | None = None) -> Floats:
    """Chance p0 to order each product within 30 days without a contact: n × len(products)."""
    plan, r = world.plan, world.plan.preset.response
    group = plan.need_of[products]
    intent = np.asarray(world["intent"][rows], dtype=float)[:, group]
    taste = np.asarray(world["taste"][rows], dtype=float) @ plan.loading[products].T / np.sqrt(3)
    dear = np.asarray(world["price_sense"][rows], dtype=float)[:, None] * plan.dearness[products]
    spread = r.spread
    log = spread * (0.75 * intent + 0.35 * taste) - DEAR * dear
    log -= 0.5 * (spread**2 * (0.75**2 + 0.35**2) + (DEAR * plan.dearness[products]) ** 2)
    rate = plan.popularity[products] * np.exp(log)
    if boosted is not None:
        rate = np.where(boosted[:, group], rate * r.event_boost, rate)
    return np.asarray(np.where(world["may_have"][rows][:, products], np.minimum(rate, 0.5), 0.0))


def lift(
    world: World, rows: Ints, products: Ints, channels: Ints, p0: Floats, reached: np.ndarray | None = None
) -> Floats:
    """Change of the chance to order because of a contact, for matching arrays (broadcast of rows, products, channels).

    Args:
        world: the province.
        rows: positions of customers, broadcast against the next two.
        products: positions of products.
        channels: positions of channels.
        p0: the organic chance, broadcast likewise.
        reached: 0 or 1 where it is known; the chance to be reached otherwise.
    """
    plan, r = world.plan, world.plan.preset.response
    ease = np.clip(plan.popularity / max(plan.popularity.mean(), 1e-12), 0.05, 4.0) ** EASE
    push = np.array([habit.push for habit in plan.habits])[channels] * ease[products]
    group = plan.need_of[products]
    dear = DEAR * 0.7 * plan.dearness[products]
    spread = (r.persuasion, 0.35, 0.3)
    log = (
        spread[0] * np.asarray(world["persuade"][rows], dtype=float)
        + spread[1] * world["intent"][rows, group].astype(float)
        + spread[2] * world["habit"][rows, channels].astype(float)
        - dear * np.asarray(world["price_sense"][rows], dtype=float)
        - 0.5 * (sum(s * s for s in spread) + dear**2)
    )
    allowed = world["may_have"][rows, products] & world["may_meet"][rows, channels]
    reach = world["reach"][rows, channels] if reached is None else reached
    gain = (1 - p0) * np.minimum(r.effect * push * np.exp(log), 0.8)
    lost = r.sleeping_dogs * p0 * (np.asarray(world["irritable"][rows]) > DOG_FROM)
    return np.asarray(np.where(allowed, reach * (gain - lost), 0.0))


def margin_effect(world: World, rows: Ints, p0: Floats, delta: Floats, products: Ints, channels: Ints) -> Ints:
    """Expected change of the 30-day net margin by a contact, micro-元: n × products × channels.

    Net of the discount that those get who would have bought anyway, of cancellations, and of what the product
    takes from others of its group; the cost of the attempt is not in it.

    Args:
        world: the province.
        rows: n customers.
        p0: n × P, organic chances of all products.
        delta: n × products × channels, as of ``lift``.
        products: positions.
        channels: positions.
    """
    plan, r = world.plan, world.plan.preset.response
    margin = plan.margin_micro / MICRO
    discount = r.discount * find_discount_base(world)
    kept0, kept1 = 1 - r.cancel_organic, 1 - r.cancel_pushed
    worth = p0 * margin * kept0  # n × P
    total = np.zeros((len(rows), 4))
    np.add.at(total.T, plan.need_of, worth.T)
    others = total[:, plan.need_of[products]] - worth[:, products]  # n × products
    reach = np.asarray(world["reach"], dtype=float)[rows][:, channels]
    gain = delta * kept1 * (margin - discount)[products][None, :, None]
    given = p0[:, products, None] * reach[:, None, :] * kept0 * discount[products][None, :, None]
    taken = r.cannibalisation * np.maximum(delta, 0) * others[:, :, None]
    return np.rint((gain - given - taken) * MICRO).astype(np.int64)


def find_discount_base(world: World) -> Floats:
    """What a discount share is taken of: the smaller of price and margin, in 元."""
    plan = world.plan
    return np.asarray(np.minimum(plan.price_micro, np.maximum(plan.margin_micro, 0)) / MICRO)
