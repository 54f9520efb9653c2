"""An additive model of an outcome and of what a treatment adds to it, each column with a say that a prior bounds.

    g(E[y | x, t]) = a + x·β + (t − e)·(c + x·γ),    β ~ N(0, MAIN²),    γ ~ N(0, s²)

with columns of unit variance, e the share of treated rows, and g the logit for outcomes of 0 and 1, else the identity
(y then in its own standard deviations). The maximum a posteriori is found by Newton's method. The effect is
g⁻¹ at t = 1 less g⁻¹ at t = 0: under the logit the same δ = c + x·γ moves those more who were undecided anyway, which
is what most answers to an offer look like. Where effects are thin against the noise this is a harder learner to beat
than trees: it has one number a column to learn, and the prior keeps most of them near nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from models.arrays import Floats

#: Standard deviation of a main effect, a standard deviation of its column.
MAIN = 0.3
_RARE = 50  # rows that a category needs for a column of its own
_ROUNDS, _ENOUGH = 30, 1e-8


@dataclass(frozen=True)
class Basis:
    """How columns become regressors of mean 0 and variance 1: made of the training rows alone.

    Attributes:
        categories: column → the codes that have a regressor.
        sorted: column of numbers → its sorted known values, for their rank; none where it has two values at most.
        mean, scale: (regressors,).
    """

    categories: dict[int, Floats]
    sorted: dict[int, Floats]
    mean: Floats
    scale: Floats

    @staticmethod
    def of(X: Floats, categories: Sequence[int]) -> Basis:
        """The basis of training rows.

        Args:
            X: (rows, columns), NaN missing.
            categories: positions of columns of codes.
        """
        codes, numbers = {}, {}
        for k in range(X.shape[1]):
            values, counts = np.unique(X[~np.isnan(X[:, k]), k], return_counts=True)
            if k in categories:
                codes[k] = values[counts >= _RARE]
            elif len(values) > 2:
                numbers[k] = np.sort(X[~np.isnan(X[:, k]), k])
        bare = Basis(codes, numbers, np.zeros(1), np.ones(1))
        raw = bare._raw(X)
        known = ~np.isnan(raw)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, raw, 0.0).sum(axis=0) / count
        scale = np.sqrt(np.where(known, (raw - mean) ** 2, 0.0).sum(axis=0) / count)
        return Basis(codes, numbers, mean, np.where(scale > 0, scale, 1.0))

    def __call__(self, X: Floats) -> Floats:
        """(rows, regressors); what is missing stands at the mean."""
        return np.nan_to_num((self._raw(X) - self.mean) / self.scale)

    def _raw(self, X: Floats) -> Floats:
        """Indicators of codes; of numbers the value, within the middle 98 %, and its rank; and whether it is missing."""
        parts: list[Floats] = []
        for k in range(X.shape[1]):
            value = X[:, k]
            if k in self.categories:
                parts += [(value == code).astype(np.float64) for code in self.categories[k]]
                continue
            known = self.sorted.get(k)
            if known is None:
                parts.append(value)
                continue
            low, high = known[[int(0.01 * len(known)), int(0.99 * len(known))]]
            rank = (np.searchsorted(known, value, "left") + np.searchsorted(known, value, "right")) / 2 / len(known)
            parts += [np.clip(value, low, high), np.where(np.isnan(value), np.nan, rank)]
            parts.append(np.isnan(value).astype(np.float64))
        return np.column_stack(parts) if parts else np.zeros((len(X), 0))


def additive(X: Floats, t: Floats, y: Floats, X_at: Floats, categories: Sequence[int], deviation: float) -> Floats:
    """Effects at ``X_at``.

    Args:
        X: (rows, columns) of training.
        t: (rows,) 1 treated, 0 control.
        y: (rows,) outcome.
        X_at: (others, columns) where the effect is wanted.
        categories: positions of columns of codes.
        deviation: s, of an interaction: log-odds (or deviations of y) that a deviation of a column adds to the effect.
    """
    binary = bool(np.isin(y, (0.0, 1.0)).all())
    unit = 1.0 if binary else float(y.std()) or 1.0
    basis, e = Basis.of(X, categories), float(t.mean())
    Z = np.hstack([np.ones((len(X), 1)), basis(X)])
    columns = Z.shape[1]
    precision = np.r_[0.0, np.full(columns - 1, MAIN**-2), 0.0, np.full(columns - 1, deviation**-2)]
    coefficient = _fit(np.hstack([Z, (t - e)[:, None] * Z]), y / unit, precision, binary=binary)
    at = np.hstack([np.ones((len(X_at), 1)), basis(X_at)])
    base, delta = at @ coefficient[:columns], at @ coefficient[columns:]
    if not binary:
        return np.asarray(delta * unit)
    return np.asarray(expit(base + (1 - e) * delta) - expit(base - e * delta))


def _fit(D: Floats, y: Floats, precision: Floats, *, binary: bool) -> Floats:
    """Maximum a posteriori of a logistic or a Gaussian regression with noise of variance 1."""
    coefficient = np.zeros(D.shape[1])
    for _ in range(_ROUNDS if binary else 1):
        mean = expit(D @ coefficient) if binary else D @ coefficient
        weight = mean * (1 - mean) if binary else np.ones(len(y))
        gradient = D.T @ (y - mean) - precision * coefficient
        hessian = (D * weight[:, None]).T @ D + np.diag(precision + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        coefficient += step
        if float(np.abs(step).max()) < _ENOUGH:
            break
    return coefficient
