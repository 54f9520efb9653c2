"""The logged policy: roles, capacities and propensities are what the log says."""

from __future__ import annotations

import numpy as np
import pytest

from synth.explore import CONTROL, EXPLOIT, EXPLORE, pass_chance, quota
from synth.policy import PolicyNight, best_arcs, decide, roles
from synth.world import World, make_world
from tests.synth.conftest import Small, plan_of


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(plan_of(customers=800))


def nights(world: World, count: int) -> list[PolicyNight]:
    top, scores = best_arcs(world)
    held = np.zeros((world.size, len(world.plan.products)), dtype=bool)
    everyone = np.ones(world.size, dtype=bool)
    first = world.plan.night_days.start
    return [decide(world, first + k, top, scores, held, everyone) for k in range(count)]


@pytest.mark.whole
def test_one_over_the_pscore_has_mean_one_for_every_action(world: World) -> None:
    """E[1{A = j}/P(A = j)] = 1 for none and for each channel's favourite; fails if a quota or a share is forgotten."""
    log = nights(world, 400)
    inside = (log[0].role != CONTROL) & (log[0].arcs > 0)
    none = np.array([np.where(n.product[inside] < 0, 1 / n.pscore[inside], 0).mean() for n in log])
    assert abs(none.mean() - 1) < 4 * none.std() / np.sqrt(len(log))
    assert none.std() / np.sqrt(len(log)) < 0.02
    any_arc = np.array(
        [np.where(n.product[inside] >= 0, 1 / n.pscore[inside], 0).mean() / n.arcs[inside].mean() for n in log]
    )
    assert any_arc.std() / np.sqrt(len(log)) < 0.1
    assert 0.5 < any_arc.mean() <= 1 + 4 * any_arc.std() / np.sqrt(len(log))  # ≤: arcs behind a quota of 0 never come


def test_control_gets_nothing_for_good_and_explorers_are_drawn_nightly(world: World) -> None:
    a, b = nights(world, 2)
    assert np.array_equal(a.role == CONTROL, b.role == CONTROL)
    assert (a.product[a.role == CONTROL] < 0).all()
    assert not np.array_equal(a.role == EXPLORE, b.role == EXPLORE)
    share = (roles(world.plan, np.arange(100_000), 5) == CONTROL).mean()
    assert abs(share - world.plan.preset.policy.control) < 0.005


def test_exploiters_keep_to_the_capacity_of_each_channel(world: World) -> None:
    for night in nights(world, 3):
        for c in world.plan.outbound:
            used = ((night.role == EXPLOIT) & (night.channel == c)).sum()
            assert used <= world.plan.habits[c].daily * world.size / 1000


def test_explorers_keep_to_the_quota(world: World) -> None:
    room = quota(world)
    for night in nights(world, 5):
        for c in world.plan.outbound:
            mine = (night.role == EXPLORE) & (night.channel == c)
            assert (np.bincount(world["centre"][mine], minlength=room.shape[1]) <= room[c]).all()


def test_pass_chance_is_certain_with_room_and_shared_without() -> None:
    assert pass_chance(50, 3.0) == pytest.approx(1.0, abs=1e-9)
    assert pass_chance(0, 3.0) == 0
    assert pass_chance(2, 40.0) == pytest.approx(2 / 40, rel=0.06)


def test_only_eligible_products_are_given(small: Small) -> None:
    world = small.world
    for path in sorted((small.folder / "decisions").glob("*.npz"))[:10]:
        log = np.load(path)
        some = log["product"] >= 0
        who = log["customer"][some]
        assert world["may_have"][who, log["product"][some]].all()
        assert not world["minor"][who].any()
        assert not world["opted_out"][who].any()
        assert (log["pscore"] > 0).all()
        assert (log["pscore"] <= 1).all()
