"""The whole way: sampled starts, Newton on the dual, repair, and HiGHS where the instance is small or the gap is wide.

docs/developer/assignment.md, "Order of work".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from models.arrays import Ints
from models.assignment.aggregated_lp import BUCKETS, ROUNDS, by_classes
from models.assignment.boxstep import boxes
from models.assignment.conflict import Infeasible, name_droppers, refuse_by_descent, refuse_by_ray, refuse_by_search
from models.assignment.curvature import SPARSE_FROM
from models.assignment.dual import StoppingRule, descend
from models.assignment.dual_evaluation import Dual, Engine, Local, evaluate
from models.assignment.highs_models import Choice, whole_plan
from models.assignment.idle_prices import drop_idle_prices
from models.assignment.impossible_arcs import drop_impossible
from models.assignment.problem import LARGEST, PICO, Overflow, Problem
from models.assignment.repair import Plan, away, gather, repair, settle_moves, sum_uses, value_of, without
from models.assignment.sample import samples
from models.assignment.small_instances import SMALL, improve_plan
from models.money import YUAN

#: Customers that a sample needs for each of many limits, to tell its price.
PER_LIMIT = 300
#: Sizes of samples that prices are first found on.
SAMPLES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
#: A plan sought by classes of moves lets one customer in ``ONE_MOVER_IN`` take part, and at least so many.
LEAST_MOVERS, ONE_MOVER_IN = 10_000, 250
#: Up to so many customers a plan is first sought by moves alone; from there on classes of moves are cheaper.
CHEAP = 50_000
#: From so many customers on a further pass costs more than it gains, once a step promises little.
MANY = 300_000
#: Customers that take part in a repair at first.
MOVERS = 4_000
#: Options that the MIP is asked about: first the nearest, then all that can matter where those are few enough.
MIP_OPTIONS = (3_000, 20_000)
#: Share of the time given that small instances are searched for a better plan in, before a proof is tried.
SEARCH = 0.75
#: Nodes x options that the MIP may spend where no clock bounds it.
MIP_WORK = 400_000


class NoPlan(Exception):  # noqa: N818 - it is what happens
    """No feasible plan was found in the time given; the instance was not shown to be infeasible."""


@dataclass(frozen=True)
class SolveOptions:
    """What a solve aims at.

    Attributes:
        gap: stop when (bound - primal) / |bound| is at most this.
        seconds: stop after so long with the best plan so far; then the answer depends on the clock. Infinite: the
            work is bounded by counts, and the answer is a pure function of the problem and the start.
        passes: full passes of the dual at most.
        start: prices to start from (at-most form), e.g. last night's; None is cold.
        drop_idle: whether limits that the plan leaves unused are to charge nothing where the proof allows.
        submips: whether HiGHS searches parts of a program as programs of their own; some never come to an end.
        report: called with (stage, seconds, bound, primal or None) as the solve goes on.
    """

    gap: float = 1e-4
    seconds: float = math.inf
    passes: int = 14
    start: Ints | None = None
    drop_idle: bool = True
    submips: bool = False
    report: Callable[[str, float, int, int | None], None] = lambda stage, seconds, bound, primal: None


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
        moved: customers whose arc is not their best at the prices; None where they were not counted.
    """

    plan: Plan
    dual: Dual
    method: str
    passes: int
    seconds: float
    bound_claimed: int | None = None
    moved: int | None = None

    @property
    def gap(self) -> float:
        """(bound - primal) / max(1, |bound|)."""
        return relative(self.dual.bound, self.plan.primal)


def margin(seconds: float) -> float:
    """By how much an answer may be later than the seconds given: a second or a tenth of them, whichever is more."""
    return max(1.0, 0.1 * seconds)


def relative(bound: int, primal: int) -> float:
    """(bound - primal) / max(1, |bound|)."""
    return (bound - primal) / max(1, abs(bound))


