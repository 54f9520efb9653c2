"""The hierarchical prior on counts."""

from __future__ import annotations

import numpy as np

from models.affinity import prior


def test_where_nobody_was_left_alone_the_organic_level_stays_at_its_mean() -> None:
    """A real set may have no decision without an offer (Pega's has none): there is nothing to fit then."""
    found = prior.fit(
        answers=np.array([[30.0, 5.0], [10.0, 2.0]]), rows=np.array([[1000.0, 1000.0], [1000.0, 1000.0]]),
        base_answers=np.zeros(2), base_rows=np.zeros(2), group=np.array([0, 0]),
    )  # fmt: skip
    assert found.organic.tolist() == [-5.0, -5.0]
    odds = found.contact
    assert odds[0, 0] > odds[1, 0] > odds[1, 1]


def test_nothing_known_at_all_is_the_prior() -> None:
    none = np.zeros((2, 2))
    found = prior.fit(none, none, np.zeros(2), np.zeros(2), np.array([0, 1]))
    np.testing.assert_allclose(found.contact, -5.0)
