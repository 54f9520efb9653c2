"""One small province for all tests of the room."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from conf.preset import load_preset
from runtime.night import Night
from synth.history import make_history
from synth.plan import LoggedPlan
from synth.world import World, make_world, save_world
from tests.fixtures.catalogue import frozen
from tests.synth.answered import DAY, Box, make_box

START = dt.date(2026, 1, 1)


@dataclass(frozen=True)
class Small:
    """A province's model on disk."""

    plan: LoggedPlan
    world: World
    folder: Path
    counts: dict[str, int]


def plan_of(preset: str = "real", customers: int = 600, days: int = 2, seed: int = 7) -> LoggedPlan:
    """A small plan."""
    return LoggedPlan(frozen(), load_preset(preset), customers, START, days, seed)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """600 customers, two days, the preset `real`."""
    folder = tmp_path_factory.mktemp("province")
    plan = plan_of()
    world = make_world(plan)
    save_world(world, folder / "world")
    return Small(plan, world, folder, make_history(world, folder)[1])


@pytest.fixture
def box(night: Callable[..., Night]) -> Box:
    """The truth of 800 customers of the preset `easy` in a home of its own, their numbers and plans to be published."""
    return make_box(night(DAY))
