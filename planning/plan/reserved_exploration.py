"""Exploration as releases up to 0.2 had it, kept so that their runs replay to the byte; no new night comes here.

A part of each limit was kept for explorers (its reserve); draws were thinned to it and passed a quota of their cell.
`DecisionInputs.reserves` says that a run was decided this way. What is decided today: `planning.plan.exploration`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.arrays import Floats, Ints
from models.assignment.problem import PICO
from models.assignment.roles import CONTROL, EXPLORE, key
from models.bit_sets import read_sets
from models.hashing import hashes, uniform
from planning.instance.decision_inputs import DecisionInputs
from planning.instance.run_folder import RunFolder
from planning.limits.arc_classes import Arcs, eligible_arcs
from planning.plan.decision import Decision

BATCH = 1 << 16

#: Chances of one of the best arcs and of any eligible one; the rest is none.
BEST, ANY = 0.5, 0.3
BEST_ARCS = 5


def draw_weights(eligible: np.ndarray, best: np.ndarray) -> Floats:
    """Q of each customer over arcs, [n, A]; what is missing to 1 is none.

    Args:
        eligible: bool [n, A], arcs that passed every rule.
        best: bool [n, A], at most five of them: the best at last night's prices.
    """
    any_of = eligible.sum(1, keepdims=True)
    best_of = best.sum(1, keepdims=True)
    even = np.where(any_of > 0, np.where(best_of > 0, ANY, ANY + BEST) / np.maximum(any_of, 1), 0.0)
    return eligible * even + best * (BEST / np.maximum(best_of, 1))


def draw(weights: Floats, u: Floats) -> Ints:
    """The arc that each customer draws with a uniform ``u``: place in the row, -1 for none."""
    edges = np.cumsum(weights, axis=1)
    place = (u[:, None] >= edges).sum(1)
    return np.where(place < weights.shape[1], place, -1).astype(np.int64)


def keep_smallest(hashed: np.ndarray, quota: int) -> np.ndarray:
    """Which of a cell's drawers stay: those with the ``quota`` smallest hashes, bool [n]."""
    stay = np.zeros(len(hashed), bool)
    stay[np.argsort(hashed, kind="stable")[: max(0, quota)]] = True
    return stay


@dataclass(frozen=True)
class Propensity:
    """q~ of every customer over arcs [n, A] and over none [n]."""

    arcs: Floats
    none: Floats


def propensity(weights: Floats, thin: Floats, cell: Ints, passing: Floats) -> Propensity:
    """q~: weights thinned and passed.

    Args:
        weights: q [n, A].
        thin: probability that a draw is kept so that reserves last, [n, A].
        cell: cell of each arc's channel, [A] (a column of ``passing``).
        passing: P(pass | drew in the cell) [n, cells].
    """
    arcs = weights * thin * passing[:, cell]
    return Propensity(arcs, np.maximum(0.0, 1.0 - arcs.sum(1)))


def pscore(epsilon: float, greedy: Ints, given: Ints, exploring: Propensity) -> Floats:
    """Probability of what each customer was given; places of arcs, -1 for none."""
    rows = np.arange(len(given))
    of_given = np.where(given >= 0, exploring.arcs[rows, np.maximum(given, 0)], exploring.none)
    return (1.0 - epsilon) * (given == greedy) + epsilon * of_given


def rank_best_arcs(run: RunFolder, night: Decision, inputs: DecisionInputs) -> Ints:
    """The five best outbound arcs of each customer at last night's prices, int64 [n, 5]; -1 where fewer."""
    start = inputs.start
    limits = night.instance.problem.limits
    prices = np.array([start.get(n, 0) * int(s) for n, s in zip(limits.names, limits.sign, strict=True)], np.int64)
    own = ["customer", "product", "channel", "value"]
    exploit = pq.read_table(run.instance / "arcs", columns=own)
    table = pa.concat_tables([exploit, run.table("others").select(own)])
    row, arc, value = night.arc_rows(table)
    reduced = value * PICO - night.arcs.price(prices)[night.arcs.classes[row], arc]
    order = np.lexsort((arc, -reduced, row))
    row, arc = row[order], arc[order]
    first = np.searchsorted(row, row)
    rank = np.arange(len(row)) - first
    best = np.full((night.population.num_rows, BEST_ARCS), -1, np.int64)
    top = rank < BEST_ARCS
    best[row[top], rank[top]] = arc[top]
    return best


