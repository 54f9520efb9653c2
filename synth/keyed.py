"""Keyed random streams: what is drawn depends on the seed and the name of the draw, never on who draws or when."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def key(seed: int, *names: object) -> int:
    """A 128-bit key of a seed and names (order and type of each count)."""
    text = "\x1f".join([str(seed), *(f"{type(name).__name__}:{name}" for name in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def stream(seed: int, *names: object) -> np.random.Generator:
    """A counter-based generator (Philox 4x64) of its own for ``names``."""
    return np.random.Generator(np.random.Philox(key=key(seed, *names)))


def hash64(values: npt.NDArray[np.integer], seed: int, *names: object) -> npt.NDArray[np.uint64]:
    """A keyed 64-bit hash of each integer (splitmix64 finalizer; Steele, Lea, Flood 2014)."""
    salt = np.uint64(key(seed, *names) & 0xFFFFFFFFFFFFFFFF)
    with np.errstate(over="ignore"):
        mixed = (values.astype(np.uint64) + np.uint64(1)) * np.uint64(_MIX[0]) ^ salt
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_MIX[1])
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_MIX[2])
        return mixed ^ (mixed >> np.uint64(31))


def uniform(values: npt.NDArray[np.integer], seed: int, *names: object) -> npt.NDArray[np.float64]:
    """A keyed uniform number in [0, 1) for each integer."""
    return (hash64(values, seed, *names) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Draws(Protocol):
    """The draws that a row of a table may need; a NumPy generator is one."""

    def random(self, size: Any = None) -> Any:
        """Uniform numbers in [0, 1)."""

    def integers(self, low: Any, high: Any = None, size: Any = None) -> Any:
        """Whole numbers in [low, high)."""

    def exponential(self, scale: Any = 1.0, size: Any = None) -> Any:
        """Exponential numbers with mean ``scale``."""

    def gamma(self, shape: Any, scale: Any = 1.0, size: Any = None) -> Any:
        """Gamma numbers."""

    def gumbel(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Gumbel numbers."""


class RowDraws:
    """Draws of some rows of a table, each of which has its own whichever others are asked for.

    Every call draws for all rows of the table and hands out those asked for: O(rows of the table) a call.
    """

    def __init__(self, rng: np.random.Generator, of: int, rows: npt.NDArray[np.int64]) -> None:
        self._rng, self._of, self._rows = rng, of, rows

    def random(self, size: Any = None) -> Any:
        """Uniform numbers in [0, 1)."""
        return self._rng.random(self._all(size))[self._rows]

    def integers(self, low: Any, high: Any = None, size: Any = None) -> Any:
        """Whole numbers in [low, high)."""
        return self._rng.integers(low, high, size=self._all(size))[self._rows]

    def exponential(self, scale: Any = 1.0, size: Any = None) -> Any:
        """Exponential numbers with mean ``scale``."""
        return self._rng.exponential(scale, self._all(size))[self._rows]

    def gamma(self, shape: Any, scale: Any = 1.0, size: Any = None) -> Any:
        """Gamma numbers."""
        return self._rng.gamma(shape, scale, self._all(size))[self._rows]

    def gumbel(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Gumbel numbers."""
        return self._rng.gumbel(loc, scale, self._all(size))[self._rows]

    def _all(self, size: Any) -> tuple[int, ...]:
        shape = (size,) if isinstance(size, int | np.integer) else tuple(size)
        if shape[0] != len(self._rows):
            raise ValueError(f"{shape[0]} draws are asked of {len(self._rows)} rows")
        return (self._of, *shape[1:])
