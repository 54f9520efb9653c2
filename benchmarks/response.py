"""Which shape of a response model: log-loss out of time at equal cost, on every home below ``CPC_PROVINCES``.

All start from the same prior of product × channel, see the same rows and features and have the same number of trees
(what scoring costs): *one* model with product and channel attributes as columns; *one per product* with the channel
inside; *product × channel*, trees that do not see the channel plus trees that do not see the product. Beside them the
prior alone, and what serves: one model a signal, weighed by orders (``models.affinity.signals``). The early nights fit,
the late nights' contacts are predicted. A home is made by ``benchmarks.province_home`` or by ``cpc demo --data NAME``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

from benchmarks.homes import homes, night_of
from benchmarks.result import Result
from models.affinity.encode import ARC_COLUMNS
from models.affinity.response import weigh_signals
from models.affinity.signals import (
    CHANNEL,
    Columns,
    Signal,
    SignalRows,
    TreeParameters,
    grow,
    parameters,
    select,
    signals,
)
from models.affinity.training import training_rows
from models.arrays import Flags, Floats
from models.lifecycle import fit as fitting
from models.lifecycle import training_data
from models.lifecycle.arcs import menu

SIZES = ("all",)
TREES = 150  # in all, of each shape
RATES = (0.03, 0.1, 0.3)
_PRODUCT = [k for k, name in enumerate(ARC_COLUMNS) if name.startswith("product_")]
_WAY = [k for k, name in enumerate(ARC_COLUMNS) if name.startswith("channel_")]


def run(size: str) -> Result:
    """One row a home and shape; differences to *one* with their standard error."""
    return Result(
        [row for home in homes("lake/outcome") for row in compared(home)],
        {},
        ("Log-loss a contact, × 1,000; lower is better.",),
    )


def compared(home: Path) -> list[dict[str, Any]]:
    """Log-loss of each shape on the late contacts of a home."""
    night = night_of(home)
    data = training_data.read(night)
    sample, features = fitting.restrict(
        data, fitting.usable(fitting.drift(night, data), night.settings.affinity.drift_psi)
    )
    table = menu(night.catalogue)
    knobs = replace(fitting.knobs(night.settings.affinity, 0), trees=TREES)
    sample = sample.take((sample.product < 0) | np.isin(sample.product, table.product()))
    _, rows = training_rows(sample, table, night.settings.affinity.late_share, 0)
    told = signals(rows)
    columns = Columns.of(features, select(rows, told, features, knobs))
    met, matrix = rows.group >= 0, columns.matrix(rows)
    late = met & rows.late
    scores = {"prior": rows.prior[late], "one": _tuned(_one, rows, matrix, columns, knobs)}
    scores["per product"] = _tuned(_per_product, rows, matrix, columns, knobs)
    scores["product x channel"] = _tuned(_product_and_channel, rows, matrix, columns, knobs)
    scores["signals"] = _served(rows, told, columns, knobs, matrix)
    y, weight = rows.y[late], rows.weight[late]
    losses = {name: np.logaddexp(0, score) - y * score for name, score in scores.items()}
    found = []
    for name, loss in losses.items():
        gap = weight * (loss - losses["one"]) / weight.mean()
        found.append(
            {
                "home": home.name,
                "shape": name,
                "loss": 1000 * float(np.average(loss, weights=weight)),
                "to_one": 1000 * float(gap.mean()),
                "error": 1000 * float(gap.std() / np.sqrt(len(gap))),
                "orders": int(y.sum()),
            }
        )
    return found


Shape = Callable[[SignalRows, Floats, Columns, TreeParameters, Flags, Flags], Floats]


def _tuned(shape: Shape, rows: SignalRows, matrix: Floats, columns: Columns, knobs: TreeParameters) -> Floats:
    """Log-odds of the late contacts by a shape at the learning rate that is best for customers of the other fold."""
    met, late = rows.group >= 0, rows.late
    early = met & ~late

    def loss(rate: float) -> float:
        inside, out = early & (rows.fold == 0), early & (rows.fold == 1)
        score = shape(rows, matrix, columns, replace(knobs, learning_rate=rate), inside, out)
        return float(np.average(np.logaddexp(0, score) - rows.y[out] * score, weights=rows.weight[out]))

    best = min(RATES, key=loss)
    return shape(rows, matrix, columns, replace(knobs, learning_rate=best), early, met & late)


def _trees(
    rows: SignalRows,
    matrix: Floats,
    start: Floats,
    columns: Columns,
    knobs: TreeParameters,
    use: Flags,
    without: list[int],
) -> Floats:
    """(rows,) what trees that do not see some arc columns add to a start."""
    hidden = matrix.copy()
    hidden[:, [len(columns.kept) + k for k in without]] = np.nan
    data = lgb.Dataset(
        hidden[use],
        rows.y[use],
        weight=rows.weight[use],
        init_score=start[use],
        categorical_feature=list(columns.categories),
        params={"verbose": -1},
    )
    return np.asarray(lgb.train(parameters(knobs), data, knobs.trees).predict(hidden, raw_score=True))


def _one(rows: SignalRows, matrix: Floats, columns: Columns, knobs: TreeParameters, use: Flags, at: Flags) -> Floats:
    return (rows.prior + _trees(rows, matrix, rows.prior, columns, knobs, use, []))[at]


def _per_product(
    rows: SignalRows, matrix: Floats, columns: Columns, knobs: TreeParameters, use: Flags, at: Flags
) -> Floats:
    product = rows.arcs[:, ARC_COLUMNS.index("product_id")]
    ids = np.unique(product[use])
    few = replace(knobs, trees=max(1, knobs.trees // len(ids)), min_leaf=max(20, knobs.min_leaf // len(ids)))
    score = rows.prior.copy()
    for which in ids:
        mine = product == which
        if rows.y[use & mine].any():
            part = rows.take(mine)
            score[mine] += _trees(part, matrix[mine], part.prior, columns, few, use[mine], _PRODUCT)
    return score[at]


def _product_and_channel(
    rows: SignalRows, matrix: Floats, columns: Columns, knobs: TreeParameters, use: Flags, at: Flags
) -> Floats:
    half = replace(knobs, trees=knobs.trees // 2)
    first = rows.prior + _trees(rows, matrix, rows.prior, columns, half, use, _WAY)
    return (first + _trees(rows, matrix, first, columns, half, use, _PRODUCT))[at]


def _served(rows: SignalRows, told: list[Signal], columns: Columns, knobs: TreeParameters, matrix: Floats) -> Floats:
    """Log-odds of the late contacts by the signals of the early nights, weighed by the early orders."""
    met, late = rows.group >= 0, rows.late
    grown = grow(rows, told, columns, replace(knobs, trees=TREES // len(told)))
    early, after = met & ~late, met & late
    apart = np.column_stack([trees.apart(matrix[early], rows.fold[early]) for trees in grown])
    channel = rows.arcs[:, CHANNEL].astype(np.int64)
    theta, channels = weigh_signals(
        apart, [trees.factor for trees in grown], channel[early], rows.y[early], rows.weight[early], rows.prior[early]
    )
    scores = np.column_stack([trees.early.predict(matrix[after], raw_score=True) for trees in grown])
    return np.asarray(rows.prior[after] + channels(theta[0] + scores @ theta[1:], channel[after]))
