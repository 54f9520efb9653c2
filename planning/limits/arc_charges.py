"""What limits charge one customer's arcs at a run's final prices, from its frozen inputs: also arcs that pruning dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from models.assignment.problem import PICO
from planning.instance.limits import InstanceLimit, read_limits
from planning.instance.run_folder import RunFolder
from planning.limits.arc_classes import menu_arcs

Pair = tuple[int, int]  # product id, channel id
Charges = dict[Pair, dict[str, int]]


def charges_of(run: RunFolder, customer: int, prices: Mapping[str, int]) -> Charges | None:
    """What each limit charges each arc of a customer, pico-yuan; limits that charge nothing are left out.

    Outbound: price x use; the arc of the night before is charged the cost of a switch less. Inbound: price x use of what
    acceptance takes from stock (times P(accept) in the ranking).

    Args:
        run: the run.
        customer: id.
        prices: ``price_pico`` by limit, signed as in certificates.

    Returns:
        By (product, channel); None where the run's inputs are not kept any more or do not have the customer.
    """
    needed = (run.instance / "limits.yml", run.path / "population.parquet", run.path / "inputs.json")
    if not all(path.exists() for path in needed):
        return None
    row = ds.dataset(needed[1]).to_table(filter=ds.field("customer_id") == customer)
    if not row.num_rows:
        return None
    inputs = run.inputs()
    found = charged(row, inputs, read_limits(needed[0]).limits, prices)
    if inputs.get("switch_cost"):
        for had in pq.read_table(run.path / "stays.parquet", filters=[("customer", "=", customer)]).to_pylist():
            found.setdefault((had["product"], had["channel"]), {})["switch_cost"] = -inputs["switch_cost"] * PICO
    return found


def charged(
    row: pa.Table, inputs: Mapping[str, Any], limits: Sequence[InstanceLimit], prices: Mapping[str, int]
) -> Charges:
    """The charges of the arcs of one row of the population."""
    from planning.instance.limits import InstanceLimits

    arcs = menu_arcs(row, dict(inputs), InstanceLimits(limits=tuple(limits)))
    found: Charges = {}
    pairs = list(zip(arcs.product.tolist(), arcs.channel.tolist(), strict=True))
    for m, limit in enumerate(limits):
        price = prices.get(limit.name, 0) * limit.sign  # uses are in the at-most form
        for place, use in enumerate(arcs.uses[m][0].tolist()):
            if charge := price * use:
                found.setdefault(pairs[place], {})[limit.name] = charge
    inbound = [channel["id"] for channel in inputs["channels"] if channel["direction"] == "inbound"]
    for m, limit in enumerate(limits):
        if not takes_stock(limit) or not prices.get(limit.name, 0):
            continue
        for product in limit.where["product"]:
            uses = arcs.uses[m][0][arcs.product == product]
            for channel in inbound if len(uses) else ():
                found.setdefault((product, channel), {})[limit.name] = prices[limit.name] * int(uses.max())
    return found


def takes_stock(limit: InstanceLimit) -> bool:
    """Whether an accepted inbound offer takes of this limit: a cap on products whatever the channel."""
    return limit.sign > 0 and "product" in limit.where and "channel" not in limit.where
