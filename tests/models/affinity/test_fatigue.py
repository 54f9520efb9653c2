"""Wear-out: found where there is one, within arcs, and 0 where there is none or nothing to tell it by."""

from __future__ import annotations

import numpy as np
import pytest

from models.affinity.fatigue import fit_fatigue


def log(true: float, seed: int = 0, n: int = 200_000) -> tuple[np.ndarray, ...]:
    """Contacts of four arcs; the arcs that are answered most were given to the most tired customers."""
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, 4, n)
    recent = rng.exponential(0.3 + 0.3 * cell)
    rate = 0.01 * (1 + cell) * np.exp(-true * recent)
    return (rng.random(n) < rate).astype(float), np.ones(n), cell, recent


def test_it_is_found_although_the_better_arcs_went_to_the_tired() -> None:
    orders, contacts, cell, recent = log(0.25)
    assert fit_fatigue(orders, contacts, cell, recent) == pytest.approx(0.25, abs=0.05)
    assert np.corrcoef(orders, recent)[0, 1] > -0.01  # over all arcs nothing shows


def test_none_is_found_where_there_is_none() -> None:
    assert fit_fatigue(*log(0.0)) < 0.05


def test_what_would_be_a_gain_counts_as_none() -> None:
    assert fit_fatigue(*log(-0.3)) == 0.0


@pytest.mark.parametrize("rows", [0, 5])
def test_nothing_to_tell_it_by(rows: int) -> None:
    assert fit_fatigue(np.zeros(rows), np.ones(rows), np.zeros(rows, np.int64), np.ones(rows)) == 0.0


def test_weights_count_as_rows() -> None:
    orders, contacts, cell, recent = log(0.25, n=20_000)
    twice = [np.concatenate([part, part]) for part in (orders, contacts, cell, recent)]
    doubled = fit_fatigue(2 * orders, 2 * contacts, cell, recent)
    assert doubled == pytest.approx(fit_fatigue(*twice), rel=1e-6)
