"""Explorers of the past policy: what they may draw, the quota, and the chance of every choice.

q is none with ``none_share``, one of the five best eligible arcs with ``best_share``, else any eligible arc; per
channel × centre a quota keeps the smallest hashes. The chance to pass is that of one more asker among a Poisson
number of others (the expected load of the cell).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synth.keyed import hash64, uniform
from synth.plan import Floats, Ints
from synth.world import World

NONE = -1
CONTROL, EXPLORE, EXPLOIT = 0, 1, 2


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


def explore(scene: Scene) -> tuple[Ints, Callable[[Ints], Floats]]:
    """Explorers' choices after the quota (for everyone; the role says where they count), and q̃ of any arc."""
    world, plan, policy = scene.world, scene.world.plan, scene.world.plan.preset.policy
    c_count, some = len(plan.channels), scene.some
    best = np.where(some, policy.best_share / np.maximum(scene.favourite.sum(axis=1), 1), 0.0)
    rest = 1 - policy.none_share - policy.best_share
    spread = np.where(some, rest / np.maximum(scene.arcs, 1), 0.0)
    by_channel = _by_channel(scene, best, spread)
    room = quota(world)
    eligible = (scene.role != CONTROL) & some
    passing = np.zeros(room.shape)
    for c in plan.outbound:
        load = np.bincount(world["centre"][eligible], by_channel[eligible, c], minlength=room.shape[1])
        passing[c] = [pass_chance(int(r), policy.explore * float(w)) for r, w in zip(room[c], load, strict=True)]
    drawn = _draw(scene)
    choice = np.where(_within_quota(scene, drawn, room), drawn, NONE)
    by_customer = passing[:, world["centre"]].T  # n × C

    def chance(arc: Ints) -> Floats:
        channel = np.maximum(arc, 0) % c_count
        liked = ((scene.top == arc[:, None]) & scene.favourite).any(axis=1)
        of_arc = (spread + best * liked) * by_customer[scene.rows, channel]
        none = np.where(some, policy.none_share + (by_channel * (1 - by_customer)).sum(axis=1), 1.0)
        return np.where(arc >= 0, of_arc, none)

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
    kind = uniform(rows, plan.luck, "draw kind", scene.day)
    which = uniform(rows, plan.luck, "draw which", scene.day)
    n_best = np.maximum(scene.favourite.sum(axis=1), 1)
    order = np.cumsum(scene.favourite, axis=1)
    best = scene.top[rows, np.argmax(order > np.floor(which * n_best)[:, None], axis=1)]
    n_c = np.maximum(may_c.sum(axis=1), 1)
    pick = np.floor(which * np.maximum(may_p.sum(axis=1), 1) * n_c).astype(np.int64)
    product = np.argmax(np.cumsum(may_p, axis=1) > (pick // n_c)[:, None], axis=1)
    channel = plan.outbound[np.argmax(np.cumsum(may_c, axis=1) > (pick % n_c)[:, None], axis=1)]
    lucky = np.where(kind < policy.none_share + policy.best_share, best, product * len(plan.channels) + channel)
    return np.where(~scene.some | (kind < policy.none_share), NONE, lucky)


def quota(world: World) -> Ints:
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
    lot = hash64(asks, scene.world.plan.luck, "quota", scene.day)
    order = np.lexsort((lot, cell))
    ordered = cell[order]
    first = np.searchsorted(ordered, ordered, side="left")
    within = np.zeros(len(drawn), dtype=bool)
    within[asks[order]] = np.arange(len(order)) - first < room.reshape(-1)[ordered]
    return within


def pass_chance(room: int, load: float) -> float:
    """Chance that one more asker is among the ``room`` smallest when the others are Poisson with mean ``load``."""
    if room <= 0:
        return 0.0
    most = int(load + 12 * np.sqrt(load + 1) + room + 20)
    count = np.arange(most)
    log = count * np.log(max(load, 1e-300)) - load - np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most)))])
    return float(min(1.0, np.sum(np.exp(log) * np.minimum(1.0, room / (count + 1)))))
