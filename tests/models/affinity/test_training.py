"""Learning on a tiny world with a known response: predicted lift against the truth, none where there is none."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from models.affinity.bundle import FACTS, TEXT, Bundle, load
from models.affinity.encode import ARC_COLUMNS, EncodedFeature
from models.affinity.response import OneClassError
from models.affinity.scorer import Menu, Money, prepare
from models.affinity.signals import TreeParameters
from models.affinity.training import CONTROL, EXPLORE, LATE_DAYS, TrainingSample, learn, training_rows
from models.lifecycle.training_data import count_without_pscore
from runtime.model_pointer import PINNED_FILES, digest

KNOBS = TreeParameters(trees=60, min_leaf=50)
PEOPLE = 3000


@pytest.fixture(scope="module")
def bundle(world: Callable[..., TrainingSample], features: tuple[EncodedFeature, ...], menu: Menu) -> Bundle:
    return learn(world(), features, menu, KNOBS, 0.25, {}).bundle


def scored(bundle: Bundle, menu: Menu) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities with and without a contact of new customers on the pushed arcs, and who they are."""
    X = np.random.default_rng(99).normal(size=(PEOPLE, 5))
    eligible = np.tile(menu.outbound(), (PEOPLE, 1))
    found = prepare(bundle, menu, Money(20_000_000, 180)).score(X, eligible, np.zeros(PEOPLE, np.int64))
    return X, found.p_convert, found.p_base


@pytest.mark.whole
def test_predicted_lift_equals_the_truth(bundle: Bundle, menu: Menu, chance: Callable[..., np.ndarray]) -> None:
    X, convert, base = scored(bundle, menu)
    brought, true = [], []
    for arc in np.flatnonzero(menu.outbound()):
        product, channel = np.full(PEOPLE, menu.product()[arc]), np.full(PEOPLE, menu.channel()[arc])
        true.append(chance(X, product, channel) - chance(X, product, np.full(PEOPLE, -1)))
        cell = f"{menu.groups[product[0]]}|{menu.channels[channel[0]]}"
        brought.append((convert[:, arc] - base[:, arc]) * bundle.lifts.of(cell)[0])
    assert np.sum(brought) / np.sum(true) == pytest.approx(1.0, abs=0.15)
    assert np.corrcoef(np.mean(brought, axis=1), np.mean(true, axis=1))[0, 1] > 0.9  # arcs
    assert np.corrcoef(np.sum(brought, axis=0), np.sum(true, axis=0))[0, 1] > 0.6  # customers


@pytest.mark.whole
def test_the_late_days_are_those_of_the_calibration(bundle: Bundle) -> None:
    observed, predicted = np.array(bundle.facts[LATE_DAYS]).T
    assert len(observed) > 1
    assert observed.sum() > 0
    assert predicted.sum() / observed.sum() == pytest.approx(bundle.facts["metrics"]["ratio_contact"], rel=1e-4)


@pytest.mark.whole
def test_no_effect_is_found_where_there_is_none(
    world: Callable[..., TrainingSample], features: tuple[EncodedFeature, ...], menu: Menu
) -> None:
    found = learn(world(effect=0.0, seed=4), features, menu, KNOBS, 0.25, {}).bundle
    _, convert, base = scored(found, menu)
    arcs = menu.outbound()
    lift = found.lifts.whole
    gain = float((convert - base)[:, arcs].mean()) * lift.value
    assert abs(gain) < 0.15 * float(base[:, arcs].mean())


def test_an_order_counts_for_the_contact_it_answers(
    world: Callable[..., TrainingSample], features: tuple[EncodedFeature, ...], menu: Menu
) -> None:
    """A message whose window holds the order that a later call won brought nothing: `ordered` has it, `converted` not."""
    sample = world(seed=2)
    messages = np.flatnonzero((sample.channel == 1) & ~sample.converted)
    followed = messages[::10]
    sample.ordered[followed, 0] |= 1 << sample.product[followed]
    prior, rows = training_rows(sample, menu, 0.25, 0)
    met = rows.group >= 0
    assert rows.y[met].sum() == sample.converted.sum()
    rate = sample.converted[sample.channel == 1].mean()
    told = expit(prior.contact[:, 1]).mean()
    assert told == pytest.approx(rate, rel=0.15)


