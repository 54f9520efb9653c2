"""Keyed random streams: what is drawn depends on the seed and the name of the draw, never on who draws or when."""

from __future__ import annotations

import hashlib

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
