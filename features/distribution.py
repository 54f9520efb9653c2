"""Distribution and drift of a snapshot's columns: missing, zeros, ten bins, and PSI against the one before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.arrays import floats

BINS = 10
#: Codes of a text that are counted one by one; the rest together.
CODES = 20
_OTHER = "…"


def describe(column: pa.ChunkedArray, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Figures of a column.

    Args:
        column: the values.
        before: the ``bins`` of the snapshot before; the same bounds are counted again, so that PSI compares like
            with like.

    Returns:
        ``missing, zeros, least, mean, greatest, bins`` (JSON text) and ``psi`` (None without ``before``).
    """
    if pa.types.is_string(column.type):
        return _text(column, before)
    numbers = floats(column)
    given = numbers[~np.isnan(numbers)]
    bounds = np.array(before["bounds"], np.float64) if before and "bounds" in before else _bounds(given)
    counts = np.bincount(np.searchsorted(bounds, given, side="left"), minlength=bounds.size + 1)
    bins = {"bounds": bounds.tolist(), "counts": [*counts.tolist(), int(numbers.size - given.size)]}
    return {
        "missing": int(numbers.size - given.size),
        "zeros": int((given == 0).sum()),
        "least": float(given.min()) if given.size else None,
        "mean": float(given.mean()) if given.size else None,
        "greatest": float(given.max()) if given.size else None,
        "bins": json.dumps(bins),
        "psi": psi(before["counts"], bins["counts"]) if before and "bounds" in before else None,
    }


def _bounds(given: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if not given.size:
        return np.zeros(0)
    return np.unique(np.quantile(given, np.arange(1, BINS) / BINS))


def _text(column: pa.ChunkedArray, before: Mapping[str, Any] | None) -> dict[str, Any]:
    counted = {row["values"]: row["counts"] for row in pc.value_counts(column.drop_null()).to_pylist()}
    if before and "codes" in before:
        codes = [code for code in before["codes"] if code != _OTHER]
    else:
        codes = sorted(counted, key=lambda code: (-counted[code], code))[:CODES]
    rest = sum(count for code, count in counted.items() if code not in codes)
    counts = [*(counted.get(code, 0) for code in codes), rest, column.null_count]
    return {
        "missing": column.null_count,
        "zeros": counted.get("", 0),
        "least": None,
        "mean": None,
        "greatest": None,
        "bins": json.dumps({"codes": [*codes, _OTHER], "counts": counts}, ensure_ascii=False),
        "psi": psi(before["counts"], counts) if before and "codes" in before else None,
    }


def psi(before: list[int], after: list[int]) -> float:
    """Population stability index Σ (q − p) ln(q / p) over bins (missing values are a bin), half a row added to each.

    0.1 is worth a look, 0.25 a shift (Siddiqi, Credit Risk Scorecards, 2006).
    """
    p, q = (np.array(counts, np.float64) + 0.5 for counts in (before, after))
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())
