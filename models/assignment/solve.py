"""The whole way: sampled starts, Newton on the dual, repair, and HiGHS where the instance is small or the gap is wide.

docs/developer/assignment.md, "Order of work".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from models.assignment.conflict import Infeasible, conflict
from models.assignment.dual import Aim, descend
from models.assignment.exact import Choice, relaxed, whole_plan
from models.assignment.passes import Dual, Engine, Local, choices, evaluate
from models.assignment.problem import LARGEST, Ints, Overflow, Problem
from models.assignment.repair import Options, Plan, gather, repaired, used_by, value_of
from models.assignment.sample import sample

YUAN = 1e12  # pico-yuan
SAMPLES = (10_000, 100_000)
#: Up to so many arcs the LP gives prices where Newton's gap is wide; up to so many options the MIP is asked.
SMALL_ARCS = 50_000
MIP_OPTIONS = 3_000


class NoPlan(Exception):  # noqa: N818 - it is what happens
    """No feasible plan was found in the time given; the instance was not shown to be infeasible."""


@dataclass(frozen=True)
class Goal:
    """What a solve aims at.

    Attributes:
        gap: stop when (bound - primal) / |bound| is at most this.
        seconds: stop after so long with the best plan so far.
        passes: full passes of the dual at most.
        start: prices to start from (at-most form), e.g. last night's; None is cold.
        told: called with (stage, seconds, bound, primal or None) as the solve goes on.
    """

    gap: float = 1e-4
    seconds: float = 600.0
    passes: int = 14
    start: Ints | None = None
    told: Callable[[str, float, int, int | None], None] = lambda stage, seconds, bound, primal: None


@dataclass(frozen=True)
class Solution:
    """A plan with its proof.

    Attributes:
        plan: who gets what.
        dual: prices and bound.
        method: in words.
        passes: full passes over the arcs.
        seconds: wall time.
        bound_claimed: an exact solver's bound where it is better than the prices', micro-yuan; None otherwise.
    """

    plan: Plan
    dual: Dual
    method: str
    passes: int
    seconds: float
    bound_claimed: int | None = None

    @property
    def gap(self) -> float:
        """(bound - primal) / max(1, |bound|)."""
        return relative(self.dual.bound, self.plan.primal)


def relative(bound: int, primal: int) -> float:
    """(bound - primal) / max(1, |bound|)."""
    return (bound - primal) / max(1, abs(bound))


@dataclass
class _Run:
    problem: Problem
    goal: Goal
    engine: Engine
    began: float = field(default_factory=time.perf_counter)
    passes: int = 0
    steps: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        return self.goal.seconds - (time.perf_counter() - self.began)

    def tell(self, stage: str, dual: Dual, plan: Plan | None) -> None:
        primal = plan.primal if plan is not None and plan.excess == 0 else None
        self.goal.told(stage, time.perf_counter() - self.began, dual.bound, primal)


def solve(problem: Problem, goal: Goal, engine: Engine | None = None) -> Solution:
    """The best plan found and the bound that proves it.

    Raises:
        Overflow: integers would leave 62 bits.
        Infeasible: no plan keeps the limits; names an irreducible set with its ray.
        NoPlan: none was found in time.
    """
    if not problem.fits(np.zeros(len(problem.limits), np.int64)):
        raise Overflow(f"10^6 x the largest value must stay below {LARGEST}")
    run = _Run(problem, goal, engine or Local(problem))
    dual = _priced(run)
    plan = repaired(problem, dual.prices, _width(problem, dual), 3_000_000)
    run.tell("repair", dual, plan)
    claimed: int | None = None
    if not _enough(run, dual, plan) and problem.arcs <= SMALL_ARCS:
        dual, plan = _by_lp(run, dual, plan)
    if not _enough(run, dual, plan):
        plan, claimed = _by_mip(run, dual, plan)
    if plan.excess > 0:
        found = conflict(problem)
        if found is not None:
            raise Infeasible(*found)
        raise NoPlan("no plan that keeps every limit was found; give more --seconds")
    took = time.perf_counter() - run.began
    return Solution(plan, dual, " + ".join(run.steps), run.passes, took, claimed)


def _enough(run: _Run, dual: Dual, plan: Plan) -> bool:
    return plan.excess == 0 and relative(dual.bound, plan.primal) <= run.goal.gap


def _width(problem: Problem, dual: Dual) -> int:
    """Width of the repair: about 3,000 customers, at least a thousandth of a yuan."""
    share = min(1.0, 3000 / max(1, problem.customers))
    return int(max(1e-3, share * 0.25) * YUAN)


def _priced(run: _Run) -> Dual:
    """Prices by Newton: on samples first unless there is a warm start, then on everybody."""
    problem, goal = run.problem, run.goal
    if not len(problem.limits):
        run.passes, run.steps = 1, ["no limits"]
        return evaluate(problem, run.engine, np.zeros(0, np.int64))
    prices = np.zeros(len(problem.limits), np.int64) if goal.start is None else np.maximum(goal.start, 0)
    if not problem.fits(prices):
        prices = np.zeros(len(problem.limits), np.int64)
    cold = not prices.any()
    for size in SAMPLES if cold else ():
        if problem.customers < 2 * size:
            break
        part = sample(problem, size)
        found = descend(part, Local(part), prices, _aim(size, run, cold, 200))
        prices, cold = found.best.prices, False
        run.steps.append(f"sample {part.customers}")
        run.tell(f"sample of {part.customers:,}", found.best, None)
    found = descend(problem, run.engine, prices, _aim(problem.customers, run, cold, goal.passes if not cold else 60))
    run.passes += found.passes
    run.steps.append("newton")
    run.tell("dual", found.best, None)
    return found.best


def _aim(size: int, run: _Run, cold: bool, passes: int) -> Aim:
    root = max(size, 100) ** -0.5
    return Aim(
        passes=passes, gain=1e-7 if size >= run.problem.customers else 1e-5,
        width=0.5 * YUAN if cold else min(0.5, 5.0 * root) * YUAN, least=0.2 * root * YUAN,
        radius=1.0 if cold else 0.05 if run.goal.start is None else 0.2, until=lambda _: run.left < 0,
    )  # fmt: skip


def _by_lp(run: _Run, dual: Dual, plan: Plan) -> tuple[Dual, Plan]:
    """Prices by HiGHS's LP where they prove more than Newton's; the better plan of both prices."""
    problem = run.problem
    options = _everything(problem)
    choice = Choice(options.group, options.kind, options.value, problem.limits.amount)
    found = relaxed(choice, problem.kinds, problem.scale, max(0.1, run.left))
    run.steps.append(f"LP by HiGHS ({found.status})")
    if not len(found.duals):
        return dual, plan
    prices = np.maximum(np.rint(found.duals * 1e6), 0)
    if not (prices < float(LARGEST)).all() or not problem.fits(prices.astype(np.int64)):
        return dual, plan
    other = evaluate(problem, run.engine, prices.astype(np.int64))
    run.passes += 1
    again = repaired(problem, other.prices, _width(problem, other), 3_000_000)
    better = again if (again.excess, -again.primal) < (plan.excess, -plan.primal) else plan
    kept = other if other.bound < dual.bound else dual
    run.tell("LP", kept, better)
    return kept, better


def _everything(problem: Problem) -> Options:
    """Every choice of every customer."""
    return gather(problem, np.zeros(len(problem.limits), np.int64), LARGEST)


def _by_mip(run: _Run, dual: Dual, plan: Plan) -> tuple[Plan, int | None]:
    """The best plan over the options that can still matter; its bound counts where all of those took part."""
    problem = run.problem
    if run.left <= 0:
        return plan, None
    missing = dual.bound - plan.primal if plan.excess == 0 else 4 * problem.most
    full = (missing + problem.customers + 1) * 1_000_000
    width, complete = min(full, LARGEST - 1), True
    options = gather(problem, dual.prices, width)
    while len(options.group) > MIP_OPTIONS and problem.arcs > MIP_OPTIONS:
        width, complete = width // 2, False
        options = gather(problem, dual.prices, width)
    if not len(options.group):
        return plan, None
    best = [arc for arc, _, _ in choices(problem, dual.prices)]
    rest = _without(options, best)
    left = problem.limits.amount - np.array(used_by(problem, rest), np.int64)
    fixed = value_of(problem, rest)
    choice = Choice(options.group, options.kind, options.value, left)
    start = _held(options, plan) if plan.excess == 0 else None
    goal = max(run.goal.gap * 0.3, 1e-9) * max(1, abs(dual.bound)) / max(1, abs(dual.bound - fixed))
    found = whole_plan(
        choice, problem.kinds, problem.scale, start=start, gap=goal, seconds=max(0.2, run.left - 0.2),
        nodes=20 if problem.customers > 2_000 else 2_000_000,
    )  # fmt: skip
    run.steps.append(f"MIP by HiGHS on {len(options.group)} options ({found.status})")
    claimed = None
    if complete and np.isfinite(found.bound):
        claimed = min(dual.bound, int(np.ceil(fixed + found.bound + 1e-6 * abs(found.bound) * 1e-3)))
    if found.hold is not None:
        arcs = [arc.copy() for arc in rest]
        for number in range(len(arcs)):
            mine = found.hold[options.block[found.hold] == number]
            arcs[number][options.place[mine]] = options.arc[mine]
        used = used_by(problem, arcs)
        keeps = all(u <= int(b) for u, b in zip(used, problem.limits.amount, strict=True))
        value = value_of(problem, arcs)
        if keeps and (plan.excess > 0 or value > plan.primal):
            moved = sum(int((a != b).sum()) for a, b in zip(arcs, best, strict=True))
            plan = Plan(arcs, value, used, moved, 0.0)
    run.tell("MIP", dual, plan)
    if claimed is not None:
        claimed = max(claimed, plan.primal)
        claimed = claimed if claimed < dual.bound else None
    return plan, claimed


def _without(options: Options, best: list[Ints]) -> list[Ints]:
    """Choices with the customers of ``options`` taken out (-1)."""
    rest = [arc.copy() for arc in best]
    for number in range(len(rest)):
        rest[number][options.place[options.start[options.block[options.start] == number]]] = -1
    return rest


def _held(options: Options, plan: Plan) -> Ints | None:
    """The option that each group holds under a plan; None where a customer holds something outside the options."""
    hold = np.full(len(options.start), -1, np.int64)
    for number, arc in enumerate(plan.arcs):
        mine = np.flatnonzero(options.block == number)
        same = mine[arc[options.place[mine]] == options.arc[mine]]
        hold[options.group[same]] = same
    return hold if (hold >= 0).all() else None
