"""HiGHS where the arrays are small: the LP within a box of prices, and a MIP over the choices that can matter.

One thread, a fixed seed and limits on nodes: the same input gives the same plan. Only where somebody asks for an
answer within so many seconds is the clock looked at, and then the answer may differ from run to run.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from models.arrays import Floats, Ints, list_places
from models.assignment.problem import Kinds


@dataclass(frozen=True)
class Choice:
    """A choice problem over options: one of each group, value as high as the amounts allow.

    Attributes:
        group: of each option, ascending from 0.
        kind: of each option, -1 for none.
        value: micro-yuan.
        amount: what is left of each limit, at-most form.
    """

    group: Ints
    kind: Ints
    value: Ints
    amount: Ints


@dataclass(frozen=True)
class Found:
    """What HiGHS found.

    Attributes:
        hold: the option each group takes; None where no whole plan was found.
        bound: the solver's claim in micro-yuan; infinite where it has none.
        status: HiGHS's word.
    """

    hold: Ints | None
    bound: float
    status: str


@dataclass(frozen=True)
class Relaxed:
    """An optimum of the LP within a box of prices.

    Attributes:
        value: micro-yuan, with what exceeds limits or is left of them at its price.
        loose: what is paid for exceeding limits and for leaving them unused, micro-yuan: how far the LP leans on
            the box.
        over: by how much limits are exceeded, scaled units: a lead that must be mended, at whatever cost.
        prices: of the limits, scaled, yuan.
        share: of each option, between 0 and 1.
    """

    value: float
    loose: float
    over: float
    prices: Floats
    share: Floats


class _Quiet(highspy.Highs):
    """HiGHS without its banner, which it prints when the first callbacks are registered."""

    def enableCallbacks(self) -> None:  # noqa: N802 - HiGHS's word
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()


def model(choice: Choice, kinds: Kinds, scale: Floats, *, integer: bool, money: float = 1e-6) -> highspy.Highs:
    """The LP or MIP: a column an option (none has no column), a row a limit (scaled), a row a group."""
    columns = np.flatnonzero(choice.kind >= 0)
    kind = choice.kind[columns]
    groups, limits = int(choice.group[-1]) + 1 if len(choice.group) else 0, len(choice.amount)
    size = kinds.first[kind + 1] - kinds.first[kind]
    start = np.concatenate(([0], np.cumsum(size + 1)))
    index, entry = np.empty(start[-1], np.int32), np.empty(start[-1])
    _, place = list_places(start[:-1], size)
    _, source = list_places(kinds.first[kind], size)
    index[place], entry[place] = kinds.limit[source], kinds.use[source] / scale[kinds.limit[source]]
    index[start[1:] - 1], entry[start[1:] - 1] = limits + choice.group[columns], 1.0
    free = np.zeros(groups, bool)
    free[choice.group[choice.kind < 0]] = True
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(columns), limits + groups
    lp.col_cost_ = (choice.value[columns] * money).astype(np.float64)
    lp.col_lower_, lp.col_upper_ = np.zeros(len(columns)), np.ones(len(columns))
    lp.row_lower_ = np.concatenate((np.full(limits, -highspy.kHighsInf), np.where(free, 0.0, 1.0)))
    lp.row_upper_ = np.concatenate((choice.amount / scale, np.ones(groups)))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = start.astype(np.int32), index, entry
    lp.sense_ = highspy.ObjSense.kMaximize
    if integer:
        lp.integrality_ = [highspy.HighsVarType.kInteger] * len(columns)
    solver = quiet()
    solver.passModel(lp)
    return solver


def quiet() -> highspy.Highs:
    """HiGHS on one thread with a fixed seed: the same input gives the same answer."""
    solver = _Quiet()
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("random_seed", 1)
    return solver


def build_boxed_lp(
    choice: Choice, kinds: Kinds, scale: Floats, low: Floats, high: Floats, seconds: float
) -> Relaxed | None:
    """The LP whose prices are kept between ``low`` and ``high`` (scaled, yuan); None where HiGHS did not finish.

    A limit may be exceeded for ``high`` a scaled unit, and what is left of it is worth ``low``: those two columns
    are the box.
    """
    solver = model(choice, kinds, scale, integer=False)
    limits = len(choice.amount)
    rows, ends = np.arange(limits, dtype=np.int32), np.arange(limits + 1, dtype=np.int32)
    infinite = np.full(limits, highspy.kHighsInf)
    for price, entry in ((-high, -1.0), (low, 1.0)):
        solver.addCols(limits, price, np.zeros(limits), infinite, limits, ends[:-1], rows, np.full(limits, entry))
    if np.isfinite(seconds):
        solver.setOptionValue("time_limit", float(seconds))
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = solver.getSolution()
    taken = np.array(solution.col_value)
    columns = np.flatnonzero(choice.kind >= 0)
    share = np.zeros(len(choice.group))
    share[columns] = taken[: len(columns)]
    rest = 1.0 - np.bincount(choice.group, share)
    nothing = choice.kind < 0
    share[nothing] = rest[choice.group[nothing]]
    prices = np.clip(np.array(solution.row_dual[:limits]), low, high)
    over, under = taken[len(columns) : len(columns) + limits], taken[len(columns) + limits :]
    return Relaxed(
        solver.getObjectiveValue() * 1e6, float(over @ high + under @ low) * 1e6, float(over.sum()), prices, share
    )


def whole_plan(
    choice: Choice,
    kinds: Kinds,
    scale: Floats,
    *,
    start: Ints | None,
    gap: float,
    seconds: float,
    nodes: int,
    counted: bool = False,
    submips: bool = False,
) -> Found:
    """The MIP, from the plan ``start`` (the option that each group holds) where there is one.

    ``nodes`` bounds the search where no clock does (``seconds`` infinite), and where ``counted`` besides the clock.
    ``submips``: whether parts of it are searched as programs of their own, as releases before 0.3 did.
    """
    solver = model(choice, kinds, scale, integer=True)
    if np.isfinite(seconds):
        solver.setOptionValue("time_limit", float(seconds))
    if counted or not np.isfinite(seconds):
        solver.setOptionValue("mip_max_nodes", nodes)
    # what is presolved again with its cuts, a restarted root or a part of it, may not come to an end, and asks neither
    # clock nor count there (HiGHS 1.16, `strengthenInequalities`; tests/models/assignment/test_restart.py)
    solver.setOptionValue("mip_allow_restart", False)
    for name in () if submips else ("rins", "rens", "root_reduced_cost"):
        solver.setOptionValue(f"mip_heuristic_run_{name}", False)
    for name, value in (
        ("mip_rel_gap", gap),
        ("mip_abs_gap", 1e-7),
        ("mip_feasibility_tolerance", 1e-9),
        ("primal_feasibility_tolerance", 1e-9),
    ):
        solver.setOptionValue(name, value)
    columns = np.flatnonzero(choice.kind >= 0)
    if start is not None:
        taken = np.zeros(len(choice.group))
        taken[start] = 1.0
        known = highspy.HighsSolution()
        known.col_value = taken[columns].tolist()
        known.value_valid = True
        solver.setSolution(known)
    solver.run()
    status = solver.modelStatusToString(solver.getModelStatus())
    info = solver.getInfo()
    bound = float(info.mip_dual_bound) * 1e6
    if info.primal_solution_status != 2:  # kSolutionStatusFeasible
        return Found(None, bound, status)
    values = np.array(solver.getSolution().col_value)
    groups = int(choice.group[-1]) + 1
    hold = np.full(groups, -1, np.int64)
    nothing = np.flatnonzero(choice.kind < 0)
    hold[choice.group[nothing]] = nothing
    picked = columns[values > 0.5]
    hold[choice.group[picked]] = picked
    return Found(hold if (hold >= 0).all() else None, bound, status)
