"""From a night's frozen inputs to who gets what: a pure function of the folder, so a replay gives the same bytes.

Exploiters by the optimizer on the limits less the reserve; explorers by their logged draw; controls get none. Every
active customer gets a row with a reason and the probability of what it was given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.arrays import Ints
from models.assignment.dual_evaluation import choices
from models.assignment.explore import BEST_ARCS
from models.assignment.kernels import ArcArrays, choose
from models.assignment.problem import NO_GROUP, PICO
from models.assignment.roles import CONTROL, EXPLORE
from models.assignment.solve import Solution, SolveOptions
from planning.instance.decision_inputs import DecisionInputs
from planning.instance.plan_files import read_chosen
from planning.instance.reader import Instance, read_instance
from planning.instance.run_folder import RunFolder
from planning.instance.solve import solve_instance, with_start
from planning.limits.arc_classes import Arcs
from planning.limits.evaluator import Evaluator
from planning.plan.decision import Decision
from planning.plan.exploration import explore
from planning.plan.switching_cost import without_cost

#: A choice whose best alternative is closer than this, pico-yuan, is marked marginal.
MARGINAL = 1_000_000_000


def decide(run: RunFolder, tell: Callable[[str, float, int, int | None], None] | None = None) -> Decision:
    """Solve for the exploiters, draw for the explorers, and say of every row why and how probable."""
    inputs = run.inputs()
    instance = read_instance(run.instance)
    goal = SolveOptions(gap=inputs.gap)
    if tell is not None:
        goal = replace(goal, report=tell)
    solution = solve_instance(instance, with_start(goal, instance, inputs.start), str(run.instance))
    population = run.table("population")
    arcs = Evaluator(inputs.arcs, instance.limits.limits).arcs(population)
    night = _empty(population, arcs, solution, instance)
    best = _best_arcs(run, night, inputs)
    _exploit(night)
    _others(run, night)
    explore(night, best, inputs)
    _reasons(night)
    return night


def _empty(population: pa.Table, arcs: Arcs, solution: Solution, instance: Instance) -> Decision:
    n = population.num_rows
    return Decision(
        population,
        arcs,
        solution,
        instance,
        np.full(n, -1, np.int64),
        np.full(n, -1, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, bool),
        np.zeros(n, bool),
        np.full(n, "", object),
        np.ones(n),
        0,
        np.zeros(n, np.int64),
    )


def _exploit(night: Decision) -> None:
    """The optimizer's plan."""
    problem, prices = night.instance.problem, night.solution.dual.prices
    customer = night.customer
    for block, arc, (at_price, _, margin) in zip(
        problem.blocks, night.solution.plan.arcs, choices(problem, prices), strict=True
    ):
        row = np.searchsorted(customer, block.customer)
        product, channel, value = read_chosen(block, arc, problem.kinds)
        has = arc >= 0
        night.given[row[has]] = night.arcs.of(product[has], channel[has])
        night.value[row], night.known[row] = value, has
        night.greedy[row] = night.given[row]
        night.marginal[row] = (margin < MARGINAL) | (arc != at_price)
        most = np.maximum.reduceat(block.value, block.first[:-1])
        night.reason[row] = np.where(
            has,
            np.where(arc == at_price, "best", "moved"),
            np.where(most <= 0, "no_value", np.where(at_price >= 0, "capacity", "priced_out")),
        )


def _arc_rows(table: pa.Table, night: Decision) -> tuple[Ints, Ints, Ints]:
    """Row in the population, place of the arc and value of each arc of a table, sorted by row and arc label."""
    row = np.searchsorted(night.customer, table["customer"].to_numpy())
    product, channel = (table[name].to_numpy().astype(np.int64) for name in ("product", "channel"))
    order = np.lexsort((channel, product, row))
    return row[order], night.arcs.of(product, channel)[order], table["value"].to_numpy()[order]


def _others(run: RunFolder, night: Decision) -> None:
    """What explorers and controls would get as exploiters."""
    row, arc, value = _arc_rows(run.table("others"), night)
    if not len(row):
        return
    begin = np.concatenate(([0], np.flatnonzero(np.diff(row)) + 1, [len(row)]))
    who = row[begin[:-1]]
    width = len(night.arcs.product)
    price = night.arcs.price(night.solution.dual.prices).ravel()
    label = np.tile(night.arcs.product * (1 << 16) + night.arcs.channel, len(night.arcs.centre))
    kind = (night.arcs.classes[row] * width + arc).astype(np.uint32)
    best, reduced, margin = (np.empty(len(who), np.int64) for _ in range(3))
    choose(ArcArrays(night.customer[who], begin, value, kind, NO_GROUP, 0), price, label, False, best, reduced, margin)
    night.greedy[who] = np.where(best >= 0, arc[np.maximum(best, 0)], -1)
    night.marginal[who] = margin < MARGINAL
    night.left[who] = np.where(best >= 0, reduced // PICO, 0)


def _best_arcs(run: RunFolder, night: Decision, inputs: DecisionInputs) -> Ints:
    """The five best outbound arcs of each customer at last night's prices, int64 [n, 5]; -1 where fewer."""
    start = inputs.start
    limits = night.instance.problem.limits
    prices = np.array([start.get(n, 0) * int(s) for n, s in zip(limits.names, limits.sign, strict=True)], np.int64)
    own = ["customer", "product", "channel", "value"]
    exploit = pq.read_table(run.instance / "arcs", columns=own)
    table = pa.concat_tables([exploit, run.table("others").select(own)])
    row, arc, value = _arc_rows(table, night)
    reduced = value * PICO - night.arcs.price(prices)[night.arcs.classes[row], arc]
    order = np.lexsort((arc, -reduced, row))
    row, arc = row[order], arc[order]
    first = np.searchsorted(row, row)
    rank = np.arange(len(row)) - first
    best = np.full((night.population.num_rows, BEST_ARCS), -1, np.int64)
    top = rank < BEST_ARCS
    best[row[top], rank[top]] = arc[top]
    return best


def _reasons(night: Decision) -> None:
    """Values of explored arcs, and the reason of those who get nothing."""
    role, population = night.role, night.population
    night.reason[role == CONTROL] = "control"
    night.given[role == CONTROL] = -1
    silent = np.flatnonzero((night.reason == "") & (role != CONTROL))
    rule = population["outbound_reason"].to_numpy(zero_copy_only=False)[silent]
    night.reason[silent] = np.where(pc.is_null(pa.array(rule, pa.string())), "not_scored", rule)


def fill_known_values(night: Decision, run: RunFolder) -> int:
    """Fill in the scored value of what explorers were given, where the arc was kept by pruning; values become money.

    Returns:
        what the plan's value holds of the cost of switching, micro-yuan.
    """
    row, arc, value = _arc_rows(run.table("others"), night)
    match = (night.given[row] == arc) & (night.role[row] == EXPLORE)
    night.value[row[match]], night.known[row[match]] = value[match], True
    return without_cost(night, run)
