"""``cpc demo --data pega``: a night on data that nobody here made, by the same jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.demo, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the set could tell; it ships with the repository."""
    home = tmp_path_factory.mktemp("real") / "var"
    environment = {k: v for k, v in os.environ.items() if k not in {"CPC_LANDING", "CPC_DEMO", "CPC_DATA"}}
    told = subprocess.run(
        [sys.executable, "-m", "cli", "demo", "--data", "pega", "--json"],
        env={**environment, "CPC_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-6000:]
    return json.loads(told.stdout)


def test_no_record_is_missing(told: dict[str, Any]) -> None:
    assert told["records"] == 127_123
    assert told["reconciled"]["missing"] == 0
    assert all(feed["loaded"] == feed["written"] for feed in told["reconciled"]["feeds"].values())


def test_the_model_ranks_answers_it_has_not_seen(told: dict[str, Any]) -> None:
    """Answers of the last customers are in no landing file."""
    assert told["held_back"]["arcs_scored"] > 30_000
    assert told["held_back"]["auc"] > 0.7
    assert len(told["held_back"]["calibration"]) == 5


def test_the_night_ends_with_a_proved_plan(told: dict[str, Any]) -> None:
    night = told["night"]
    assert night["certificate"] == "accepted"
    assert night["certified_gap"] <= 1e-4
    assert night["contacts"] > 1000
    assert night["value_yuan"] > 0
    assert Path(told["report"]).stat().st_size > 20_000


def test_what_is_assumed_or_absent_is_said(told: dict[str, Any]) -> None:
    assert any("30 元" in line for line in told["assumptions"])
    assert any("off-policy" in line for line in told["absent"])
