"""Newton steps on the dual: curvature from the margin kernel, signs by a box QP, a trust region for safety.

Minimise L(p) over p >= 0, L convex and piecewise linear with so many pieces that, at the width of a step, it is
smooth. docs/developer/assignment.md, "Newton".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints
from models.assignment.curvature import step_within
from models.assignment.dual_evaluation import Dual, Engine, evaluate
from models.assignment.problem import Problem

PICO_YUAN = 1e-12


@dataclass(frozen=True)
class Descent:
    """Where Newton got to.

    Attributes:
        best: the lowest bound seen, with its prices.
        passes: passes made.
        history: the bound after each pass, micro-yuan.
    """

    best: Dual
    passes: int
    history: tuple[int, ...]


@dataclass(frozen=True)
class StoppingRule:
    """When to stop.

    Attributes:
        passes: at most so many.
        gain: stop when the model promises less than this share of the bound.
        width: the first kernel width, pico-yuan; it shrinks with the steps, down to ``least``.
        least: the last kernel width, pico-yuan.
        radius: of the first trust region, scaled prices, yuan.
        once: stop at the first such promise, though a narrower kernel might promise more.
        until: asked before each pass; True stops.
    """

    passes: int
    gain: float
    width: float
    least: float
    radius: float
    once: bool = False
    until: Callable[[Dual], bool] = lambda dual: False


def shift_of(width: float) -> int:
    """The kernel shift whose width 2^(shift + 8) is nearest to ``width`` pico-yuan."""
    return int(min(max(round(np.log2(max(width, 1.0))) - 8, 0), 48))


def descend(problem: Problem, engine: Engine, prices: Ints, aim: StoppingRule) -> Descent:
    """Newton from ``prices`` until nothing is gained or ``aim`` is met.

    A step is taken where it lowers the exact bound; otherwise the trust region shrinks and the step is made again
    from the best prices with the curvature known there.
    """
    scale = problem.scale
    amount = problem.limits.amount
    box = (problem.apart.low, problem.apart.high) if problem.apart else (np.zeros(len(amount), np.int64), None)
    width = aim.width
    here = evaluate(problem, engine, prices, shift_of(width))
    history = [here.bound]
    radius = aim.radius
    passes, idle = 1, 0
    while passes < aim.passes and not aim.until(here):
        step, promise = newton_step(here, amount, scale, radius, *box)
        if promise <= aim.gain * max(1.0, abs(here.bound) * 1e-6):
            if width <= aim.least or aim.once:
                break
            width = max(aim.least, width / 4)
            here = evaluate(problem, engine, here.prices, shift_of(width))
            passes += 1
            continue
        moved = problem.round_prices(here.prices + step / (scale * PICO_YUAN))
        if not problem.fits(moved) or np.array_equal(moved, here.prices):
            break
        reach = float(np.abs(step).max()) / PICO_YUAN
        narrower = max(aim.least, min(width, 2.0 * reach))
        there = evaluate(problem, engine, moved, shift_of(narrower))
        passes += 1
        history.append(there.bound)
        gained = (here.bound - there.bound) * 1e-6
        if gained > 0:
            radius = radius * 2.0 if gained > 0.7 * promise else radius if gained > 0.25 * promise else radius / 2.0
            here, width, idle = there, narrower, 0
        else:
            radius = min(radius, float(np.abs(step).max())) / 4.0
            idle += 1
            if idle > 6 or radius / PICO_YUAN < 1.0:
                break
    return Descent(here, passes, tuple(history))


def newton_step(
    here: Dual, amount: Ints, scale: Floats, radius: float, least: Ints, most: Ints | None
) -> tuple[Floats, float]:
    """The step in scaled prices (yuan) and the fall of the bound (yuan) that the quadratic model promises.

    Prices stay between ``least`` and ``most`` (pico-yuan) and move by at most ``radius`` scaled yuan.
    """
    slope = np.array([float(int(b) - u) for b, u in zip(amount, here.used, strict=True)]) / scale
    money = scale * PICO_YUAN
    low = np.maximum((least - here.prices) * money, -radius)
    high = np.full(len(low), radius) if most is None else np.minimum((most - here.prices) * money, radius)
    return step_within(here.curvature, slope, low, high)
