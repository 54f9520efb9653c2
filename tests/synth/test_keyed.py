"""Keyed draws depend on seed and name alone, and are uniform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.keyed import KeyedDraws, hash64, key, stream, uniform
from tests.examples import examples


def test_streams_differ_by_every_part_of_their_name() -> None:
    draws = {name: stream(1, *name).random() for name in [("a",), ("b",), ("a", 1), ("a", "1"), ("a", 1, 2)]}
    assert len(set(draws.values())) == len(draws)
    assert stream(1, "a").random() == stream(1, "a").random() != stream(2, "a").random()


def test_key_keeps_the_type_of_a_name() -> None:
    assert key(0, 1) != key(0, "1")


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**40))
def test_the_hash_of_a_value_does_not_depend_on_its_neighbours(seed: int, value: int) -> None:
    alone = hash64(np.array([value]), seed, "x")[0]
    among = hash64(np.arange(value - min(value, 5), value + 5), seed, "x")[min(value, 5)]
    assert alone == among


def test_uniform_is_uniform_and_independent_by_name() -> None:
    rows = np.arange(200_000)
    a, b = uniform(rows, 3, "a"), uniform(rows, 3, "b")
    assert abs(a.mean() - 0.5) < 0.003
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.01
    assert np.abs(np.bincount((a * 20).astype(int), minlength=20) / 10_000 - 1).max() < 0.05


def all_kinds(rows: np.ndarray) -> list[np.ndarray]:
    draws, n = KeyedDraws(rows, 3, "rows"), len(rows)
    return [
        draws.random(n),
        draws.integers(60, 10**6, size=n),
        draws.exponential(1.2, size=n),
        draws.gamma(3, 1 / 3, n),
        draws.gumbel(size=(n, 4)),
        draws.random(n),
    ]


def test_draws_of_a_row_are_its_own_whichever_rows_are_asked_for() -> None:
    rows = np.array([3, 17, 41])
    for everyone, some in zip(all_kinds(np.arange(50)), all_kinds(rows), strict=True):
        assert np.array_equal(everyone[rows], some)
    with pytest.raises(ValueError, match="5 draws are asked of 3 rows"):
        KeyedDraws(rows, 3, "rows").random(5)
    with pytest.raises(ValueError, match=r"shape 2\.5"):
        KeyedDraws(rows, 3, "rows").gamma(2.5, 1, 3)


def test_keyed_draws_have_the_moments_of_the_generator_s() -> None:
    first, whole, late, worked, liked, second = all_kinds(np.arange(40_000))
    assert first.mean() == pytest.approx(0.5, abs=0.01)
    assert (whole.min() >= 60) & (whole.max() < 10**6)
    assert (late.mean(), late.std()) == (pytest.approx(1.2, rel=0.03), pytest.approx(1.2, rel=0.03))
    assert (worked.mean(), worked.var()) == (pytest.approx(1.0, rel=0.02), pytest.approx(1 / 3, rel=0.05))
    assert liked.mean() == pytest.approx(0.5772, abs=0.02)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert abs(np.corrcoef(liked.T) - np.eye(4)).max() < 0.02
