"""What limits take, found by value, against the evaluator that looks at every limit and row."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.limits.evaluator import take_units
from planning.limits.in_force import LimitInForce
from planning.limits.takings import combine, take_parts
from tests.examples import examples

#: Columns of a pair and of a group, and how many values each has.
OF_PAIR, OF_GROUP = {"product": 4, "seconds": 3}, {"shop": 5, "team": 2}


def values(names: dict[str, int]) -> st.SearchStrategy[dict[str, list[int]]]:
    """Conditions on some of the columns; a value may be one that no row has."""
    return st.fixed_dictionaries(
        {}, optional={name: st.lists(st.integers(-1, count), max_size=3) for name, count in names.items()}
    )


limits = st.builds(
    lambda side, amount, counts, of_pair, of_group: LimitInForce(
        name="l", **{side: amount}, counts=counts, where=of_pair | of_group
    ),
    st.sampled_from(["at_most", "at_least"]),
    st.integers(0, 9),
    st.sampled_from([1, "seconds", "team"]),
    values(OF_PAIR),
    values(OF_GROUP),
)


def rows(names: dict[str, int], count: int, seed: int) -> dict[str, np.ndarray]:
    """Any values, a few below 0."""
    random = np.random.default_rng(seed)
    return {name: random.integers(-1, most, count).astype(np.int16) for name, most in names.items()}


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(limits, max_size=8), st.integers(0, 12), st.integers(0, 12), st.integers(0, 99))
def test_what_is_taken_of_parts_and_arcs_is_what_the_evaluator_says(
    some: list[LimitInForce], n_pairs: int, n_groups: int, seed: int
) -> None:
    of_pair, of_group = rows(OF_PAIR, n_pairs, seed), rows(OF_GROUP, n_groups, seed + 1)
    pairs, groups = take_parts(some, of_pair, n_pairs), take_parts(some, of_group, n_groups)
    dense = np.array([take_units(limit, of_pair, (n_pairs,), part=True) for limit in some], np.int64)
    table = np.zeros((n_pairs, pairs.conditions), np.int64)
    table[np.repeat(np.arange(n_pairs), np.diff(pairs.first)), pairs.condition] = pairs.units
    for m in range(len(some)):
        assert table[:, pairs.asked[m]].tolist() == dense[m].tolist()
    # distinct rows, in the order of the dense ones
    key = of_pair["product"][:, None].astype(np.int64)
    index, which = pairs.distinct(key)
    whole = np.concatenate([key, dense.T.reshape(n_pairs, len(some))], axis=1)
    expected, inverse = np.unique(whole, axis=0, return_inverse=True)
    assert whole[index].tolist() == expected.tolist()
    assert which.tolist() == inverse.reshape(-1).tolist()
    # arcs: every pair with every group
    pair, group = np.repeat(np.arange(n_pairs), n_groups), np.tile(np.arange(n_groups), n_pairs)
    arcs = {name: column[pair] for name, column in of_pair.items()}
    arcs |= {name: column[group] for name, column in of_group.items()}
    signs = np.array([limit.sign for limit in some], np.int64)
    first, limit, use = combine(pairs, pair, groups, group, signs)
    used = np.zeros((len(pair), len(some)), np.int64)
    owner = np.repeat(np.arange(len(pair)), np.diff(first))
    used[owner, limit] = use
    for m, one in enumerate(some):
        assert used[:, m].tolist() == (take_units(one, arcs, (len(pair),)) * one.sign).tolist()
    assert (use != 0).all()
    assert ((np.diff(limit) > 0) | (np.diff(owner) > 0)).all()  # ascending within an arc
