"""What learning costs tonight: the plan that nobody's exploring or being held out would allow, less what there is.

By weak duality at the plan's own prices p, had everybody exploited on the whole limits, no plan could be worth more than

    L(p) + sum p_m U_m + sum over explorers and controls of max(0, their best reduced value),

U_m what explorers use of the limits. So the price of that and what they could have left are what exploration gives up,
at most; what they drew is worth something too and is taken off. Controls give up theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.assignment.problem import PICO
from models.assignment.roles import CONTROL, EXPLORE, USUAL
from planning.instance.decision_inputs import DecisionInputs
from planning.plan.decision import Decision


def learning(decision: Decision, inputs: DecisionInputs) -> dict[str, Any]:
    """``learning_yuan`` and ``control_yuan`` at most, and how many of the arcs drawn have a known value.

    Of releases up to 0.2 an arc drawn from outside the kept ones has no score: its value counts as 0.
    """
    prices = decision.solution.dual.prices
    left = decision.instance.problem.limits.amount
    apart = sum(int(p) * (amount - int(b)) for p, amount, b in zip(prices, inputs.amounts, left, strict=True)) / PICO
    served = np.flatnonzero((decision.role == USUAL) & (decision.given >= 0))
    usual = decision.arcs.uses[:, decision.arcs.classes[served], decision.given[served]].sum(axis=1)
    apart -= sum(int(p) * int(use) for p, use in zip(prices, usual, strict=True)) / PICO  # of those served as before
    role, drawn = decision.role, (decision.role == EXPLORE) & (decision.given >= 0)
    known = drawn & decision.known
    given_up = int(decision.left[role == EXPLORE].sum()) + apart - int(decision.value[known].sum())
    return {
        "learning_yuan": given_up * 1e-6,
        "control_yuan": int(decision.left[role == CONTROL].sum()) * 1e-6,
        "explored_known": int(np.count_nonzero(known)),
    }
