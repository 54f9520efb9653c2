"""A blend of boosters against the sum of their own predictions."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest

from models.affinity.blend import BlendPart, blend
from models.affinity.trees import parse, score_rows


def boosters() -> tuple[np.ndarray, list[lgb.Booster]]:
    """Rows with missing values, a category and a flag; two boosters, and one that found nothing to split."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 4))
    X[:, 2] = rng.integers(0, 40, 800)
    X[:, 3] = rng.random(800) < 0.5
    X[rng.random(800) < 0.1, 0] = np.nan
    answers = (np.nan_to_num(X[:, 0]) + (X[:, 2] % 3 == 1), X[:, 1] ** 2, np.ones(800))
    parameters = {"num_leaves": 6, "verbose": -1, "min_data_in_leaf": 20, "seed": 0, "num_threads": 1}
    return X, [lgb.train(parameters, lgb.Dataset(X, y, categorical_feature=[2]), 7) for y in answers]


def test_a_blend_is_the_weighted_sum() -> None:
    X, (first, second, flat) = boosters()
    parts = [
        BlendPart(b.model_to_string(), *w) for b, w in ((first, (0.5, 1.0)), (second, (-2.0, 0.0)), (flat, (3.0, 0.0)))
    ]
    text = blend(parts, 3, 0.25)
    raw = [booster.predict(X) for booster in (first, second, flat)]
    expected = np.where(X[:, 3] > 0, 0.5 * raw[0] - 2 * raw[1] + 3 * raw[2] + 0.25, raw[0])
    np.testing.assert_allclose(score_rows(parse(text), X), expected, atol=1e-12)
    whole = lgb.Booster(model_str=text)
    np.testing.assert_allclose(whole.predict(X), expected, atol=1e-12)
    np.testing.assert_allclose(whole.predict(X, pred_contrib=True).sum(axis=1), expected, atol=1e-9)


def test_parts_of_other_columns_are_refused() -> None:
    X, (first, *_) = boosters()
    other = lgb.train({"verbose": -1}, lgb.Dataset(X[:, :3], X[:, 1]), 2)
    with pytest.raises(ValueError, match="2 parts over 2 sets of columns"):
        blend([BlendPart(first.model_to_string(), 1.0, 0.0), BlendPart(other.model_to_string(), 1.0, 0.0)], 3)
