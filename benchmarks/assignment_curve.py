"""Value of (a)-(e) over how tight the limits are, on the same instances in one run, with its picture.

Shares are left out of the limits for all sides: arbitration and greedy choice cannot keep them. What is drawn is
the value of every side over that of the proved plan, so nothing depends on which point of the curve is picked.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from benchmarks.assignment_cases import Case, problem
from benchmarks.assignment_chunks import chunked
from benchmarks.assignment_lp import by_pdlp
from benchmarks.result import Result
from models.assignment.baseline import arbitrate_then_cap, greedy, without_shares
from models.assignment.problem import Problem
from models.assignment.solve import SolveOptions, solve

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "assignment-curve.svg"
CUSTOMERS = 10_000
#: Capacity factors: below 1 is tight, above 1 is loose.
FACTORS = (0.4, 0.7, 1.0, 1.6, 2.5)
NAMES = {
    "cpc": "(e) ours, certified",
    "chunks": "(b) chunks of 1,000, each exact",
    "density": "(c) greedy by value per use",
    "value": "(c) greedy by value",
    "score": "(a) caps in score order",
    "arrival": "(a) caps in arrival order",
}
#: Variants beside the two curves, and the factors at which they are tried.
VARIED = (0.4, 1.0, 2.5)
VARIANTS: dict[str, dict[str, Any]] = {
    "independent values": {"correlated": False, "budget": False},
    "independent values, budget": {"correlated": False},
    "rounded to 0.1 yuan": {"grain": 100_000, "budget": False},
    "rounded to 0.1 yuan, budget": {"grain": 100_000},
}


def sides(case: Problem) -> list[dict[str, Any]]:
    """(e), (a), (c), (b) and PDLP's LP on one instance."""
    begun = time.perf_counter()
    ours = solve(case, SolveOptions(gap=1e-3))
    rows: list[dict[str, Any]] = [
        {
            "who": "cpc",
            "version": "",
            "seconds": time.perf_counter() - begun,
            "value_yuan": ours.plan.primal * 1e-6,
            "bound_yuan": ours.dual.bound * 1e-6,
            "gap": ours.gap,
            "limits_broken": 0,
        }
    ]
    plans = {
        "score": lambda: arbitrate_then_cap(case, "score"),
        "arrival": lambda: arbitrate_then_cap(case, "arrival"),
        "value": lambda: greedy(case, "value"),
        "density": lambda: greedy(case, "density"),
    }
    for who, plan in plans.items():
        begun = time.perf_counter()
        value, broken = plan()
        rows.append(
            {
                "who": who,
                "version": "",
                "seconds": time.perf_counter() - begun,
                "value_yuan": value * 1e-6,
                "limits_broken": len(broken),
            }
        )
    begun = time.perf_counter()
    parts = chunked(case)
    rows.append(
        {
            "who": "chunks",
            "version": "",
            "seconds": time.perf_counter() - begun,
            "value_yuan": parts.value * 1e-6,
            "bound_yuan": parts.bound * 1e-6,
            "limits_broken": 0,
            "chunks": parts.chunks,
            "without_plan": parts.empty,
        }
    )
    rows.append({k: v for k, v in by_pdlp(case, 1e-4).items() if k not in {"threads", "method"}})
    print(
        f"{ours.plan.primal * 1e-6:.0f}",
        [(r["who"], round(r["value_yuan"] * 1e6 / ours.plan.primal, 4)) for r in rows],
        file=sys.stderr,
        flush=True,
    )
    return [row | {"of_ours": row["value_yuan"] / (ours.plan.primal * 1e-6)} for row in rows]


def curve() -> Result:
    """Every side at every factor, without and with a budget that binds, and the variants; writes the picture."""
    solve(problem(Case(2_000)), SolveOptions(gap=1.0))  # compiled kernels are read
    rows: list[dict[str, Any]] = []
    for name, more in (("no budget", {"budget": False}), ("budget", {})):
        for factor in FACTORS:
            found = sides(without_shares(problem(Case(CUSTOMERS, tight=factor, **more))))
            rows += [{"case": name, "capacity": factor, **row} for row in found]
    for name, more in VARIANTS.items():
        for factor in VARIED:
            found = sides(without_shares(problem(Case(CUSTOMERS, tight=factor, **more))))
            rows += [{"case": name, "capacity": factor, **row} for row in found]
    picture(rows).savefig(PICTURE, metadata={"Date": None})
    least = {who: min(1 / row["of_ours"] for row in rows if row["who"] == who) for who in NAMES if who != "cpc"}
    most = {who: max(1 / row["of_ours"] for row in rows if row["who"] == who) for who in NAMES if who != "cpc"}
    return Result(
        rows,
        {f"cpc / {who}, least": v for who, v in least.items()} | {f"cpc / {who}, most": v for who, v in most.items()},
        (f"{CUSTOMERS:,} customers; value of a side over the plan's; picture in docs/benchmarks/{PICTURE.name}",),
    )


COLOURS = {
    "cpc": "#111111",
    "chunks": "#1b7837",
    "density": "#2166ac",
    "value": "#67a9cf",
    "score": "#d6604d",
    "arrival": "#9e5b8c",
}


def picture(rows: list[dict[str, Any]]) -> Figure:
    """Value over ours against the capacity factor, without and with a budget."""
    plt.rcParams.update({"svg.hashsalt": "cpc", "svg.fonttype": "path", "font.size": 10})
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    for axis, name in zip(axes, ("no budget", "budget"), strict=True):
        ends: list[tuple[float, str]] = []
        for who in NAMES:
            points = [(r["capacity"], 100 * r["of_ours"]) for r in rows if r["case"] == name and r["who"] == who]
            x, y = zip(*sorted(points), strict=True)
            axis.plot(x, y, color=COLOURS[who], marker="o", markersize=3.5, linewidth=2.2 if who == "cpc" else 1.6)
            ends.append((y[-1], who))
        for height, who in spread(ends, 5.0):
            axis.annotate(NAMES[who], (FACTORS[-1] * 1.05, height), color=COLOURS[who], va="center", fontsize=9)
        axis.set_xscale("log")
        axis.set_xticks(FACTORS, [f"{f:g}" for f in FACTORS])
        axis.minorticks_off()
        axis.set_xlim(FACTORS[0] * 0.93, FACTORS[-1] * 4.2)
        axis.set_ylim(0, 104)
        axis.set_xlabel("capacities over normal (left: tight, right: loose)")
        axis.set_title({"no budget": "capacities and floors", "budget": "with a binding budget"}[name])
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes[0].set_ylabel("value, % of the certified plan's")
    figure.suptitle(f"Value of a night's plan, {CUSTOMERS:,} customers, same instances", fontsize=12)
    return figure


def spread(ends: list[tuple[float, str]], apart: float) -> list[tuple[float, str]]:
    """Heights of labels, moved so that they are ``apart`` at least, from the top downwards."""
    found: list[tuple[float, str]] = []
    for height, who in sorted(ends, reverse=True):
        found.append((height if not found else min(height, found[-1][0] - apart), who))
    return found
