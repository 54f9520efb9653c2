"""Wear-out: how much less a contact is answered after contacts of the days before.

A past policy that asked the same customers week after week is answered less than one that comes back after a rest, so
the log's rates are those of customers who were asked often. *Recent* is what counts of a customer's earlier contacts: each counts
half as much after a week. An answer's odds fall by exp(−w·recent); w is measured within product × channel, since arcs
differ in whom they were given to.
"""

from __future__ import annotations

import numpy as np

from models.arrays import Floats, Ints

_SPREAD = 0.15  # standard deviation of w around 0 before any data


def fit_fatigue(orders: Floats, contacts: Floats, cell: Ints, recent: Floats) -> float:
    """Posterior mode of w ≥ 0: Poisson orders of rate a_cell · exp(−w·recent), levels a free, by Newton's method.

    Args:
        orders: (rows,) weighted orders.
        contacts: (rows,) weighted contacts.
        cell: (rows,) product × channel, from 0.
        recent: (rows,) contacts of the days before.
    """
    cells = int(cell.max(initial=-1)) + 1
    total = np.bincount(cell, orders, cells)
    w = 0.0
    for _ in range(30):
        fatigued = contacts * np.exp(-w * recent)
        sums = [np.bincount(cell, fatigued * recent**power, cells) for power in (0, 1, 2)]
        share = np.divide(total, sums[0], out=np.zeros(cells), where=sums[0] > 0)
        mean = np.divide(sums[1], sums[0], out=np.zeros(cells), where=sums[0] > 0)
        gradient = float((total * mean).sum() - (orders * recent).sum()) - w / _SPREAD**2
        curvature = float((share * sums[2] - total * mean**2).sum()) + 1 / _SPREAD**2
        step = gradient / curvature
        w = max(0.0, w + step)
        if abs(step) < 1e-8 or (w == 0.0 and step < 0):
            break
    return w
