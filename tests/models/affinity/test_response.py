"""What a training shows of its model: predictions taken apart, figures by slice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.affinity.encode import EncodedFeature
from models.affinity.response import slices
from models.affinity.scorer import Menu
from models.affinity.signals import SignalRows, TreeParameters
from models.affinity.training import TrainingSample, learn
from models.lifecycle.model_card import shap_summary


@pytest.mark.whole
def test_the_features_that_matter_add_most(
    world: Callable[..., TrainingSample], features: tuple[EncodedFeature, ...], menu: Menu, tmp_path: Path
) -> None:
    learnt = learn(world(), features, menu, TreeParameters(trees=40, min_leaf=50), 0.25, {})
    told = learnt.response.explained
    assert told.parts.shape == told.values.shape == (len(told.values), len(told.names))
    size = dict(zip(told.names, np.abs(told.parts).mean(axis=0), strict=True))
    assert min(size["f0"], size["f1"]) > max(size["f2"], size["f3"], size["f4"])
    shap_summary(learnt, tmp_path)
    first = (tmp_path / "shap.png").read_bytes()
    shap_summary(learnt, tmp_path)
    assert (tmp_path / "shap.png").read_bytes() == first
    assert len(first) > 10_000


def test_slices_tell_values_with_enough_orders() -> None:
    n = 400
    city = np.repeat([0.0, 1.0, np.nan], [200, 150, 50])
    y = np.zeros(n)
    y[:20] = 1  # 20 orders in gz, 4 in sz, some where the city is missing
    y[200:204] = 1
    y[350:380] = 1
    rows = SignalRows(
        X=np.column_stack([city, city]),
        arcs=np.zeros((n, 12)),
        y=y,
        weight=np.ones(n),
        late=np.ones(n, bool),
        fold=np.zeros(n, np.int64),
        group=np.zeros(n, np.int64),
        prior=np.zeros(n),
        answer=np.full(n, -1),
    )
    features = (EncodedFeature("city", "category", ("gz", "sz")), EncodedFeature("colour", "category", ("red", "blue")))
    p = np.where(np.arange(n) < 20, 0.2, 0.1)
    (only,) = slices(rows, features, p)
    assert (only["slicing"], only["value"], only["rows"], only["conversions"]) == ("city", "gz", 200.0, 20.0)
    assert only["auc"] == 1.0
    assert only["ratio"] == (20 * 0.2 + 180 * 0.1) / 20
