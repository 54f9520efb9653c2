"""Whether some limits can be kept together: an LP over customers who are alike to these limits.

Values do not matter to that, so customers who may choose among the same vectors of uses are one *pattern*: a few
limits leave a few patterns, whatever the number of customers, and nothing is lost. The LP's prices are a proposal; what
counts is checked in exact integers over all arcs (`models.assignment.conflict`). docs/developer/assignment.md,
"Conflicts".
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from models.arrays import Flags, Floats, Ints
from models.assignment.highs_models import quiet
from models.assignment.problem import Block, Problem

#: Arcs x words of a customer's set of vectors, and columns of an LP, up to which patterns are sought.
MOST_WORK, MOST_COLUMNS = 200_000_000, 400_000
#: Excess, in scaled units, that is none.
NOTHING = 1e-7


@dataclass(frozen=True)
class Patterns:
    """Customers by what they can use of some limits.

    Attributes:
        limits: places of the limits.
        vectors: distinct vectors of their uses, at-most form, int64 [C, limits].
        of_kind: the vector of each kind, int64 [K].
        member: which vectors each pattern may take, bool [P, C]; no arc is the vector of zeros.
        count: customers of each pattern, int64 [P].
        of: of each block, every customer's pattern.
    """

    limits: tuple[int, ...]
    vectors: Ints
    of_kind: Ints
    member: Flags
    count: Ints
    of: list[Ints]


@dataclass(frozen=True)
class LeastExcess:
    """The LP's optimum.

    Attributes:
        cost: least sum of excess over the limits' scales; or the least use of a limit over its scale.
        prices: of the limits, a scaled unit, at least 0.
        numbers: customers of each (pattern, vector), float [columns].
        columns: pattern and vector of each.
    """

    cost: float
    prices: Floats
    numbers: Floats
    columns: tuple[Ints, Ints]


def find_patterns(problem: Problem, limits: Sequence[int]) -> Patterns | None:
    """The patterns of all customers as some limits see them; None where there would be too many."""
    places = tuple(limits)
    uses = problem.kinds.tabulate_uses(len(problem.limits))[:, list(places)]
    no_arc = np.zeros((1, len(places)), np.int64)
    vectors, of_row = np.unique(np.concatenate((uses, no_arc)), axis=0, return_inverse=True)
    of_row = of_row.reshape(-1)
    nothing = int(of_row[-1])
    words = len(vectors) // 64 + 1
    if words * problem.arcs > MOST_WORK:
        return None
    sets = [_sets_of(block, of_row, words, None if problem.exactly_one else nothing) for block in problem.blocks]
    rows = np.concatenate([np.zeros((0, words), np.uint64), *sets])
    distinct, of, count = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    if int(np.bitwise_count(distinct).sum()) > MOST_COLUMNS:
        return None
    bits = (distinct[:, :, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    member = bits.reshape(len(distinct), 64 * words)[:, : len(vectors)].astype(bool)
    ends = np.cumsum([0] + [len(block) for block in problem.blocks])
    of = of.reshape(-1).astype(np.int64)
    return Patterns(
        places,
        vectors,
        of_row[:-1],
        member,
        count.astype(np.int64),
        [of[a:b] for a, b in itertools.pairwise(ends)],
    )


def _sets_of(block: Block, vector: Ints, words: int, nothing: int | None) -> np.ndarray:
    """Each customer's set of vectors as bits, uint64 [n, words]."""
    size = np.diff(block.first).astype(np.int64)
    owner = np.repeat(np.arange(len(block)), size)
    of_arc = vector[block.kinds_of(owner, np.arange(len(owner)))]
    sets, some = np.zeros((len(block), words), np.uint64), size > 0
    begin = block.first[:-1].astype(np.int64)[some]
    for word in range(words):
        bit = np.where(of_arc >> 6 == word, np.uint64(1) << (of_arc & 63).astype(np.uint64), np.uint64(0))
        if len(begin):
            sets[some, word] = np.bitwise_or.reduceat(bit, begin)
    if nothing is not None:
        sets[:, nothing >> 6] |= np.uint64(1) << np.uint64(nothing & 63)
    return sets


def least_excess(problem: Problem, patterns: Patterns, seconds: float = np.inf) -> LeastExcess | None:
    """By how much limits are exceeded at least, all together; None where HiGHS did not finish in time."""
    return _solve(problem, patterns, None, None, seconds)


def least_use(problem: Problem, patterns: Patterns, limit: int, *, integer: bool) -> LeastExcess | None:
    """The least use of one of the limits (whose own amount does not matter) while the others are kept.

    None where the others cannot be kept, or HiGHS did not finish. ``integer`` asks for whole customers.
    """
    return _solve(problem, patterns, patterns.limits.index(limit), integer)


