"""The catalogue's limits as limits of tonight's assignment instance: amounts in force, and what columns they name.

Customers enter limits through small integer columns: ``c_<attribute>`` (0: none of the values that any limit names) and
``s_<segments>`` (1: a member of one of them). Arcs carry ``seconds``, ``cost_micro`` and one column a share.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.catalogue import Catalogue
from conf.errors import MendableError
from conf.offer import Limit, ShiftAmount
from models.assignment.problem import Ints

_ARC_KEYS = {"product", "group", "channel"}
Where = Mapping[str, Any]


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


def listed(value: Any) -> list[Any]:
    """A value or a list as a list."""
    return list(value) if isinstance(value, list) else [value]


def wheres(catalogue: Catalogue) -> list[Where]:
    """Every selection that a limit makes."""
    return [w for limit in catalogue.limits for w in (limit.where, limit.share.of if limit.share else {}) if w]


def attributes(catalogue: Catalogue) -> dict[str, list[str]]:
    """Attributes of customers that limits name, each with the values named, as text in the alphabet."""
    found: dict[str, set[str]] = {}
    for where in wheres(catalogue):
        for key, value in where.items():
            if key not in _ARC_KEYS and key != "segment":
                found.setdefault(key, set()).update(str(v) for v in listed(value))
    return {key: sorted(values) for key, values in sorted(found.items())}


def segment_sets(catalogue: Catalogue) -> dict[str, list[str]]:
    """Column → segments of which a member has 1 in it."""
    sets = [sorted(listed(w["segment"])) for w in wheres(catalogue) if "segment" in w]
    return {"s_" + "_or_".join(names): names for names in sorted(sets)}


def columns_of(where: Where, catalogue: Catalogue) -> dict[str, list[int]]:
    """A selection in terms of the instance's columns."""
    found: dict[str, list[int]] = {}
    products = list(catalogue.products)
    if "product" in where or "group" in where:
        codes = listed(where["product"]) if "product" in where else [p.code for p in products]
        groups = listed(where["group"]) if "group" in where else [p.group for p in products]
        found["product"] = [p.id for p in products if p.code in codes and p.group in groups]
    if "channel" in where:
        codes = listed(where["channel"])
        found["channel"] = [c.id for c in catalogue.channels if c.code in codes]
    named = attributes(catalogue)
    for key, value in where.items():
        if key == "segment":
            found["s_" + "_or_".join(sorted(listed(value)))] = [1]
        elif key not in _ARC_KEYS:
            found[f"c_{key}"] = [named[key].index(str(v)) + 1 for v in listed(value)]
    return found


def in_force(
    catalogue: Catalogue, customers: int, shifts: pa.Table, date: dt.date, reserve: float
) -> tuple[list[InForce], list[str]]:
    """Tonight's limits, and notes on amounts that had to be taken from an earlier calendar."""
    found, notes = [], []
    for limit in catalogue.limits:
        amount = limit.amount
        if isinstance(amount, ShiftAmount):
            minutes, note = agent_minutes(shifts, amount, date)
            amount = amount.seconds(minutes)
            if note:
                notes.append(f"{limit.name}: {note}")
        scaled = limit.scaled(amount, customers)
        kept = int(scaled * reserve) if limit.side == "at_most" and scaled > 0 and not limit.share else 0
        found.append(InForce(limit, scaled, kept))
    return found, notes


def agent_minutes(shifts: pa.Table, amount: ShiftAmount, date: dt.date) -> tuple[int, str]:
    """Σ agents x (paid - meal - training minutes) of a service at a centre on a date.

    Where the calendar has no such day yet, the same weekday of the latest earlier week that it has counts.
    """
    mine = shifts.filter(
        pc.and_(pc.equal(shifts["service"], amount.service), pc.equal(shifts["centre"], amount.centre))
    )
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


def arc_columns(arcs: pa.Table, catalogue: Catalogue) -> pa.Table:
    """Add the columns that shares count: 100 - percent where an arc is ``of``, -percent where not."""
    for limit in catalogue.limits:
        if limit.share:
            of = selected(arcs, columns_of(limit.share.of, catalogue))
            use = np.where(of, 100 - limit.share.percent, -limit.share.percent).astype(np.int16)
            arcs = arcs.append_column(f"share_{limit.name}", pa.array(use))
    return arcs


def selected(arcs: pa.Table, where: Mapping[str, Sequence[int]]) -> np.ndarray:
    """Which rows have one of the values in every column named."""
    chosen = np.ones(arcs.num_rows, bool)
    for name, values in where.items():
        chosen &= np.isin(arcs[name].to_numpy(), np.array(values))
    return chosen


def units(limit: Limit, arcs: pa.Table, catalogue: Catalogue) -> Ints:
    """What each arc uses of a limit, in its unit."""
    column = f"share_{limit.name}" if limit.share else limit.counts
    count = np.ones(arcs.num_rows, np.int64) if column == "contacts" else arcs[column].to_numpy().astype(np.int64)
    return np.where(selected(arcs, columns_of(limit.where, catalogue)), count, 0)


def customer_columns(rows: pa.Table, catalogue: Catalogue) -> pa.Table:
    """``customer_id`` and the integer columns, from rows of attributes and segments.

    Raises:
        MendableError: a limit names an attribute that the snapshot does not have.
    """
    out = {"customer_id": rows["customer_id"]}
    for key, values in attributes(catalogue).items():
        if key not in rows.column_names:
            raise MendableError(
                f"a limit names {key!r}, which is no attribute of customers", where=str(catalogue.root / "limits.yml"),
                remedy="name an attribute of features/declared/attributes.yml",
            )  # fmt: skip
        place = pc.index_in(pc.cast(rows[key], pa.string()), value_set=pa.array(values, pa.string()))
        out[f"c_{key}"] = pc.cast(pc.add(pc.fill_null(place, -1), 1), pa.int16())
    for name, members in segment_sets(catalogue).items():
        mark = np.zeros(rows.num_rows, bool)
        for member in members:
            mark |= pc.fill_null(rows[f"segment_{member}"], False).to_numpy(zero_copy_only=False)
        out[name] = pa.array(mark.astype(np.int16))
    return pa.table(out)
