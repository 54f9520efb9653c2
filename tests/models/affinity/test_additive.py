"""The additive learner: finds what is there, finds nothing where nothing is, and takes columns as they come."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from models.affinity.additive import Basis, additive


def rows(n: int = 8000, seed: int = 0, size: float = 1.0) -> tuple[np.ndarray, ...]:
    """A code, a skewed number with gaps and a flag; the flag decides whom the treatment helps."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.integers(0, 3, n), rng.lognormal(3, 1, n), rng.integers(0, 2, n)]).astype(float)
    X[rng.random(n) < 0.1, 1] = np.nan
    t = (rng.random(n) < 0.5).astype(float)
    base = -2.0 + 0.4 * (X[:, 0] == 1)
    y = (rng.random(n) < expit(base + t * size * X[:, 2])).astype(float)
    return X, t, y, expit(base + size * X[:, 2]) - expit(base)


@pytest.mark.whole
def test_it_finds_who_is_helped_and_how_much() -> None:
    X, t, y, truth = rows()
    found = additive(X[:6000], t[:6000], y[:6000], X[6000:], (0,), 0.15)
    assert np.corrcoef(found, truth[6000:])[0, 1] > 0.85
    assert found.mean() == pytest.approx(truth[6000:].mean(), abs=0.02)
    money = additive(X, t, 50 * t * X[:, 2] + np.random.default_rng(1).normal(0, 20, len(y)), X, (0,), 0.3)
    assert np.corrcoef(money, X[:, 2])[0, 1] > 0.95
    assert np.ptp(money) == pytest.approx(50, abs=8)


def test_a_tight_prior_leaves_one_effect_for_all() -> None:
    X, t, y, _ = rows(3000)
    spread = [np.std(additive(X, t, 4.0 * y, X, (0,), s)) for s in (0.001, 0.05, 0.3)]
    assert spread[0] < 1e-3 < spread[1] < spread[2]


def test_columns_that_say_nothing_and_values_never_seen_do_no_harm() -> None:
    X, t, y, _ = rows(2000)
    X = np.hstack([X, np.full((2000, 1), np.nan), np.ones((2000, 1))])
    other = X[:5].copy()
    other[:, 0], other[:, 1] = 9, 1e12
    assert np.isfinite(additive(X, t, y, other, (0,), 0.15)).all()
    assert np.isfinite(additive(X, t, np.zeros(2000), other, (0,), 0.15)).all()
    basis = Basis.of(X, (0,))
    assert np.abs(basis(X).mean(axis=0)).max() < 1e-9  # what is missing stands at the mean
