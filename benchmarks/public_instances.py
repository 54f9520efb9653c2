"""Public instances as assignment problems: generalised assignment, MMKP and multi-dimensional knapsack.

Data are read from ``../shared/data``, outside the repository. A minimisation is negated, decimals are scaled to
integers; ``objective`` gives a plan's value back in the words of the source. Two instances are solved at a time, each
by one thread.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.result import Result
from models.assignment.arc_types import Use, narrow, reduce_kinds
from models.assignment.problem import Block, Limits, Problem
from models.assignment.solve import NoPlan, SolveOptions, solve

SCALE = 1_000_000


@dataclass(frozen=True)
class Public:
    """An instance with the best value known for it (in the source's words; a cost where ``minimise``)."""

    name: str
    problem: Problem
    best: float
    minimise: bool

    def objective(self, primal: int) -> float:
        """A plan's value in the source's words."""
        return (-primal if self.minimise else primal) / SCALE


#: Where the data are looked for: beside the repository's folder.
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def folder() -> Path:
    """Where the data are; the benchmark stops with a word where they are not."""
    if not DATA.is_dir():
        raise SystemExit(f"put gap/, mmkp/ and mknapcb/ into {DATA}")
    return DATA


def problem_of(values: list[list[float]], uses: list[list[list[int]]], amounts: list[int], must: bool) -> Problem:
    """A problem of groups: value [group][item], use [group][item][limit], at most ``amounts``."""
    sizes = [len(group) for group in values]
    flat = np.array([use for group in uses for use in group], np.int64).reshape(-1, len(amounts))
    product = np.concatenate([np.arange(n) for n in sizes]).astype(np.int64)
    parts = [Use(flat[:, m].copy(), 1) for m in range(len(amounts))]
    kinds, kind = reduce_kinds(product, np.zeros(len(flat), np.int64), parts)
    value = np.array([round(v * SCALE) for group in values for v in group], np.int64)
    first = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    block = Block(np.arange(len(sizes), dtype=np.int64), first, value, narrow(kind, len(kinds)))
    names = tuple(f"resource_{m}" for m in range(len(amounts)))
    limits = Limits(names, np.array(amounts, np.int64), np.ones(len(amounts), np.int64))
    return Problem([block], kinds, limits, must, int(np.abs(value).max()))


def gap(root: Path) -> Iterator[Public]:
    """Generalised assignment (OR-Library's layout): jobs are customers, agents are limits; costs are negated."""
    for row in _rows(root / "gap" / "best_known.csv"):
        path = root / "gap" / row["Path"]
        if not path.exists():
            continue
        numbers = [int(x) for x in path.read_text().split()]
        agents, jobs = numbers[:2]
        cost = np.array(numbers[2 : 2 + agents * jobs]).reshape(agents, jobs)
        weight = np.array(numbers[2 + agents * jobs : 2 + 2 * agents * jobs]).reshape(agents, jobs)
        amounts = numbers[2 + 2 * agents * jobs :][:agents]
        uses = [[[int(weight[a, j]) * (a == m) for m in range(agents)] for a in range(agents)] for j in range(jobs)]
        values = [[-float(cost[a, j]) for a in range(agents)] for j in range(jobs)]
        yield Public(
            row["Path"], problem_of(values, uses, amounts, True), float(row["Best known solution value"]), True
        )


def _classes(
    words: Sequence[str], at: int, sizes: Sequence[int | None], resources: int
) -> tuple[list[list[float]], list[list[list[int]]], int]:
    """Values and uses of the items of classes that begin at a word, and the word after them.

    Args:
        words: of the file.
        at: the first class's: a word (its number, or how many items it has), then value and uses of each item.
        sizes: items of each class; None where its first word says so.
        resources: uses an item.
    """
    values, uses = [], []
    for size in sizes:
        items = int(words[at]) if size is None else size
        table = np.array(words[at + 1 : at + 1 + items * (resources + 1)], float).reshape(items, resources + 1)
        values.append(table[:, 0].tolist())
        uses.append(table[:, 1:].astype(int).tolist())
        at += 1 + items * (resources + 1)
    return values, uses, at


def mmkp(root: Path) -> Iterator[Public]:
    """Multiple-choice multi-dimensional knapsack: classes are customers, exactly one item each."""
    for row in _rows(root / "mmkp" / "khan" / "best_known.csv"):
        words = (root / "mmkp" / "khan" / row["instance"]).read_text().split()
        groups, items, resources = (int(w) for w in words[:3])
        amounts, at = [int(w) for w in words[3 : 3 + resources]], 3 + resources
        values, uses, _ = _classes(words, at, [items] * groups, resources)
        yield Public(
            f"khan/{row['instance']}", problem_of(values, uses, amounts, True), float(row["best_known"]), False
        )
    for row in _rows(root / "mmkp" / "mmkp_bd" / "best_known.csv"):
        path = next((p for p in (root / "mmkp" / "mmkp_bd").glob(row["file"] + "*")), None)
        if path is None:
            continue
        words = path.read_text().split()
        groups, resources = int(words[0]), int(words[1])
        amounts, at = [int(float(w)) for w in words[2 : 2 + resources]], 2 + resources
        values, uses, _ = _classes(words, at, [None] * groups, resources)
        yield Public(f"bd/{row['file']}", problem_of(values, uses, amounts, True), float(row["best_known"]), False)


def hill(root: Path) -> Iterator[Public]:
    """The MMKP test sets of Hiremath and Hill: several problems a file, each with its number before its sizes."""
    known = {(r["file"], int(r["problem"])): r for r in _rows(root / "mmkp" / "hiremath_hill" / "exact_values.csv")}
    for name in dict.fromkeys(file for file, _ in known):
        words, at = (root / "mmkp" / "hiremath_hill" / name).read_text().split(), 0
        while at < len(words) and (name, int(words[at])) in known:
            number, groups, items, resources = (int(w) for w in words[at : at + 4])
            amounts, at = [int(w) for w in words[at + 4 : at + 4 + resources]], at + 4 + resources
            values, uses, at = _classes(words, at, [items] * groups, resources)
            best = float(known[name, number]["exact_xpress"])
            yield Public(
                f"hill/{name.removesuffix('.txt')}:{number}", problem_of(values, uses, amounts, True), best, False
            )


def sampled(root: Path, every: int) -> Iterator[Public]:
    """Instances of all sets: the first of each folder or file in the lists of best values, then every so-many-th."""
    for family in (gap, mmkp, hill, knapsack):
        seen: dict[str, int] = {}
        for case in family(root):
            group = case.name.rsplit(":", 1)[0] if ":" in case.name else case.name.split("/")[0]
            number = seen[group] = seen.get(group, -1) + 1
            if number % every == 0:
                yield case


def knapsack(root: Path) -> Iterator[Public]:
    """0/1 multi-dimensional knapsack: an item is a customer with one arc."""
    numbers: dict[str, list[float]] = {}
    at: dict[str, int] = {}
    for row in _rows(root / "mknapcb" / "best_known.csv"):
        name = row["file"]
        if name not in numbers:
            text = gzip.decompress((root / "mknapcb" / f"{name}.gz").read_bytes()).decode()
            numbers[name], at[name] = [float(w) for w in text.split()], 1
        n, m = (int(x) for x in numbers[name][at[name] : at[name] + 2])
        body = numbers[name][at[name] + 3 :]
        profit, table, amounts = body[:n], np.array(body[n : n + n * m]).reshape(m, n), body[n + n * m : n + n * m + m]
        at[name] += 3 + n + n * m + m
        uses = [[[int(table[r, i]) for r in range(m)]] for i in range(n)]
        found = problem_of([[p] for p in profit], uses, [int(b) for b in amounts], False)
        yield Public(f"{name}:{row['name']}", found, float(row["best_feasible"]), False)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(every: int, seconds: float = 60.0) -> Result:
    """Public instances against their best known values, at most ``seconds`` each."""
    return table(list(sampled(folder(), every)), seconds)


def table(cases: Sequence[Public], seconds: float) -> Result:
    """These instances against their best known values; a row is told as soon as it is known."""
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1), initializer=_warm) as pool:
        for row in pool.map(_solved, cases, [seconds] * len(cases)):
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    within = sum(row["below"] <= 1e-3 for row in rows) / max(1, len(rows))
    return Result(
        rows,
        {"share within 0.1 % of best known": within if rows else math.nan},
        ("below: by how much the best known value is missed; negative where it is surpassed",),
    )


def _solved(case: Public, seconds: float) -> dict[str, Any]:
    """One instance: its value, how far below the best known, and how far below its own bound, at most."""
    begun = time.perf_counter()
    row = {"who": case.name, "version": "", "best_known": case.best}
    try:
        found = solve(case.problem, SolveOptions(gap=1e-4, seconds=seconds))
    except NoPlan:
        return row | {"seconds": time.perf_counter() - begun, "below": math.inf, "method": "no plan found"}
    value = case.objective(found.plan.primal)
    worse = value - case.best if case.minimise else case.best - value
    return row | {
        "seconds": time.perf_counter() - begun,
        "value": value,
        "below": worse / abs(case.best),
        "gap": found.gap,
        "method": found.method,
    }


def _warm() -> None:
    """Read the compiled kernels, so that no instance pays for it."""
    uses = [[[random % 7 + 1, random % 5 + 1] for random in range(g, g + 5)] for g in range(30)]
    values = [[float(sum(use)) for use in group] for group in uses]
    solve(problem_of(values, uses, [100, 90], True), SolveOptions(gap=0.0, seconds=2.0))
