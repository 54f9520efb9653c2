"""What a family's features ask of daily partials, as flat arrays for the kernel.

A *cell* is one integer accumulator per customer: (input, operation, window). A feature reads one or two cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conf.feature import Family, Feature

SUM, COUNT, LEAST, GREATEST, AGE, DAYS, SLOPE, LAST, FIRST, DISTINCT = range(10)
_OF = {
    "sum": (SUM,), "count": (COUNT,), "mean": (SUM, COUNT), "min": (LEAST,), "max": (GREATEST,), "last": (LAST,),
    "first": (FIRST,), "recency": (AGE,), "frequency": (DAYS,), "trend": (SLOPE,), "distinct": (DISTINCT,),
}  # fmt: skip
#: Days of a step of a trend.
STEP = {"day": 7, "month": 30}
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """The cells of a family, grouped by input.

    Attributes:
        inputs: names as in the partial table's ``input``.
        start: cells of input ``i`` are ``start[i] … start[i + 1]``. int64 [inputs + 1].
        operation: what a cell accumulates. int64 [cells].
        window: days. int64 [cells].
        of: feature name → its cells in order.
    """

    inputs: tuple[str, ...]
    start: I64
    operation: I64
    window: I64
    of: dict[str, tuple[int, ...]]


def cells_of(family: Family) -> Cells:
    """The cells that the features of ``family`` need, each once."""
    wanted: dict[str, list[tuple[int, int]]] = {}
    asked: dict[str, list[tuple[str, int, int]]] = {}
    for feature in family.features:
        for name, operation in _needs(feature):
            pair = (operation, feature.window)
            if pair not in wanted.setdefault(name, []):
                wanted[name].append(pair)
            asked.setdefault(feature.name, []).append((name, *pair))
    position: dict[tuple[str, int, int], int] = {}
    start = [0]
    for name, pairs in wanted.items():
        for operation, window in pairs:
            position[(name, operation, window)] = len(position)
        start.append(len(position))
    flat = list(position)
    return Cells(
        inputs=tuple(wanted),
        start=np.array(start, np.int64),
        operation=np.array([operation for _, operation, _ in flat], np.int64),
        window=np.array([window for _, _, window in flat], np.int64),
        of={name: tuple(position[cell] for cell in cells) for name, cells in asked.items()},
    )


def _needs(feature: Feature) -> list[tuple[str, int]]:
    if feature.aggregate in ("entropy", "top"):
        return [(f"{feature.input.name}={code}", COUNT) for code in feature.input.codes]
    return [(feature.input.name, operation) for operation in _OF[feature.aggregate]]
