"""Cells → feature values: Arrow columns with nulls where a customer has nothing to say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from conf.feature import Feature
from features.arrays import I64, Mask
from features.cells import STEP
from features.merge import HIGHEST, LOWEST

_TYPES = {"bigint": pa.int64(), "int": pa.int32(), "double": pa.float64(), "string": pa.string()}


def value(feature: Feature, cells: Sequence[I64], texts: Sequence[str], allowed: Mask) -> pa.Array:
    """The column of ``feature``.

    Args:
        feature: the declaration.
        cells: its cells, int64 [n] each.
        texts: the texts that last and first of a text input are positions of.
        allowed: who may have a value at all (profiled). bool [n].
    """
    if feature.aggregate in ("entropy", "top"):
        counts = np.stack(cells)
        return _entropy(counts, allowed) if feature.aggregate == "entropy" else _top(feature, counts, allowed)
    if feature.aggregate in ("min", "max", "last", "first", "recency"):
        present = (cells[0] != LOWEST) & (cells[0] != HIGHEST)
        return _column(feature, cells[0] + (feature.aggregate == "recency"), texts, allowed & present)
    if feature.aggregate == "mean":
        mean = cells[0] / np.maximum(cells[1], 1) / feature.input.scale
        return pa.array(mean, pa.float64(), mask=~(allowed & (cells[1] > 0)))
    if feature.aggregate == "trend":
        steps = feature.window // STEP[feature.family.grain]
        # least squares over equal steps: 12 Σ (x − x̄) y / (n (n² − 1)); the cell holds 2 Σ (x − x̄) y
        slope = cells[0] * 6.0 / (steps * (steps * steps - 1)) / feature.input.scale
        return pa.array(slope, pa.float64(), mask=~allowed)
    if feature.aggregate == "frequency":
        return pa.array(np.bitwise_count(cells[0]).astype(np.int32), pa.int32(), mask=~allowed)
    return _column(feature, cells[0], texts, allowed)


def _column(feature: Feature, cell: I64, texts: Sequence[str], valid: Mask) -> pa.Array:
    if feature.type == "string":
        position = pa.array(np.where(valid, cell, 0), pa.int64(), mask=~valid)
        return pa.array(texts, pa.string()).take(position)
    if feature.type == "double":
        return pa.array(cell / feature.input.scale, pa.float64(), mask=~valid)
    return pa.array(np.where(valid, cell, 0), pa.int64(), mask=~valid).cast(_TYPES[feature.type])


def _entropy(counts: I64, allowed: Mask) -> pa.Array:
    """Shannon entropy in bits over the declared codes; null without any event."""
    total = counts.sum(axis=0)
    share = counts / np.maximum(total, 1)
    bits = np.zeros(total.size)
    for row in share:  # one code after the other: the same sum on every machine
        bits -= np.where(row > 0, row * np.log2(np.where(row > 0, row, 1.0)), 0.0)
    return pa.array(np.maximum(bits, 0.0), pa.float64(), mask=~(allowed & (total > 0)))


def _top(feature: Feature, counts: I64, allowed: Mask) -> pa.Array:
    """The code with the most events; of equals the one declared first; null without any event."""
    best = pa.array(counts.argmax(axis=0), pa.int64(), mask=~(allowed & (counts.max(axis=0) > 0)))
    return pa.array(feature.input.codes, pa.string()).take(best)
