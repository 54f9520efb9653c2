"""Takes back what pruning dropped and tonight's prices want: solve, price all arcs, add the winners, solve again.

Pruning judges arcs at last night's prices; tonight's may be others. After the solve one pass prices every eligible arc
at the final prices. While the bound over all arcs is above the bound over the kept ones by more than the gap aimed at,
each customer's dropped arcs that beat its best kept one join the frozen problem, of every role alike (what explorers
could have been given must not depend on who explores), and it is solved again: columns priced out as in Dantzig and
Wolfe (1960), "Decomposition principle for linear programs". What is left after the last round is what `prove` judges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planning.instance.run_folder import RunFolder, take_back
from planning.plan.decide import decide
from planning.plan.decision import Decision
from planning.plan.full_bound import bound_at, evaluate_all_arcs
from runtime.night import Night

#: Passes over all arcs at most.
ROUNDS = 3


def generate_columns(
    night: Night, run: RunFolder, columns: Callable[[Any, Any], Any]
) -> tuple[Decision, dict[str, Any]]:
    """The decision once no dropped arc matters (or rounds are over), and figures on what was taken back.

    Args:
        night: tonight.
        run: the run's inputs; arcs are added to them.
        columns: adds the columns that limits look at to arcs ``customer, product, channel, value``, given the population.
    """
    decision = decide(run)
    figures: dict[str, Any] = {"taken_back": 0, "pruning_passes": 0}
    for number in range(1, ROUNDS + 1):
        dual = decision.solution.dual
        limits = decision.instance.limits.limits
        prices = {x.name: int(p) * x.sign for x, p in zip(limits, dual.prices, strict=True)}
        seen = evaluate_all_arcs(night, run, prices)
        if isinstance(seen, str):
            return decision, figures | {"pruning": f"not verified: {seen}"}
        loss = pruning_loss(bound_at(run, prices, seen), dual.bound)
        figures |= {"pruning_passes": number, "pruning_loss": loss}
        if loss <= run.inputs().gap or not seen.winners.num_rows or number == ROUNDS:
            break
        figures["taken_back"] += seen.winners.num_rows
        take_back(run, columns(seen.winners, run.table("population")))
        decision = decide(run)
    return decision, figures


def pruning_loss(over_all: int, over_kept: int) -> float:
    """By how much the bound over all arcs is above that over the kept ones, relative."""
    return (over_all - over_kept) / max(1, abs(over_all))
