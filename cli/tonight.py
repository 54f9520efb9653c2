"""What changed rules and limits would do: counted over the last snapshot and the last plan, before a night decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow.compute as pc

from cli.output import console, print_table
from runtime.night import Night


def would_change(night: Night) -> dict[str, Any]:
    """What the rules and limits of now change against the last night that was decided here; empty if there was none.

    The honest comparison is with what that night wrote: its own bits of each customer and rule (`eligible`), its own
    funnel and plan. The rules of now are counted over the same snapshot and the same events, as that night could see
    them, so that what differs is what people changed.
    """
    from jobs import assign, eligibility

    decided = night.lake.arrow("funnel", columns=["business_date"])
    date = pc.max(decided["business_date"]).as_py()
    if date is None or not night.lake.files("customer_features", {"business_date": date}):
        return {}
    last = replace(night, date=date)
    rules = eligibility.recount(last)
    priced = night.lake.arrow("limit_price", partition=last.partition, columns=["limit"]).num_rows
    return {"night": date, **rules, "limits": assign.recount(last) if priced else []}


def show(changes: dict[str, Any]) -> None:
    """Print it."""
    if not changes:
        console.print("no night was decided here yet: nothing to compare with")
        return
    if not changes["rules"] and not changes["limits"]:
        console.print(f"rules and limits do what they did in the night of {changes['night']}")
        return
    if changes["rules"]:
        columns = ("rule", "customers then", "customers now", "arcs then", "arcs now")
        rows = [list(row.values()) for row in changes["rules"]]
        print_table(f"rules that remove something else than in the night of {changes['night']}", columns, rows)
        then, now = changes["then"], changes["now"]
        words = {"arcs": "arcs left", "customers": "customers with one", "outbound_arcs": "outbound arcs left"}
        words |= {"outbound_customers": "customers with an outbound one"}
        print_table("left by all rules", ("what", "then", "now"), [(words[key], then[key], now[key]) for key in words])
    if changes["limits"]:
        heads = ("limit", "amount then", "used then", "amount now", "used now", "beyond", "contacts")
        title = f"limits that differ, against the plan of the night of {changes['night']}"
        print_table(title, heads, [list(row.values()) for row in changes["limits"]])
