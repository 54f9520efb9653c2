"""Calibration: from scores to probabilities that can be multiplied with money."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from models.affinity.calibrate import (
    Channels,
    Kind,
    Map,
    by_channel,
    choose_map,
    fit_map,
    group_offsets,
    reliability,
    slope,
)

N = 40_000


def answers(score: np.ndarray, truth: np.ndarray, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(len(score)) < expit(truth)).astype(float)


@pytest.fixture
def score() -> np.ndarray:
    return np.random.default_rng(1).normal(-3.0, 1.0, N)


def test_nights_that_answer_less_pull_all_probabilities_down(score: np.ndarray) -> None:
    y, ones = answers(score, score - 0.4), np.ones(N)
    found = fit_map("shift", score, y, ones)
    p = expit(found(score))
    assert p.sum() == pytest.approx(y.sum(), rel=0.01)
    assert found.parameters[0] == pytest.approx(-0.4, abs=0.08)


def test_a_shift_by_hand() -> None:
    """Ten rows of log-odds 0 with two answers: gradient −3 at 0; the posterior mode solves 2 − 10·p(a) = a / 0.04."""
    found = fit_map("shift", np.zeros(10), np.repeat([1.0, 0.0], [2, 8]), np.ones(10)).parameters[0]
    assert 2 - 10 * expit(found) == pytest.approx(found / 0.04, abs=1e-6)
    assert logit(0.2) < found < 0  # towards the rate, held back by the prior
    assert fit_map("shift", np.zeros(10), np.zeros(10), np.ones(10)).parameters[0] > -1  # no answers: not −∞


def test_no_more_freedom_than_the_nights_show(score: np.ndarray) -> None:
    fold, ones, start = np.arange(N) % 2, np.ones(N), np.zeros(N)
    level, _ = choose_map(score, start, answers(score, score - 0.3), ones, fold)
    assert level.kind == "shift"
    steep, losses = choose_map(score, start, answers(score, 0.4 * score - 1.5), ones, fold)
    assert steep.kind == "platt"
    assert steep.parameters[1] == pytest.approx(0.4, abs=0.06)
    assert losses["platt"] < losses["shift"]


def test_maps_keep_the_order_of_scores_and_survive_json(score: np.ndarray) -> None:
    y, ones, grid = answers(score, 0.7 * score - 1), np.ones(N), np.linspace(-6, 0, 50)
    kinds: tuple[Kind, ...] = ("none", "shift", "platt", "beta", "isotonic")
    for kind in kinds:
        found = fit_map(kind, score, y, ones)
        assert (np.diff(found(grid)) >= -1e-12).all(), kind
        again = Map.from_dict(found.to_dict())
        assert np.array_equal(again(grid), found(grid)), kind


def test_customers_differ_more_on_some_channels_than_on_others() -> None:
    rng = np.random.default_rng(6)
    score, channel = rng.normal(0.2, 0.5, 4 * N), rng.integers(3, 5, 4 * N)
    start, ones = np.full(4 * N, -3.0), np.ones(4 * N)
    y = answers(score, start + np.where(channel == 4, 1.6, 0.8) * score)
    found = by_channel(score, channel, y, ones, start)
    assert found.slope[3] == pytest.approx(0.8, abs=0.08)
    assert found.slope[4] == pytest.approx(1.6, abs=0.12)
    for which in (3, 4):
        mine = channel == which
        p = expit(start + found(score, channel))[mine]
        assert p.sum() == pytest.approx(y[mine].sum(), rel=0.03)


def test_a_channel_with_few_orders_is_as_the_others() -> None:
    rng = np.random.default_rng(7)
    score, start = rng.normal(0.0, 0.3, 400), np.full(400, -5.0)
    y = answers(score, start + 3 * score)
    found = by_channel(score, np.full(400, 2), y, np.ones(400), start)
    assert y.sum() < 8
    assert found.slope[2] == pytest.approx(1.0, abs=0.1)
    assert np.array_equal(Channels({}, {})(score, np.full(400, 9)), score)  # never seen


def test_arcs_move_towards_what_was_observed_of_them() -> None:
    """Two arcs by 2,000 rows whose rates are 0.03 and 0.07 where 0.05 was said, one without rows."""
    group = np.repeat([0, 1, -1], [2000, 2000, 500])
    y = np.zeros(4500)
    y[:60] = y[2000:2140] = 1
    offsets = group_offsets(np.full(4500, logit(0.05)), y, np.ones(4500), group, 3)
    assert logit(0.03) - logit(0.05) < offsets[0] < 0 < offsets[1] < logit(0.07) - logit(0.05) + 0.1
    assert offsets[2] == 0


def test_groups_that_differ_by_luck_alone_are_left_where_they_are() -> None:
    """A hundred arcs of one rate, three orders each on average: some have none, some seven."""
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(100), 100)
    y = (rng.random(len(group)) < 0.03).astype(float)
    assert np.ptp(np.bincount(group, y)) >= 5
    assert not group_offsets(np.full(len(group), logit(0.03)), y, np.ones(len(group)), group, 100).any()


def test_deciles_and_the_slope_tell_what_is_wrong(score: np.ndarray) -> None:
    y, ones = answers(score, score), np.ones(N)
    rows = reliability(y, expit(score), ones)
    assert len(rows) == 10
    assert sum(row["positives"] for row in rows) == y.sum()
    assert rows[-1]["predicted"] == pytest.approx(rows[-1]["observed"], rel=0.1)
    assert slope(y, expit(score), ones) == pytest.approx(1.0, abs=0.05)
    assert slope(y, expit(2 * score), ones) == pytest.approx(0.5, abs=0.05)
