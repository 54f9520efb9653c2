"""How much of a limit there is tonight: agent seconds from the shift calendar, other amounts as written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.offer import Limit, ShiftAmount
from planning.limits.agent_demand import Demand
from runtime.night import Night


def amount_of(limit: Limit, customers: int, calendar: pa.Table, date: dt.date, work: Demand) -> tuple[int, str]:
    """The whole amount of a limit tonight, in its unit, and a note where it is not what the calendar says.

    Args:
        limit: as declared.
        customers: active ones.
        calendar: of shifts.
        date: decision date.
        work: what agents who answer have to do anyway.
    """
    if isinstance(limit.amount, ShiftAmount):
        return plan_agent_seconds(limit, limit.amount, customers, calendar, date, work)
    return limit.scale_amount(limit.amount, customers), ""


def shifts(night: Night) -> pa.Table:
    """The shift calendar as the night may see it."""
    table = night.lake.arrow("shift")
    return table.filter(pc.less(table["arrived_at"], pa.scalar(night.cut_off, pa.timestamp("us", tz="UTC"))))


def plan_agent_seconds(
    limit: Limit, amount: ShiftAmount, customers: int, shifts: pa.Table, date: dt.date, work: Demand
) -> tuple[int, str]:
    """Agent seconds of a limit from the calendar: planned, less expected calls, times what is spare, less commitments."""
    minutes, note = agent_minutes(shifts, amount, date + dt.timedelta(days=amount.lag))
    left = limit.scale_amount(amount.seconds(minutes), customers) - work.inbound(amount)
    spare = int(max(0, left) * amount.spare)
    committed = work.committed.get(limit.name, 0)
    if committed > spare:
        note = f"{note}; ".lstrip("; ") + f"earlier waves will take {committed} s of {spare} s: nothing is left"
    return max(0, spare - committed), note


def agent_minutes(shifts: pa.Table, amount: ShiftAmount, date: dt.date) -> tuple[int, str]:
    """Σ agents x (paid - meal - training minutes) of a service at a centre on a date, over the shifts that count.

    Where the calendar has no such day yet, the same weekday of the latest earlier week that it has counts.
    """
    roster = shifts.filter(
        pc.and_(pc.equal(shifts["service"], amount.service), pc.equal(shifts["centre"], amount.centre))
    )
    if amount.shifts:
        roster = roster.filter(pc.is_in(roster["shift"], value_set=pa.array(amount.shifts, pa.string())))
    days = sorted({d for d in roster["date"].to_pylist() if d <= date and (date - d).days % 7 == 0}, reverse=True)
    if not days:
        return 0, f"no shift of {amount.service} at {amount.centre}: nobody is planned"
    rows = roster.filter(pc.equal(roster["date"], pa.scalar(days[0], pa.date32()))).to_pylist()
    by_arrival = sorted(
        (row["arrived_at"], -_net_minutes(row), row["shift"]) for row in rows
    )  # told twice at once: the less
    last = {shift: -minus for _, minus, shift in by_arrival}
    return sum(last.values()), "" if days[0] == date else f"calendar of {days[0]}"


def _net_minutes(row: Mapping[str, Any]) -> int:
    """Minutes of a shift on which its agents work."""
    paid = (row["minutes"] or 0) - (row["meal_minutes"] or 0) - (row["training_minutes"] or 0)
    return int(row["agents"] * max(0, paid))
