"""Which arcs of a customer are kept: few, but such that the optimum over all of them is not lost.

Of the ``keep`` outbound arcs three quarters are the best by *reduced* value at last night's prices and the rest the
best of the others by value (a price that falls must find its customers); beside them the best arc of each set that
has a floor (otherwise the dual runs away, 5-assignment.md), and the best ``inbound`` products of each inbound
channel by value. Ties go to the arc that comes first.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from models.arrays import Flags, Ints


@njit(cache=True, nogil=True)
def _best(reduced, allowed, selected, times):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for _ in range(times):
        best = -1
        for arc in range(reduced.shape[0]):
            if allowed[arc] and not selected[arc] and (best < 0 or reduced[arc] > reduced[best]):
                best = arc
        if best < 0:
            return
        selected[best] = True


@njit(cache=True, nogil=True)
def _keep(value, reduced, eligible, outbound, channel, floors, keep, inbound, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    arcs = value.shape[1]
    channels = channel.max() + 1 if arcs else 0
    allowed = np.zeros(arcs, np.bool_)
    for row in range(value.shape[0]):
        for arc in range(arcs):
            allowed[arc] = eligible[row, arc] and outbound[arc]
        _best(reduced[row], allowed, out[row], keep - keep // 4)
        _best(value[row], allowed, out[row], keep // 4)
        for floor in range(floors.shape[0]):
            best = -1
            for arc in range(arcs):
                there = floors[floor, arc] and eligible[row, arc] and outbound[arc]
                if there and (best < 0 or reduced[row, arc] > reduced[row, best]):
                    best = arc
            if best >= 0:
                out[row, best] = True
        for which in range(channels):
            any_here = False
            for arc in range(arcs):
                allowed[arc] = eligible[row, arc] and not outbound[arc] and channel[arc] == which
                any_here |= allowed[arc]
            if any_here:
                _best(value[row], allowed, out[row], inbound)


def prune(
    value: Ints,
    reduced: Ints,
    eligible: Flags,
    outbound: Flags,
    channel: Ints,
    floors: Flags,
    *,
    keep: int,
    inbound: int = 3,
) -> Flags:
    """(customers, arcs) flags of the arcs that are kept.

    Args:
        value: (customers, arcs) micro-元.
        reduced: (customers, arcs) value less what the limits charge, micro-元.
        eligible: (customers, arcs).
        outbound: (arcs,).
        channel: (arcs,) channel id.
        floors: (floors, arcs) the arcs of each limit that is a floor.
        keep: outbound arcs kept by reduced value and by value.
        inbound: products kept on each inbound channel.
    """
    out = np.zeros(value.shape, np.bool_)
    _keep(value, reduced, np.ascontiguousarray(eligible), outbound, channel, floors, keep, inbound, out)
    return out
