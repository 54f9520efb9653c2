"""The twin world is the world without contacts, and what contacts caused adds up to the difference of the two."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from synth.history import Course, live
from synth.twin import NEVER, Window, effects, orders_of_both
from synth.world import World, make_world
from tests.synth.conftest import plan_of


@pytest.fixture(scope="module")
def easy() -> World:
    return make_world(plan_of("easy", customers=3000))


@pytest.fixture(scope="module")
def course(easy: World) -> Course:
    return live(easy)


def silent(world: World) -> World:
    """The same customers under a policy that contacts nobody."""
    preset = world.plan.preset
    quiet = {name: habit.model_copy(update={"daily": 0.0}) for name, habit in preset.channels.items()}
    plan = dataclasses.replace(world.plan, preset=preset.model_copy(update={"channels": quiet}))
    return World(plan, world.columns)


def test_the_twin_is_the_life_that_a_policy_without_contacts_leads(easy: World, course: Course) -> None:
    alone = live(silent(easy))
    assert not len(alone.contacts["time"])
    both, theirs = orders_of_both(easy, course), orders_of_both(silent(easy), alone)
    assert theirs["here"].all()
    twin = both["twin"]
    for name in ("customer", "product", "channel", "time", "twin_margin"):
        assert np.array_equal(both[name][twin], theirs[name]), name
    assert np.array_equal(both["twin_margin"][twin], theirs["margin"])


def test_what_contacts_caused_adds_up_to_the_difference_of_the_worlds(easy: World, course: Course) -> None:
    both = orders_of_both(easy, course)
    caused = effects(easy, course, both)
    ever = Window(easy.plan.first_day, easy.plan.end_day)
    here, twin = (ever.sum_by_customer(both, easy.size, twin=w) for w in (False, True))
    by_customer = np.zeros(easy.size, dtype=np.int64)
    np.add.at(by_customer, course.contacts["customer"][caused["contact"]], caused["margin"])
    assert np.array_equal(by_customer, here - twin)
    assert caused["orders"].sum() == both["here"].sum() - both["twin"].sum()
    stays = (
        (both["here"] & (both["cancelled"] == NEVER)).sum(),
        (both["twin"] & (both["twin_cancelled"] == NEVER)).sum(),
    )
    assert caused["kept"].sum() == stays[0] - stays[1]
    assert (caused["margin"] > 0).any()
    assert (caused["margin"] < 0).any()
    assert caused["optouts"].sum() > 0


def test_an_order_that_no_contact_met_is_the_same_in_both_worlds(easy: World, course: Course) -> None:
    both = orders_of_both(easy, course)
    alike = both["here"] & both["twin"] & (both["contact"] == NEVER)
    assert alike.sum() > 100
    assert np.array_equal(both["margin"][alike], both["twin_margin"][alike])
    assert np.array_equal(both["cancelled"][alike], both["twin_cancelled"][alike])
    assert (both["cancelled"][alike] > 0).any()


def test_a_window_counts_orders_placed_in_it_and_leaves_early_cancellations_out() -> None:
    both = {
        "customer": np.array([0, 0, 1, 1]),
        "time": np.array([10, 11, 10, 20]) * 86400,
        "margin": np.array([5, 7, 11, 13]),
        "cancelled": np.array([NEVER, 12 * 86400, 45 * 86400, NEVER]),
    }
    assert Window(10, 20).sum_by_customer(both, 3).tolist() == [5, 11, 0]
    assert Window(11, 21, cancel_days=0).sum_by_customer(both, 3).tolist() == [7, 13, 0]
