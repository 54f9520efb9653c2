"""The catalogue's limits as limits of tonight's assignment instance: the amounts in force."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.catalogue import Catalogue
from conf.offer import Limit, ShiftAmount
from planning.limits.agent_demand import Demand
from planning.limits.columns import columns_of


@dataclass(frozen=True)
class InForce:
    """A limit tonight.

    Attributes:
        limit: as the catalogue has it.
        amount: for everybody, in its unit.
        reserve: what is kept for explorers (0 for floors and shares).
    """

    limit: Limit
    amount: int
    reserve: int

    def row(self, catalogue: Catalogue) -> dict[str, Any]:
        """The limit of the exploiters' instance, as in ``limits.yml``."""
        counts: int | str = 1 if self.limit.counts == "contacts" else self.limit.counts
        if self.limit.share:
            counts = f"share_{self.limit.name}"
        row: dict[str, Any] = {"name": self.limit.name, self.limit.side: self.amount - self.reserve, "counts": counts}
        if where := columns_of(self.limit.where, catalogue):
            row["where"] = where
        return row


def in_force(
    catalogue: Catalogue, customers: int, shifts: pa.Table, date: dt.date, reserve: float, work: Demand | None = None
) -> tuple[list[InForce], list[str]]:
    """Tonight's limits, and notes on amounts that are not what the calendar says.

    Args:
        catalogue: the limits.
        customers: active ones.
        shifts: the shift calendar.
        date: decision date.
        reserve: share of a capacity that is kept for explorers.
        work: what agents who answer have to do anyway.
    """
    found, notes = [], []
    for limit in catalogue.limits:
        amount = limit.amount
        if isinstance(amount, ShiftAmount):
            scaled, note = planned(limit, amount, customers, shifts, date, work or Demand())
            if note:
                notes.append(f"{limit.name}: {note}")
        else:
            scaled = limit.scaled(amount, customers)
        kept = int(scaled * reserve) if limit.side == "at_most" and scaled > 0 and not limit.share else 0
        found.append(InForce(limit, scaled, kept))
    return found, notes


def planned(
    limit: Limit, amount: ShiftAmount, customers: int, shifts: pa.Table, date: dt.date, work: Demand
) -> tuple[int, str]:
    """Agent seconds of a limit from the calendar: planned, less expected calls, times what is spare, less commitments."""
    minutes, note = agent_minutes(shifts, amount, date + dt.timedelta(days=amount.lag))
    left = limit.scaled(amount.seconds(minutes), customers) - work.inbound(amount)
    spare = int(max(0, left) * amount.spare)
    committed = work.committed.get(limit.name, 0)
    if committed > spare:
        note = f"{note}; ".lstrip("; ") + f"earlier waves will take {committed} s of {spare} s: nothing is left"
    return max(0, spare - committed), note


def agent_minutes(shifts: pa.Table, amount: ShiftAmount, date: dt.date) -> tuple[int, str]:
    """Σ agents x (paid - meal - training minutes) of a service at a centre on a date, over the shifts that count.

    Where the calendar has no such day yet, the same weekday of the latest earlier week that it has counts.
    """
    mine = shifts.filter(
        pc.and_(pc.equal(shifts["service"], amount.service), pc.equal(shifts["centre"], amount.centre))
    )
    if amount.shifts:
        mine = mine.filter(pc.is_in(mine["shift"], value_set=pa.array(amount.shifts, pa.string())))
    days = sorted({d for d in mine["date"].to_pylist() if d <= date and (date - d).days % 7 == 0}, reverse=True)
    if not days:
        return 0, f"no shift of {amount.service} at {amount.centre}: nobody is planned"
    last: dict[str, dict[str, Any]] = {}
    rows = mine.filter(pc.equal(mine["date"], pa.scalar(days[0], pa.date32()))).to_pylist()
    for row in sorted(rows, key=lambda r: (r["arrived_at"], r["delivery_id"], r["line"])):
        last[row["shift"]] = row
    minutes = sum(
        r["agents"] * max(0, (r["minutes"] or 0) - (r["meal_minutes"] or 0) - (r["training_minutes"] or 0))
        for r in last.values()
    )
    return minutes, "" if days[0] == date else f"calendar of {days[0]}"
