"""Scoring customers × arcs: the compiled walk over sets of arcs against LightGBM's own predict, in one run.

A model of the size that a province would train (100 customer features, 12 arc attributes, 200 trees of 31 leaves),
customers with half of 16 products × 9 channels eligible. Everybody scores the same arcs with two threads; LightGBM
gets its rows ready made (making them is timed apart), so the ratio is of prediction alone.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from benchmarks.result import Result
from models.affinity.encode import ARC_COLUMNS, CATEGORIES, Offer, Way, arc_matrix
from models.affinity.trees import ArcTrees, Trees, pack, parse, resolve, score_arcs, score_rows
from models.arrays import Floats

SIZES = ("20k", "5k", "100k")
_CUSTOMERS = {"5k": 5_000, "20k": 20_000, "100k": 100_000}
_FEATURES, _TREES, _LEAVES, _BLOCK = 100, 200, 31, 2_000
_ROWS_AT_ONCE = 400_000  # rows handed to LightGBM at once: bounds memory


def run(size: str) -> Result:
    """Train once, score by everybody, compare to the last bit."""
    customers = _CUSTOMERS[size]
    rng = np.random.default_rng(0)
    attributes = _attributes()
    booster = _trained(rng, attributes)
    X = rng.normal(size=(customers, _FEATURES))
    X[rng.random(X.shape) < 0.1] = np.nan
    eligible = rng.random((customers, len(attributes))) < 0.5
    trees = parse(booster.model_to_string())
    model = resolve(trees, attributes)
    score_arcs(model, X[:2], pack(eligible[:2]))  # compiles
    score_rows(trees, np.hstack([X[:2], attributes[:2]]))
    ours, seconds = _walked(model, X, eligible)
    plain, plain_seconds = _rowwise(trees, X, eligible, attributes)
    theirs, their_seconds, making = _lightgbm(booster, X, eligible, attributes)
    arcs = int(eligible.sum())
    worst = float(np.abs(_sigmoid(ours[eligible]) - _sigmoid(theirs)).max())
    million = 1_000_000 / customers
    rows = [
        {
            "who": who,
            "version": version,
            "seconds": taken,
            "arcs a second": round(arcs / taken),
            "core-seconds a million customers": round(2 * taken * million),
        }
        for who, version, taken in (
            ("sets of arcs (ours)", "this", seconds),
            ("row by row (ours)", "this", plain_seconds),
            ("LightGBM predict", lgb.__version__, their_seconds),
            ("LightGBM predict with making its rows", lgb.__version__, their_seconds + making),
        )
    ]
    same = float(np.abs(plain - theirs).max())
    notes = (
        f"{customers:,} customers × {len(attributes)} arcs, {arcs:,} eligible; {_FEATURES} features, {_TREES} trees of "
        f"{_LEAVES} leaves; two threads each.",
        f"Largest difference of a probability {worst:.1e}; of a raw score, row by row, {same:.1e}.",
        f"Cost line: {2 * seconds * million:,.0f} core-seconds a million customers "
        f"({2 * seconds * million * 90 / 3600:,.1f} core-hours for 90 million).",
    )
    ratio = {
        "speed, LightGBM predict / ours": their_seconds / seconds,
        "speed, row by row / ours": plain_seconds / seconds,
        "largest difference of a probability": worst,
    }
    return Result(rows, ratio, notes)


def _attributes() -> Floats:
    offers = [Offer(p, p % 4, 5.0 * (p + 1), 3.0 * (p + 1), float(p % 3), float(p % 12)) for p in range(16)]
    ways = [Way(c, c >= 5, 0.1 * (c + 1), 30.0 * c, float(c % 7)) for c in range(9)]
    return arc_matrix([offer for offer in offers for _ in ways], [way for _ in offers for way in ways])


def _trained(rng: np.random.Generator, attributes: Floats, rows: int = 60_000) -> lgb.Booster:
    X = rng.normal(size=(rows, _FEATURES))
    X[rng.random(X.shape) < 0.1] = np.nan
    arc = rng.integers(0, len(attributes), rows)
    matrix = np.hstack([X, attributes[arc]])
    taste = np.nan_to_num(X[:, :40]) @ rng.normal(0, 0.25, 40) + 0.6 * np.nan_to_num(X[:, 1]) * np.sin(arc)
    y = (taste + 0.3 * (arc % 9) - 2 + rng.logistic(size=rows) > 0).astype(float)
    names = [f"f{k}" for k in range(_FEATURES)] + list(ARC_COLUMNS)
    parameters = {
        "objective": "binary",
        "num_leaves": _LEAVES,
        "verbose": -1,
        "num_threads": 2,
        "seed": 0,
        "max_bin": 63,
    }
    categories = [names.index(name) for name in CATEGORIES]
    return lgb.train(parameters, lgb.Dataset(matrix, y, feature_name=names, categorical_feature=categories), _TREES)


def _walked(model: ArcTrees, X: Floats, eligible: NDArray[np.bool_]) -> tuple[Floats, float]:
    clock = time.perf_counter()
    starts = range(0, len(X), _BLOCK)
    with ThreadPoolExecutor(2) as pool:
        parts = pool.map(lambda s: score_arcs(model, X[s : s + _BLOCK], pack(eligible[s : s + _BLOCK])), starts)
        found = np.vstack(list(parts))
    return found, time.perf_counter() - clock


def _chunks(eligible: NDArray[np.bool_]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    who, arc = np.nonzero(eligible)
    cuts = range(0, len(who), _ROWS_AT_ONCE)
    return [(who[s : s + _ROWS_AT_ONCE], arc[s : s + _ROWS_AT_ONCE]) for s in cuts]


def _rowwise(trees: Trees, X: Floats, eligible: NDArray[np.bool_], attributes: Floats) -> tuple[Floats, float]:
    parts, seconds = [], 0.0
    for who, arc in _chunks(eligible):
        rows = np.hstack([X[who], attributes[arc]])
        clock = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            parts += list(pool.map(lambda part: score_rows(trees, part), np.array_split(rows, 8)))
        seconds += time.perf_counter() - clock
    return np.concatenate(parts), seconds


def _lightgbm(
    booster: lgb.Booster, X: Floats, eligible: NDArray[np.bool_], attributes: Floats
) -> tuple[Floats, float, float]:
    parts, seconds, making = [], 0.0, 0.0
    for who, arc in _chunks(eligible):
        clock = time.perf_counter()
        rows = np.hstack([X[who], attributes[arc]])
        made = time.perf_counter()
        parts.append(np.asarray(booster.predict(rows, raw_score=True, num_threads=2)))
        seconds += time.perf_counter() - made
        making += made - clock
    return np.concatenate(parts), seconds, making


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-z)))
