"""The interval of the predicted value: days resampled, the level refitted, the plan priced anew."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.affinity.training import LATE_DAYS
from planning.plan.value_interval import draw_levels, find_interval, fit_level, price_levels, read_days
from runtime.night import Night
from tests.nights.published import put


def test_the_level_is_that_of_the_observed_and_pulled_where_there_is_little() -> None:
    assert fit_level(100.0, 100.0) == pytest.approx(0.0, abs=1e-9)
    assert fit_level(100_000.0, 50_000.0) == pytest.approx(np.log(2), rel=1e-3)
    assert 0 < fit_level(2.0, 1.0) < 0.1  # a single order more says little
    assert fit_level(0.0, 400.0) < -1


def test_the_ends_hold_the_truth_as_often_as_they_say() -> None:
    """Days whose level differs by luck and by day: 95 % of intervals of the mean level hold 1."""
    random, held_truth = np.random.default_rng(5), 0
    for seed in range(200):
        predicted = random.uniform(80, 120, 20)
        observed = random.poisson(predicted * np.exp(random.normal(0, 0.15, 20)))
        low, high = np.quantile(draw_levels(list(zip(observed, predicted, strict=True)), seed, 200), (0.025, 0.975))
        held_truth += low <= 1.011 <= high  # the mean of such days
    assert 175 <= held_truth <= 199


def test_what_contacts_bring_goes_with_the_level_and_costs_stay() -> None:
    levels = np.array([0.5] * 50 + [1.5] * 50)
    assert price_levels(3e6, 1e6, levels) == (1.0, 5.0)
    assert price_levels(3e6, 1e6, np.ones(10)) == (3.0, 3.0)


def test_the_days_are_those_of_the_model_that_scored(night) -> None:
    tonight: Night = night()
    assert read_days(tonight) == []
    row = {"run_id": "r", "business_date": tonight.date, "job": "score", "state": "done", "seconds": 1.0}
    put(tonight, "ops_run", [row | {"figures": json.dumps({"model_sha256": "abcd"})}], tonight.partition)
    assert read_days(tonight) == []
    folder = tonight.settings.home / "models" / "kept-abcd"
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text(json.dumps({"facts": {LATE_DAYS: [[3, 2.5]]}}), encoding="utf-8")
    assert read_days(tonight) == [(3.0, 2.5)]
    assert find_interval(tonight, None) is None  # type: ignore[arg-type]  # one day says nothing
    (folder / "bundle.json").write_text(json.dumps({"facts": {}}), encoding="utf-8")
    assert read_days(tonight) == []  # a model of before
