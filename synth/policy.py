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

from conf.money import MICRO
from synth.explore import CONTROL, EXPLOIT, EXPLORE, NONE, Scene, explore
from synth.keyed import hash64, stream, uniform
from synth.plan import BLOCK, Floats, Ints, LoggedPlan
from synth.response import organic
from synth.world import World

BEST = 8  # arcs kept a customer: the best five of those still eligible are the explorers' favourites
FAVOURITES = 5
ROLES = ("control", "explore", "exploit")


@dataclass(frozen=True)
class PolicyNight:
    """What was decided for everyone on one night (arrays over customers; −1 is none)."""

    product: np.ndarray  # int8
    channel: np.ndarray  # int8
    role: np.ndarray  # int8
    pscore: Floats
    score: Ints  # micro-元 as the crude score has it
    digest: np.ndarray  # uint64, hash of the eligible set
    arcs: np.ndarray  # int16, eligible arcs


def best_arcs(world: World) -> tuple[np.ndarray, np.ndarray]:
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
        best = np.take_along_axis(value, top, axis=1)
        code = selling[top // len(plan.outbound)] * c_count + plan.outbound[top % len(plan.outbound)]
        width = top.shape[1]
        arcs[block, :width] = np.where(np.isfinite(best), code, -1)
        scores[block, :width] = best
    return arcs, scores


def decide(
    world: World, day: int, top: np.ndarray, scores: np.ndarray, owned: np.ndarray, open_: np.ndarray
) -> PolicyNight:
    """Decide for everyone on ``day``.

    Args:
        world: the province.
        day: the decision date.
        top: arcs of ``best_arcs``.
        scores: theirs.
        owned: n × products, what customers have.
        open_: n, who may be contacted at all.
    """
    plan, policy, c_count = world.plan, world.plan.preset.policy, len(world.plan.channels)
    selling = (plan.launch_day <= day) & (plan.last_day > day)
    may_p = world["may_have"] & ~owned & selling & open_[:, None]
    may_c = world["may_meet"][:, plan.outbound] & open_[:, None]
    arcs = top.astype(np.int64)
    valid = (arcs >= 0) & np.take_along_axis(may_p, np.maximum(arcs, 0) // c_count, axis=1)
    valid &= np.isin(np.maximum(arcs, 0) % c_count, plan.outbound) & may_c.any(axis=1)[:, None]
    favourite = valid & (np.cumsum(valid, axis=1) <= FAVOURITES)
    scene = Scene(world, day, roles(plan, np.arange(world.size), day), arcs, valid, favourite, may_p, may_c)
    given, score = _exploit(scene, scores)
    choice, chance = explore(scene)
    final = np.where(scene.role == EXPLOIT, given, np.where(scene.role == EXPLORE, choice, NONE))
    in_play = (scene.role != CONTROL) & (scene.arcs > 0)
    pscore = (1 - policy.explore) * (final == given) + policy.explore * chance(final)
    bits = _bits(may_p) << np.uint64(16) | _bits(world["may_meet"] & open_[:, None])
    return PolicyNight(
        product=np.where(final >= 0, final // c_count, NONE).astype(np.int8),
        channel=np.where(final >= 0, final % c_count, NONE).astype(np.int8),
        role=scene.role,
        pscore=np.where(in_play, pscore, 1.0),
        score=np.rint(np.where((final >= 0) & np.isfinite(score), score, 0) * MICRO).astype(np.int64),
        digest=hash64(bits.astype(np.int64), plan.seed, "eligible"),
        arcs=scene.arcs.astype(np.int16),
    )


def roles(plan: LoggedPlan, rows: Ints, day: int) -> np.ndarray:
    """Role of each customer: control for good, explore for a night."""
    policy = plan.preset.policy
    explore = uniform(rows, plan.luck, "explore", day) < policy.explore
    role = np.where(explore, EXPLORE, EXPLOIT)
    return np.where(uniform(rows, plan.luck, "control") < policy.control, CONTROL, role).astype(np.int8)


def _exploit(scene: Scene, scores: np.ndarray) -> tuple[Ints, Floats]:
    """What everyone would get as an exploiter (arc or −1), and the score of the wish.

    The best arc still eligible, where it is within its channel's capacity: at or above the score of the last
    exploiter taken.
    """
    plan, rows = scene.world.plan, scene.rows
    wish, able = np.argmax(scene.valid, axis=1), scene.valid.any(axis=1)
    arc = np.where(able, scene.top[rows, wish], NONE)
    score = np.where(able, scores[rows, wish].astype(float), -np.inf)
    channel = np.maximum(arc, 0) % len(plan.channels)
    cut = np.full(len(plan.channels), np.inf)
    for c in plan.outbound:
        ranked = np.sort(score[(scene.role == EXPLOIT) & able & (channel == c)])[::-1]
        room = int(plan.habits[c].daily * len(rows) / 1000)
        cut[c] = ranked[room - 1] if 0 < room <= len(ranked) else (0.0 if room else np.inf)
    return np.where((score >= cut[channel]) & (score > 0), arc, NONE), score


def _bits(mask: np.ndarray) -> np.ndarray:
    """A row of booleans as an unsigned integer (at most 48 products, 16 channels)."""
    return (mask.astype(np.uint64) << np.arange(mask.shape[1], dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
