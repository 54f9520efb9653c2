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


@pytest.mark.parametrize("folder", folders("eligibility"))
def test_eligibility(folder, play):
    play(folder, eligibility)
