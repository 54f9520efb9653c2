"""Why there is nothing to say of a customer, or to show one: unknown, closed, a minor, of the control group, ruled out."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from conf.errors import UserError
from runtime.night import Night


def explain_absence(night: Night, customer: int) -> str:
    """Why a night decided nothing for a customer, or offers nothing, in words.

    Raises:
        UserError: there is no such customer.
    """
    eligible = read_row(night, "eligible", customer)
    if eligible is None:
        return explain_unlisted(night, customer)
    assignment = read_row(night, "assignment", customer)
    if assignment and assignment["role"] == "control":
        return f"customer {customer} is of the control group of {night.date:%Y}: nothing is offered"
    funnel = {row["rule"]: row for row in night.lake.arrow("funnel", partition=night.partition).to_pylist()}
    if rule := eligible["reason"]:
        reason = funnel.get(rule, {}).get("reason") or rule
        return f"customer {customer} may be offered nothing on {night.date}: {reason} ({rule})"
    return f"customer {customer} has nothing on offer here now: accepted, sold out, or not worth more than its price"


def read_row(night: Night, table: str, customer: int) -> dict[str, Any] | None:
    """A customer's row of a night's partition of a table that has one each; None where there is none."""
    if not night.lake.exists(table):
        return None
    match = (ds.field("business_date") == pa.scalar(night.date)) & (ds.field("customer_id") == customer)
    rows = night.lake.delta(table).to_pyarrow_dataset().to_table(filter=match).to_pylist()
    return rows[0] if rows else None


def explain_unlisted(night: Night, customer: int) -> str:
    """Why a customer was not among the active ones of a night."""
    profiles = night.lake.delta("customer").to_pyarrow_dataset()
    columns = ["customer_id", "valid_from", "arrived_at", "status"]
    rows = profiles.to_table(columns=columns, filter=ds.field("customer_id") == customer).to_pylist()
    if not rows:
        raise UserError(
            f"there is no customer {customer}",
            where="customer",
            remedy="check the id: it is a customer_id, not a number",
        )
    known = [row for row in rows if row["valid_from"] < night.day_start and row["arrived_at"] < night.cut_off]
    if not known:
        return f"customer {customer} was not known yet on {night.date}"
    last = max(known, key=lambda row: row["valid_from"])
    if last["status"] == "closed":
        return f"customer {customer} is closed since {last['valid_from']:%Y-%m-%d}: nobody's number is decided for"
    return (
        f"customer {customer} was not among the active customers of {night.date} (status: {last['status'] or 'untold'})"
    )