def test_a_product_is_not_asked_of_nights_before_its_launch(
    world: Callable[..., TrainingSample], features: tuple[EncodedFeature, ...], menu: Menu
) -> None:
    """Nobody orders what is not sold yet: a product launched tomorrow starts as its group, not from no orders at all."""
    sample = world(seed=3)
    sample = sample.take(sample.product != 3)
    sample.ordered[:] &= ~(1 << 3)
    unsold = dataclasses.replace(menu, launched=(0, 0, 0, int(sample.day.max()) + 1))
    prior, rows = training_rows(sample, unsold, 0.25, 0)
    blind, _ = training_rows(sample, menu, 0.25, 0)
    assert abs(prior.organic[3] - prior.organic[1]) < 0.7 < prior.organic[1] - blind.organic[3]
    asked = rows.arcs[rows.group < 0, ARC_COLUMNS.index("product_id")]
    assert set(np.unique(asked)) == {0.0, 1.0, 2.0}


@pytest.mark.whole
def test_tired_customers_answer_less(
    world: Callable[..., TrainingSample], features: tuple[EncodedFeature, ...], menu: Menu
) -> None:
    rng = np.random.default_rng(5)
    sample = world(customers=4000, seed=5)
    sample.recent[:] = np.where(sample.product >= 0, rng.exponential(1.0, len(sample.day)), 0.0)
    kept = rng.random(len(sample.day)) < np.exp(-0.4 * sample.recent)
    sample.converted[:] &= kept
    sample.reversed[:] &= kept
    found = learn(sample, features, menu, KNOBS, 0.25, {}).bundle
    assert found.fatigue == pytest.approx(0.4, abs=0.12)
    X, eligible = rng.normal(size=(50, 5)), np.tile(menu.outbound(), (50, 1))
    scorer, nothing = prepare(found, menu, Money(20_000_000, 180)), np.zeros(50, np.int64)
    rested = scorer.score(X, eligible, nothing).p_convert
    fatigued = scorer.score(X, eligible, nothing, np.full(50, 2.0))
    assert np.array_equal(scorer.score(X, eligible, nothing, np.zeros(50)).p_convert, rested)
    arcs = menu.outbound()
    ratio = (fatigued.p_convert / rested)[:, arcs]
    assert ratio.max() < 1
    assert ratio.mean() == pytest.approx(np.exp(-2 * found.fatigue), abs=0.1)
    assert (fatigued.effect <= scorer.score(X, eligible, nothing).effect)[:, arcs].all()


@pytest.mark.whole
def test_a_bundle_reads_back_and_scores_the_same(bundle: Bundle, menu: Menu, tmp_path: object) -> None:
    folder = Path(str(tmp_path)) / "model"
    bundle.save(folder)
    again = load(folder)
    assert again == bundle
    assert set(PINNED_FILES) == {TEXT, FACTS}
    assert len(digest(folder)) == 64
    np.testing.assert_array_equal(scored(again, menu)[1], scored(bundle, menu)[1])


@pytest.mark.whole
def test_a_bundle_of_release_0_1_is_read(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    bundle.save(folder)
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    facts["wearout"] = facts.pop("fatigue")  # its name then
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    assert load(folder) == bundle


@pytest.mark.whole
def test_a_product_launched_after_training_scores_from_its_group(bundle: Bundle, menu: Menu) -> None:
    from dataclasses import replace

    from tests.models.affinity.conftest import make_menu

    grown = make_menu(5)  # the fifth is a voice product like the first and the third
    _, convert, base = scored(replace(bundle), grown)
    new = grown.outbound() & (grown.product() == 4)
    kin = grown.outbound() & np.isin(grown.product(), [0, 2])
    assert 0.3 < convert[:, new].mean() / convert[:, kin].mean() < 2
    assert (base[:, new] > 0).all()


@pytest.mark.parametrize("answer", [0, -1])
def test_one_class_is_refused(
    world: Callable[..., TrainingSample], features: tuple[EncodedFeature, ...], menu: Menu, answer: int
) -> None:
    sample = world(300, 8)
    sample.ordered[:, 0] = answer
    sample.converted[:] = bool(answer)
    with pytest.raises(OneClassError, match="have the same answer"):
        learn(sample, features, menu, KNOBS, 0.25, {})


def test_decisions_that_no_draw_gave_stand_for_nobody_else(world: Callable[..., TrainingSample]) -> None:
    sample = world(1)
    withdrawn = (sample.role == EXPLORE) & (np.arange(len(sample.role)) % 3 == 0)
    lost = dataclasses.replace(sample, pscore=np.where(withdrawn | (sample.role == CONTROL), np.nan, sample.pscore))
    assert lost.by_chance.sum() == (sample.role == EXPLORE).sum() - withdrawn.sum()
    assert np.isfinite(lost.take(lost.by_chance).pscore).all()
    rows = pa.table({"role": ["explore", "explore", "control"], "pscore": pa.array([None, 0.1, None], pa.float64())})
    assert count_without_pscore(rows) == 1