@dataclass
class Run:
    """A solve on its way."""

    problem: Problem
    goal: SolveOptions
    engine: Engine
    began: float = field(default_factory=time.perf_counter)
    passes: int = 0
    steps: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.goal.seconds - (time.perf_counter() - self.began)

    def late(self) -> bool:
        """Whether the margin after the seconds is over too, in which a plan that still breaks limits is mended."""
        return self.left < -margin(self.goal.seconds)

    def enough(self, dual: Dual, plan: Plan) -> bool:
        """Whether the gap aimed at is proved."""
        return plan.excess == 0 and relative(dual.bound, plan.primal) <= self.goal.gap

    def tell(self, stage: str, dual: Dual, plan: Plan | None) -> None:
        """Say how far the solve is."""
        primal = plan.primal if plan is not None and plan.excess == 0 else None
        self.goal.report(stage, time.perf_counter() - self.began, dual.bound, primal)


def solve(problem: Problem, goal: SolveOptions, engine: Engine | None = None) -> Solution:
    """The best plan found and the bound that proves it, without the arcs that no plan can hold.

    Raises:
        Overflow: integers would leave 62 bits.
        Infeasible: no plan keeps the limits; names an irreducible set with its ray.
        NoPlan: none was found in time.
    """
    end = time.perf_counter() + goal.seconds
    possible = drop_impossible(problem)
    if possible is None:
        return _solve(problem, goal, engine)
    try:
        solution = _solve(possible.problem, goal, engine and engine.over(possible.problem))
    except Infeasible as error:
        raise name_droppers(problem, error, end) from error
    return replace(solution, plan=possible.complete(solution.plan))


def _solve(problem: Problem, goal: SolveOptions, engine: Engine | None) -> Solution:
    if problem.exactly_one and any((np.diff(block.first) == 0).any() for block in problem.blocks):
        raise Infeasible((), None)
    if not problem.fits(np.zeros(len(problem.limits), np.int64)):
        raise Overflow(f"10^6 x the largest value must stay below {LARGEST}")
    wide = problem.wide_limit()
    if wide is not None:
        raise Overflow(f"sums of uses of limit {wide} must stay below {LARGEST}")
    if (np.abs(problem.limits.amount) > LARGEST).any():  # what no sum of uses reaches
        amount = np.clip(problem.limits.amount, -LARGEST, LARGEST)
        within = _solve(replace(problem, limits=replace(problem.limits, amount=amount)), goal, engine)
        return replace(within, dual=evaluate(problem, engine or Local(problem), within.dual.prices))
    run = Run(problem, goal, engine or Local(problem))
    dual, plan = _first(run)
    if not run.enough(dual, plan) and goal.start is not None and run.left > 0:
        dual, plan = _cold(run, dual, plan)
    timed = bool(np.isfinite(goal.seconds))
    claimed: int | None = None
    if plan.excess > 0:  # before anything is searched for what there may not be
        plan, claimed = _by_all_plans(run, dual, plan)
    if timed and claimed is None:
        plan = _by_cores(run, dual, plan)
    for most in MIP_OPTIONS:
        if run.enough(dual, plan) or claimed is not None or run.left <= 0:
            break
        plan, claimed = _by_mip(run, dual, plan, most)
    if not timed and (claimed is None or relative(claimed, plan.primal) > goal.gap):
        plan = _by_cores(run, dual, plan)
    if plan.excess > 0:
        if not timed:
            refuse_by_descent(problem)
        raise NoPlan("not known: no plan that keeps every limit was found, and no conflict was shown")
    if goal.drop_idle and run.left > 0:
        dual = drop_idle_prices(problem, run.engine, dual, plan, goal.gap)
    took = time.perf_counter() - run.began
    moved = away(problem, dual.prices, plan.arcs)
    return Solution(plan, dual, " + ".join(run.steps), run.passes, took, claimed, moved)


def _by_cores(run: Run, dual: Dual, plan: Plan) -> Plan:
    """A better plan for a small instance where the gap is missed."""
    problem = run.problem
    if run.enough(dual, plan) or problem.arcs + problem.customers > SMALL or run.left <= 0:
        return plan
    plan = improve_plan(problem, dual, plan, gap=run.goal.gap, seconds=SEARCH * run.left, submips=run.goal.submips)
    run.steps.append("cores")
    run.tell("cores", dual, plan)
    return plan


