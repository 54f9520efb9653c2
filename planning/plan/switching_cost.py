"""What it costs to switch: the arc that a customer had last night counts for a little more, so that plans do not churn for pennies.

`solve.switch_cost` (元, 0 by default) is a lever, no money: it is in the values that are decided on (the run's instance,
prices and bound), and in none that is told (``value_micro``, the value of the plan). What a customer may not have tonight is
not favoured; a favoured arc that pruning dropped is taken back where it wins (`planning.plan.column_generation`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import Ints
from models.assignment.roles import EXPLOIT, NAMES
from planning.instance.run_folder import RunFolder
from planning.plan.decision import Decision

STAYS = pa.schema([("customer", pa.int64()), ("product", pa.int16()), ("channel", pa.int16())])


def stays_of(before: pa.Table | None, cost: int) -> pa.Table:
    """The arcs that are favoured tonight: those of last night's exploiters, customers ascending; none where it costs nothing.

    Args:
        before: last night's ``customer_id, product, channel, role``; None where there was none.
        cost: of a switch, micro-yuan.
    """
    if before is None or not cost:
        return STAYS.empty_table()
    had = before.filter(pc.and_(pc.equal(before["role"], NAMES[EXPLOIT]), pc.is_valid(before["product"])))
    columns = [had[name] for name in ("customer_id", "product", "channel")]
    return pa.table(columns, names=STAYS.names).cast(STAYS).sort_by("customer")


def mark_favoured(stays: pa.Table, customer: Ints, product: Ints, channel: Ints) -> np.ndarray:
    """Whether each arc is the one that its customer had, bool [n]."""
    if not stays.num_rows:
        return np.zeros(len(customer), bool)
    own = stays["customer"].to_numpy()
    at = np.minimum(np.searchsorted(own, customer), len(own) - 1)
    same = own[at] == customer
    for name, wanted in (("product", product), ("channel", channel)):
        same &= stays[name].to_numpy()[at] == wanted
    return np.asarray(same)


def with_cost(arcs: pa.Table, stays: pa.Table, cost: int) -> pa.Table:
    """Arcs ``customer, product, channel, value …`` with the favoured ones worth ``cost`` more."""
    if not stays.num_rows:
        return arcs
    customer, product, channel = (arcs[name].to_numpy() for name in ("customer", "product", "channel"))
    value = arcs["value"].to_numpy() + cost * mark_favoured(stays, customer, product, channel)
    return arcs.set_column(arcs.column_names.index("value"), "value", pa.array(value))


def without_cost(decision: Decision, run: RunFolder) -> int:
    """Take the lever out of the values of a decision's rows; what the plan's own value holds of it, micro-yuan.

    Values are then money again.
    """
    cost = run.inputs().switch_cost
    if not cost:
        return 0
    place = np.maximum(decision.given, 0)
    arcs = decision.arcs
    same = mark_favoured(run.table("stays"), decision.customer, arcs.product[place], arcs.channel[place])
    same &= (decision.given >= 0) & decision.known
    decision.value[same] -= cost
    return cost * int((same & (decision.role == EXPLOIT)).sum())
