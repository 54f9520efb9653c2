"""What one customer's arcs are charged at a run's final prices, from its frozen inputs: also arcs that pruning dropped."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from models.assignment.problem import PICO
from planning.instance.run_folder import RunFolder
from planning.limits.evaluator import Charges, Evaluator


def charge_customer(run: RunFolder, customer: int, prices: Mapping[str, int]) -> Charges | None:
    """What each limit charges each arc of a customer, pico-yuan; limits that charge nothing are left out.

    The arc of the night before is charged the cost of a switch less.

    Args:
        run: the run.
        customer: id.
        prices: ``price_pico`` by limit, signed as in certificates.

    Returns:
        By (product, channel); None where the run's inputs are not kept any more or do not have the customer.
    """
    population = run.path / "population.parquet"
    needed = (run.instance / "limits.yml", population, run.path / "inputs.json")
    if not all(path.exists() for path in needed):
        return None
    row = ds.dataset(population).to_table(filter=ds.field("customer_id") == customer)
    if not row.num_rows:
        return None
    inputs = run.inputs()
    charges = Evaluator(inputs.arcs, run.limits().limits).charges(row, prices)
    if inputs.switch_cost:
        for had in pq.read_table(run.path / "stays.parquet", filters=[("customer", "=", customer)]).to_pylist():
            charges.setdefault((had["product"], had["channel"]), {})["switch_cost"] = -inputs.switch_cost * PICO
    return charges
