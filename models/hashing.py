"""A keyed hash of ids, compiled and for arrays: the same draws on every machine, whoever draws.

What is drawn of a customer is hashed from its ``draw_key``, never from its id
(docs/decisions/0017-ids-and-draws-hang-on-the-number.md). ``synth`` has its own hash (it imports no model); tests hold
both to the published generator.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from models.arrays import Floats, Ints

#: 2⁶⁴ over the golden ratio: the step of splitmix64.
STEP = 0x9E3779B97F4A7C15


@njit(cache=True, nogil=True, inline="always")
def mix(x: np.uint64) -> np.uint64:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def hashes(ids: Ints, key: int) -> NDArray[np.uint64]:
    """(ids,) 64 bits each, from the id and the key."""
    return mix.py_func(ids.astype(np.uint64) * np.uint64(STEP) + np.uint64(key & 0xFFFFFFFFFFFFFFFF))


def uniform(ids: Ints, key: int) -> Floats:
    """(ids,) a number in [0, 1) each, from the id and the key."""
    return (hashes(ids, key) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw_keys(rows: pa.Table) -> Ints:
    """(rows,) what draws of the customers of ``customer_id`` are hashed from: ``draw_key``, their id where none was kept.

    Rows, and whole tables, of a release that kept none are drawn from as they were then.
    """
    ids = rows["customer_id"]
    keys = pc.coalesce(rows["draw_key"], ids) if "draw_key" in rows.column_names else ids
    return np.asarray(keys.to_numpy(), np.int64)
