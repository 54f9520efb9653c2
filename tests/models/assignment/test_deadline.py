"""Seconds are kept by every step of a solve, whatever it works on: a clock that the work itself moves, not the machine's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.tiny_problems import make_problem
from cli.assignment import leave_seconds
from models.assignment import repair
from models.assignment import solve as solver
from models.assignment.dual_evaluation import Local, evaluate
from models.assignment.problem import Problem
from models.assignment.solve import NoPlan, Run, SolveOptions, find_prices, margin


class Clock:
    """A clock on which a pass over the arcs takes a while, and nothing else takes any time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now


class SlowPasses(Local):
    """Passes that take some seconds of a clock each."""

    clock: Clock
    takes: float
    made = 0

    def sum(self, prices: Any, shift: int) -> Any:
        self.clock.now += self.takes
        self.made += 1
        return super().sum(prices, shift)

    def over(self, problem: Problem) -> Local:
        return self


def hard() -> Problem:
    """Some hundred customers with caps that bind, whose prices take many passes."""
    random = np.random.default_rng(5)
    rows = [
        [(int(v), [int(u) for u in random.integers(0, 5, 6)]) for v in random.integers(1, 10**6, 5)] for _ in range(400)
    ]
    return make_problem(rows, [("at_most", 90)] * 6)


@pytest.mark.parametrize("seconds", [0.0, 5.0, 20.0, 60.0])
def test_no_pass_is_begun_after_the_seconds(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass of three seconds that has begun is waited for; none is begun after the end, and one is made in any case."""
    problem, clock = hard(), Clock()
    monkeypatch.setattr(solver, "time", clock)
    engine = SlowPasses(problem)
    engine.clock, engine.takes = clock, 3.0
    run = Run(problem, SolveOptions(gap=1e-9, seconds=seconds), engine, clock.now)
    prices = find_prices(run, None)
    assert engine.made == max(1, -(-seconds // 3.0))
    assert clock.now - 1000.0 <= seconds + 3.0
    assert run.late() is (seconds == 0.0)
    assert prices.bound == evaluate(problem, Local(problem), prices.prices).bound


def test_a_repair_ends_in_the_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = hard()
    prices = np.zeros(6, np.int64)
    never = repair.repair(problem, prices, 10**11)
    asked: list[bool] = []

    def until() -> bool:
        asked.append(True)
        return True

    at_once = repair.repair(problem, prices, 10**11, until=until)
    assert asked
    assert never.excess == 0 < at_once.excess
    assert margin(2.0) == 1.0
    assert margin(300.0) == 30.0


def test_reading_counts() -> None:
    assert leave_seconds(None, 1e9) == np.inf
    assert leave_seconds(30.0, 10.0) == 15.0
    assert leave_seconds(30.0, 25.0) == 0.01
    with pytest.raises(NoPlan, match=r"reading the instance alone took 31.2 s, --seconds gives 30"):
        leave_seconds(30.0, 31.2)
