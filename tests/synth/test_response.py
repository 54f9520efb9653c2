"""The known response function, and that simulated outcomes follow it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synth.history import make_history
from synth.response import lift, margin_effect, organic
from synth.world import World, make_world
from tests.synth.conftest import Small, plan_of


def everything(world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, products = np.arange(world.size), np.arange(len(world.plan.products))
    channels = np.arange(len(world.plan.channels))
    p0 = organic(world, rows, products)
    delta = lift(world, rows[:, None, None], products[None, :, None], channels[None, None, :], p0[:, :, None])
    return p0, delta, margin_effect(world, rows, p0, delta, products, channels)


def test_null_preset_has_no_effect_at_all() -> None:
    _, delta, effect = everything(make_world(plan_of("null")))
    assert not delta.any()
    assert not effect.any()


def test_real_preset_is_of_the_size_of_published_campaigns(small: Small) -> None:
    p0, delta, _ = everything(small.world)
    codes = [c.code for c in small.plan.channels]
    assert 0.03 < p0.sum(axis=1).mean() < 0.15  # organic orders a month
    sms = delta[:, :, codes.index("sms_hall")][small.world["may_have"]].mean()
    agent = delta[:, :, codes.index("agent_out")][small.world["may_have"]].mean()
    assert 0.0005 < sms < 0.01  # untargeted mass SMS: far under 1 %
    assert 3 * sms < agent < 0.08


def test_effects_differ_between_customers_and_some_are_lost_by_a_contact(small: Small) -> None:
    _, delta, effect = everything(small.world)
    agent = delta[:, :, 0]
    per_customer = agent.mean(axis=1)
    assert per_customer.std() > 0.5 * per_customer.mean()
    assert (effect < 0).any()


def test_easy_is_stronger_than_real(small: Small) -> None:
    _, real, _ = everything(small.world)
    _, easy, _ = everything(make_world(plan_of("easy")))
    assert easy.mean() > 3 * real.mean()


@pytest.fixture(scope="module")
def contacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder: Path = tmp_path_factory.mktemp("easy")
    (folder / "decisions").mkdir()
    make_history(make_world(plan_of("easy", customers=3000)), folder)
    with np.load(folder / "contact.npz") as stored:
        return {name: stored[name] for name in stored.files}


def test_only_the_reached_convert_by_a_contact_and_background_has_no_effect(contacts: dict[str, np.ndarray]) -> None:
    assert contacts["converted"].sum() > 50
    assert not contacts["converted"][~contacts["reached"]].any()
    assert not contacts["converted"][contacts["night"] < 0].any()
