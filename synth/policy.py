"""The logged past policy of one night: roles, greedy exploiters under capacities, explorers, and the pscore.

Control is stable (keyed hash), explorers are drawn nightly with chance ε, the rest exploit: the best arc by a
crude score, cut at each channel's capacity (arbitrate, then cap). Explorers draw from q: none, their five best
arcs, and a uniform rest over eligible arcs; per channel × centre a quota keeps the smallest hashes, the others get
none. For an eligible non-control customer and the arc j given (none included)::

    pscore = (1 − ε)·1{j = g_i} + ε·q̃_i(j)

where g_i is what i would get as an exploiter and q̃ includes the chance to pass the quota.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.keyed import hash64, stream, uniform
from synth.plan import BLOCK, MICRO, Floats, Ints, Plan
from synth.response import organic
from synth.world import World

BEST = 8  # arcs kept a customer: the best five of those still eligible are the explorers' favourites
FAVOURITES = 5
CONTROL, EXPLORE, EXPLOIT = 0, 1, 2
ROLES = ("control", "explore", "exploit")


@dataclass(frozen=True)
class Night:
    """What was decided for everyone on one night (arrays over customers; −1 is none)."""

    product: np.ndarray  # int8
    channel: np.ndarray  # int8
    role: np.ndarray  # int8
    pscore: Floats
    score: Ints  # micro-元 as the crude score has it
    digest: np.ndarray  # uint64, hash of the eligible set
    arcs: np.ndarray  # int16, eligible arcs


def best_arcs(world: World) -> tuple[np.ndarray, Floats]:
    """The BEST arcs of each customer by the crude score: (product · C + channel) n × BEST, −1 where fewer; scores.

    Crude: group-level response and list margin, a rough idea of intent, less the cost of the attempt.
    """
    plan = world.plan
    c_count = len(plan.channels)
    arcs = np.full((world.size, BEST), -1, dtype=np.int16)
    scores = np.full((world.size, BEST), -np.inf, dtype=np.float32)
    selling = np.flatnonzero((plan.launch_day <= plan.night_days.start) & (plan.last_day > plan.night_days.start))
    pushes = np.array([plan.habits[c].push * plan.habits[c].reach for c in plan.outbound])
    cost = np.array([plan.channels[c].cost_micro / MICRO for c in plan.outbound])
    if not len(selling) or not len(plan.outbound):
        return arcs, scores
    for block in world.blocks():
        rng = stream(plan.seed, "crude", int(block[0]) // BLOCK)
        guess = np.sqrt(organic(world, block, selling) * plan.popularity[selling]) / plan.popularity.mean()
        guess = guess ** (1 / (1 + plan.preset.policy.noise))
        value = (pushes[None, None, :] * guess[:, :, None]) * (plan.margin_micro[selling] / MICRO)[None, :, None]
        value = value * np.exp(0.5 * plan.preset.policy.noise * rng.normal(size=value.shape)) - cost
        allowed = world["may_have"][block][:, selling, None] & world["may_meet"][block][:, None, plan.outbound]
        value = np.where(allowed, value, -np.inf).reshape(len(block), -1)
        top = np.argsort(-value, axis=1, kind="stable")[:, :BEST]
        found = np.take_along_axis(value, top, axis=1)
        code = selling[top // len(plan.outbound)] * c_count + plan.outbound[top % len(plan.outbound)]
        width = top.shape[1]
        arcs[block, :width] = np.where(np.isfinite(found), code, -1)
        scores[block, :width] = found
    return arcs, scores


def decide(world: World, day: int, top: np.ndarray, scores: Floats, held: np.ndarray, open_: np.ndarray) -> Night:
    """Decide for everyone on ``day``.

    Args:
        top, scores: of ``best_arcs``.
        held: n × products, what customers have; open_: n, who may be contacted at all.
    """
    plan, policy = world.plan, world.plan.preset.policy
    rows, c_count = np.arange(world.size), len(plan.channels)
    role = roles(plan, rows, day)
    selling = (plan.launch_day <= day) & (plan.last_day > day)
    may_p = world["may_have"] & ~held & selling & open_[:, None]
    may_c = world["may_meet"][:, plan.outbound] & open_[:, None]
    n_p, n_c = may_p.sum(axis=1), may_c.sum(axis=1)
    arcs = n_p * n_c
    valid = (top >= 0) & np.take_along_axis(may_p, np.maximum(top, 0).astype(np.int64) // c_count, axis=1)
    wish = np.argmax(valid, axis=1)
    able = valid.any(axis=1)
    arc = np.where(able, top[rows, wish], -1).astype(np.int64)
    score = np.where(able, scores[rows, wish], -np.inf)
    given = np.where(_within_caps(plan, arc % c_count, score, (role == EXPLOIT) & able), arc, -1)
    choice, probability = _explore(world, day, top, valid, may_p, may_c, arcs)
    final = np.where(role == EXPLOIT, given, np.where(role == EXPLORE, choice, -1))
    same = (final == given).astype(float)
    pscore = (1 - policy.explore) * same + policy.explore * probability(final)
    pscore = np.where((role == CONTROL) | (arcs == 0), 1.0, pscore)
    shown = np.where(final >= 0, np.where(np.isfinite(score), score, 0), 0)
    bits = _bits(may_p) << np.uint64(16) | _bits(world["may_meet"] & open_[:, None])
    return Night(
        np.where(final >= 0, final // c_count, -1).astype(np.int8),
        np.where(final >= 0, final % c_count, -1).astype(np.int8),
        role, pscore, np.rint(shown * MICRO).astype(np.int64),
        hash64(bits.astype(np.int64), plan.seed, "eligible"), arcs.astype(np.int16),
    )  # fmt: skip


def roles(plan: Plan, rows: Ints, day: int) -> np.ndarray:
    """Role of each customer: control for good, explore for a night."""
    policy = plan.preset.policy
    explore = uniform(rows, plan.seed, "explore", day) < policy.explore
    role = np.where(explore, EXPLORE, EXPLOIT)
    return np.where(uniform(rows, plan.seed, "control") < policy.control, CONTROL, role).astype(np.int8)


def _within_caps(plan: Plan, channel: Ints, score: Floats, exploiters: np.ndarray) -> np.ndarray:
    """Who would be within capacity as an exploiter: at or above the score of the channel's last one taken."""
    cut = np.full(len(plan.channels), 0.0)
    for c in plan.outbound:
        mine = np.sort(score[exploiters & (channel == c)])[::-1]
        room = int(plan.habits[c].daily * len(score) / 1000)
        cut[c] = max(0.0, mine[room - 1]) if 0 < room <= len(mine) else (0.0 if room else np.inf)
    return np.asarray((score >= cut[channel]) & (score > 0))


