"""Randomised slates of inbound offers by Plackett and Luce, with the probability of each slate as drawn.

Plackett, "The Analysis of Permutations", Applied Statistics 24 (1975); Luce, "Individual Choice Behavior" (1959): the
first place goes to offer j with probability proportional to exp(score_j / temperature), the next among the rest, and
so on. Sorting by score / temperature + a Gumbel variate draws from just that (Yellott, Journal of Mathematical
Psychology 15, 1977), so one keyed hash an offer is all the randomness there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints
from models.hashing import hashes, uniform


@dataclass(frozen=True)
class Slates:
    """Offers in the places that they were drawn for.

    Attributes:
        order: positions of the offers shown, by cell and rank, int64 [shown].
        rank: 1 is the first place, int64 [shown].
        probability: of the whole slate as it stands in its cell, the same in each of its rows, float [shown].
    """

    order: Ints
    rank: Ints
    probability: Floats


def slates(
    cell: Ints, score: Ints, label: Ints, number: int, temperature: float, places: int, hashed: Ints | None = None
) -> Slates:
    """Draw the slate of each cell.

    Args:
        cell: who is shown it and where, one integer, ascending, int64 [n].
        score: what an offer is worth, micro-yuan, int64 [n].
        label: of each offer within its cell, int64 [n]; with the cell it is what the draw is hashed from.
        number: the key of the draw.
        temperature: micro-yuan; at 0 offers stand by score (ties by label) and every slate has probability 1.
        places: offers a slate at most.
        hashed: what stands for the cell in the draw, int64 [n]; the cell itself where not given.
    """
    if temperature <= 0:
        order = np.lexsort((label, -score, cell))
        rank = _rank(cell[order])
        shown = rank <= places
        return Slates(order[shown], rank[shown], np.ones(int(shown.sum())))
    strength = score / temperature
    order = np.lexsort((label, -(strength + gumbel(cell if hashed is None else hashed, label, number)), cell))
    rank = _rank(cell[order])
    begin = np.flatnonzero(rank == 1)
    sizes = np.diff(np.append(begin, len(order)))
    drawn = strength[order]
    # of what is left to choose from at each place, the share of the one drawn
    step = drawn - _sum_to_end(drawn, begin, sizes)
    first = np.where(rank <= places, step, 0.0)
    logged = np.repeat(np.add.reduceat(first, begin), sizes) if len(begin) else first
    shown = rank <= places
    return Slates(order[shown], rank[shown], np.exp(logged[shown]))


def gumbel(cell: Ints, label: Ints, number: int) -> Floats:
    """A Gumbel variate of each offer from its keyed hash."""
    mixed = hashes(cell, number) ^ hashes(label, number + 1)
    u = uniform(mixed.view(np.int64), number + 2) + 2.0**-54
    return np.asarray(-np.log(-np.log(u)), np.float64)


def _rank(cell: Ints) -> Ints:
    """The place of each row within its cell, from 1; cells are consecutive."""
    return np.arange(len(cell)) - np.searchsorted(cell, cell) + 1


def _sum_to_end(strength: Floats, begin: Ints, sizes: Ints) -> Floats:
    """Within each cell log of the sum of exp(strength) from a row to its end: no rounding reaches another cell."""
    out = strength.copy()
    last = np.repeat(begin + sizes - 1, sizes)
    for back in range(1, int(sizes.max(initial=1))):
        at = np.arange(len(strength)) + back
        inside = at <= last
        out[inside] = np.logaddexp(out[inside], strength[at[inside]])
    return out
