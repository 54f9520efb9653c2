"""A night of 1,500 customers whose MIP HiGHS 1.16 never left: its root was presolved again, with its cuts, without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.assignment.solve import SolveOptions, solve
from planning.instance.reader import read_instance


@pytest.mark.whole
@pytest.mark.timeout(300)
def test_the_search_of_a_small_night_comes_to_an_end() -> None:
    instance = read_instance(Path(__file__).parent / "cases" / "restart")
    found = solve(instance.problem, SolveOptions(gap=5e-4))
    assert found.plan.excess == 0
    assert found.gap < 1e-3
    assert "MIP by HiGHS" in found.method
