"""Arrays as the models name them, in one place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def list_places(begin: Ints, size: Ints) -> tuple[Ints, Ints]:
    """Rows of a sparse table, one after the other.

    Args:
        begin: where each row begins, int64 [n].
        size: how many entries it has, int64 [n].

    Returns:
        Where each begins once they stand together, int64 [n + 1]; where each entry stood, int64 [sum of sizes].
    """
    first = np.concatenate(([0], np.cumsum(size)))
    return first, np.repeat(begin - first[:-1], size) + np.arange(first[-1])
