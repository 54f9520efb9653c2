"""The gate: may a challenger replace the champion? Paired on the same customer-nights, by what the log can support.

Both models decide every night of the log: the eligible arc of highest value, or none where no value is above 0. On
rounds where they agree nothing can be learnt and nothing is lost. Where they disagree each gets self-normalised
inverse-propensity credit for the logged choices that match its own. The difference is challenger − champion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Ints


@dataclass(frozen=True)
class Rounds:
    """Customer-nights of a log, with what each model would have done; arcs are positions, −1 is none."""

    customer: Ints
    logged: Ints
    pscore: Floats
    reward: Floats  # 元: net margin over the horizon, less the cost of the attempt
    champion: Ints
    challenger: Ints
    slices: dict[str, NDArray[Any]]  # name of a slicing → value of each round


@dataclass(frozen=True)
class PromotionBounds:
    """What must hold."""

    delta: float = 0.0  # 元 a customer-night that a challenger may lose at most
    ess: float = 1000.0
    unsupported: float = 0.01
    slope: tuple[float, float] = (0.8, 1.25)
    ratio: float = 0.10
    slice_delta: float = 0.25  # 元 a customer-night in any slice of enough support


@dataclass(frozen=True)
class Check:
    """A figure, what it must be, and whether it is."""

    check: str
    figure: float
    bound: str
    passed: bool


def difference(
    rounds: Rounds, mask: NDArray[np.bool_] | None = None, *, repeats: int = 400, seed: int = 0
) -> tuple[float, float]:
    """Challenger − champion, 元 a customer-night, and its one-sided 95 % lower bound (bootstrap by customer)."""
    mask = np.ones(len(rounds.logged), bool) if mask is None else mask
    differ = mask & (rounds.champion != rounds.challenger)
    if not differ.any():
        return 0.0, 0.0
    weight = 1 / rounds.pscore
    columns = []
    for choice in (rounds.challenger, rounds.champion):
        w = np.where(differ & (rounds.logged == choice), weight, 0.0)
        columns += [w, w * rounds.reward]
    table = np.column_stack([*columns, mask.astype(np.float64), differ.astype(np.float64)])
    _, where = np.unique(rounds.customer, return_inverse=True)
    by_customer = np.column_stack([np.bincount(where, table[:, k]) for k in range(table.shape[1])])
    rng = np.random.default_rng(seed)
    clusters = len(by_customer)
    drawn = np.array(
        [
            _pair_rounds(
                np.bincount(rng.integers(0, clusters, clusters), minlength=clusters).astype(np.float64) @ by_customer
            )
            for _ in range(repeats)
        ]
    )
    return _pair_rounds(by_customer.sum(axis=0)), float(np.quantile(drawn, 0.05))


def _pair_rounds(totals: Floats) -> float:
    w1, r1, w0, r0, rounds, differ = totals
    mean = (r1 / w1 if w1 else 0.0) - (r0 / w0 if w0 else 0.0)
    return float(mean * differ / rounds) if rounds else 0.0


def effective(rounds: Rounds) -> float:
    """Effective sample size of matches on rounds where the models disagree: the smaller of the two."""
    differ = rounds.champion != rounds.challenger
    sizes = []
    for choice in (rounds.challenger, rounds.champion):
        w = (1 / rounds.pscore)[differ & (rounds.logged == choice)]
        sizes.append(float(w.sum() ** 2 / (w**2).sum()) if len(w) else 0.0)
    return min(sizes)


def measure_unsupported(rounds: Rounds) -> float:
    """Share of disagreeing rounds where the challenger's arc was never logged on any night."""
    differ = rounds.champion != rounds.challenger
    if not differ.any():
        return 0.0
    return float((~np.isin(rounds.challenger[differ], np.unique(rounds.logged))).mean())


def judge(rounds: Rounds, calibration: dict[str, float], bounds: PromotionBounds) -> list[Check]:
    """All checks.

    Args:
        rounds: the paired log.
        calibration: ``ratio`` and ``slope`` of the challenger out of time.
        bounds: what must hold.
    """
    same = bool((rounds.champion == rounds.challenger).all())
    value, low = difference(rounds)
    ess, lost = effective(rounds), measure_unsupported(rounds)
    checks = [
        Check("difference, yuan a customer-night", value, "reported", True),
        Check("its one-sided 95 % lower bound", low, f"≥ {-bounds.delta:g}", low >= -bounds.delta),
        Check("effective sample where they disagree", ess, f"≥ {bounds.ess:g}", same or ess >= bounds.ess),
        Check("unsupported mass", lost, f"≤ {bounds.unsupported:g}", lost <= bounds.unsupported),
    ]
    ratio, slope = calibration.get("ratio", np.nan), calibration.get("slope", np.nan)
    checks.append(Check("Σ predicted / Σ observed", ratio, f"1 ± {bounds.ratio:g}", abs(ratio - 1) <= bounds.ratio))
    checks.append(
        Check(
            "calibration slope",
            slope,
            f"{bounds.slope[0]:g} … {bounds.slope[1]:g}",
            bounds.slope[0] <= slope <= bounds.slope[1],
        )
    )
    for name, values in sorted(rounds.slices.items()):
        for label in sorted({str(value) for value in values}):
            in_slice = values.astype(str) == label
            if in_slice.sum() < 500:
                continue
            _, worst = difference(rounds, in_slice, repeats=200)
            checks.append(
                Check(f"{name} {label}: lower bound", worst, f"≥ {-bounds.slice_delta:g}", worst >= -bounds.slice_delta)
            )
    return checks
