from __future__ import annotations

import numpy as np
import pytest

from conf.formula import names, parse
from features.formula import evaluate

COLUMNS = {"a": np.array([6.0, 0.0, np.nan]), "b": np.array([3.0, 0.0, 2.0])}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("a / b", [2.0, None, None]),
        ("a / nullif(b, 0)", [2.0, None, None]),
        ("-a + 2 * b", [0.0, 0.0, None]),
        ("coalesce(a, 9)", [6.0, 0.0, 9.0]),
        ("least(a, b, 4)", [3.0, 0.0, None]),
        ("greatest(a, b)", [6.0, 0.0, None]),
        ("log1p(abs(b))", [np.log1p(3), 0.0, np.log1p(2)]),
    ],
)
def test_missing_values_and_division_by_zero_are_missing(formula, expected):
    found = evaluate(formula, COLUMNS.__getitem__)
    assert [None if np.isnan(v) else v for v in found] == pytest.approx(expected)


def test_names_of_a_formula():
    assert names("coalesce(a_sum_7d, 0) / (b_sum_7d + 1)") == {"a_sum_7d", "b_sum_7d"}


@pytest.mark.parametrize("formula", ["", "a.b", "a[0]", "'x'", "lambda: 1", "open(a)", "nullif(a)", "True", "a and b"])
def test_anything_else_is_refused(formula):
    with pytest.raises(ValueError):
        parse(formula)
