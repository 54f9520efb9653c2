"""The compiled walk over LightGBM's trees equals LightGBM's own predict."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.affinity.trees import pack, parse, resolve, score_arcs, score_rows
from tests.examples import examples


def booster(seed: int, *, zero_as_missing: bool = False, rows: int = 1500) -> tuple[lgb.Booster, np.ndarray]:
    """A booster over three customer features (one of categories) and three arc attributes (one of categories)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 6))
    X[:, 2] = rng.integers(0, 40, rows)
    X[:, 5] = rng.integers(0, 50, rows)
    X[rng.random(X.shape) < 0.1] = np.nan
    X[rng.random(X.shape) < 0.1] = 0.0
    signal = np.nan_to_num(X[:, 0]) + (X[:, 2] % 3 == 0) * np.nan_to_num(X[:, 3]) + (X[:, 5] % 2 == 0)
    y = (signal + rng.normal(size=rows) > 0.5).astype(float)
    parameters = {
        "objective": "binary",
        "num_leaves": 15,
        "verbose": -1,
        "min_data_in_leaf": 5,
        "seed": seed,
        "zero_as_missing": zero_as_missing,
        "cat_smooth": 1.0,
        "min_data_per_group": 5,
    }
    data = lgb.Dataset(X, y, categorical_feature=[2, 5], free_raw_data=False)
    return lgb.train(parameters, data, 25), X


@pytest.mark.parametrize("zero_as_missing", [False, True])
def test_rows_equal_lightgbm(zero_as_missing: bool) -> None:
    model, X = booster(1, zero_as_missing=zero_as_missing)
    X = np.vstack([X, np.full((1, 6), np.nan), np.full((1, 6), -3.0), np.full((1, 6), 1e6), np.zeros((1, 6))])
    ours = score_rows(parse(model.model_to_string()), X)
    np.testing.assert_array_equal(ours, model.predict(X, raw_score=True))


@settings(max_examples=examples(8), deadline=None)
@given(seed=st.integers(0, 1000), arcs=st.sampled_from([1, 5, 64, 65, 150]))
def test_arcs_equal_lightgbm_on_the_wanted_and_zero_elsewhere(seed: int, arcs: int) -> None:
    model, X = booster(seed % 5)
    rng = np.random.default_rng(seed)
    attributes = X[rng.integers(0, len(X), arcs), 3:]
    customers = X[:40, :3]
    wanted = rng.random((40, arcs)) < 0.5
    scores = score_arcs(resolve(parse(model.model_to_string()), attributes), customers, pack(wanted))
    rows = np.hstack([np.repeat(customers, arcs, axis=0), np.tile(attributes, (40, 1))])
    expected = model.predict(rows, raw_score=True).reshape(40, arcs)
    np.testing.assert_array_equal(scores, np.where(wanted, expected, 0.0))


def test_a_tree_of_one_leaf_is_a_constant() -> None:
    X = np.random.default_rng(0).normal(size=(100, 2))
    model = lgb.train(
        {"objective": "binary", "verbose": -1, "min_data_in_leaf": 90},
        lgb.Dataset(X, (X[:, 0] > 1).astype(float)),
        3,
    )
    np.testing.assert_array_equal(score_rows(parse(model.model_to_string()), X), model.predict(X, raw_score=True))


def test_what_is_no_model_text_is_refused() -> None:
    with pytest.raises(ValueError, match="no LightGBM model text"):
        parse("hello\nworld=1")
