"""Compiled passes over a block of arcs: the dual's value and curvature, choices, and options near a choice.

All sums are of integers, so blocks, threads and machines may share the work in any way. Ties go by reduced
value, then by a keyed hash of customer and arc: rows in another order give the same choice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from models.arrays import Ints
from models.hashing import STEP, mix

#: Kernel weights run from 0 to 256.
WEIGHT = 256
_NONE = -(1 << 62)


class ArcArrays(NamedTuple):
    """A block of customers and arcs as the passes read it: the attributes of ``problem.Block``."""

    customer: Ints
    first: npt.NDArray[np.integer]
    value: npt.NDArray[np.integer]
    kind: npt.NDArray[np.integer]
    group: npt.NDArray[np.integer]
    width: int


class KindUses(NamedTuple):
    """Uses of kinds as sparse rows: kind k has ``limit[ptr[k]:ptr[k + 1]]`` and, of each, ``use``."""

    ptr: Ints
    limit: Ints
    use: Ints


@njit(cache=True, nogil=True, inline="always")
def tie(customer: int, label: int) -> np.uint64:
    """Keyed hash of a customer and an arc's label."""
    return mix(np.uint64(customer) * np.uint64(STEP) + np.uint64(label) * np.uint64(0xD1B54A32D192ED03))


