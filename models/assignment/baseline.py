"""What a solver is measured against: arbitrate-then-cap, what next-best-action engines do.

Customers come in some order; each takes its best arc that still fits under every at-most limit. Floors are not
looked at (that flatters the baseline).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numba import njit

from models.assignment.problem import Ints, Problem
from models.assignment.sample import hashes


@njit(cache=True, nogil=True)
def _take(order, first, value, kind, sorted_arcs, ptr, lim, use, used, amount, capped):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    total = np.int64(0)
    chosen = np.full(len(first) - 1, -1, np.int64)
    for i in order:
        for x in range(first[i], first[i + 1]):
            a = sorted_arcs[x]
            if value[a] <= 0:
                break
            k = kind[a]
            fits = True
            for y in range(ptr[k], ptr[k + 1]):
                m = lim[y]
                if capped[m] and used[m] + use[y] > amount[m]:
                    fits = False
                    break
            if fits:
                for y in range(ptr[k], ptr[k + 1]):
                    used[lim[y]] += use[y]
                total += value[a]
                chosen[i] = a
                break
    return total, chosen


def arbitrate_then_cap(problem: Problem, order: Literal["score", "arrival"] = "score") -> tuple[int, list[str]]:
    """Value in micro-yuan, and the limits that the baseline breaks (it knows no floors and shares)."""
    if not problem.blocks:
        return 0, []
    customer = np.concatenate([b.customer for b in problem.blocks])
    first = np.concatenate([[0]] + [np.diff(b.first) for b in problem.blocks]).cumsum()
    value = np.concatenate([b.value for b in problem.blocks]).astype(np.int64)
    kind = np.concatenate([b.kind for b in problem.blocks])
    owner = np.repeat(np.arange(len(customer)), np.diff(first))
    arcs = np.lexsort((np.arange(len(value)), -value, owner))
    key: Ints = -value[arcs[first[:-1]]] if order == "score" else hashes(customer, 5).view(np.int64)
    turn = np.lexsort((customer, key))
    used = np.zeros(len(problem.limits), np.int64)
    capped = problem.limits.sign > 0
    share = _has_negative(problem)
    kinds = problem.kinds
    total, _ = _take(turn, first, value, kind, arcs, kinds.first, kinds.limit, kinds.use, used, problem.limits.amount,
                     capped & ~share)  # fmt: skip
    broken = [n for n, u, b in zip(problem.limits.names, used, problem.limits.amount, strict=True) if u > b]
    return int(total), broken


def _has_negative(problem: Problem) -> np.ndarray:
    """Limits that some arc gives back to: shares, which a cap in order cannot keep."""
    found = np.zeros(len(problem.limits), bool)
    found[problem.kinds.limit[problem.kinds.use < 0]] = True
    return found & (problem.limits.sign > 0)