def _explore(world, day, top, valid, may_p, may_c, arcs):  # type: ignore[no-untyped-def]
    """Explorers' draws for everyone (used where the role says so), and the function arc → q̃."""
    plan, policy = world.plan, world.plan.preset.policy
    n, c_count = len(arcs), len(plan.channels)
    rows = np.arange(n)
    order = np.cumsum(valid, axis=1)
    favourite = valid & (order <= FAVOURITES)
    n_best = favourite.sum(axis=1)
    some = (arcs > 0) & (n_best > 0)
    best = np.where(some, policy.best_share / np.maximum(n_best, 1), 0.0)
    spread = np.where(some, (1 - policy.none_share - policy.best_share) / np.maximum(arcs, 1), 0.0)
    raw = _draw(world, day, top, favourite, may_p, may_c, some)
    by_channel = np.zeros((n, c_count))  # q of each channel
    by_channel[:, plan.outbound] = spread[:, None] * may_p.sum(axis=1)[:, None] * may_c
    for k in range(top.shape[1]):
        on = favourite[:, k]
        np.add.at(by_channel, (rows[on], top[on, k].astype(np.int64) % c_count), best[on])
    role = roles(plan, rows, day)
    room = _quota(world)
    eligible = (role != CONTROL) & some
    load = np.zeros_like(room)
    for c in plan.outbound:
        load[c] = policy.explore * np.bincount(
            world["centre"][eligible], weights=by_channel[eligible, c], minlength=room.shape[1]
        )
    passing = np.array([[_pass_chance(room[c, z], load[c, z]) for z in range(room.shape[1])] for c in range(c_count)])
    kept = _within_quota(world, day, raw, role, room)
    choice = np.where(kept, raw, -1)
    mine = passing[:, world["centre"]].T  # n × C

    def probability(arc: Ints) -> Floats:
        channel = np.maximum(arc, 0) % c_count
        in_best = ((top == arc[:, None]) & favourite).any(axis=1)
        some_arc = (spread + best * in_best) * mine[rows, channel]
        none = np.where(some, policy.none_share + (by_channel * (1 - mine)).sum(axis=1), 1.0)
        return np.asarray(np.where(arc >= 0, some_arc, none))

    return choice, probability


