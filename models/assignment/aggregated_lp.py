"""A plan for very many customers: an LP over classes of moves instead of moves.

At optimal prices of a large population thousands of customers stand exactly between two choices (values are whole
micro-yuan), and who of them gets which decides whether limits are used up. Customers whose best and next choice are
of the same two kinds, at about the same loss, are one class; the LP says how many of each class move. It has a row a
limit and a column a class, whatever the number of customers, and all but as many classes as limits move whole
numbers. docs/developer/assignment.md, "Classes".
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import highspy
import numpy as np

from models.arrays import Floats, Ints, list_places
from models.assignment.dual_evaluation import Dual, best_arcs
from models.assignment.highs_models import quiet
from models.assignment.problem import LARGEST, Kinds, Problem
from models.assignment.repair import Options, Plan, gather, settle_moves, without

#: Buckets of loss that moves between the same kinds are put in.
BUCKETS = 32
#: Times that the width of the moves looked at is doubled where limits cannot be kept by them.
ROUNDS = 6


@dataclass(frozen=True)
class Classes:
    """Classes of moves from the option held to the next best.

    Attributes:
        move: the option moved to, of each customer that may, int64 [n]; in order of class, then loss, then hash.
        begin: where each class begins, int64 [C + 1].
        cost: mean loss of a class, yuan.
        before, after: kinds of each class, -1 for none.
    """

    move: Ints
    begin: Ints
    cost: Floats
    before: Ints
    after: Ints


def by_classes(
    problem: Problem,
    dual: Dual,
    width: int,
    rounds: int = ROUNDS,
    buckets: int = BUCKETS,
    seconds: float = math.inf,
) -> Plan:
    """A plan near everybody's best at the prices; customers within ``width`` pico-yuan of a change of mind move.

    ``width`` is doubled up to ``rounds`` times while limits are exceeded; classes are of so many ``buckets`` of loss. After
    ``seconds`` no other round is begun, and the LP of one ends.
    """
    end = time.perf_counter() + seconds
    arcs = best_arcs(problem, dual.prices)
    plan: Plan | None = None
    for _ in range(rounds):
        options = gather(problem, dual.prices, width, arcs)
        if options is None or not len(options.group):
            break
        _, used = without(problem, options, arcs)
        left = end - time.perf_counter()
        hold = _move_options(problem, dual, options, problem.limits.amount - used, width, buckets, left)
        other = settle_moves(problem, dual.prices, options, hold, arcs)
        if plan is None or (other.excess, -other.primal) < (plan.excess, -plan.primal):
            plan = other
        if plan.excess == 0 or width >= LARGEST // 2 or time.perf_counter() > end:
            break
        width *= 2
    if plan is None:
        options = gather(problem, dual.prices, 0, arcs)
        assert options is not None
        plan = settle_moves(problem, dual.prices, options, options.start, arcs)
    return plan


def classes_of(options: Options, width: int, buckets: int = BUCKETS) -> Classes:
    """Every customer's next best option, by kinds and loss."""
    others = np.ones(len(options.group), bool)
    others[options.start] = False
    others = np.flatnonzero(others)
    others = others[np.lexsort((options.rank[others], options.group[others]))]  # a rank is by loss, then by hash
    first = np.ones(len(others), bool)
    first[1:] = options.group[others][1:] != options.group[others][:-1]
    move = others[first]
    start = options.start[options.group[move]]
    loss = options.loss[move] - options.loss[start]
    bucket = np.clip(loss // max(1, width // buckets), 0, buckets)
    keys = np.stack([options.kind[start], options.kind[move], bucket])
    order = np.lexsort((options.rank[move], *keys[::-1]))
    keys = keys[:, order]
    change = np.flatnonzero((keys[:, 1:] != keys[:, :-1]).any(axis=0)) + 1
    begin = np.concatenate(([0], change, [len(order)])) if len(order) else np.zeros(1, np.int64)
    cost = np.add.reduceat(loss[order] * 1e-12, begin[:-1]) / np.diff(begin) if len(order) else np.empty(0)
    return Classes(move[order], begin, cost, keys[0, begin[:-1]], keys[1, begin[:-1]])


def _move_options(
    problem: Problem, dual: Dual, options: Options, room: Ints, width: int, buckets: int, seconds: float
) -> Ints:
    """The option that each customer holds once the LP's numbers have moved, least loss first within a class."""
    classes = classes_of(options, width, buckets)
    kinds, hold = problem.kinds, options.start.copy()
    kind = options.kind[hold]
    left = room - np.array(kinds.sum_uses(np.bincount(kind[kind >= 0], minlength=len(kinds)), len(room)), np.int64)
    number = _numbers(problem, dual, classes, left, seconds)
    size = np.minimum(np.floor(number + 1e-6).astype(np.int64), np.diff(classes.begin))
    _, place = list_places(classes.begin[:-1], size)
    moved = classes.move[place]
    hold[options.group[moved]] = moved
    return hold


def _numbers(problem: Problem, dual: Dual, classes: Classes, left: Ints, seconds: float) -> Floats:
    """How many of each class move: least loss and slack at the prices, a limit exceeded only at a far higher one.

    The value of a plan is the bound less the losses and less sum of price x slack, so maximal value is minimal
    sum of cost x number + sum of price x slack.
    """
    count, limits, scale = len(classes.cost), len(left), problem.scale
    price = dual.prices * (scale * 1e-12)
    dear = 10.0 * float(price.max(initial=0.0)) + 10.0 * float(classes.cost.max(initial=0.0)) + 1e-3
    at, row, entry = _changes(problem.kinds, classes, scale)
    lp = highspy.HighsLp()
    slack = np.arange(limits)
    lp.num_col_, lp.num_row_ = count + 2 * limits, limits
    lp.col_cost_ = np.concatenate((classes.cost, price, np.full(limits, dear)))
    lp.col_lower_ = np.zeros(count + 2 * limits)
    lp.col_upper_ = np.concatenate((np.diff(classes.begin).astype(np.float64), np.full(2 * limits, highspy.kHighsInf)))
    lp.row_lower_ = lp.row_upper_ = left / scale
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    columns = np.concatenate((at, count + slack, count + limits + slack))
    lp.a_matrix_.start_ = np.concatenate(([0], np.cumsum(np.bincount(columns, minlength=count + 2 * limits)))).astype(
        np.int32
    )
    lp.a_matrix_.index_ = np.concatenate((row, slack, slack)).astype(np.int32)
    lp.a_matrix_.value_ = np.concatenate((entry, np.ones(limits), -np.ones(limits)))
    solver = quiet()
    solver.setOptionValue("presolve", "off")  # some hundred steps of the simplex: presolving takes three times as long
    solver.passModel(lp)
    if math.isfinite(seconds):
        solver.setOptionValue("time_limit", max(0.01, seconds))
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return np.zeros(count)
    return np.array(solver.getSolution().col_value[:count])


def _changes(kinds: Kinds, classes: Classes, scale: Floats) -> tuple[Ints, Ints, Floats]:
    """What a move of each class changes: class, limit and scaled use, classes ascending, a limit once a class."""
    parts = []
    for kind, sign in ((classes.after, 1), (classes.before, -1)):
        some = np.flatnonzero(kind >= 0)
        size = kinds.first[kind[some] + 1] - kinds.first[kind[some]]
        _, source = list_places(kinds.first[kind[some]], size)
        parts.append((np.repeat(some, size), kinds.limit[source], sign * kinds.use[source]))
    at, row, use = (np.concatenate(part) for part in zip(*parts, strict=True))
    limits = len(scale)
    key, inverse = np.unique(at * limits + row, return_inverse=True)
    total = np.bincount(inverse.reshape(-1), use, len(key))
    nonzero = total != 0
    at, row = key[nonzero] // limits, key[nonzero] % limits
    return at, row, total[nonzero] / scale[row]
