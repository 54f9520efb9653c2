"""Exploration: what explorers are offered, with which probability, and the propensity of every row of the plan.

An explorer draws none, one of its five best arcs, or any eligible arc; a draw is thinned where a limit's reserve
would not last, then passes a quota of its cell (channel x centre): the cell's smallest hashes stay, the others
get none. Every step's probability is known (the last one given what the others drew), so that

    pscore = (1 - e) 1{j = g} + e q~(j),    q~(j) = q(j) t(j) P(pass | drew j),    q~(none) = 1 - sum q~(j).

docs/developer/assignment.md, "Roles, exploration, pscore".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints

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