def _by_all_plans(run: Run, dual: Dual, plan: Plan) -> tuple[Plan, int | None]:
    """The best of all plans of a small instance, with its value as the bound; the plan so far where they are too many."""
    problem = run.problem
    arcs = refuse_by_search(problem, time.perf_counter() + 0.4 * run.left)
    if arcs is None:
        return plan, None
    value = value_of(problem, arcs)
    best = Plan(arcs, value, sum_uses(problem, arcs))
    run.steps.append("all plans")
    run.tell("all plans", dual, best)
    return best, value if value < dual.bound else None


def _suspects(problem: Problem, plan: Plan) -> list[int]:
    """Limits that a plan breaks."""
    return [m for m, use in enumerate(plan.used) if use > int(problem.limits.amount[m])]


def _first(run: Run) -> tuple[Dual, Plan]:
    """Prices and a plan: by moves or classes of moves from everybody's best, and by LPs in boxes where those miss."""
    dual = find_prices(run, run.goal.start)
    plan = plan_near(run, dual, max(LEAST_MOVERS, run.problem.customers // ONE_MOVER_IN))
    if not len(run.problem.limits) or run.enough(dual, plan) or run.left <= 0:
        return dual, plan
    if plan.excess > 0:
        refuse_by_ray(run.problem, _suspects(run.problem, plan), run.left)
    return _by_boxes(run, dual, plan)


def plan_near(run: Run, dual: Dual, movers: int, rounds: int = ROUNDS, buckets: int = BUCKETS) -> Plan:
    """A plan near everybody's best at the prices; about ``movers`` customers take part in classes of moves."""
    problem = run.problem
    plan: Plan | None = None
    if problem.everybody <= CHEAP or not len(problem.limits) or run.left <= 0:
        plan = repair(problem, dual.prices, _width(problem, dual), until=run.late)
        run.tell("repair", dual, plan)
    if plan is not None and (not len(problem.limits) or run.enough(dual, plan) or run.left <= 0):
        assert plan is not None
        return plan
    other = by_classes(problem, dual, _width(problem, dual, movers), rounds, buckets, run.left)
    run.steps.append("classes")
    plan = other if plan is None or _better(other, plan) else plan
    run.tell("classes", dual, plan)
    return plan


def _width(problem: Problem, dual: Dual, movers: int = MOVERS) -> int:
    """Width of choices that holds about ``movers`` customers, by the density that the last pass saw, pico-yuan."""
    if dual.near > 0:
        return int(max(dual.width * movers / dual.near, 1e6))
    return int(max(1e-3, min(1.0, movers / max(1, problem.everybody)) * 0.25) * YUAN)


def find_prices(run: Run, start: Ints | None) -> Dual:
    """Prices by Newton: on samples first unless there is a warm start, then on everybody."""
    problem = run.problem
    if not len(problem.limits):
        run.passes, run.steps = 1, ["no limits"]
        return evaluate(problem, run.engine, np.zeros(0, np.int64))
    prices = np.zeros(len(problem.limits), np.int64) if start is None else np.maximum(start, 0)
    if not problem.fits(prices):
        prices = np.zeros(len(problem.limits), np.int64)
    cold = not prices.any()
    if run.left <= 0:
        run.passes, run.steps = run.passes + 1, [*run.steps, "one pass"]
        return evaluate(problem, run.engine, prices)
    sizes = [
        size
        for size in SAMPLES
        if problem.customers >= (2 if size < SAMPLES[-1] else 5) * size and _tells(size, len(problem.limits))
    ]
    for size, part in zip(sizes, samples(problem, sizes), strict=True) if cold else ():
        if run.left <= 0:
            break
        descent = descend(part, Local(part), prices, _aim(size, run, cold, 200))
        prices, cold = descent.best.prices, False
        run.steps.append(f"sample {part.customers}")
        run.tell(f"sample of {part.customers:,}", descent.best, None)
    descent = descend(problem, run.engine, prices, _aim(problem.customers, run, cold, _passes(run, cold)))
    run.passes += descent.passes
    run.steps.append("newton")
    run.tell("dual", descent.best, None)
    return descent.best


def _tells(size: int, limits: int) -> bool:
    """Whether a sample of so many customers has enough of them at every limit."""
    return limits < SPARSE_FROM or size >= PER_LIMIT * limits


def _passes(run: Run, cold: bool) -> int:
    """Passes over everybody: the more limits, the more prices that a sample told badly."""
    return 60 if cold or len(run.problem.limits) >= SPARSE_FROM else run.goal.passes


def _aim(size: int, run: Run, cold: bool, passes: int) -> StoppingRule:
    root = max(size, 100) ** -0.5
    return StoppingRule(
        passes=passes,
        gain=_gain(size, run),
        width=0.5 * YUAN if cold else min(0.5, 5.0 * root) * YUAN,
        least=0.2 * root * YUAN,
        radius=1.0 if cold else 0.1 if run.goal.start is None else 0.2,
        until=lambda _: run.left <= 0,
        once=size >= MANY,
    )


def _gain(size: int, run: Run) -> float:
    """What a step must promise: little on a sample; many customers' plan costs more to mend than a pass does."""
    if size < run.problem.customers:
        return 1e-5
    return 1e-8 if size >= MANY else min(1e-5, max(1e-8, 0.01 * run.goal.gap))


def _by_boxes(run: Run, dual: Dual, plan: Plan | None) -> tuple[Dual, Plan]:
    """Optimal prices by LPs within boxes, and the best of the plan so far and those that the LP and prices lead to."""
    problem = run.problem
    outcome = boxes(problem, run.engine, dual, _width(problem, dual), run.left, run.goal.gap)
    run.passes += outcome.passes
    run.steps.append("box LP" if outcome.optimal else "box LP (unfinished)")
    dual = outcome.dual
    if outcome.plan is not None:
        plan = outcome.plan if plan is None or _better(outcome.plan, plan) else plan
    if plan is None or (plan.excess > 0 and run.left > 0):
        arcs = None if plan is None else plan.arcs
        plan = repair(problem, dual.prices, _width(problem, dual), arcs, until=run.late)
    run.tell("box", dual, plan)
    return dual, plan


def _better(plan: Plan, other: Plan) -> bool:
    return (plan.excess, -plan.primal) < (other.excess, -other.primal)


def _cold(run: Run, dual: Dual, plan: Plan) -> tuple[Dual, Plan]:
    """Once more without the warm start, which may have been far off; the better bound and the better plan."""
    other = find_prices(run, None)
    return (dual, plan) if other.bound >= dual.bound else _by_boxes(run, other, plan)


def _by_mip(run: Run, dual: Dual, plan: Plan, most: int) -> tuple[Plan, int | None]:
    """The best plan over the options that can still matter; its bound counts where all of those took part.

    With a plan in hand a choice that loses more than bound - primal is in no better plan; customers without any
    other stay where they are.
    """
    problem = run.problem
    missing = dual.bound - plan.primal if plan.excess == 0 else 4 * problem.most
    width, complete = min((missing + 1) * PICO, LARGEST - 1), True
    options = gather(problem, dual.prices, width, plan.arcs, most)
    while options is None and width > 0 and most == MIP_OPTIONS[0]:
        width, complete = width // 2, False
        options = gather(problem, dual.prices, width, plan.arcs, most)
    if options is None or not len(options.group):
        return plan, None
    fixed, used = without(problem, options, plan.arcs)
    choice = Choice(options.group, options.kind, options.value, problem.limits.amount - used)
    goal = max(run.goal.gap * 0.3, 1e-9) * max(1, abs(dual.bound)) / max(1, abs(dual.bound - fixed))
    mip = whole_plan(
        choice,
        problem.kinds,
        problem.scale,
        start=options.start if plan.excess == 0 else None,
        gap=goal,
        seconds=max(0.2, run.left - 0.2),
        nodes=max(10, MIP_WORK // len(options.group)),
        submips=run.goal.submips,
    )
    run.steps.append(f"MIP by HiGHS on {len(options.group)} options ({mip.status})")
    if mip.hold is not None:
        other = settle_moves(problem, dual.prices, options, mip.hold, plan.arcs)
        plan = other if _better(other, plan) else plan
    run.tell("MIP", dual, plan)
    if not complete or plan.excess > 0 or not np.isfinite(mip.bound):
        return plan, None
    claimed = max(plan.primal, int(np.ceil(fixed + mip.bound + 1e-9 * abs(mip.bound))))
    return plan, claimed if claimed < dual.bound else None
