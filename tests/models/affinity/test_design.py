"""Sizes of an experiment: the power that was asked for is the power that simulated experiments have."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm
from typer.testing import CliRunner

from models.affinity.design import design, detectable, per_arm


@pytest.mark.parametrize(("base", "lift", "ratio"), [(0.02, 0.5, 1.0), (0.01, 0.3, 4.5), (0.10, 0.1, 1.0)])
def test_simulated_experiments_have_the_power(base: float, lift: float, ratio: float) -> None:
    small = per_arm(base, lift, alpha=0.05, power=0.8, ratio=ratio)
    large, rng = round(small * ratio), np.random.default_rng(0)
    runs = 4000
    a, b = rng.binomial(small, base, runs) / small, rng.binomial(large, base * (1 + lift), runs) / large
    pooled = (a * small + b * large) / (small + large)
    z = (b - a) / np.sqrt(pooled * (1 - pooled) * (1 / small + 1 / large))
    seen = (np.abs(z) > norm.ppf(0.975)).mean()
    assert seen == pytest.approx(0.8, abs=0.03)


def test_what_can_be_detected_is_what_needs_such_arms() -> None:
    lift = detectable(0.01, 2_000, 9_000)
    assert per_arm(0.01, lift, ratio=4.5) == pytest.approx(2_000, rel=0.01)
    assert detectable(0.01, 20_000, 90_000) < lift
    found = design(20_000, 0.01, 0.5, contacted=0.5, control=0.1)
    assert found.per_arm == pytest.approx(found.control_share * 20_000)
    assert (found.per_arm > 2_000) == (found.detectable > 0.5)


def test_the_command_tells_sizes_and_refuses_what_makes_no_experiment() -> None:
    from cli import app

    told = CliRunner().invoke(app, ["design", "--customers", "200000", "--base", "0.008", "--lift", "0.25", "--json"])
    assert told.exit_code == 0, told.output
    figures = json.loads(told.output)
    assert 0 < figures["control needed (share)"] < 0.5
    assert figures["explorers a night"] == 10_000
    refused = CliRunner().invoke(app, ["design", "--base", "1.5"])
    assert refused.exception.what == "1.5 is no number between 0 and 1"  # type: ignore[union-attr]
