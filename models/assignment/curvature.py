"""The dual's curvature over the limits: a table where they are few, a sparse matrix where they are many.

A customer near a tie changes the uses of the few limits that its two best arcs touch, so of M limits only those
curve together that some customer's arcs touch together: a shop's stock with the shop's other stock and with the
budget, never with another shop's. A table costs M^2 numbers a pass and a step; the sparse form costs what the
customers near a tie touch. docs/developer/assignment.md, "Curvature".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from scipy.sparse import csr_array, diags_array

from models.arrays import Floats, Ints, list_places
from models.assignment.problem import Kinds

#: From so many limits on the curvature is sparse; a table of fewer takes half a megabyte, which the caches hold.
SPARSE_FROM = 257
#: Sweeps over the limits that a step is sought by, at most.
SWEEPS = 400


def zero_curve(limits: int) -> Any:
    """What sums of curves begin from: int64 [M, M], a table or sparse."""
    return (
        csr_array((limits, limits), dtype=np.int64) if limits >= SPARSE_FROM else np.zeros((limits, limits), np.int64)
    )


def sum_ties(ties: Ints, kinds: Kinds, grains: Ints, limits: int) -> Any:
    """The sparse curve of customers near a tie: sum of weight x d d', d = uses of the best arc less the second best's.

    Args:
        ties: int64 [n, 3], of each customer its best and second-best kind (-1: no arc) and the weight.
        kinds: the kinds.
        grains: scaled uses, int64 [U].
        limits: M.
    """
    change = _uses(ties[:, 0], kinds, grains, limits) - _uses(ties[:, 1], kinds, grains, limits)
    weighted = change.copy()
    weighted.data *= np.repeat(ties[:, 2], np.diff(change.indptr))
    return (weighted.T @ change).tocsr()


def _uses(kind: Ints, kinds: Kinds, grains: Ints, limits: int) -> Any:
    """Scaled uses of each ``kind`` as sparse rows; none where it is -1."""
    begin = kinds.first[kind]
    first, source = list_places(begin, np.where(kind >= 0, kinds.first[kind + 1] - begin, 0))
    return csr_array((grains[source], kinds.limit[source], first), shape=(len(kind), limits))


def diagonal(curvature: Any) -> Floats:
    """Of each limit alone, float [M]."""
    return np.asarray(curvature.diagonal(), np.float64)


def step_within(curvature: Any, slope: Floats, low: Floats, high: Floats) -> tuple[Floats, float]:
    """The d between ``low`` and ``high`` that minimises slope'd + d'Hd/2, and the fall that it promises.

    H is the curvature with a little more on its diagonal, which is what limits have that nobody is near.
    """
    own = diagonal(curvature)
    middle = float(np.median(own[own > 0])) if (own > 0).any() else 1.0
    more = 1e-6 * middle + 1e-9
    if isinstance(curvature, np.ndarray):
        H: Any = curvature.copy()
        H[np.diag_indices_from(H)] += more
        step = box_qp(H, slope, low, high, SWEEPS)
    else:
        H = (curvature + diags_array(np.full(len(own), more))).tocsr()
        step = sparse_box_qp(H.indptr, H.indices, H.data, own + more, slope, low, high, SWEEPS)
    return step, float(-(slope @ step + 0.5 * step @ (H @ step)))


@njit(cache=True, nogil=True)
def box_qp(H, g, low, high, sweeps):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Minimise g'd + d'Hd/2 with low <= d <= high by exact coordinate steps; H positive definite."""
    n = len(g)
    d = np.zeros(n)
    slope = g.copy()
    for _ in range(sweeps):
        moved = 0.0
        for i in range(n):
            new = min(max(d[i] - slope[i] / H[i, i], low[i]), high[i])
            step = new - d[i]
            if step != 0.0:
                d[i] = new
                for j in range(n):
                    slope[j] += step * H[j, i]
                moved = max(moved, abs(step) / (1e-12 + high[i] - low[i]))
        if moved < 1e-9:
            break
    return d


@njit(cache=True, nogil=True)
def sparse_box_qp(first, limit, entry, own, g, low, high, sweeps):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The same of a sparse H: rows ``limit[first[i]:first[i + 1]]`` with their ``entry``, and ``own``, its diagonal."""
    n = len(g)
    d = np.zeros(n)
    slope = g.copy()
    for _ in range(sweeps):
        moved = 0.0
        for i in range(n):
            new = min(max(d[i] - slope[i] / own[i], low[i]), high[i])
            step = new - d[i]
            if step != 0.0:
                d[i] = new
                for q in range(first[i], first[i + 1]):
                    slope[limit[q]] += step * entry[q]
                moved = max(moved, abs(step) / (1e-12 + high[i] - low[i]))
        if moved < 1e-9:
            break
    return d
