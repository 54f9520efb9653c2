"""All plans of a small instance, one customer after another: what no LP can prove, because only whole customers count.

After each customer what matters of a choice are the uses so far; choices of equal uses are one *state*, of which the
most valuable is kept. States that no choice of the others can bring within the limits are dropped, and a use that can
no longer exceed its limit is forgotten. All in integers. docs/developer/assignment.md, "Conflicts".
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Ints
from models.assignment.problem import LARGEST, Problem

#: States of one customer, and in all, that are looked at.
MOST_AT_ONCE, MOST_STATES = 1 << 20, 1 << 22
#: Seconds that a state takes, with room: what is asked before a clock runs out.
COST = 1e-6


@dataclass(frozen=True)
class AllPlans:
    """What looking at all plans found.

    Attributes:
        complete: whether all were looked at.
        arcs: of each block the arcs of the best plan; None where there is none, or not all were looked at.
    """

    complete: bool
    arcs: list[Ints] | None


def search_all(problem: Problem, limits: Sequence[int] | None = None, end: float = np.inf) -> AllPlans:
    """Look at all plans.

    Args:
        problem: the problem.
        limits: places of those that count; all by default.
        end: ``time.perf_counter()`` at which to give up.
    """
    places = list(range(len(problem.limits))) if limits is None else list(limits)
    options = _options(problem, places)
    if not all(len(arcs) for _, _, arcs in options):
        return AllPlans(True, None)  # everybody must take an arc, and somebody has none
    amount = np.array([int(problem.limits.amount[m]) for m in places], object)
    lowest = [uses.min(axis=0).astype(object) for uses, _, _ in options]
    highest = [uses.max(axis=0).astype(object) for uses, _, _ in options]
    size = sum(
        (np.maximum(abs(a), abs(b)) for a, b in zip(lowest, highest, strict=True)), np.zeros(len(places), object)
    )
    if any(int(s) + abs(int(b)) >= LARGEST for s, b in zip(size, amount, strict=True)):
        return AllPlans(False, None)
    order = sorted(range(len(options)), key=lambda i: (-_spread(lowest[i], highest[i], size), i))
    rest_low, rest_high = _suffix(lowest, order), _suffix(highest, order)
    room = amount.astype(np.int64)
    states, value = np.zeros((1, len(places)), np.int64), np.zeros(1, np.int64)
    if (rest_low[0] > room).any():
        return AllPlans(True, None)
    steps: list[tuple[Ints, Ints]] = []
    total = 0
    for number, customer in enumerate(order):
        uses, worth, _ = options[customer]
        more = len(states) * len(uses)
        total += more
        if more > MOST_AT_ONCE or total > MOST_STATES or time.perf_counter() + more * COST * (2 + len(places)) > end:
            return AllPlans(False, None)
        parent = np.repeat(np.arange(len(states)), len(uses))
        option = np.tile(np.arange(len(uses)), len(states))
        states, value = states[parent] + uses[option], value[parent] + worth[option]
        low, high = rest_low[number + 1], rest_high[number + 1]
        keeps = (states + low <= room).all(axis=1)
        states, value, parent, option = states[keeps], value[keeps], parent[keeps], option[keeps]
        states = np.maximum(states, room - high)  # from there down nothing can exceed the limit any more
        rows = np.lexsort((option, parent, -value, *states.T))
        first = np.ones(len(rows), bool)
        first[1:] = (states[rows][1:] != states[rows][:-1]).any(axis=1)
        best = rows[first]
        states, value = states[best], value[best]
        steps.append((parent[best], option[best]))
        if not len(states):
            return AllPlans(True, None)
    return AllPlans(True, _trace(problem, options, order, steps, int(np.argmax(value))))


def _options(problem: Problem, places: list[int]) -> list[tuple[Ints, Ints, Ints]]:
    """Of each customer: the uses, the value and the place in its block of each choice (-1: none)."""
    every = problem.kinds.tabulate_uses(len(problem.limits))[:, places]
    none = [] if problem.exactly_one else [-1]
    choices = []
    for block in problem.blocks:
        for i in range(len(block)):
            arcs = np.arange(int(block.first[i]), int(block.first[i + 1]))
            uses = every[block.kinds_of(np.full(len(arcs), i), arcs)]
            uses = np.concatenate((uses, np.zeros((len(none), len(places)), np.int64)))
            worth = np.append(np.asarray(block.value)[arcs].astype(np.int64), np.zeros(len(none), np.int64))
            choices.append((uses, worth, np.append(arcs, none).astype(np.int64)))
    return choices


def _spread(low: Ints, high: Ints, size: Ints) -> float:
    """How much a customer can change, over what all can."""
    return sum(float(b - a) / max(1.0, float(s)) for a, b, s in zip(low, high, size, strict=True))


def _suffix(each: list[Ints], order: list[int]) -> Ints:
    """Sums over the customers that are still to come, int64 [customers + 1, limits]."""
    width = len(each[0]) if each else 0
    rows = [np.zeros(width, object)]
    for customer in reversed(order):
        rows.append(rows[-1] + each[customer])
    return np.array(rows[::-1], object).reshape(len(rows), width).astype(np.int64)


def _trace(
    problem: Problem,
    options: list[tuple[Ints, Ints, Ints]],
    order: list[int],
    steps: list[tuple[Ints, Ints]],
    state: int,
) -> list[Ints]:
    """The plan that leads to a state."""
    arcs = np.full(len(order), -1, np.int64)
    for customer, (parent, option) in zip(reversed(order), reversed(steps), strict=True):
        arcs[customer] = int(options[customer][2][int(option[state])])
        state = int(parent[state])
    ends = np.cumsum([0] + [len(block) for block in problem.blocks])
    return [arcs[a:b] for a, b in itertools.pairwise(ends)]
