"""Signals beside orders: what they add, and that only orders decide what they count for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from models.affinity.encode import ARC_COLUMNS, EncodedFeature
from models.affinity.response import fit
from models.affinity.signals import ALONE, HEARD, MISSED, REFUSED, UNKNOWN, SignalRows, TreeParameters, signals, stack
from models.affinity.trees import parse, score_rows

KNOBS = TreeParameters(trees=40, min_leaf=100, threads=1)
FEATURES = tuple(EncodedFeature(f"f{k}", "number") for k in range(12))


def rare(n: int = 24_000, seed: int = 0, *, told: bool = True, alone: float = -5.0) -> tuple[SignalRows, np.ndarray]:
    """Contacts of which two in a thousand are answered by an order, by who listens; a third of the others refuse.

    Returns:
        The rows and what makes customers listen.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 12))
    listens = 0.8 * X[:, 0] - 0.6 * X[:, 1]
    met = np.arange(n) % 4 != 0
    arcs = np.zeros((n, len(ARC_COLUMNS)))
    arcs[:, ARC_COLUMNS.index("contacted")] = met
    arcs[~met, ARC_COLUMNS.index("channel_id")] = np.nan
    start = np.where(met, -6.6, alone)
    y = (rng.random(n) < expit(start + np.where(met, listens, 0.0))).astype(float)
    heard = rng.random(n) < expit(0.7 + listens)
    answer = np.select([rng.random(n) < 0.3, ~heard], [MISSED, REFUSED], HEARD)
    return SignalRows(
        X,
        arcs,
        y,
        np.ones(n),
        rng.random(n) < 0.25,
        rng.integers(0, 2, n),
        np.where(met, 0, ALONE),
        start,
        np.where(met & told, answer, UNKNOWN),
    ), listens


def ranking(rows: SignalRows, listens: np.ndarray, new: np.ndarray) -> tuple[float, dict[str, float]]:
    """AUC of the model's trees against who listens more than most, for new customers; the signals' weights."""
    found = fit(rows, FEATURES, 1, KNOBS)
    arcs = np.zeros((len(new), len(ARC_COLUMNS)))
    arcs[:, ARC_COLUMNS.index("contacted")] = 1
    score = score_rows(parse(found.text), np.hstack([new, arcs]))
    return float(roc_auc_score(listens > 0, score)), found.weights


@pytest.mark.whole
def test_refusals_tell_who_will_order() -> None:
    """Some forty orders do not: with the refusals beside them the ranking is far nearer to the truth."""
    new = np.random.default_rng(9).normal(size=(4000, 12))
    truth = 0.8 * new[:, 0] - 0.6 * new[:, 1]
    alone, weights = ranking(rare(told=False)[0], truth, new)
    assert set(weights) == {"order", "organic"}
    beside, weights = ranking(rare()[0], truth, new)
    assert beside > 0.9 > alone + 0.1
    assert weights["heard"] > 0.5


def test_only_orders_decide_what_a_signal_counts_for() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(40_000, 3))
    start = np.full(40_000, -3.0)
    y = (rng.random(40_000) < expit(start + 0.3 + 0.8 * scores[:, 0] - 0.5 * scores[:, 2])).astype(float)
    a, right, noise, against = stack(scores, [False] * 3, y, np.ones(40_000), start)
    assert a == pytest.approx(0.3, abs=0.15)
    assert right == pytest.approx(0.8, abs=0.1)
    assert noise < 0.05
    assert against == 0.0


@pytest.mark.whole
def test_who_cannot_be_reached_does_not_order() -> None:
    """Trees of the chance to be reached add to the log of it; that chance is a factor of an order's, with few orders too."""
    rows, _ = rare(60_000, alone=-9.0)
    rng = np.random.default_rng(3)
    chance = 0.3 + 0.5 * (rows.X[:, 2] > 0)
    reached = rng.random(len(chance)) < chance
    met = rows.group >= 0
    rows = dataclasses.replace(
        rows,
        y=np.where(met, rows.y * reached, rows.y),
        answer=np.where(met, np.where(reached, HEARD, MISSED), UNKNOWN),
    )
    told = {signal.name: signal for signal in signals(rows)}
    assert [name for name, signal in told.items() if signal.factor] == ["reached"]
    assert np.exp(told["reached"].start[met]) == pytest.approx(reached[met].mean(), abs=0.01)
    found = fit(rows, FEATURES, 1, KNOBS)
    assert found.weights["reached"] > 0.5
    arcs = np.zeros((2, len(ARC_COLUMNS)))
    arcs[:, ARC_COLUMNS.index("contacted")] = 1
    new = np.zeros((2, 12))
    new[:, 2] = [-1.0, 1.0]
    low, high = score_rows(parse(found.text), np.hstack([new, arcs]))
    assert 0.4 < high - low < 1.6  # log(0.8 / 0.3) = 0.98


def test_nothing_but_the_factor_counts_where_orders_say_nothing() -> None:
    scores = np.random.default_rng(4).normal(size=(50, 2))
    weights = stack(scores, [True, False], np.zeros(50), np.full(50, 1e-6), np.full(50, -8.0))
    assert weights[1:] == pytest.approx([1.0, 0.0], abs=0.01)


def test_a_signal_needs_both_answers() -> None:
    rows, _ = rare(4000)
    assert [signal.name for signal in signals(rows)][:1] == ["order"]
    assert {"reached", "heard"} <= {signal.name for signal in signals(rows)}
    everyone = dataclasses.replace(rows, answer=np.where(rows.answer == UNKNOWN, UNKNOWN, HEARD))
    assert not {"reached", "heard"} & {signal.name for signal in signals(everyone)}


@pytest.mark.whole
def test_where_few_order_by_themselves_nothing_is_said_of_who_does() -> None:
    found = fit(rare(8000, alone=-9.0)[0], FEATURES, 1, KNOBS)
    rows = np.random.default_rng(1).normal(size=(500, len(FEATURES) + len(ARC_COLUMNS)))
    rows[:, len(FEATURES) + ARC_COLUMNS.index("contacted")] = 0
    assert "organic" not in found.weights
    assert (score_rows(parse(found.text), rows) == 0).all()
