"""The hierarchical prior on counts."""

from __future__ import annotations

import numpy as np
import pytest

from models.affinity import prior


def test_where_nobody_was_left_alone_the_organic_level_stays_at_its_mean() -> None:
    """A real set may have no decision without an offer (Pega's has none): there is nothing to fit then."""
    found = prior.fit(
        answers=np.array([[30.0, 5.0], [10.0, 2.0]]),
        rows=np.array([[1000.0, 1000.0], [1000.0, 1000.0]]),
        base_answers=np.zeros((2, 2)),
        base_rows=np.zeros((2, 2)),
        group=np.array([0, 0]),
    )
    assert found.organic.tolist() == [-5.0, -5.0]
    odds = found.contact
    assert odds[0, 0] > odds[1, 0] > odds[1, 1]


def test_nothing_known_at_all_is_the_prior() -> None:
    none = np.zeros((2, 2))
    found = prior.fit(none, none, none, none, np.array([0, 1]))
    np.testing.assert_allclose(found.contact, -5.0)


def test_orders_beside_contacts_tell_products_apart_and_nights_alone_their_level() -> None:
    """Contacted customers order twice as much of everything; the second product is ordered four times as often."""
    nothing = np.zeros((2, 3))
    found = prior.fit(
        nothing,
        nothing,
        base_answers=np.array([[10.0, 30.0], [1000.0, 4000.0]]),
        base_rows=np.array([[10_000.0, 10_000.0], [200_000.0, 200_000.0]]),
        group=np.array([0, 0]),
    )
    assert found.organic[1] - found.organic[0] == pytest.approx(np.log(4), abs=0.1)
    assert np.exp(found.organic).sum() == pytest.approx(40 / 10_000, rel=0.2)
