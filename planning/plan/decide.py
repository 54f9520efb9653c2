"""From a night's frozen inputs to who gets what: a pure function of the folder, so a replay gives the same bytes.

Explorers by their logged draw; exploiters by the optimizer on what explorers leave of the limits; controls get none. Every
active customer gets a row with a reason, and the probability of what it was given where a draw gave it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.assignment.dual_evaluation import choices
from models.assignment.kernels import ArcArrays, choose
from models.assignment.problem import NO_GROUP, PICO
from models.assignment.roles import CONTROL, EXPLORE, USUAL
from models.assignment.solve import Solution, SolveOptions
from planning.instance.decision_inputs import DecisionInputs
from planning.instance.plan_files import read_chosen
from planning.instance.reader import Instance, read_instance
from planning.instance.run_folder import RunFolder
from planning.instance.solve import solve_instance, with_start
from planning.limits.arc_classes import Arcs
from planning.limits.evaluator import Evaluator
from planning.limits.in_force import LimitsInForce
from planning.plan.decision import Decision
from planning.plan.exploration import Exploration, explore, take_off
from planning.plan.reasons import tell_losses
from planning.plan.reserved_exploration import explore_within_reserves, rank_best_arcs
from planning.plan.switching_cost import without_cost

#: A choice whose best alternative is closer than this, pico-yuan, is marked marginal.
MARGINAL = 1_000_000_000


def decide(run: RunFolder, tell: Callable[[str, float, int, int | None], None] | None = None) -> Decision:
    """Solve for the exploiters, draw for the explorers, and say of every row why and how probable."""
    inputs = run.inputs()
    instance = read_instance(run.instance)
    goal = SolveOptions(gap=inputs.gap, drop_idle=inputs.labels_first, submips=not inputs.labels_first)
    if tell is not None:
        goal = replace(goal, report=tell)
    solution = solve_instance(instance, with_start(goal, instance, inputs.start), str(run.instance))
    population = run.table("population")
    if not inputs.labels_first:
        arcs = Evaluator(inputs.arcs, instance.limits.limits).arcs(population)
        night = _empty(population, arcs, solution, instance)
        _exploit(night)
        _others(run, night)
        explore_within_reserves(night, rank_best_arcs(run, night, inputs), inputs)
    else:
        drawn = explore(population, run.read_kept(), run.whole_limits(), inputs, run.read_ranked())
        night = _empty(population, drawn.arcs, solution, instance)
        _exploit(night)
        _others(run, night)
        _explore(night, drawn)
        night.pscore = drawn.pscore(inputs.explore, night.greedy, night.given, night.role)
    _reasons(night)
    return night


def leave(
    population: pa.Table,
    arcs: pa.Table,
    limits: LimitsInForce,
    inputs: DecisionInputs,
    ranked: pa.Table | None = None,
) -> LimitsInForce:
    """What explorers and those served as before leave of the limits for those who are solved; arguments as of `explore`."""
    return take_off(limits, explore(population, arcs, limits, inputs, ranked).sum_uses())


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
        product, channel, value, _ = read_chosen(block, arc, problem.kinds)
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


def _others(run: RunFolder, night: Decision) -> None:
    """What explorers and controls would get as exploiters."""
    row, arc, value = night.arc_rows(run.table("others"))
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


def _explore(night: Decision, drawn: Exploration) -> None:
    """What explorers drew, and what those get who are served as before."""
    night.exploration = drawn
    night.withdrawn = int(drawn.withdrawn.sum())
    night.marginal |= drawn.withdrawn
    who = night.role == EXPLORE
    night.given[who] = drawn.given[who]
    night.reason[who] = np.where(drawn.given[who] >= 0, "explored", "explore_none")
    night.reason[drawn.withdrawn] = "explore_withdrawn"
    who = np.flatnonzero(night.role == USUAL)
    night.given[who] = drawn.given[who]
    night.reason[who[drawn.given[who] >= 0]] = "usual"
    night.marginal[who] = False  # the rule gave it, whatever exploiting would have hung on


def _reasons(night: Decision) -> None:
    """Values of explored arcs, and the reason of those who get nothing."""
    role, population = night.role, night.population
    night.reason[role == CONTROL] = "control"
    night.given[role == CONTROL] = -1
    silent = np.flatnonzero((night.reason == "") & (role != CONTROL))
    rule = population["outbound_reason"].to_numpy(zero_copy_only=False)[silent]
    none = np.where(role[silent] == USUAL, "usual_none", "not_scored")
    night.reason[silent] = np.where(pc.is_null(pa.array(rule, pa.string())), none, rule)


def fill_known_values(night: Decision, run: RunFolder) -> int:
    """Fill in the scored value of what explorers were given, where the arc was kept by pruning; values become money.

    What was decided on stays in ``decision_value``; whose contact is made at a loss is given the reason why.

    Returns:
        what the plan's value holds of the cost of switching, micro-yuan.
    """
    row, arc, value = night.arc_rows(run.table("others"))
    match = (night.given[row] == arc) & np.isin(night.role[row], (EXPLORE, USUAL))
    night.value[row[match]], night.known[row[match]] = value[match], True
    night.decision_value = night.value.copy()
    lever = without_cost(night, run)
    inputs = run.inputs()
    if inputs.labels_first:
        tell_losses(night, inputs.arcs.shares)
    return lever