def explore_within_reserves(night: Decision, best: Ints, inputs: DecisionInputs) -> None:
    """Give explorers what they draw, and say of all who could have been one how probable their row was.

    Args:
        night: roles, prices and what everybody gets as an exploiter; its rows are filled in.
        best: up to five arcs of each customer, the best at last night's prices, int64 [n, 5]; -1 where fewer.
        inputs: the frozen inputs.
    """
    arcs, role = night.arcs, night.role
    epsilon = inputs.explore
    masks = read_sets(night.population, "masks")

    def weights(part: slice) -> Floats:
        marks = np.zeros((len(role[part]), len(arcs.product) + 1), bool)
        np.put_along_axis(marks, np.where(best[part] >= 0, best[part], len(arcs.product)), True, 1)
        weight = draw_weights(eligible_arcs(masks[part], arcs), marks[:, :-1])
        weight[role[part] == CONTROL] = 0.0
        return weight

    expected = np.zeros(arcs.uses.shape[1:])
    for part in _parts(len(role)):
        np.add.at(expected, arcs.classes[part], epsilon * weights(part))
    order = {c: i for i, c in enumerate(dict.fromkeys(arcs.channel.tolist()))}
    channels = np.array([order[c] for c in arcs.channel.tolist()], np.int64)
    thinning = hold_within(arcs, expected, np.array(inputs.reserves, np.int64), np.array(inputs.capped, bool), channels)
    drew = _draw_arcs(night, weights, thinning, inputs)
    passing = _pass_probability(night, drew, thinning, channels)
    _give(night, drew, thinning, channels, inputs)
    for part in _parts(len(role)):
        chances = propensity(weights(part), thinning.thin[arcs.classes[part]], channels, passing[part])
        score = pscore(epsilon, night.greedy[part], night.given[part], chances)
        able = (role[part] != CONTROL) & eligible_arcs(masks[part], arcs).any(1)
        night.pscore[part] = np.where(able, score, 1.0)


def _parts(rows: int) -> Iterator[slice]:
    return (slice(lo, lo + BATCH) for lo in range(0, rows, BATCH))


def _draw_arcs(night: Decision, weights: Callable[[slice], Floats], thinning: Thinning, inputs: DecisionInputs) -> Ints:
    """The arc that each explorer draws before quotas, thinned; -1 none."""
    drew = np.full(len(night.role), -1, np.int64)
    number = key(inputs.seed, "draw", inputs.date)
    for part in _parts(len(drew)):
        drew[part] = draw(
            weights(part) * thinning.thin[night.arcs.classes[part]], uniform(night.draw_key[part], number)
        )
    drew[night.role != EXPLORE] = -1
    return drew


def _pass_probability(night: Decision, drew: Ints, thinning: Thinning, channels: Ints) -> Floats:
    """P(a draw of the customer in a cell passes its quota), given what the others drew tonight, [n, C].

    Of 1 + X drawers the K smallest hashes stay, and the customer's own rank is uniform: P = min(1, K / (1 + X)).
    What the others drew is known when this is logged, and nobody's own role or draw is in it but by the count of others.
    """
    count, centres = thinning.quota.shape
    centre, channel = night.arcs.centre[night.arcs.classes], np.where(drew >= 0, channels[drew], -1)
    has = drew >= 0
    drawers = np.bincount(channel[has] * centres + centre[has], minlength=count * centres).reshape(count, centres)
    others = drawers[:, centre].T - (channel[:, None] == np.arange(count))
    return np.minimum(1.0, thinning.quota[:, centre].T / (1.0 + others))


