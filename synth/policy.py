"""The logged past policy of one night: roles, greedy exploiters under capacities, explorers, and the pscore.

Control is stable (keyed hash), explorers are drawn nightly with chance ε, the rest exploit: the best arc by a
crude score, cut at each channel's capacity (arbitrate, then cap). Explorers draw from q: none, their five best
arcs, and a uniform rest over eligible arcs; per channel × centre a quota keeps the smallest hashes, the others get
none. For an eligible non-control customer and the arc j given (none included)::

    pscore = (1 − ε)·1{j = g_i} + ε·q̃_i(j)

where g_i is what i would get as an exploiter and q̃ includes the chance to pass the quota.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from conf.offer import MICRO
from synth.keyed import hash64, stream, uniform
from synth.plan import BLOCK, Floats, Ints, Plan
from synth.response import organic
from synth.world import World

BEST = 8  # arcs kept a customer: the best five of those still eligible are the explorers' favourites
FAVOURITES = 5
NONE = -1
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
        found = np.take_along_axis(value, top, axis=1)
        code = selling[top // len(plan.outbound)] * c_count + plan.outbound[top % len(plan.outbound)]
        width = top.shape[1]
        arcs[block, :width] = np.where(np.isfinite(found), code, -1)
        scores[block, :width] = found
    return arcs, scores


@dataclass(frozen=True)
class Scene:
    """What may be done tonight, for every customer (n rows).

    Attributes:
        top: the best arcs (−1 where fewer); valid: those still eligible; favourite: the first five of these.
        may_p: n × products, may_c: n × outbound channels; arcs: how many eligible arcs there are.
    """

    world: World
    day: int
    role: np.ndarray
    top: Ints
    valid: np.ndarray
    favourite: np.ndarray
    may_p: np.ndarray
    may_c: np.ndarray

    @property
    def rows(self) -> Ints:
        """Positions of all customers."""
        return np.arange(len(self.role))

    @property
    def arcs(self) -> Ints:
        """Eligible arcs of each customer."""
        return np.asarray(self.may_p.sum(axis=1) * self.may_c.sum(axis=1))

    @property
    def some(self) -> np.ndarray:
        """Who has an eligible arc among the best (others get none for certain)."""
        return np.asarray((self.arcs > 0) & self.favourite.any(axis=1))


def decide(world: World, day: int, top: np.ndarray, scores: np.ndarray, held: np.ndarray, open_: np.ndarray) -> Night:
    """Decide for everyone on ``day``.

    Args:
        top, scores: of ``best_arcs``.
        held: n × products, what customers have; open_: n, who may be contacted at all.
    """
    plan, policy, c_count = world.plan, world.plan.preset.policy, len(world.plan.channels)
    selling = (plan.launch_day <= day) & (plan.last_day > day)
    may_p = world["may_have"] & ~held & selling & open_[:, None]
    may_c = world["may_meet"][:, plan.outbound] & open_[:, None]
    arcs = top.astype(np.int64)
    valid = (arcs >= 0) & np.take_along_axis(may_p, np.maximum(arcs, 0) // c_count, axis=1)
    valid &= np.isin(np.maximum(arcs, 0) % c_count, plan.outbound) & may_c.any(axis=1)[:, None]
    favourite = valid & (np.cumsum(valid, axis=1) <= FAVOURITES)
    scene = Scene(world, day, roles(plan, np.arange(world.size), day), arcs, valid, favourite, may_p, may_c)
    given, score = _exploit(scene, scores)
    choice, chance = _explore(scene)
    final = np.where(scene.role == EXPLOIT, given, np.where(scene.role == EXPLORE, choice, NONE))
    in_play = (scene.role != CONTROL) & (scene.arcs > 0)
    pscore = (1 - policy.explore) * (final == given) + policy.explore * chance(final)
    bits = _bits(may_p) << np.uint64(16) | _bits(world["may_meet"] & open_[:, None])
    return Night(
        product=np.where(final >= 0, final // c_count, NONE).astype(np.int8),
        channel=np.where(final >= 0, final % c_count, NONE).astype(np.int8),
        role=scene.role,
        pscore=np.where(in_play, pscore, 1.0),
        score=np.rint(np.where((final >= 0) & np.isfinite(score), score, 0) * MICRO).astype(np.int64),
        digest=hash64(bits.astype(np.int64), plan.seed, "eligible"),
        arcs=scene.arcs.astype(np.int16),
    )


def roles(plan: Plan, rows: Ints, day: int) -> np.ndarray:
    """Role of each customer: control for good, explore for a night."""
    policy = plan.preset.policy
    explore = uniform(rows, plan.seed, "explore", day) < policy.explore
    role = np.where(explore, EXPLORE, EXPLOIT)
    return np.where(uniform(rows, plan.seed, "control") < policy.control, CONTROL, role).astype(np.int8)


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
        mine = np.sort(score[(scene.role == EXPLOIT) & able & (channel == c)])[::-1]
        room = int(plan.habits[c].daily * len(rows) / 1000)
        cut[c] = mine[room - 1] if 0 < room <= len(mine) else (0.0 if room else np.inf)
    return np.where((score >= cut[channel]) & (score > 0), arc, NONE), score


def _explore(scene: Scene) -> tuple[Ints, Callable[[Ints], Floats]]:
    """Explorers' choices after the quota (for everyone; the role says where they count), and q̃ of any arc."""
    world, plan, policy = scene.world, scene.world.plan, scene.world.plan.preset.policy
    c_count, some = len(plan.channels), scene.some
    best = np.where(some, policy.best_share / np.maximum(scene.favourite.sum(axis=1), 1), 0.0)
    rest = 1 - policy.none_share - policy.best_share
    spread = np.where(some, rest / np.maximum(scene.arcs, 1), 0.0)
    by_channel = _by_channel(scene, best, spread)
    room = _quota(world)
    eligible = (scene.role != CONTROL) & some
    passing = np.zeros(room.shape)
    for c in plan.outbound:
        load = np.bincount(world["centre"][eligible], by_channel[eligible, c], minlength=room.shape[1])
        passing[c] = [_pass_chance(int(r), policy.explore * float(w)) for r, w in zip(room[c], load, strict=True)]
    drawn = _draw(scene)
    choice = np.where(_within_quota(scene, drawn, room), drawn, NONE)
    mine = passing[:, world["centre"]].T  # n × C

    def chance(arc: Ints) -> Floats:
        channel = np.maximum(arc, 0) % c_count
        liked = ((scene.top == arc[:, None]) & scene.favourite).any(axis=1)
        one = (spread + best * liked) * mine[scene.rows, channel]
        none = np.where(some, policy.none_share + (by_channel * (1 - mine)).sum(axis=1), 1.0)
        return np.where(arc >= 0, one, none)

    return choice, chance


