"""Ledgers: growing tables of events as arrays, and the table of what a customer has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synth.keyed import Draws
from synth.plan import Ints

Table = dict[str, np.ndarray]


def stack(tables: list[Table]) -> Table:
    """One table of many with the same columns."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]} if tables else {}


def take(table: Mapping[str, np.ndarray], rows: np.ndarray) -> Table:
    """The rows of a table, by mask or position."""
    return {name: column[rows] for name, column in table.items()}


def sort_by(table: Table, *names: str) -> Table:
    """Rows in the order of columns, stable."""
    return take(table, np.lexsort([table[name] for name in reversed(names)]))


def first_of(keys: Ints) -> np.ndarray:
    """True at the first occurrence of each key, in order of appearance."""
    mask = np.zeros(len(keys), dtype=bool)
    mask[np.unique(keys, return_index=True)[1]] = True
    return mask


def hours(rng: Draws, n: int, profile: np.ndarray) -> Ints:
    """Seconds of the day drawn from an hourly profile (24 weights)."""
    edges = np.cumsum(profile / profile.sum())
    hour = np.searchsorted(edges, rng.random(n), side="right").clip(max=23)
    return np.asarray(hour * 3600 + rng.integers(0, 3600, size=n))


#: Weights of the hours of a day: when people are up, in the office, and at home.
AWAKE = np.array([3, 1, 1, 1, 1, 2, 6, 14, 22, 26, 27, 26, 24, 22, 24, 25, 25, 26, 27, 30, 32, 30, 22, 10], dtype=float)
OFFICE = np.array([0, 0, 0, 0, 0, 0, 0, 1, 9, 22, 24, 20, 8, 10, 22, 24, 22, 16, 8, 6, 3, 0, 0, 0], dtype=float)
#: Weights of Monday … Sunday.
WEEK = np.array([1.12, 1.05, 1.02, 1.0, 1.02, 0.92, 0.87])
