"""The whole vector of p of a customer: how probable each kept arc, and none, was on a night, rebuilt from its run.

What explorers are offered is a function of the run's frozen inputs (seed, shares, limits, kept arcs) alone, whoever draws;
with what exploiting gave the customer (logged as the greedy arc) it gives the probability of every choice. The one that
was made has the logged ``pscore``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from conf.errors import UserError
from models.arrays import Flags, Floats, Ints
from models.assignment.explore import PARTS, pscore
from models.assignment.roles import CONTROL, NAMES, USUAL
from planning.instance.run_folder import RunFolder
from planning.plan.exploration import Exploration, explore


@dataclass(frozen=True)
class Propensities:
    """The probabilities of a customer's choices.

    Attributes:
        role: the customer's label.
        product, channel: of each kept outbound arc, ascending.
        p: of each.
        supported: whether explorers can draw it at all; an arc that would be drawn less often than 1 in 1,000 is not.
        none: probability of no contact.
    """

    role: str
    product: Ints
    channel: Ints
    p: Floats
    supported: Flags
    none: float

    @property
    def sum(self) -> float:
        """Of all: 1."""
        return float(self.p.sum()) + self.none

    def of(self, product: int | None, channel: int | None) -> float:
        """Of one choice; 0 of an arc that was not kept."""
        if product is None:
            return self.none
        return float(self.p[(self.product == product) & (self.channel == channel)].sum())


def rebuild(run: RunFolder, customer: int, greedy: tuple[int | None, int | None]) -> Propensities:
    """The vector of a customer.

    Args:
        run: the night's frozen inputs.
        customer: the customer.
        greedy: product and channel that exploiting gives at the night's prices; None for none.

    Raises:
        UserError: the customer was not decided on, has no draw, or the run is of a release that kept no such vector.
    """
    inputs = run.inputs()
    if not inputs.labels_first:
        raise UserError(
            "the run is of a release up to 0.2, which drew beyond the kept arcs within quotas",
            where=str(run.path),
            remedy="its `pscore` is that of the choice alone; runs from 0.3 on tell the whole vector",
        )
    population = run.table("population")
    place = pc.index(population["customer_id"], customer).as_py()
    if place < 0:
        raise UserError(
            f"run {inputs.run_id} has not decided on customer {customer}",
            where=str(run.path),
            remedy="`cpc explain CUSTOMER` says why",
        )
    role = int(population["role"][place].as_py())
    if role in (CONTROL, USUAL):
        raise UserError(
            f"customer {customer} is {NAMES[role]}: the label decides, nothing is drawn",
            where=f"run {inputs.run_id}",
            remedy="`pscore` is null for control and usual; ask of an explorer or an exploiter",
        )
    drawn = explore(population, run.read_kept(), run.whole_limits(), inputs, run.read_ranked())
    return _vector(drawn, place, NAMES[role], inputs.explore, greedy)


def _vector(
    drawn: Exploration, place: int, role: str, epsilon: float, greedy: tuple[int | None, int | None]
) -> Propensities:
    """Probabilities of a customer's arcs, by the formula that gives the logged one."""
    offered, arcs = drawn.offered, drawn.arcs
    own = slice(int(offered.first[place]), int(offered.first[place + 1]))
    here, parts = offered.place[own], offered.parts[own]
    product, channel = arcs.product[here], arcs.channel[here]
    best = np.zeros(len(here), bool) if greedy[0] is None else (product == greedy[0]) & (channel == greedy[1])
    order = np.lexsort((channel, product))
    nothing = np.array([PARTS - int(parts.sum())], np.int64)
    none = pscore(epsilon, np.array([greedy[0] is None]), nothing)
    return Propensities(
        role, product[order], channel[order], pscore(epsilon, best, parts)[order], parts[order] > 0, float(none[0])
    )