def _draw(world, day, top, favourite, may_p, may_c, some):  # type: ignore[no-untyped-def]
    """An arc (or −1) for everyone from q, before the quota."""
    plan, policy = world.plan, world.plan.preset.policy
    rows, c_count = np.arange(world.size), len(plan.channels)
    kind = uniform(rows, plan.seed, "draw kind", day)
    which = uniform(rows, plan.seed, "draw which", day)
    n_best = np.maximum(favourite.sum(axis=1), 1)
    order = np.cumsum(favourite, axis=1)
    best = top[rows, np.argmax(order > np.floor(which * n_best)[:, None], axis=1)].astype(np.int64)
    n_c = np.maximum(may_c.sum(axis=1), 1)
    pick = np.floor(which * np.maximum(may_p.sum(axis=1), 1) * n_c).astype(np.int64)
    product = np.argmax(np.cumsum(may_p, axis=1) > (pick // n_c)[:, None], axis=1)
    channel = plan.outbound[np.argmax(np.cumsum(may_c, axis=1) > (pick % n_c)[:, None], axis=1)]
    lucky = np.where(kind < policy.none_share + policy.best_share, best, product * c_count + channel)
    return np.where(~some | (kind < policy.none_share), -1, lucky)


def _quota(world: World) -> Ints:
    """Explorers' contacts allowed per channel × centre: channels × centres."""
    plan = world.plan
    centres = len(plan.geography.centres)
    share = np.bincount(world["centre"], minlength=centres) / world.size
    daily = np.array([habit.daily for habit in plan.habits]) * world.size / 1000 * plan.preset.policy.reserve
    return np.asarray(np.floor(daily[:, None] * share[None, :]).astype(np.int64))


def _within_quota(world, day, raw, role, room):  # type: ignore[no-untyped-def]
    """Explorers whose hash is among the smallest of their channel × centre."""
    plan = world.plan
    c_count, centres = room.shape
    asks = np.flatnonzero((role == EXPLORE) & (raw >= 0))
    cell = (raw[asks] % c_count) * centres + world["centre"][asks]
    lot = hash64(asks, plan.seed, "quota", day)
    order = np.lexsort((lot, cell))
    ordered = cell[order]
    first = np.searchsorted(ordered, ordered, side="left")
    kept = np.zeros(len(raw), dtype=bool)
    kept[asks[order]] = np.arange(len(order)) - first < room.reshape(-1)[ordered]
    return kept


def _pass_chance(room: int, load: float) -> float:
    """Chance that one more asker is among the ``room`` smallest when the others are Poisson with mean ``load``."""
    if room <= 0:
        return 0.0
    most = int(load + 12 * np.sqrt(load + 1) + room + 20)
    count = np.arange(most)
    log = count * np.log(max(load, 1e-300)) - load - np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most)))])
    return float(min(1.0, np.sum(np.exp(log) * np.minimum(1.0, room / (count + 1)))))


def _bits(mask: np.ndarray) -> np.ndarray:
    """A row of booleans as an unsigned integer (at most 48 products, 16 channels)."""
    return (mask.astype(np.uint64) << np.arange(mask.shape[1], dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
