"""Compiled passes over a block of arcs: the dual's value and curvature, choices, and options near a choice.

All sums are of integers, so blocks, threads and machines may share the work in any way. Ties go by reduced
value, then by a keyed hash of customer and arc: rows in another order give the same choice.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Kernel weights run from 0 to 256.
WEIGHT = 256
_NONE = -(1 << 62)


@njit(cache=True, nogil=True, inline="always")
def tie(customer: int, label: int) -> np.uint64:
    """Keyed hash of a customer and an arc's label (the finaliser of splitmix64, Steele et al. 2014)."""
    x = np.uint64(customer) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(label) * np.uint64(0xD1B54A32D192ED03)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def _up(pico: int) -> int:
    """Micro-yuan of pico-yuan, rounded up."""
    return -((-pico) // 1_000_000)


@njit(cache=True, nogil=True, inline="always")
def _two_best(customer, lo, hi, value, kind, price, label, must):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Best and second-best choice of a customer: (arc, reduced) twice; arc -1 is none."""
    if must:
        best, r1 = -1, _NONE
    else:
        best, r1 = -1, 0
    second, r2 = -1, _NONE
    for a in range(lo, hi):
        k = kind[a]
        r = 1_000_000 * np.int64(value[a]) - price[k]
        if r > r1 or (r == r1 and best >= 0 and tie(customer, label[k]) < tie(customer, label[kind[best]])):
            second, r2 = best, r1
            best, r1 = a, r
        elif r > r2:
            second, r2 = a, r
    return best, r1, second, r2


@njit(cache=True, nogil=True)
def sweep(customer, first, value, kind, price, label, must, shift, ptr, lim, use, counts, curve):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """One pass: the customers' part of the dual, chosen arcs by kind, and curvature of the margin kernel.

    Args:
        customer, first, value, kind: the block.
        price, label: of each kind.
        must: a customer must take an arc.
        shift: margins below 2^(shift + 8) pico-yuan count, with weight 256 - (margin >> shift); < 0: none do.
        ptr, lim, use: scaled uses of kinds, int64 sparse rows.
        counts: int64 [K], added to.
        curve: int64 [M, M], added to: sum of weight x d d' (d: scaled uses of best less second-best).

    Returns:
        Sum over customers of the best reduced value, each rounded up to micro-yuan; customers within the kernel.
    """
    total = np.int64(0)
    near = np.int64(0)
    width = np.int64(0)
    if shift >= 0:
        width = np.int64(1) << (shift + 8)
    d_lim = np.empty(2 * curve.shape[0], np.int64)
    d_use = np.empty(2 * curve.shape[0], np.int64)
    for i in range(len(customer)):
        best, r1, second, r2 = _two_best(customer[i], first[i], first[i + 1], value, kind, price, label, must)
        total += _up(r1)
        if best >= 0:
            counts[kind[best]] += 1
        if r1 - r2 < width:
            near += 1
            n = _difference(best, second, kind, ptr, lim, use, d_lim, d_use)
            w = WEIGHT - ((r1 - r2) >> shift)
            for x in range(n):
                ux = w * d_use[x]
                row = d_lim[x]
                for y in range(n):
                    curve[row, d_lim[y]] += ux * d_use[y]
    return total, near


@njit(cache=True, nogil=True)
def _difference(best, second, kind, ptr, lim, use, d_lim, d_use):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Uses of ``best`` less those of ``second`` (arcs, -1 is none), merged by limit; returns how many differ."""
    x, x_end, y, y_end = 0, 0, 0, 0
    if best >= 0:
        x, x_end = ptr[kind[best]], ptr[kind[best] + 1]
    if second >= 0:
        y, y_end = ptr[kind[second]], ptr[kind[second] + 1]
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
def choose(customer, first, value, kind, price, label, must, arc, reduced, margin):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Each customer's choice at the prices: arc (-1: none), reduced value and margin to the next best, pico-yuan."""
    for i in range(len(customer)):
        best, r1, _, r2 = _two_best(customer[i], first[i], first[i + 1], value, kind, price, label, must)
        arc[i] = best
        reduced[i] = r1
        margin[i] = r1 - r2


@njit(cache=True, nogil=True)
def options(customer, first, value, kind, price, label, must, held, width, out, fill):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Customers who may move, and their choices that lose less than ``width`` against their best.

    Who may move: whose margin is below ``width``, or who holds another arc than the best.

    Args:
        customer, first, value, kind, price, label, must: as in ``sweep``.
        held: the arc that each customer holds (-1: none), int64; it is among the choices whatever it loses.
        width: pico-yuan.
        out: int64 [n, 4], filled with (customer's place in the block, arc or -1, loss, 1 for the arc held).
        fill: False only counts.

    Returns:
        Number of rows.
    """
    n = 0
    for i in range(len(customer)):
        best, r1, _, r2 = _two_best(customer[i], first[i], first[i + 1], value, kind, price, label, must)
        if r1 - r2 >= width and held[i] == best:
            continue
        if held[i] < 0 or (not must and (best < 0 or r1 < width)):
            if fill:
                out[n, 0], out[n, 1], out[n, 2], out[n, 3] = i, -1, r1, np.int64(held[i] < 0)
            n += 1
        for a in range(first[i], first[i + 1]):
            loss = r1 - (1_000_000 * np.int64(value[a]) - price[kind[a]])
            if loss < width or a == held[i]:
                if fill:
                    out[n, 0], out[n, 1], out[n, 2], out[n, 3] = i, a, loss, np.int64(a == held[i])
                n += 1
    return n
