"""Lifts, kept margins and the hierarchical prior on data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from models.affinity import prior
from models.affinity.effect import Drawn, among_best, average, correction, fit_kept_margin, measure


def drawn(lift: float, n: int = 20_000, seed: int = 0) -> Drawn:
    """Contacts whose orders are ``lift`` times what is expected beyond p_base."""
    rng = np.random.default_rng(seed)
    d, base = rng.gamma(2.0, 0.01, n), np.full(n, 0.002)
    order = (rng.random(n) < base + lift * d).astype(float)
    return Drawn(order - base, d, base + d, rng.uniform(20, 200, n), np.ones(n))


@pytest.mark.parametrize("lift", [0.0, 1.0, 1.6])
def test_the_lift_is_measured_within_its_error(lift: float) -> None:
    found = measure(drawn(lift, 80_000), np.zeros(80_000, np.int64), ["data|sms_hall"]).whole
    assert found.own > 0.9
    assert abs(found.value - lift) < 3 * found.deviation


@pytest.mark.parametrize("lift", [0.0, 1.0])
def test_what_contacts_bring_on_average(lift: float) -> None:
    told = [average(drawn(lift, 2_000, seed)) for seed in range(60)]
    away = [(row["effect_explorers"] - lift * 0.02) / row["effect_explorers_error"] for row in told]
    assert np.mean(np.abs(away) < 1.96) > 0.85  # intervals cover the truth, 0 where there is none
    assert abs(np.mean(away)) < 0.5


def test_an_average_by_hand() -> None:
    """Weights 1 and 3: (1·0.9 − 3·0.1) / 4; the variance is (1·0.09 + 9·0.09) / 16."""
    two = Drawn(np.array([0.9, -0.1]), np.zeros(2), np.full(2, 0.1), np.array([1.0, 3.0]), np.ones(2))
    found = average(two)
    assert found["effect_explorers"] == pytest.approx(0.15)
    assert found["effect_explorers_error"] == pytest.approx(np.sqrt(0.9) / 4)
    assert average(two.take(np.zeros(2, bool))) == {}


def test_what_the_past_system_knew_is_no_effect_where_explorers_are_weighted() -> None:
    """A hidden taste makes both the order and the offer likely; contacts change nothing."""
    rng = np.random.default_rng(3)
    n = 200_000
    base = np.where(rng.random(n) < 0.3, 0.03, 0.005)
    pscore = np.where(base > 0.01, 0.2, 0.02)  # favourites are drawn ten times as often
    got = rng.random(n) < pscore
    order = (rng.random(n) < base).astype(float)[got]
    known = np.full(got.sum(), base.mean())
    d = np.full(got.sum(), 0.01)
    fair = Drawn(order - known, d, known + d, 1 / pscore[got], np.ones(got.sum()))
    naive = Drawn(order - known, d, known + d, np.ones(got.sum()), np.ones(got.sum()))
    cell = np.zeros(got.sum(), np.int64)
    assert measure(naive, cell, ["a"]).whole.value > 0.5
    assert measure(fair, cell, ["a"]).whole.value < 0.25


def test_a_thin_cell_stands_on_the_whole_and_says_so() -> None:
    many, few = drawn(1.0, 20_000, 1), drawn(0.0, 40, 2)
    both = Drawn(*(np.concatenate([getattr(many, f), getattr(few, f)]) for f in Drawn.__dataclass_fields__))
    cell = np.concatenate([np.tile([0, 1], 10_000), np.full(40, 2)])
    lifts = measure(both, cell, ["data|sms_hall", "data|wechat", "voice|wechat"])
    assert lifts.of("voice|wechat")[1] == "group"
    assert abs(lifts.of("voice|wechat")[0] - lifts.whole.value) < 0.3  # no order in 40 contacts says little
    assert lifts.of("voice|ivr") == (lifts.whole.value, "group")
    assert measure(few.take(np.zeros(40, bool)), np.zeros(0, np.int64), ["a"]).of("a")[1] == "prior"


def test_the_margin_kept_is_net_of_discount_and_of_what_is_displaced() -> None:
    rng = np.random.default_rng(0)
    n = 600
    listed = rng.choice([10.0, 100.0], n)
    margin = 0.85 * listed + rng.gamma(1.0, 3.0, n)
    found = fit_kept_margin(margin, np.full(n, 3.0), listed, (listed > 50).astype(np.int64), ["small", "large"])
    assert found[""] == pytest.approx(0.85, abs=0.02)
    assert found["large"] == pytest.approx(0.85, abs=0.02)
    assert fit_kept_margin(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64), ["small"]) == {
        "": 0.9,
        "small": 0.9,
    }


def counts(seed: int = 0) -> tuple[np.ndarray, ...]:
    """Twelve products of three groups on five channels; log-odds are sums of product and channel."""
    rng = np.random.default_rng(seed)
    group = np.repeat([0, 1, 2], 4)
    organic = -5.5 + np.array([-0.4, 0.3, 0.6])[group] + rng.normal(0, 0.3, 12)
    contact = organic[:, None] * 0.6 + np.array([2.4, 0.2, 0.4, 0.0, 2.8]) - 1.5
    rows = rng.choice([20, 100, 4000], (12, 5)).astype(float)
    base_rows = np.array([np.full(12, 100_000.0), np.zeros(12)])
    answers = rng.binomial(rows.astype(int), expit(contact)).astype(float)
    base = np.array([rng.binomial(100_000, expit(organic)).astype(float), np.zeros(12)])
    return answers, rows, base, base_rows, group, organic, contact


def test_the_prior_is_nearer_to_the_truth_than_the_cells_own_rates() -> None:
    answers, rows, base, base_rows, group, _, contact = counts()
    found = prior.fit(answers, rows, base, base_rows, group)
    own = np.log((answers + 0.5) / (rows - answers + 0.5))
    assert np.sqrt(np.mean((found.contact - contact) ** 2)) < 0.35 * np.sqrt(np.mean((own - contact) ** 2))


def test_a_product_or_channel_without_data_starts_from_its_group() -> None:
    """Leave one out: a product that was never offered, then a channel that was never used."""
    answers, rows, base, base_rows, group, organic, contact = counts()
    for left in range(12):
        a, r = answers.copy(), rows.copy()
        a[left], r[left] = 0, 0
        found = prior.fit(a, r, base, base_rows, group)
        assert np.abs(found.contact[left] - contact[left]).mean() < 0.6
        assert abs(found.organic[left] - organic[left]) < 0.35
    a, r = answers.copy(), rows.copy()
    a[:, 3], r[:, 3] = 0, 0
    found = prior.fit(a, r, base, base_rows, group)
    assert np.corrcoef(found.contact[:, 3], contact[:, 3])[0, 1] > 0.8  # products keep their order on a new channel


def test_cells_are_told_apart_where_they_differ_and_not_where_luck_would_choose() -> None:
    cell = np.tile(np.arange(4), 5_000)
    names = ["data|sms_hall", "data|wechat", "voice|sms_hall", "voice|wechat"]
    same = measure(drawn(1.0, 20_000, 5), cell, names)
    assert {same.of(name)[0] for name in names} == {same.whole.value}
    rng = np.random.default_rng(6)
    d, base, lift = rng.gamma(2.0, 0.01, 20_000), np.full(20_000, 0.002), np.array([0.3, 1.0, 1.0, 2.0])[cell]
    order = (rng.random(20_000) < base + lift * d).astype(float)
    other = measure(Drawn(order - base, d, base + d, np.full(20_000, 50.0), np.ones(20_000)), cell, names)
    assert other.of("data|sms_hall")[0] < 0.7 < 1.4 < other.of("voice|wechat")[0]


def test_predictions_that_are_luck_are_seen_where_they_choose() -> None:
    """Half of what the model tells apart is noise: the contacts it would choose bring less than it says."""
    rng = np.random.default_rng(8)
    n = 60_000
    d, base = np.full(n, 0.02), np.full(n, 0.002)
    said = d * np.exp(rng.normal(0, 0.7, n))
    order = (rng.random(n) < base + d).astype(float)
    contacts = Drawn(order - base, said, base + d, np.full(n, 50.0), np.ones(n))
    found = among_best(contacts, said, said)
    assert found["chosen_ratio"] + 4 * found["chosen_error"] < 1
    assert found["chosen_ratio"] < correction(found) < 1
    honest = among_best(contacts, d, rng.random(n))
    assert abs(honest["chosen_ratio"] - 1) < 3 * honest["chosen_error"]
    assert min(1.0, honest["chosen_ratio"]) <= correction(honest) <= 1
    assert among_best(contacts.take(np.zeros(n, bool)), np.zeros(0), np.zeros(0)) == {}


def test_lifts_are_corrected_where_an_optimizer_chooses_as_far_as_that_is_known() -> None:
    assert correction({}) == 1.0
    sure, unsure = ({"chosen_ratio": 0.7, "chosen_error": error} for error in (1e-6, 10.0))
    assert correction(sure) == pytest.approx(0.7, abs=1e-6)
    assert correction(unsure) == pytest.approx(1.0, abs=1e-3)
    assert correction({"chosen_ratio": 0.7, "chosen_error": 0.1}) == pytest.approx(0.85)  # as sure as the prior
    assert correction({"chosen_ratio": 1.3, "chosen_error": 0.1}) == 1.0
    lifts = measure(Drawn(*(np.full(5, v) for v in (0.1, 0.1, 0.1, 1.0, 1.0))), np.zeros(5, np.int64), ["data|wap"])
    half = lifts.times(0.5)
    assert half.of("data|wap")[0] == pytest.approx(lifts.of("data|wap")[0] / 2)
    assert half.whole.deviation == pytest.approx(lifts.whole.deviation / 2)
