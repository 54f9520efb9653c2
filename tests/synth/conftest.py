"""One small province for all tests of the room."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pytest

from conf.preset import load_preset
from synth.history import make_history
from synth.plan import LoggedPlan
from synth.world import World, make_world, save_world
from tests.fixtures.catalogue import frozen

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
