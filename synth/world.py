"""The world of a province: traits and registers of all customers, as arrays on disk that workers map."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conf.geography import GRADES
from synth.people import people
from synth.plan import BLOCK, NEEDS, Floats, Ints, LoggedPlan
from synth.traits import EVENTS, Columns, traits


@dataclass(frozen=True)
class World:
    """Columns by name, one row a customer (position = the province's own number of them)."""

    plan: LoggedPlan
    columns: Columns

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    @property
    def size(self) -> int:
        """Customers."""
        return len(self.columns["phone"])

    def blocks(self) -> Iterator[Ints]:
        """Positions, a block at a time."""
        for first in range(0, self.size, BLOCK):
            yield np.arange(first, min(first + BLOCK, self.size))

    def is_living(self, rows: Ints, day: int | Ints) -> np.ndarray:
        """Whether the customers hold their number on ``day``."""
        return (self["opened"][rows] <= day) & (self["closed"][rows] > day)

    def is_boosted(self, rows: Ints, day: int | Ints) -> np.ndarray:
        """Whether a life event of the last 30 days raises demand: n × needs."""
        days = self["event_day"][rows]
        age = np.asarray(day).reshape(-1, 1) - days
        recent = (days >= 0) & (age >= 0) & (age < 30)
        result = np.zeros((len(rows), len(NEEDS)), dtype=bool)
        for k, group in enumerate(EVENTS.values()):
            result[:, NEEDS.index(group)] |= recent[:, k]
        return result


def make_world(plan: LoggedPlan) -> World:
    """Draw every customer, a block at a time; the same for any number of workers."""
    parts: list[Columns] = []
    for block, first in enumerate(range(0, plan.customers, BLOCK)):
        hidden = traits(plan, block, min(BLOCK, plan.customers - first))
        parts.append(hidden | people(plan, block, first, hidden))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    world = World(plan, columns)
    columns["may_have"] = np.stack([holds_true(world, p.eligible) for p in plan.products], axis=1)
    columns["may_meet"] = np.stack([holds_true(world, c.eligible) for c in plan.channels], axis=1)
    return world


def save_world(world: World, folder: Path) -> None:
    """Write one ``.npy`` a column."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, column in world.columns.items():
        np.save(folder / f"{name}.npy", column)


def open_world(plan: LoggedPlan, folder: Path) -> World:
    """Map the columns of ``folder`` without reading them."""
    return World(plan, {path.stem: np.asarray(np.load(path, mmap_mode="r")) for path in sorted(folder.glob("*.npy"))})


def holds_true(world: World, predicate: str) -> np.ndarray:
    """Where a predicate of conf over a customer's attributes is true, as the past system saw it.

    Predicates are Spark SQL over the snapshot; those over attributes alone are plain SQL that SQLite reads as well.
    One that names anything else was no rule of the past system: true for all.
    """
    n = world.size
    if predicate.strip().lower() == "true":
        return np.ones(n, dtype=bool)
    columns = {
        "terminal_5g": world["terminal_5g"].astype(int),
        "household_size": world["household"].astype(int),
        "broadband": world["broadband"].astype(int),
        "group_id": np.where(world["group"] >= 0, world["group"], -1),
        "grade": np.array(GRADES)[world["grade"]],
        "star": world["star"].astype(int),
        "minor": world["minor"].astype(int),
        "age": 2026 - world["birth_year"],
    }
    with sqlite3.connect(":memory:") as store:
        store.execute(f"create table c ({', '.join(columns)})")
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        store.executemany(f"insert into c values ({', '.join('?' * len(columns))})", rows)
        store.execute("update c set group_id = null where group_id < 0")
        try:
            answers = store.execute(f"select coalesce({predicate}, 0) from c order by rowid").fetchall()
        except sqlite3.OperationalError:
            return np.ones(n, dtype=bool)
    return np.array([bool(row[0]) for row in answers])


def weights(world: World, column: np.ndarray | Floats, spread: float) -> Floats:
    """Mean-one log-normal factors of a standard normal trait."""
    return np.asarray(np.exp(spread * np.asarray(column, dtype=float) - spread * spread / 2))
