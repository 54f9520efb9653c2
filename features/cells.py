"""What a family's features ask of daily partials, as flat arrays for the kernel.

A *cell* is one integer accumulator per customer: (asked, operation, window), where *asked* is an input, or one code of
an input. A feature reads one or two cells, or one a code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conf.feature import Family, Feature
from conf.partial import inputs_with_value, is_sum
from features.arrays import I64

SUM, COUNT, LEAST, GREATEST, AGE, DAYS, SLOPE, LAST, FIRST, DISTINCT = range(10)
_OF = {
    "sum": (SUM,),
    "count": (COUNT,),
    "mean": (SUM, COUNT),
    "min": (LEAST,),
    "max": (GREATEST,),
    "last": (LAST,),
    "first": (FIRST,),
    "recency": (AGE,),
    "frequency": (DAYS,),
    "trend": (SLOPE,),
    "distinct": (DISTINCT,),
}
#: Days of a step of a trend.
STEP = {"day": 7, "month": 30}
_Asked = tuple[int, int]  # position of the input, position of the code or −1


@dataclass(frozen=True)
class Cells:
    """The cells of a family, grouped by what is asked: inputs first, then codes, each with its longest window first.

    Attributes:
        start: cells of the a-th that is asked are ``start[a] … start[a + 1]``. int64 [asked + 1].
        operation: what a cell accumulates. int64 [cells].
        window: days. int64 [cells].
        value: which of the values kept an input takes; −1: 1 for every event. int64 [inputs].
        summed: whether that value is a sum over the row's events already. bool [inputs].
        coded: the a of an input's first code; −1: it has none. int64 [inputs].
        codes: number of codes. int64 [inputs].
        of: feature name → its cells in order.
    """

    start: I64
    operation: I64
    window: I64
    value: I64
    summed: npt.NDArray[np.bool_]
    coded: I64
    codes: I64
    of: dict[str, tuple[int, ...]]


def cells_of(family: Family) -> Cells:
    """The cells that the features of ``family`` need, each once."""
    asked: dict[_Asked, set[tuple[int, int]]] = {(i, -1): set() for i in range(len(family.inputs))}
    coded, codes = (np.full(len(family.inputs), fill, np.int64) for fill in (-1, 0))
    for i, source in enumerate(family.inputs):
        if source.codes:
            coded[i], codes[i] = len(asked), len(source.codes)
            asked |= {(i, code): set() for code in range(len(source.codes))}
    for feature in family.features:
        for key, operation in _needs(family, feature):
            asked[key].add((feature.window, operation))
    position: dict[tuple[_Asked, int, int], int] = {}
    start = [0]
    for key, pairs in asked.items():
        for window, operation in sorted(pairs, reverse=True):
            position[(key, window, operation)] = len(position)
        start.append(len(position))
    valued = inputs_with_value(family)
    return Cells(
        start=np.array(start, np.int64),
        operation=np.array([operation for _, _, operation in position], np.int64),
        window=np.array([window for _, window, _ in position], np.int64),
        value=np.array([valued.index(source) if source in valued else -1 for source in family.inputs], np.int64),
        summed=np.array([is_sum(source) for source in family.inputs], np.bool_),
        coded=coded,
        codes=codes,
        of={
            feature.name: tuple(position[(key, feature.window, op)] for key, op in _needs(family, feature))
            for feature in family.features
        },
    )


def _needs(family: Family, feature: Feature) -> list[tuple[_Asked, int]]:
    source = family.inputs.index(feature.input)
    if feature.aggregate in ("entropy", "top"):
        return [((source, code), COUNT) for code in range(len(feature.input.codes))]
    return [((source, -1), operation) for operation in _OF[feature.aggregate]]
