"""Slates: how often each is drawn is what is logged of it, and the log is Plackett and Luce's formula."""

from __future__ import annotations

from itertools import permutations
from math import exp, prod

import numpy as np
import pytest
from scipy.stats import chisquare

from models.assignment.slates import gumbel, slates

SCORES = np.array([50_000, 30_000, 30_000, 0, -40_000])
TEMPERATURE = 30_000.0


def formula(slate: tuple[int, ...], scores: np.ndarray) -> float:
    """Probability of an ordered slate, written as the definition reads."""
    weight = [exp(s / TEMPERATURE) for s in scores]
    return prod(
        weight[j] / sum(weight[k] for k in range(len(weight)) if k not in slate[:place])
        for place, j in enumerate(slate)
    )


def drawn(cells: int, number: int = 5, scores: np.ndarray = SCORES) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """The slate of each of many cells with the same offers, and its logged probability."""
    n = len(scores)
    cell = np.repeat(np.arange(cells) * 64 + 5, n)
    found = slates(cell, np.tile(scores, cells), np.tile(np.arange(n), cells), number, TEMPERATURE, 3)
    places = min(3, n)
    assert found.rank.tolist() == list(range(1, places + 1)) * cells
    offers = (found.order % n).reshape(cells, places)
    probability = found.probability.reshape(cells, places)
    assert (probability == probability[:, :1]).all()
    return [tuple(row) for row in offers.tolist()], probability[:, 0]


def test_frequencies_of_slates_are_their_logged_probabilities() -> None:
    cells = 60_000
    seen, logged = drawn(cells)
    every = list(permutations(range(len(SCORES)), 3))
    chance = {slate: formula(slate, SCORES) for slate in every}
    assert sum(chance.values()) == pytest.approx(1.0)
    assert logged == pytest.approx([chance[slate] for slate in seen])
    counts = np.array([seen.count(slate) for slate in every])
    expected = np.array([chance[slate] * cells for slate in every])
    assert expected.min() > 5
    assert chisquare(counts, expected).pvalue > 0.001
    flat = np.full(len(every), cells / len(every))
    assert chisquare(counts, flat).pvalue < 1e-12  # the test has the power to tell another law


def test_a_click_weighted_by_the_log_is_unbiased() -> None:
    """What off-policy evaluation does with the log: the value of always showing 3, 1, 0 from what was drawn."""
    seen, logged = drawn(60_000, number=8)
    weight = np.array([slate == (3, 1, 0) for slate in seen]) / logged
    assert abs(weight.mean() - 1.0) < 3.5 * weight.std() / len(weight) ** 0.5


def test_draws_come_from_key_cell_and_label_alone() -> None:
    random = np.random.default_rng(2)
    cell = np.sort(random.integers(0, 300, 1_000))
    label, score = np.arange(1_000) % 97, random.integers(0, 90_000, 1_000)
    whole = slates(cell, score, label, 3, TEMPERATURE, 3)
    part = cell < 150
    half = slates(cell[part], score[part], label[part], 3, TEMPERATURE, 3)
    first = cell[whole.order] < 150
    assert np.array_equal(whole.order[first], half.order)
    assert np.array_equal(whole.probability[first], half.probability)
    named = slates(
        cell * 1_000 + 7, score, label, 3, TEMPERATURE, 3, cell
    )  # an id stands in rows, another thing is drawn of
    assert np.array_equal(named.order, whole.order)
    assert np.array_equal(named.probability, whole.probability)
    other = slates(cell, score, label, 4, TEMPERATURE, 3)
    assert not np.array_equal(whole.order, other.order)
    swapped = np.lexsort((-label, cell))  # the same offers in another order within their cells
    again = slates(cell[swapped], score[swapped], label[swapped], 3, TEMPERATURE, 3)
    assert np.array_equal(swapped[again.order], whole.order)
    assert again.probability == pytest.approx(whole.probability)


def test_cells_of_any_size_and_no_temperature() -> None:
    seen, logged = drawn(50, scores=np.array([7]))
    assert set(seen) == {(0,)}
    assert (logged == 1.0).all()
    _, two = drawn(500, scores=np.array([0, 30_000]))
    assert set(np.round(two, 9)) == {round(formula(s, np.array([0, 30_000])), 9) for s in ((0, 1), (1, 0))}
    empty = slates(*(np.zeros(0, np.int64),) * 3, 1, TEMPERATURE, 3)
    assert len(empty.order) == 0
    still = slates(np.zeros(4, np.int64), np.array([1, 5, 5, 9]), np.array([0, 3, 2, 1]), 1, 0.0, 3)
    assert still.order.tolist() == [3, 2, 1]
    assert still.probability.tolist() == [1.0, 1.0, 1.0]
    far = slates(np.zeros(2, np.int64), np.array([0, 10**12]), np.array([0, 1]), 1, 1.0, 3)  # no overflow
    assert far.order.tolist() == [1, 0]
    assert np.isfinite(far.probability).all()


def test_the_variate_is_gumbels() -> None:
    g = gumbel(np.arange(20_000), np.arange(20_000) % 3, 9)
    assert g.mean() == pytest.approx(0.5772, abs=0.03)
    assert g.var() == pytest.approx(np.pi**2 / 6, abs=0.06)
