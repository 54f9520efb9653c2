"""How sure the predicted value is: the late calibration refitted on resampled days, and the plan priced anew.

Answers of one day go together (a holiday, an outage), so days are drawn again with replacement, not contacts. On each
draw the level of the log-odds is refitted as the late calibration is (posterior mode of a shift under its prior), and the
same plan is priced at it: what a contact brings goes with its odds, what it costs stays. The ends are the 2.5th and 97.5th
percentile (Efron 1979). The model beside its level, and which plan is chosen, are taken as they are.
*Cost*: one small equation a draw; nothing is read but the model's own facts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

from conf.money import MICRO
from models.affinity.bundle import FACTS
from models.affinity.calibrate import SHIFT
from models.affinity.training import LATE_DAYS
from models.arrays import Floats
from planning.plan.decision import Decision
from runtime.figures import ScoreFigures
from runtime.night import Night
from runtime.run_record import night_record

DRAWS = 1000
#: Late days below which a resample of days says nothing.
FEWEST = 5
Days = Sequence[tuple[float, float]]


def find_interval(night: Night, decision: Decision) -> tuple[float, float] | None:
    """Ends of the 95 % interval of the plan's value, 元; None where the model does not keep enough late days.

    Args:
        night: tonight, scored.
        decision: with known values filled in, at mean money.
    """
    days = read_days(night)
    if len(days) < FEWEST:
        return None
    paid = decision.known & (decision.given >= 0)
    costs = {channel.id: channel.cost_micro for channel in night.catalogue.channels}
    channel = decision.arcs.channel[decision.given[paid]]
    cost = float(sum(costs[c] * int(n) for c, n in zip(*np.unique(channel, return_counts=True), strict=True)))
    return price_levels(float(decision.value[paid].sum()), cost, draw_levels(days, night.settings.seed))


def read_days(night: Night) -> list[tuple[float, float]]:
    """Observed and predicted orders of each late day of the model that scored tonight; none of older models."""
    sha256 = night_record(night, night.date).read(ScoreFigures).model_sha256
    path = night.settings.home / "models" / f"kept-{sha256}" / FACTS
    if sha256 is None or not path.exists():
        return []
    facts = json.loads(path.read_text(encoding="utf-8"))["facts"]
    return [(float(observed), float(predicted)) for observed, predicted in facts.get(LATE_DAYS, [])]


def draw_levels(days: Days, seed: int, draws: int = DRAWS) -> Floats:
    """Factors on the odds of an order that refits on resampled days give, [draws].

    Args:
        days: observed and predicted orders a day.
        seed: of the draws.
        draws: how many.
    """
    observed, predicted = np.array(days, np.float64).T
    chosen = np.random.default_rng(seed).integers(0, len(days), (draws, len(days)))
    sums = zip(observed[chosen].sum(axis=1).tolist(), predicted[chosen].sum(axis=1).tolist(), strict=True)
    return np.array([np.exp(fit_level(orders, expected)) for orders, expected in sums])


def fit_level(observed: float, predicted: float) -> float:
    """Posterior mode of a shift of the log-odds, small rates: observed = e^shift x predicted, pulled towards none."""

    def gradient(shift: float) -> float:
        return observed - predicted * float(np.exp(shift)) - shift / SHIFT**2

    furthest = SHIFT**2 * max(observed, predicted) + 1e-9
    return float(brentq(gradient, -furthest, min(furthest, 50.0), xtol=1e-12))


def price_levels(value: float, cost: float, levels: Floats) -> tuple[float, float]:
    """Ends of the value of a plan over levels, 元.

    Args:
        value: of the plan, micro-元.
        cost: of its attempts, micro-元.
        levels: factors on the odds of an order.
    """
    values = (value + cost) * levels - cost
    low, high = np.quantile(values, (0.025, 0.975)) / MICRO
    return round(float(low), 6), round(float(high), 6)
