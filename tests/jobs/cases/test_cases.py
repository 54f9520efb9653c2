"""Every folder below `conform/` and `eligibility/` is a test of that job."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import conform, eligibility

HERE = Path(__file__).parent
pytestmark = pytest.mark.spark


def folders(job: str) -> list:
    return [pytest.param(path, id=path.name) for path in sorted((HERE / job).iterdir()) if path.is_dir()]


@pytest.mark.parametrize("folder", folders("conform"))
def test_conform(folder, play):
    play(folder, conform)


@pytest.mark.parametrize("folder", folders("conform"))
def test_conform_of_many_rows_makes_the_same(folder, play, monkeypatch):
    """The plans of a big load, compiled and shuffled, give the rows of the small one."""
    monkeypatch.setattr("runtime.spark_tuning.FEW", -1)
    play(folder, conform)


@pytest.mark.parametrize("folder", folders("eligibility"))
def test_eligibility(folder, play):
    play(folder, eligibility)