def _solve(
    problem: Problem, patterns: Patterns, free: int | None, integer: bool | None, seconds: float = np.inf
) -> LeastExcess | None:
    """Minimise the excess over all limits, or the use of the one at place ``free``."""
    places = list(patterns.limits)
    scale, must = problem.scale[places], problem.exactly_one
    rows, vector = np.nonzero(patterns.member)
    uses = patterns.vectors / scale
    if not must:  # no arc costs nothing: whatever uses a limit and gives room nowhere is never wanted
        wanted: Flags = np.asarray((patterns.vectors < 0).any(axis=1))
        rows, vector = rows[wanted[vector]], vector[wanted[vector]]
    count, limits, columns = len(patterns.count), len(places), len(rows)
    entries = [np.flatnonzero(uses[v]) for v in range(len(uses))]
    lp = highspy.HighsLp()
    elastic = free is None
    extra = limits if elastic else 0
    lp.num_col_, lp.num_row_ = columns + extra, limits + count
    lp.col_cost_ = np.concatenate((np.zeros(columns) if free is None else uses[vector, free], np.ones(extra)))
    lp.col_lower_ = np.zeros(columns + extra)
    lp.col_upper_ = np.concatenate((patterns.count[rows].astype(float), np.full(extra, highspy.kHighsInf)))
    room = problem.limits.amount[places] / scale
    if free is not None:
        room[free] = highspy.kHighsInf
    size = patterns.count.astype(float)
    lp.row_lower_ = np.concatenate((np.full(limits, -highspy.kHighsInf), size if must else np.zeros(count)))
    lp.row_upper_ = np.concatenate((room, size))
    index = [np.append(entries[v], limits + p) for p, v in zip(rows.tolist(), vector.tolist(), strict=True)]
    value = [np.append(uses[v][entries[v]], 1.0) for v in vector.tolist()]
    index += [np.array([m]) for m in range(extra)]
    value += [np.array([-1.0])] * extra
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.cumsum([0] + [len(part) for part in index]).astype(np.int32)
    lp.a_matrix_.index_ = np.concatenate([*index, np.zeros(0)]).astype(np.int32)
    lp.a_matrix_.value_ = np.concatenate([*value, np.zeros(0)]).astype(float)
    if integer:
        lp.integrality_ = [highspy.HighsVarType.kInteger] * lp.num_col_
    solver = quiet()
    if integer:
        solver.setOptionValue("mip_max_nodes", 2_000)
        solver.setOptionValue("mip_allow_restart", False)
    if np.isfinite(seconds):
        solver.setOptionValue("time_limit", seconds)
    solver.passModel(lp)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = solver.getSolution()
    dual = np.zeros(limits) if integer else np.maximum(-np.array(solution.row_dual[:limits]), 0.0)
    taken = np.array(solution.col_value[:columns])
    return LeastExcess(float(solver.getObjectiveValue()), dual, taken, (rows, vector))


def choose_arcs(problem: Problem, patterns: Patterns, optimum: LeastExcess, weight: Floats) -> list[Ints]:
    """Everybody's arcs as the LP has them, whole customers only: of each block, -1 for none.

    Args:
        problem: the problem.
        patterns: of the limits looked at.
        optimum: how many of each pattern take which vector; the rest takes none, or under ``exactly_one`` the vector
            that most take.
        weight: of the other limits, a unit: among arcs of one vector the one whose uses weigh least is taken.
    """
    rows, vector = optimum.columns
    number = np.floor(optimum.numbers + 1e-6).astype(np.int64)
    if problem.exactly_one and len(rows):
        order = np.lexsort((optimum.numbers, rows))
        last = np.append(rows[order][1:] != rows[order][:-1], True)
        number[order[last]] += (patterns.count - np.bincount(rows, number, len(patterns.count)).astype(np.int64))[
            rows[order[last]]
        ]
    upto = np.concatenate(([0], np.cumsum(number)))
    ends = upto[1:] - upto[np.searchsorted(rows, rows)]  # columns ascend by pattern
    of = np.concatenate([np.zeros(0, np.int64), *patterns.of])
    order = np.argsort(of, kind="stable")
    start = np.searchsorted(of[order], np.arange(len(patterns.count)))
    wanted = np.full(len(of), -1, np.int64)  # the vector that each customer takes
    for p, v, end, n in zip(rows.tolist(), vector.tolist(), ends.tolist(), number.tolist(), strict=True):
        wanted[order[start[p] + end - n : start[p] + end]] = v
    charge = problem.kinds.price_float(weight)
    arcs, done = [], 0
    for block in problem.blocks:
        own = wanted[done : done + len(block)]
        done += len(block)
        size = np.diff(block.first).astype(np.int64)
        owner = np.repeat(np.arange(len(block)), size)
        kind = block.kinds_of(owner, np.arange(len(owner)))
        fits = np.flatnonzero(patterns.of_kind[kind] == own[owner])
        fits = fits[np.lexsort((-np.asarray(block.value)[fits], charge[kind[fits]], owner[fits]))]
        first = np.ones(len(fits), bool)
        first[1:] = owner[fits][1:] != owner[fits][:-1]
        arc = np.full(len(block), -1, np.int64)
        arc[owner[fits[first]]] = fits[first]
        arcs.append(arc)
    return arcs
