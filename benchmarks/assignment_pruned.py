"""Eight of 72 arcs a customer kept before the solve, and the bound priced on all 72 afterwards.

The bound holds at any prices. Those of the pruned solve are too low for limits that pruned arcs would compete for, so
the prices of the sample, which saw all arcs, are tried in the same stream over all arcs: the lower bound counts.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.assignment_cases import CHANNELS, PRODUCTS, Case, problem
from benchmarks.result import Result
from models.arrays import Ints
from models.assignment.dual_evaluation import Local, evaluate
from models.assignment.problem import Block, Problem
from models.assignment.sample import sample
from models.assignment.solve import SolveOptions, solve

CUSTOMERS, SAMPLE = 1_000_000, 200_000
ARCS = PRODUCTS * CHANNELS
#: Arcs kept, and what is tried next where the gap on all arcs is above the target.
KEEP, TARGET = (8, 12, 18), 1e-4


def pruned(full: Problem, prices: Ints, keep: int, by: str) -> Problem:
    """Each customer's best ``keep`` arcs by reduced value at ``prices`` or by value, and its best of each floor product."""
    charge = full.kinds.price(prices if by == "reduced value" else np.zeros_like(prices))
    floors = [int(name.split("_")[1]) for name in full.limits.names if name.startswith("floor_")]
    blocks = []
    for block in full.blocks:
        worth = block.value.reshape(-1, ARCS).astype(np.int64) * 1_000_000 - charge[block.kind].reshape(-1, ARCS)
        kept = np.zeros(worth.shape, bool)
        best = np.argpartition(-worth, keep - 1, axis=1)[:, :keep]
        np.put_along_axis(kept, best, True, axis=1)
        for product in floors if by == "reduced value" else []:
            arcs = slice(product * CHANNELS, (product + 1) * CHANNELS)
            kept[np.arange(len(worth)), product * CHANNELS + worth[:, arcs].argmax(axis=1)] = True
        first = np.concatenate(([0], kept.sum(axis=1).cumsum()))
        flat = kept.ravel()
        blocks.append(Block(block.customer, first, block.value[flat], block.kind[flat]))
    return replace(full, blocks=blocks)


def pruning() -> Result:
    """The whole way: prices of a sample, pruning, solve, verification on all arcs, wider where that is missed."""
    full = problem(Case(CUSTOMERS, arcs=ARCS))
    begun = time.perf_counter()
    prices = solve(sample(full, SAMPLE), SolveOptions(gap=1e-5)).dual.prices
    start = time.perf_counter() - begun
    rows: list[dict[str, Any]] = []
    for keep in KEEP:
        rows.append(_row(full, prices, keep, "reduced value") | {"sample_seconds": start})
        if rows[-1]["gap_on_all_arcs"] <= TARGET:
            break
    begun = time.perf_counter()
    found = solve(full, SolveOptions(gap=TARGET))
    rows.append(
        {
            "who": "all 72 arcs, nothing pruned",
            "version": "",
            "seconds": time.perf_counter() - begun,
            "arcs_a_customer": float(ARCS),
            "gap_on_all_arcs": found.gap,
            "value_yuan": found.plan.primal * 1e-6,
        }
    )
    return Result(
        rows,
        {"value kept": rows[-2]["value_yuan"] / rows[-1]["value_yuan"]},
        (f"{CUSTOMERS:,} customers, prices of a sample of {SAMPLE:,}; the gap is of the bound over all 72 arcs",),
    )


def _row(full: Problem, prices: Ints, keep: int, by: str) -> dict[str, Any]:
    begun = time.perf_counter()
    kept = pruned(full, prices, keep, by)
    cut = time.perf_counter() - begun
    found = solve(kept, SolveOptions(gap=1e-5))
    solved = time.perf_counter() - begun - cut
    bounds = {
        name: evaluate(full, Local(full), where).bound
        for name, where in (("sample", prices), ("pruned", found.dual.prices))
    }
    bound = min(bounds.values())
    return {
        "who": f"{keep} by {by}",
        "version": "",
        "seconds": time.perf_counter() - begun,
        "prune_seconds": cut,
        "solve_seconds": solved,
        "arcs_a_customer": kept.arcs / kept.customers,
        "gap_of_pruned": found.gap,
        **{f"gap_at_prices_of_{name}": (b - found.plan.primal) / b for name, b in bounds.items()},
        "gap_on_all_arcs": (bound - found.plan.primal) / bound,
        "value_yuan": found.plan.primal * 1e-6,
    }
