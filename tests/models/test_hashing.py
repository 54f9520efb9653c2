"""The hashes are splitmix64's, whether compiled, for arrays or synth's own; draws are uniform and independent by key."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from models.assignment.kernels import tie
from models.hashing import draw_keys, hashes, mix, uniform
from synth import keyed

#: The first outputs of splitmix64 from state 0 (Vigna's splitmix64.c).
PUBLISHED = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]


def test_they_are_the_published_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = np.arange(1, 5)
    assert hashes(steps, 0).tolist() == PUBLISHED
    assert [int(tie(step, 0)) for step in steps] == PUBLISHED
    monkeypatch.setattr(keyed, "key", lambda seed, *names: 0)
    assert keyed.hash64(steps - 1, 0).tolist() == PUBLISHED


def test_the_compiled_form_is_that_of_arrays() -> None:
    values = np.random.default_rng(1).integers(0, 2**63, 1_000).astype(np.uint64)
    assert [int(mix(value)) for value in values] == mix.py_func(values).tolist()


def test_draws_are_uniform_and_independent_by_key() -> None:
    ids = np.arange(200_000)
    a, b = uniform(ids, 3), uniform(ids, 4)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.01
    assert np.abs(np.bincount((a * 20).astype(int), minlength=20) / 10_000 - 1).max() < 0.05


def test_draws_hang_on_the_kept_key_and_on_the_id_where_none_was_kept() -> None:
    ids = pa.array([1, 2, 3])
    assert draw_keys(pa.table({"customer_id": ids})).tolist() == [1, 2, 3]  # a whole table of an earlier release
    mixed = pa.table({"customer_id": ids, "draw_key": pa.array([7, None, 1 << 59])})
    assert draw_keys(mixed).tolist() == [7, 2, 1 << 59]
