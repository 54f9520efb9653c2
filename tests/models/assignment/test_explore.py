"""What explorers draw: every choice as often as its integer chance says, thinned where limits are narrow."""

from __future__ import annotations

import numpy as np
import pytest

from models.assignment.explore import (
    DEVIATIONS,
    LEAST,
    PARTS,
    SOME,
    Offered,
    offer_evenly,
    pscore,
    thin,
    thin_to_limit,
)
from models.hashing import hashes

EPSILON = 0.05


def offered() -> Offered:
    """Four customers: three arcs, none, one, two of which the second is not supported; the last may not explore."""
    row = np.array([0, 0, 0, 2, 3, 3, 4])
    place = np.array([1, 4, 7, 0, 2, 3, 5])
    even = offer_evenly(row, place, np.array([True, True, True, True, False]))
    parts = even.parts.copy()
    parts[5] = 0
    return Offered(even.first, row, place, parts)


def test_arcs_are_drawn_as_often_as_their_parts_say() -> None:
    of, draws = offered(), 20_000
    drawn = np.array([of.draw(hashes(np.arange(5), number)) for number in range(draws)])
    for customer, place, chance in (
        (0, 1, SOME / 3),
        (0, 4, SOME / 3),
        (0, 7, SOME / 3),
        (2, 0, SOME),
        (3, 2, SOME / 2),
    ):
        assert abs((drawn[:, customer] == place).mean() - chance) < 4 * (chance * (1 - chance) / draws) ** 0.5
    assert (drawn[:, 1] == -1).all()
    assert (drawn[:, 4] == -1).all()
    assert set(np.unique(drawn[:, 3])) == {-1, 2}  # never the arc that is not supported


def test_what_is_told_of_a_row_adds_up_to_one_exactly() -> None:
    of = offered()
    each = np.zeros(5, np.int64)
    for place in range(8):
        mine = of.parts_of(np.full(5, place))
        assert (mine >= 0).all()
        each += mine
    assert (each + of.parts_of(np.full(5, -1)) == PARTS).all()
    assert of.parts_of(np.array([4, -1, 4, 3, 5])).tolist() == [int(SOME * PARTS) // 3, PARTS, 0, 0, 0]


def test_a_draw_does_not_depend_on_who_else_is_there() -> None:
    of, alone = offered(), offer_evenly(np.array([0]), np.array([0]), np.array([True]))
    both = [(of.draw(hashes(np.arange(5), key))[2], alone.draw(hashes(np.array([2]), key))[0]) for key in range(500)]
    assert len(set(both)) == 2  # drawn or not, alike
    assert all(a == b for a, b in both)


def test_thinning_spends_money_on_many_cheap_draws_and_few_dear_ones() -> None:
    use = np.tile([0.0, 5.0, 200.0, 900.0], (2, 1))
    drawn = np.array([[9.0, 80.0, 40.0, 20.0], [5.0, 40.0, 20.0, 10.0]])
    assert (thin_to_limit(use, drawn, 1e9, DEVIATIONS) == 1.0).all()
    kept = thin_to_limit(use, drawn, 9_000, DEVIATIONS)
    assert (kept[:, :2] == 1.0).all()
    assert kept[0, 2] / kept[0, 3] == pytest.approx(900 / 200)
    random = np.random.default_rng(4)
    spent = (random.poisson(drawn * kept, (40_000, 2, 4)) * use).sum((1, 2))
    assert (spent > 9_000).mean() < 0.001
    fair = thin_to_limit(use, drawn, 9_000, 0.0)
    assert (use * drawn * fair).sum() == pytest.approx(9_000)
    assert (thin_to_limit(use, drawn, 0, 0.0)[:, 1:] == 0.0).all()


def test_an_arc_is_thinned_to_the_least_that_can_be_learnt_from_and_below_it_not_drawn() -> None:
    parts = np.full(5, PARTS // 10)  # given with 0.005 by an explorer in twenty
    fair = np.array([1.0, 0.5, 0.01, 0.01, 0.01])
    most = np.array([1.0, 1.0, 1.0, 0.5, 0.1])
    kept = EPSILON * thin(parts, fair, most, EPSILON) / PARTS
    assert kept == pytest.approx([0.005, 0.0025, LEAST, LEAST, 0.0], rel=1e-6)
    assert ((kept == 0) | (kept >= LEAST)).all()
    assert (thin(parts, fair, most, 0.0) == 0).all()


def test_a_row_is_as_probable_as_either_label_makes_it() -> None:
    score = pscore(EPSILON, np.array([True, True, False]), np.array([PARTS // 4, PARTS, PARTS // 4]))
    assert score == pytest.approx([0.95 + 0.0125, 1.0, 0.0125])
