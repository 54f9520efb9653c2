"""Sizes of an experiment: the power that was asked for is the power that simulated comparisons have."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from models.affinity.design import Behaviour, compute_power, design
from models.affinity.two_groups import GroupSums, compare

DEMO = Behaviour(base=0.10, lift=0.5, contacted=0.6, margin=30, tail=1.5)


def sum_margins(*margins: np.ndarray) -> GroupSums:
    micro = [[int(value * 1e6) for value in values] for values in margins]
    total, squares = zip(*((sum(values), sum(value * value for value in values)) for values in micro), strict=True)
    return GroupSums(len(micro[0]), total[0], squares[0], total[1], squares[1])


@pytest.mark.whole
def test_the_comparison_that_is_shown_has_the_power() -> None:
    """Contacted customers alone react, all who may be contacted are compared, and margins have a heavy tail."""
    customers = 30_000
    share = design(DEMO, customers, 0.1).control_share
    assert share is not None
    rng, runs, seen = np.random.default_rng(0), 300, 0
    spread = np.sqrt(np.log(1 + DEMO.tail**2))
    for _ in range(runs):
        control = rng.random(customers) < share
        asked = ~control & (rng.random(customers) < DEMO.contacted)
        luck = rng.random(customers)
        idle, buys = luck < DEMO.base, luck < DEMO.base * np.where(asked, 1 + DEMO.lift, 1)
        margins = rng.lognormal(np.log(DEMO.margin) - spread**2 / 2, spread, customers)
        both = buys * margins, idle * margins
        cells = {(0, arm): sum_margins(*(values[control != arm] for values in both)) for arm in (True, False)}
        found = compare(cells)
        seen += found is not None and found.low > 0
    assert seen / runs == pytest.approx(0.8, abs=0.08)  # seen before, sized for contacted rates alone: 16 to 32 %


def test_more_customers_need_a_smaller_share_and_dilution_a_larger() -> None:
    few, many = (design(DEMO, customers, 0.1).control_share for customers in (40_000, 400_000))
    diluted = design(Behaviour(0.10, 0.5, 0.5, 30, 1.5), 40_000, 0.1)
    assert few is not None
    assert many is not None
    assert diluted.control_share is not None
    assert many < few < diluted.control_share
    assert design(DEMO, 500, 0.1).control_share is None
    enough = design(DEMO, 500, 0.1).customers_needed
    assert compute_power(DEMO, enough, 0.1) == pytest.approx(0.8, abs=0.005)


def test_the_command_tells_sizes_and_refuses_what_makes_no_experiment() -> None:
    from cli import app

    told = CliRunner().invoke(app, ["design", "--customers", "200000", "--base", "0.1", "--lift", "0.25", "--json"])
    assert told.exit_code == 0, told.output
    figures = json.loads(told.output)
    assert 0 < figures["control needed (share)"] < 0.5
    assert figures["explorers a night"] == 10_000
    refused = CliRunner().invoke(app, ["design", "--base", "1.5"])
    assert refused.exception.what == "1.5 is no number between 0 and 1"  # type: ignore[union-attr]
    refused = CliRunner().invoke(app, ["design", "--margin", "-3"])
    assert refused.exit_code != 0
    small = CliRunner().invoke(app, ["design", "--customers", "500", "--json"])
    assert json.loads(small.output)["control needed (share)"] is None
