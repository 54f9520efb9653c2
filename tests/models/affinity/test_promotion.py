"""The gate on rounds whose truth is known: better and worse challengers, thin support, slices, clusters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.affinity.promotion import PromotionBounds, Rounds, difference, effective, judge, measure_unsupported

GOOD = {"ratio": 1.0, "slope": 1.0}


def rounds(gain: float, n: int = 30_000, seed: int = 0, copies: int = 1) -> Rounds:
    """Two arcs and none, drawn uniformly; the challenger's arc (1) earns ``gain`` more than the champion's (0)."""
    rng = np.random.default_rng(seed)
    logged = rng.integers(-1, 2, n)
    reward = rng.normal(1.0, 1.0, n) * (logged >= 0) + gain * (logged == 1)
    where = rng.choice(["gz", "sz"], n)
    parts = Rounds(
        np.arange(n), logged, np.full(n, 1 / 3), reward, np.zeros(n, np.int64), np.ones(n, np.int64), {"centre": where}
    )
    if copies == 1:
        return parts
    fields = {name: np.tile(value, copies) for name, value in vars(parts).items() if name != "slices"}
    return Rounds(**fields, slices={"centre": np.tile(where, copies)})


def failed(
    given: Rounds, calibration: dict[str, float] | None = None, bounds: PromotionBounds | None = None
) -> set[str]:
    return {c.check for c in judge(given, calibration or GOOD, bounds or PromotionBounds()) if not c.passed}


def test_a_better_challenger_passes_and_a_worse_one_does_not() -> None:
    assert failed(rounds(0.3)) == set()
    assert "its one-sided 95 % lower bound" in failed(rounds(-0.3))
    value, low = difference(rounds(0.3))
    assert low < 0.3 < value + (value - low)


def test_copies_of_a_customer_are_one_customer() -> None:
    one, many = difference(rounds(0.1, 3000)), difference(rounds(0.1, 3000, copies=5))
    assert one[0] == np.float64(many[0]).round(12) or abs(one[0] - many[0]) < 1e-9
    assert 0.7 < (many[0] - many[1]) / (one[0] - one[1]) < 1.4


def test_thin_support_is_refused() -> None:
    assert "effective sample where they disagree" in failed(rounds(0.3, 1500))
    assert effective(rounds(0.3, 1500)) < 1000
    given = rounds(0.3)
    never = replace(given, challenger=np.where(np.arange(30_000) < 900, 7, 1))
    assert measure_unsupported(never) == 0.03
    assert "unsupported mass" in failed(never)


def test_a_slice_that_loses_is_refused_though_the_whole_wins() -> None:
    given = rounds(0.5)
    small = np.random.default_rng(1).random(30_000) < 0.1
    lost = replace(
        given,
        reward=given.reward - 2.0 * ((given.logged == 1) & small),
        slices={"grade": np.where(small, "gold", "standard")},
    )
    assert failed(lost) == {"grade gold: lower bound"}


@pytest.mark.whole
def test_calibration_out_of_bounds_or_unknown_is_refused() -> None:
    assert failed(rounds(0.3), {"ratio": 1.2, "slope": 1.0}) == {"Σ predicted / Σ observed"}
    assert failed(rounds(0.3), {"ratio": 1.0, "slope": 0.5}) == {"calibration slope"}
    assert failed(rounds(0.3), {}) != set() or failed(rounds(0.3), {"slope": 1.0}) == {"Σ predicted / Σ observed"}


def test_the_champion_against_itself_passes_without_support() -> None:
    given = rounds(0.0, 200)
    assert failed(replace(given, challenger=given.champion)) == set()
