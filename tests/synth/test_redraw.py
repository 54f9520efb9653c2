"""One province lived again: the same customers with other labels and answers, and the truth of the difference."""

from __future__ import annotations

import numpy as np
import pytest

from synth.history import live
from synth.redraw import redraw, relabel
from synth.twin import Window, orders_of_both
from synth.world import World, make_world
from tests.synth.conftest import plan_of

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def easy() -> World:
    return make_world(plan_of("easy", customers=3000))


def test_the_first_life_is_the_one_that_the_files_tell(easy: World) -> None:
    both = orders_of_both(easy, live(easy))
    nights = easy.plan.night_days
    margin = Window(nights.start, nights.stop + 7).sum_by_customer(both, easy.size)
    told = redraw(easy, 0)
    assert np.array_equal(told.margin, margin[told.customer])


def test_a_redraw_is_its_own_and_comes_again(easy: World) -> None:
    one, again, other = redraw(easy, 1), redraw(easy, 1), redraw(easy, 2)
    for name in ("treated", "margin", "twin_margin", "contacts"):
        assert np.array_equal(getattr(one, name), getattr(again, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))
    assert np.array_equal(one.customer, other.customer)


def test_control_is_never_contacted_and_owes_contacts_nothing(easy: World) -> None:
    drawn = redraw(easy, 1)
    assert not drawn.contacts[~drawn.treated].any()
    assert np.array_equal(drawn.margin[~drawn.treated], drawn.twin_margin[~drawn.treated])
    assert drawn.true_effect > 0


def test_labels_drawn_again_measure_the_truth_in_the_mean(easy: World) -> None:
    everyone = redraw(easy, 1, control=0.0)
    assert everyone.treated.all()
    drawn = [relabel(everyone, 0.3, k) for k in range(200)]
    errors = np.array([d.measured_effect - d.true_effect for d in drawn])
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(len(errors))
    assert 0.25 < np.mean([1 - d.treated.mean() for d in drawn]) < 0.35
    assert np.mean([d.true_effect for d in drawn]) == pytest.approx(everyone.true_effect, rel=0.05)


def test_without_an_effect_the_truth_is_near_nothing() -> None:
    drawn = redraw(make_world(plan_of("null", customers=3000)), 1)
    assert abs(drawn.true_effect) < 50_000  # 0.05 元: those met by a contact cancel a little more often
