"""Exploration: what explorers may draw, with which probability, and the propensity of every row of the plan.

An explorer draws none or one of the arcs that pruning kept, all alike; a draw is *thinned* where the
limits would not carry all of them. Probabilities are integers, in parts of ``PARTS``, so that draws and what is logged of them are the same
bytes everywhere:

    pscore(j) = (1 - e) 1{j = g} + e q~(j),    q~(j) = q(j) t(j),    q~(none) = 1 - sum q~(j),

g being what exploiting gives at the night's prices. No other customer's label or draw is in it.
docs/developer/assignment.md, "Roles, exploration, pscore".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Ints

#: What probabilities are counted in.
PARTS = 1 << 32
#: Chance of some arc, before thinning; the rest is none.
SOME = 0.8
#: An arc that is drawn less often teaches nothing that its weight does not drown: it is not drawn.
LEAST = 1e-3
#: So many standard deviations above the mean, what explorers use must still be within a whole limit.
DEVIATIONS = 4.0


@dataclass(frozen=True)
class Offered:
    """The arcs that explorers draw from, of everybody, in the order of customers.

    Attributes:
        first: where each customer's arcs begin, int64 [n + 1].
        row: customer of each arc, as a place, int64 [arcs] ascending.
        place: of each arc, as the caller counts them, int64 [arcs].
        parts: chance of each arc to be what an explorer draws, int64 [arcs] of ``PARTS``; 0: it is not supported.
    """

    first: Ints
    row: Ints
    place: Ints
    parts: Ints

    def draw(self, hashed: NDArray[np.uint64]) -> Ints:
        """The arc that each customer draws with 64 hashed bits: its place, -1 for none."""
        at = np.cumsum(self.parts)
        within = at - np.concatenate(([0], at))[self.first[self.row]]
        passed = within <= (hashed >> np.uint64(32)).astype(np.int64)[self.row]
        arc = self.first[:-1] + np.bincount(self.row[passed], minlength=len(self.first) - 1)
        some = arc < self.first[1:]
        return np.where(some, self.place[np.where(some, arc, 0)] if len(self.place) else -1, -1)

    def parts_of(self, given: Ints) -> Ints:
        """How probable it is that each customer, exploring, gets ``given`` (places; -1 none), in ``PARTS``."""
        hit = given[self.row] == self.place
        of_arc, total = np.zeros(len(given), np.int64), np.zeros(len(given), np.int64)
        of_arc[self.row[hit]] = self.parts[hit]
        np.add.at(total, self.row, self.parts)
        return np.where(given >= 0, of_arc, PARTS - total)


def offer_evenly(row: Ints, place: Ints, may: NDArray[np.bool_]) -> Offered:
    """Some arc with chance ``SOME``, all of a customer's alike.

    Args:
        row: customer of each arc, int64 [arcs] ascending.
        place: of each arc.
        may: whether each customer explores on some night, bool [n]; of others nothing is offered.
    """
    count = np.bincount(row, minlength=len(may))
    first = np.concatenate(([0], np.cumsum(count)))
    even = int(SOME * PARTS) // np.maximum(count, 1)
    return Offered(first, row, place, np.where(may, even, 0)[row])


def thin_to_limit(use: Floats, drawn: Floats, amount: float, deviations: float) -> Floats:
    """Probability that a draw is kept so that what is drawn uses no more than an amount of a limit, [classes, A].

    An arc that uses u is kept with probability min(1, c / u): money goes to many cheap contacts and few dear ones. Draws of
    many customers are nearly Poisson, so c is the largest for which mean + ``deviations`` sd stay within the amount.

    Args:
        use: units that an arc uses, [classes, A].
        drawn: expected draws, [classes, A].
        amount: units.
        deviations: standard deviations above the mean that must fit; 0: the mean does.
    """

    def estimate_use(most: float) -> float:
        each = np.minimum(use, most) * drawn
        return float(each.sum()) + deviations * float((each * use).sum()) ** 0.5

    low, high = 0.0, float(use.max(initial=0.0))
    if estimate_use(high) > amount:
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if estimate_use(middle) <= amount else (low, middle)
        return np.divide(low, use, out=np.ones_like(use), where=use > low)
    return np.ones_like(use)


def thin(parts: Ints, fair: Floats, most: Floats, epsilon: float) -> Ints:
    """The chance of each arc, thinned: to explorers' part of the limits, where it stays above ``LEAST``; else to ``LEAST``.

    What then still is more than limits carry is thinned on, and an arc given with a probability below ``LEAST`` not at all.

    Args:
        parts: chances of arcs, of ``PARTS``, int64 [arcs].
        fair: of each arc, probability to be kept where explorers use of a limit what they are of the customers.
        most: the same, where they use no more of it than there is.
        epsilon: share who explore.
    """
    least = math.ceil(LEAST * PARTS / epsilon) if epsilon else PARTS
    thinned = np.maximum((parts * fair).astype(np.int64), np.minimum(parts, least))
    thinned = np.minimum(thinned, (parts * most).astype(np.int64))
    return np.where(thinned >= least, thinned, 0)


def pscore(epsilon: float, same: NDArray[np.bool_], parts: Ints) -> Floats:
    """Probability of what each customer was given.

    Args:
        epsilon: share who explore.
        same: whether it is what exploiting gives, bool [n].
        parts: that exploring gives it, of ``PARTS``.
    """
    return (1.0 - epsilon) * same + epsilon * (parts / PARTS)