def _give(night: Decision, drew: Ints, thinning: Thinning, channels: Ints, inputs: DecisionInputs) -> None:
    """Give explorers what they drew as far as quotas and limits allow; ``withdrawn`` counts whom a limit refused."""
    arcs, arc = night.arcs, drew.copy()
    night.reason[night.role == EXPLORE] = "explore_none"
    order = hashes(night.draw_key, key(inputs.seed, "quota", inputs.date))
    centre = arcs.centre[arcs.classes]
    for c, z in np.ndindex(*thinning.quota.shape):
        rows = np.flatnonzero((arc >= 0) & (channels[arc] == c) & (centre == z))
        out = rows[~keep_smallest(order[rows], int(thinning.quota[c, z]))]
        arc[out] = -1
        night.reason[out] = "explore_quota"
    amount, used = np.array(inputs.amounts, np.int64), np.array(night.solution.plan.used, np.int64)
    for m in np.flatnonzero(inputs.capped):
        who = np.flatnonzero(arc >= 0)
        who = who[np.argsort(order[who], kind="stable")]
        use = arcs.uses[m][arcs.classes[who], arc[who]]
        out = who[(np.cumsum(use) + used[m] > amount[m]) & (use > 0)]
        arc[out] = -1
        night.reason[out] = "explore_withdrawn"
        night.marginal[out] = True
        night.withdrawn += len(out)
    has = np.flatnonzero(arc >= 0)
    night.given[has] = arc[has]
    night.reason[has] = "explored"


#: Share of a reserve that expected draws may take where quotas hold it exactly.
SPARE = 0.9


@dataclass(frozen=True)
class Thinning:
    """How exploration is held within its reserve.

    Attributes:
        thin: probability that a draw is kept, [classes, A].
        quota: places of each cell (arc's channel, centre), int64 [channels, centres].
        expected: expected use of each limit by explorers before thinning.
    """

    thin: Floats
    quota: Ints
    expected: Floats


def hold_within(arcs: Arcs, drawn: Floats, reserve: Ints, capped: np.ndarray, channels: Ints) -> Thinning:
    """Thin draws where a reserve would not last, and give each cell (channel x centre) its places.

    Args:
        arcs: arcs and classes.
        drawn: expected draws by explorers, [classes, A].
        reserve: of each limit.
        capped: limits to hold: at most, no shares, bool [M].
        channels: the channel of each arc as 0 .. C-1.
    """
    units = np.maximum(arcs.uses, 0)
    expected = np.tensordot(units, drawn, axes=([1, 2], [0, 1])).astype(float)
    count, centres = int(channels.max(initial=-1)) + 1, int(arcs.centre.max(initial=0)) + 1
    parts = {(c, z): np.ix_(arcs.centre == z, channels == c) for c in range(count) for z in range(centres)}
    thin = np.ones_like(drawn)
    for m in np.flatnonzero(capped):
        use = units[m].astype(float)
        by_quota = all((use[part] > 0).all() or not use[part].any() for part in parts.values())
        most = _ceiling(use, drawn, float(reserve[m]), by_quota=by_quota)
        thin = np.minimum(thin, np.divide(most, use, out=np.ones_like(use), where=use > most))
    thinned = drawn * thin
    quota = np.full((count, centres), 1 << 40, np.int64)
    for m in np.flatnonzero(capped):
        total = float((units[m] * thinned).sum())
        for (c, z), part in parts.items():
            use = units[m][part]
            if use.size and (use > 0).all():
                share = float((use * thinned[part]).sum()) / total if total > 0 else 0.0
                quota[c, z] = min(int(quota[c, z]), int(reserve[m] * share / use.max()))
    return Thinning(thin, quota, expected)


def _ceiling(use: Floats, drawn: Floats, reserve: float, *, by_quota: bool) -> float:
    """The most that an arc may use of a reserve in expectation, so that the reserve outlasts what is drawn.

    An arc that uses u is kept with probability min(1, c / u): a call worth fifty messages is drawn the less often, and a money
    reserve is not eaten up by the dearest channel. Draws of many customers are nearly Poisson, so c is the largest for
    which mean + 2.33 sd stay within the reserve (once in a hundred times it does not last); where quotas hold it exactly the mean
    may take nine tenths.

    Args:
        use: units that an arc uses, [classes, A].
        drawn: expected draws, [classes, A].
        reserve: units.
        by_quota: whether every cell uses it with all its arcs or none.
    """

    def estimate_use(most: float) -> float:
        each = np.minimum(use, most) * drawn
        mean = float(each.sum())
        return mean / SPARE if by_quota else mean + 2.33 * float((each * use).sum()) ** 0.5

    low, high = 0.0, float(use.max(initial=0.0))
    if estimate_use(high) <= reserve:
        return high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if estimate_use(middle) <= reserve else (low, middle)
    return low
