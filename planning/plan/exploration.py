"""What explorers are given tonight, before anything is solved, and the propensity of every row.

Explorers draw over the arcs that pruning kept and none. What they use is taken off every limit, share and floor in whole
units, and all others are solved on what is left. Draws are thinned so that explorers use of a limit about what they are
of the customers, or as little as lets an arc be learnt from; should chance exceed a whole limit all the same, the last draws
by hash are withdrawn, and no propensity is told of them.
docs/developer/assignment.md, "Roles, exploration, pscore".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.arrays import Floats, Ints
from models.assignment.explore import DEVIATIONS, PARTS, Offered, offer_evenly, pscore, thin, thin_to_limit
from models.assignment.roles import CONTROL, EXPLORE, USUAL, key
from models.bit_sets import read_sets
from models.hashing import draw_keys, hashes
from planning.instance.decision_inputs import DecisionInputs
from planning.limits.arc_classes import Arcs, eligible_arcs
from planning.limits.evaluator import Evaluator
from planning.limits.in_force import LimitsInForce
from planning.plan.usual import serve, take_share

_BATCH = 1 << 16


@dataclass(frozen=True)
class Exploration:
    """The draws of a night.

    Attributes:
        arcs: outbound arcs and classes of customers, with what the limits take of them.
        offered: what explorers draw from, of everybody; nothing of who cannot be one.
        given: arc that each explorer, and each customer served as before, is given (place in ``arcs``; -1 none), int64 [n].
        withdrawn: whose draw a limit could not carry, bool [n].
    """

    arcs: Arcs
    offered: Offered
    given: Ints
    withdrawn: NDArray[np.bool_]

    def sum_uses(self) -> Ints:
        """What explorers and those served as before use of each limit, in the at-most form, int64 [limits]."""
        some = np.flatnonzero(self.given >= 0)
        return self.arcs.uses[:, self.arcs.classes[some], self.given[some]].sum(axis=1)

    def pscore(self, epsilon: float, greedy: Ints, given: Ints, role: NDArray[np.int8]) -> Floats:
        """Probability of what each customer was given; NaN where it is not one of a draw.

        Args:
            epsilon: share who explore.
            greedy: what exploiting gives each customer at the night's prices, -1 none.
            given: what each was given, -1 none.
            role: labels.
        """
        chance = pscore(epsilon, given == greedy, self.offered.parts_of(given))
        return np.where((role == CONTROL) | (role == USUAL) | self.withdrawn, np.nan, chance)

    def support(self, population: pa.Table) -> dict[int, dict[str, int]]:
        """By channel id, arcs of those who might explore: how many passed the rules, were kept, and can be drawn tonight."""
        arcs, offered = self.arcs, self.offered
        role = population["role"].to_numpy()
        able = (role != CONTROL) & (role != USUAL)
        masks = read_sets(population, "masks")
        passed = np.zeros(len(arcs.product), np.int64)
        for low in range(0, len(role), _BATCH):
            part = slice(low, low + _BATCH)
            passed += eligible_arcs(masks[part][able[part]], arcs).sum(axis=0)
        candidates = np.bincount(offered.place[able[offered.row]], minlength=len(passed))
        drawn = np.bincount(offered.place[offered.parts > 0], minlength=len(passed))
        return {
            channel: {
                name: int(count[arcs.channel == channel].sum())
                for name, count in (("eligible", passed), ("kept", candidates), ("supported", drawn))
            }
            for channel in dict.fromkeys(arcs.channel.tolist())
        }


def explore(
    population: pa.Table,
    candidates: pa.Table,
    limits: LimitsInForce,
    inputs: DecisionInputs,
    ranked: pa.Table | None = None,
) -> Exploration:
    """Serve those who are served as before, and draw for the explorers of a night.

    Args:
        population: every active customer, ascending, with label and the columns that limits look at.
        candidates: outbound arcs that pruning kept, of every label: ``customer, product, channel``, in any order.
        limits: with their whole amounts.
        inputs: the frozen inputs.
        ranked: arcs of customers labelled usual, in the order of the operator's rule.
    """
    arcs = Evaluator(inputs.arcs, limits.limits).arcs(population)
    role = population["role"].to_numpy()
    row = np.searchsorted(population["customer_id"].to_numpy(), candidates["customer"].to_numpy())
    place = arcs.of(*(candidates[name].to_numpy().astype(np.int64) for name in ("product", "channel")))
    order = np.lexsort((place, row))
    even = offer_evenly(row[order], place[order], (role != CONTROL) & (role != USUAL))
    offered = _thin(even, arcs, inputs)
    keys = draw_keys(population)
    drew = np.where(role == EXPLORE, offered.draw(hashes(keys, key(inputs.seed, "draw", inputs.date))), -1)
    withdrawn = _exceeding(drew, arcs, hashes(keys, key(inputs.seed, "withdraw", inputs.date)), inputs)
    if not inputs.draws:
        withdrawn = role == EXPLORE
    given = np.where(withdrawn, -1, drew)
    if ranked is not None and inputs.draws:
        given = np.where(role == USUAL, serve(arcs, population, ranked, inputs), given)
    return Exploration(arcs, offered, given, withdrawn)


def _thin(even: Offered, arcs: Arcs, inputs: DecisionInputs) -> Offered:
    """What is offered, thinned to what limits carry of it."""
    drawn = np.zeros(arcs.uses.shape[1:], np.int64)
    of_class = arcs.classes[even.row]
    np.add.at(drawn, (of_class, even.place), even.parts)
    expected = (drawn * (inputs.explore / PARTS)).astype(np.float64)
    fair: Floats = np.ones(expected.shape)
    most: Floats = np.ones(expected.shape)
    for m in np.flatnonzero(np.array(inputs.capped, bool)):
        use = np.maximum(arcs.uses[m], 0).astype(np.float64)
        amount = float(_amount_of(int(m), inputs))
        fair = np.minimum(fair, thin_to_limit(use, expected, inputs.explore * amount, 0.0))
        most = np.minimum(most, thin_to_limit(use, expected, amount, DEVIATIONS))
    parts = thin(even.parts, fair[of_class, even.place], most[of_class, even.place], inputs.explore)
    return replace(even, parts=parts)


def _exceeding(drew: Ints, arcs: Arcs, order: NDArray[np.uint64], inputs: DecisionInputs) -> NDArray[np.bool_]:
    """Whose draws exceed a limit, the last by hash: so many that what is left of them keeps every cap."""
    left, out = drew.copy(), np.zeros(len(drew), bool)
    for m in np.flatnonzero(np.array(inputs.capped, bool)):
        who = np.flatnonzero(left >= 0)
        who = who[np.argsort(order[who], kind="stable")]
        use = arcs.uses[m][arcs.classes[who], left[who]]
        beyond = who[(np.cumsum(use) > _amount_of(int(m), inputs)) & (use > 0)]
        left[beyond], out[beyond] = -1, True
    return out


def _amount_of(limit: int, inputs: DecisionInputs) -> int:
    """What a cap leaves to explorers: all but the share of those served as before, whether they use it or not."""
    amount = inputs.amounts[limit]
    return amount - take_share(amount, inputs.usual) if inputs.usual else amount


def take_off(limits: LimitsInForce, used: Ints) -> LimitsInForce:
    """The limits less what is used of them already: what is left for those who are solved.

    A floor on a number of contacts that is met already asks for none: its amount stays at 0.

    Args:
        limits: with their whole amounts.
        used: of each, in the at-most form.
    """
    rows = []
    for limit, use in zip(limits.limits, used.tolist(), strict=True):
        left = limit.amount - use * limit.sign
        rows.append(limit.with_amount(max(0, left) if limit.counts == 1 else left))
    return LimitsInForce(choose=limits.choose, limits=tuple(rows))
