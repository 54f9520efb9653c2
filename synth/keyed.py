"""Keyed random streams: what is drawn depends on the seed and the name of the draw, never on who draws or when."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
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


class KeyedDraws:
    """Draws of some rows, each by its own key: the same whichever other rows are asked for.

    Args:
        keys: a number of each row's own.
        seed: of everything.
        names: what the draws are of.
        calls: numbers the calls, so that each is another draw; shared where several draws follow one another.
    """

    def __init__(
        self, keys: npt.NDArray[np.int64], seed: int, *names: object, calls: Iterator[int] | None = None
    ) -> None:
        self._keys, self._seed, self._names = keys, seed, names
        self._calls = itertools.count() if calls is None else calls

    def random(self, size: Any = None) -> Any:
        """Uniform numbers in [0, 1)."""
        return self._draw(size)

    def integers(self, low: Any, high: Any = None, size: Any = None) -> Any:
        """Whole numbers in [low, high)."""
        return low + np.floor(self._draw(size) * (high - low)).astype(np.int64)

    def exponential(self, scale: Any = 1.0, size: Any = None) -> Any:
        """Exponential numbers with mean ``scale``."""
        return -scale * np.log1p(-self._draw(size))

    def gamma(self, shape: Any, scale: Any = 1.0, size: Any = None) -> Any:
        """Gamma numbers of a whole ``shape``: a sum of exponential ones."""
        if int(shape) != shape:
            raise ValueError(f"a gamma of shape {shape} is not drawn by key")
        return np.sum([self.exponential(scale, size) for _ in range(int(shape))], axis=0)

    def gumbel(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Gumbel numbers."""
        return loc - scale * np.log(-np.log(np.maximum(self._draw(size), 2.0**-54)))

    def _draw(self, size: Any) -> npt.NDArray[np.float64]:
        rows, *columns = (size,) if isinstance(size, int | np.integer) else tuple(size)
        if rows != len(self._keys):
            raise ValueError(f"{rows} draws are asked of {len(self._keys)} rows")
        call = next(self._calls)
        if not columns:
            return uniform(self._keys, self._seed, *self._names, call)
        across = [uniform(self._keys, self._seed, *self._names, call, k) for k in range(columns[0])]
        return np.stack(across, axis=1)
