"""Logistic regression from known log-odds, with normal priors on the coefficients: what calibration and stacking share."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from models.arrays import Floats


def logistic(
    design: Floats,
    y: Floats,
    weight: Floats,
    start: Floats | float,
    first: Floats,
    *,
    precision: Floats | float = 0.0,
    centre: Floats | float = 0.0,
    rising: bool = True,
) -> Floats:
    """(columns,) coefficients θ of log-odds = start + design · θ at the posterior mode, by L-BFGS-B.

    Args:
        design: (rows, columns), the intercept first.
        y: (rows,) 0 or 1.
        weight: (rows,).
        start: (rows,) known log-odds.
        first: (columns,) where the search begins.
        precision: (columns,) of the priors; 0 is none.
        centre: (columns,) of the priors.
        rising: whether all coefficients but the intercept are held at 0 or above.
    """

    def loss(theta: Floats) -> tuple[float, Floats]:
        z, away = start + design @ theta, theta - centre
        value = float((weight * (np.logaddexp(0, z) - y * z)).sum() + (precision * away**2).sum() / 2)
        return value, design.T @ (weight * (expit(z) - y)) + precision * away

    bounds = [(None, None)] + [(0.0 if rising else None, None)] * (design.shape[1] - 1)
    return np.asarray(minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds).x)