def _by_channel(scene: Scene, best: Floats, spread: Floats) -> Floats:
    """Chance to ask for each channel, before the quota: n × channels."""
    outbound, c_count = scene.world.plan.outbound, len(scene.world.plan.channels)
    result = np.zeros((len(best), c_count))
    result[:, outbound] = spread[:, None] * scene.may_p.sum(axis=1)[:, None] * scene.may_c
    for k in range(scene.top.shape[1]):
        on = scene.favourite[:, k]
        np.add.at(result, (scene.rows[on], scene.top[on, k] % c_count), best[on])
    return result


def _draw(scene: Scene) -> Ints:
    """An arc (or −1) for everyone from q, before the quota."""
    plan, policy = scene.world.plan, scene.world.plan.preset.policy
    rows, may_p, may_c = scene.rows, scene.may_p, scene.may_c
    kind = uniform(rows, plan.seed, "draw kind", scene.day)
    which = uniform(rows, plan.seed, "draw which", scene.day)
    n_best = np.maximum(scene.favourite.sum(axis=1), 1)
    order = np.cumsum(scene.favourite, axis=1)
    best = scene.top[rows, np.argmax(order > np.floor(which * n_best)[:, None], axis=1)]
    n_c = np.maximum(may_c.sum(axis=1), 1)
    pick = np.floor(which * np.maximum(may_p.sum(axis=1), 1) * n_c).astype(np.int64)
    product = np.argmax(np.cumsum(may_p, axis=1) > (pick // n_c)[:, None], axis=1)
    channel = plan.outbound[np.argmax(np.cumsum(may_c, axis=1) > (pick % n_c)[:, None], axis=1)]
    lucky = np.where(kind < policy.none_share + policy.best_share, best, product * len(plan.channels) + channel)
    return np.where(~scene.some | (kind < policy.none_share), NONE, lucky)


def _quota(world: World) -> Ints:
    """Explorers' contacts allowed per channel × centre: channels × centres."""
    plan = world.plan
    centres = len(plan.geography.centres)
    share = np.bincount(world["centre"], minlength=centres) / world.size
    daily = np.array([habit.daily for habit in plan.habits]) * world.size / 1000 * plan.preset.policy.reserve
    return np.asarray(np.floor(daily[:, None] * share[None, :]).astype(np.int64))


def _within_quota(scene: Scene, drawn: Ints, room: Ints) -> np.ndarray:
    """Explorers whose hash is among the smallest of their channel × centre."""
    centres = room.shape[1]
    asks = np.flatnonzero((scene.role == EXPLORE) & (drawn >= 0))
    cell = (drawn[asks] % len(room)) * centres + scene.world["centre"][asks]
    lot = hash64(asks, scene.world.plan.seed, "quota", scene.day)
    order = np.lexsort((lot, cell))
    ordered = cell[order]
    first = np.searchsorted(ordered, ordered, side="left")
    kept = np.zeros(len(drawn), dtype=bool)
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
