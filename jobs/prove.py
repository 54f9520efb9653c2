"""Proves tonight's plan by the independent checker before anyone may publish it.

The checker re-derives value, uses and bound from the frozen arcs, limits and integer prices, and counts what all that is
published uses of the whole limits, explorers included; then the table is held against the plan: one row for every active
customer, exploiters' rows equal to what was proved.

Then every eligible arc is scored once more at the final prices, so that the gap is known over all arcs and not only
over those that pruning kept; where those that `assign` did not take back could matter, the plan is refused.

*Reads* assignment, eligible, candidate, customer_features; of earlier nights what scoring read.
*Writes* ops_run, through its figures in the run record: the verdict that the publisher asks for.
*Cost* one streaming pass over the exploiters' arcs, and one over all arcs as costly as scoring.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.errors import UserError
from planning.instance.run_folder import certify_run, open_run
from planning.plan.column_generation import pruning_loss
from planning.plan.full_bound import bound_of_all_arcs
from runtime import run_id as identity
from runtime.figures import ProveFigures
from runtime.night import Night

READS = ("assignment", "eligible", "candidate", "customer_features", "limit_price")
READS_PREVIOUS = ("limit_price", "assignment")
WRITES = ("ops_run",)  # through the run record


def run(night: Night) -> ProveFigures:
    """Check the certificate and the table; raise if either is not so."""
    run_id = identity.run_id(night)
    rows = night.lake.arrow(
        "assignment", partition=night.partition, columns=["run_id", "customer_id", "product", "channel", "role"]
    )
    active = night.lake.arrow("eligible", partition=night.partition, columns=["customer_id"])
    plan = pq.read_table(open_run(night.settings, run_id).plan / "assignment")
    if fault := fault_of(run_id, rows, active, plan):
        raise UserError(
            f"the assignment is not what was proved: {fault}",
            where=f"run {run_id}",
            remedy=f"cpc nightly --date {night.date} --from assign",
        )
    proof = certify_run(night.settings, run_id)
    prices = night.lake.arrow("limit_price", partition=night.partition, columns=["limit", "price_pico"])
    every = bound_of_all_arcs(
        night,
        open_run(night.settings, run_id),
        dict(zip(prices["limit"].to_pylist(), prices["price_pico"].to_pylist(), strict=True)),
    )
    if "bound_all_arcs" in every:
        over_all = every["bound_all_arcs"]
        every["gap_all_arcs"] = (over_all - proof.primal) / max(1, abs(over_all))
        every["pruning_loss"] = pruning_loss(over_all, proof.bound)
        if every["pruning_loss"] > night.settings.solve.gap:
            raise UserError(
                f"pruned arcs may be worth {every['pruning_loss']:.1e} of the plan, more than the gap aimed at "
                f"({night.settings.solve.gap:.0e})",
                where=f"run {run_id}, bound over all arcs {over_all}",
                remedy=f"keep more arcs: cpc nightly --date {night.date} --from score "
                f"--set solve.keep_arcs={2 * night.settings.solve.keep_arcs}",
            )
    return ProveFigures(
        verdict="accepted",
        accepted=True,
        gap=proof.gap,
        bound=proof.bound,
        primal=proof.primal,
        customers=rows.num_rows,
        planned=proof.customers,
        arcs=proof.arcs,
        gap_micro_a_customer=(proof.bound - proof.primal) / max(1, proof.customers),
        sha256=proof.assignment_sha256,
        covers=proof.covers,
        published=proof.published,
        contacts=proof.contacts,
        published_bound=proof.published_bound,
        **every,
    )


def fault_of(run_id: str, rows: pa.Table, active: pa.Table, plan: pa.Table) -> str:
    """What is wrong with the table; empty if it is the proved plan with a row for everybody."""
    if rows.num_rows != active.num_rows:
        return f"{rows.num_rows} rows for {active.num_rows} active customers"
    customers = rows["customer_id"].combine_chunks()
    if pc.count_distinct(customers).as_py() != rows.num_rows:
        return "a customer has two rows"
    if pc.any(pc.is_null(pc.index_in(active["customer_id"], value_set=customers))).as_py():
        return "an active customer has no row"
    if rows.num_rows and pc.unique(rows["run_id"]).to_pylist() != [run_id]:
        return "rows of another run"
    exploiters = rows.filter(pc.and_(pc.equal(rows["role"], "exploit"), pc.is_valid(rows["product"])))
    exploiters = exploiters.sort_by("customer_id")
    proved = plan.filter(pc.is_valid(plan["product"])).sort_by("customer")
    for ours, theirs in (("customer_id", "customer"), ("product", "product"), ("channel", "channel")):
        if exploiters[ours].to_pylist() != proved[theirs].to_pylist():
            return f"exploiters' {ours} differs from the plan's"
    others = rows.filter(pc.equal(rows["role"], "control"))
    if pc.any(pc.is_valid(others["product"])).as_py():
        return "a control customer is contacted"
    return ""
