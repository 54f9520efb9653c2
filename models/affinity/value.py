"""The value of an arc in money (5-assignment.md, "Value of an arc"), in int64 micro-元.

v = effect on net margin over the horizon − cost of the attempt − fatigue − L·g

where the effect is (lift·kept·(p_convert − p_base) − (1 − kept)·p_base) · unit margin (``models.affinity.effect``),
fatigue is what the contact does to later contacts through opt-outs and complaints, L the nights that the frequency
window blocks afterwards and g the customer's trailing reduced value a night: a contact tonight must be worth more than
what it keeps from the next nights.

g is at most max_j v_j / (1 + L_j) (renewal and reward: nobody can be contacted more often than the windows allow). A
past that knew no such windows would otherwise forbid every contact of tomorrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Flags, Floats, Ints


@dataclass(frozen=True)
class ArcMoney:
    """What an arc costs and brings, by arc; money in micro-元."""

    unit_margin: Ints  # (arcs,) net margin of an order, cancellations counted
    lift: Floats  # (arcs,) orders that a contact brings, as a multiple of p_convert − p_base
    kept: Floats  # (arcs,) share of the list margin that such an order leaves
    cost: Ints  # (arcs,) of an attempt
    fatigue: Ints  # (arcs,)
    block: Ints  # (arcs,) nights blocked afterwards


def effects(p_convert: Floats, p_base: Floats, money: ArcMoney) -> Ints:
    """(customers, arcs) effect on net margin, micro-元, rounded half to even.

    Args:
        p_convert: (customers, arcs) probability to order when contacted.
        p_base: (customers, arcs) the same without a contact.
        money: of the arcs.
    """
    brought = (p_convert - p_base) * (money.lift * money.kept * money.unit_margin)
    return np.rint(brought - p_base * ((1 - money.kept) * money.unit_margin)).astype(np.int64)


def values(effect: Ints, money: ArcMoney, trailing: Ints, contacts: Flags) -> Ints:
    """(customers, arcs) value, micro-元.

    Args:
        effect: (customers, arcs) micro-元.
        money: of the arcs.
        trailing: (customers,) reduced value a night of late, micro-元.
        contacts: (customers, arcs) eligible arcs that are contacts, hence block later ones.
    """
    tonight = effect - (money.cost + money.fatigue)
    cycle = np.where(contacts, np.maximum(tonight, 0) // (1 + money.block), 0).max(axis=1, initial=0)
    return np.asarray(tonight - np.minimum(trailing, cycle)[:, None] * money.block)