@njit(cache=True, nogil=True, inline="always")
def _up(pico: int) -> int:
    """Micro-yuan of pico-yuan, rounded up."""
    return -((-pico) // 1_000_000)


@njit(cache=True, nogil=True, inline="always")
def least_value(must):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Reduced value of taking nothing: 0, or out of the question."""
    return np.int64(_NONE) if must else np.int64(0)


@njit(cache=True, nogil=True, inline="always")
def kind_base(i, group, width):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """What the kinds of customer ``i`` are counted from."""
    return np.uint64(group[i]) * np.uint64(width) if width else np.uint64(0)


@njit(cache=True, nogil=True, inline="always")
def _best(lo, hi, base, value, kind, price, least):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Best arc (``hi``: none), its reduced value and the second best's, without a branch; equal ones are a tie.

    A branch an arc would be mispredicted at every other one: four times the cycles. Indices are unsigned because
    numba then spares the test for those below zero.
    """
    best, r1, r2 = hi, least, np.int64(_NONE)
    for a in range(lo, hi):
        r = 1_000_000 * np.int64(value[a]) - price[base + np.uint64(kind[a])]
        lower = r if r < r1 else r1
        r2 = lower if lower > r2 else r2
        best = a if r > r1 else best
        r1 = r if r > r1 else r1
    return best, r1, r2


@njit(cache=True, nogil=True)
def _two_best(customer, lo, hi, base, value, kind, price, label, least):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Best and second-best choice of a customer, ties by hash; ``hi`` is none."""
    best, r1, second, r2 = hi, least, hi, np.int64(_NONE)
    for a in range(lo, hi):
        k = base + np.uint64(kind[a])
        r = 1_000_000 * np.int64(value[a]) - price[k]
        if r > r1 or (
            r == r1 and best < hi and tie(customer, label[k]) < tie(customer, label[base + np.uint64(kind[best])])
        ):
            second, r2 = best, r1
            best, r1 = a, r
        elif r > r2:
            second, r2 = a, r
    return best, second


@njit(cache=True, nogil=True, inline="always")
def best_choice(customer, lo, hi, base, value, kind, price, label, least):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Best arc (``hi``: none), ties by hash, its reduced value and the second best's."""
    best, r1, r2 = _best(lo, hi, base, value, kind, price, least)
    if r1 == r2:
        best, _ = _two_best(customer, lo, hi, base, value, kind, price, label, least)
    return best, r1, r2


@njit(cache=True, nogil=True)
def charge(first, limit, use, prices):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Of each kind: sum over its limits of price x use."""
    charged = np.zeros(len(first) - 1, np.int64)
    for k in range(len(charged)):
        for u in range(first[k], first[k + 1]):
            charged[k] += prices[limit[u]] * use[u]
    return charged


@njit(cache=True, nogil=True)
def add_uses(first, limit, use, counts, limits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Of each limit: its use by ``counts`` arcs of each kind, within 64 bits."""
    total = np.zeros(limits, np.int64)
    for k in range(len(first) - 1):
        if counts[k]:
            for u in range(first[k], first[k + 1]):
                total[limit[u]] += counts[k] * use[u]
    return total


@njit(cache=True, nogil=True)
def sweep(arcs, price, label, must, shift, uses, counts, curve, ties):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """One pass: the customers' part of the dual, chosen arcs by kind, and curvature of the margin kernel.

    Args:
        arcs: the block.
        price, label: of each kind.
        must: a customer must take an arc.
        shift: margins below 2^(shift + 8) pico-yuan count, with weight 256 - (margin >> shift); < 0: none do.
        uses: scaled uses of kinds, int64.
        counts: int64 [K + 1], added to; the last counts who takes nothing.
        curve: int64 [M, M], added to: sum of weight x d d' (d: scaled uses of best less second-best).
        ties: int64 [n, 3], filled instead of ``curve`` where it has rows: best and second-best kind (-1: none) and
            weight of who is within the kernel.

    Returns:
        Sum over customers of the best reduced value, each rounded up to micro-yuan; customers within the kernel.
    """
    customer, first, value, kind, group, width = arcs
    ptr, lim, use = uses
    total = np.int64(0)
    near = np.int64(0)
    within = np.int64(1) << (shift + 8) if shift >= 0 else np.int64(0)
    least, nothing = least_value(must), np.uint64(len(counts) - 1)
    d_lim = np.empty(2 * curve.shape[0], np.int64)
    d_use = np.empty(2 * curve.shape[0], np.int64)
    lo = np.uint64(first[0])
    for i in range(np.uint64(len(customer))):
        hi = np.uint64(first[i + np.uint64(1)])
        base = kind_base(i, group, width)
        best, r1, r2 = _best(lo, hi, base, value, kind, price, least)
        second = hi
        if r1 == r2 or r1 - r2 < within:
            best, second = _two_best(customer[i], lo, hi, base, value, kind, price, label, least)
        total += _up(r1)
        k = base + np.uint64(kind[best if best < hi else np.uint64(0)])
        counts[k if best < hi else nothing] += 1
        if r1 - r2 < within:
            near += 1
            best_kind = np.int64(k) if best < hi else np.int64(-1)
            other = np.int64(base + np.uint64(kind[second])) if second < hi else np.int64(-1)
            w = WEIGHT - ((r1 - r2) >> shift)
            if len(ties):
                ties[near - 1, 0], ties[near - 1, 1], ties[near - 1, 2] = best_kind, other, w
                lo = hi
                continue
            n = difference(best_kind, other, ptr, lim, use, d_lim, d_use)
            for x in range(n):
                ux = w * d_use[x]
                row = d_lim[x]
                for y in range(n):
                    curve[row, d_lim[y]] += ux * d_use[y]
        lo = hi
    return total, near


@njit(cache=True, nogil=True)
def difference(kind, other, ptr, lim, use, d_lim, d_use):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Uses of ``kind`` less those of ``other`` (-1 is none), merged by limit; returns how many differ."""
    x, x_end, y, y_end = 0, 0, 0, 0
    if kind >= 0:
        x, x_end = ptr[kind], ptr[kind + 1]
    if other >= 0:
        y, y_end = ptr[other], ptr[other + 1]
    n = 0
    while x < x_end or y < y_end:
        if y >= y_end or (x < x_end and lim[x] < lim[y]):
            d_lim[n], d_use[n] = lim[x], use[x]
            x += 1
            n += 1
        elif x >= x_end or lim[y] < lim[x]:
            d_lim[n], d_use[n] = lim[y], -use[y]
            y += 1
            n += 1
        else:
            if use[x] != use[y]:
                d_lim[n], d_use[n] = lim[x], use[x] - use[y]
                n += 1
            x += 1
            y += 1
    return n


@njit(cache=True, nogil=True)
def choose(arcs, price, label, must, arc, reduced, margin):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Each customer's choice at the prices: arc (-1: none), reduced value and margin to the next best, pico-yuan."""
    customer, first, value, kind, group, width = arcs
    least = least_value(must)
    lo = np.uint64(first[0])
    for i in range(np.uint64(len(customer))):
        hi = np.uint64(first[i + np.uint64(1)])
        base = kind_base(i, group, width)
        best, r1, r2 = best_choice(customer[i], lo, hi, base, value, kind, price, label, least)
        arc[i] = np.int64(best) if best < hi else np.int64(-1)
        reduced[i] = r1
        margin[i] = r1 - r2
        lo = hi


@njit(cache=True, nogil=True)
def options(arcs, price, label, must, current, within, out, fill):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Customers who may move, and their choices that lose less than ``within`` against their best.

    Who may move: whose margin is below ``within``, or who holds another arc than the best.

    Args:
        arcs, price, label, must: as in ``sweep``.
        current: the arc that each customer holds (-1: none), int; it is among the choices whatever it loses.
        within: pico-yuan.
        out: int64 [n, 4], filled with (customer's place in the block, arc or -1, loss, 1 for the arc held).
        fill: False only counts.

    Returns:
        Number of rows.
    """
    customer, first, value, kind, group, width = arcs
    n = 0
    least = least_value(must)
    lo = np.uint64(first[0])
    for i in range(np.uint64(len(customer))):
        hi = np.uint64(first[i + np.uint64(1)])
        base = kind_base(i, group, width)
        best, r1, r2 = best_choice(customer[i], lo, hi, base, value, kind, price, label, least)
        own = np.int64(current[i])
        chosen = np.int64(best) if best < hi else np.int64(-1)
        if r1 - r2 < within or own != chosen:
            if own < 0 or (not must and (chosen < 0 or r1 < within)):
                if fill:
                    out[n, 0], out[n, 1], out[n, 2], out[n, 3] = np.int64(i), -1, r1, np.int64(own < 0)
                n += 1
            for a in range(lo, hi):
                loss = r1 - (1_000_000 * np.int64(value[a]) - price[base + np.uint64(kind[a])])
                if loss < within or np.int64(a) == own:
                    if fill:
                        out[n, 0], out[n, 1] = np.int64(i), np.int64(a)
                        out[n, 2], out[n, 3] = loss, np.int64(np.int64(a) == own)
                    n += 1
        lo = hi
    return n
