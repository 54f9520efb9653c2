"""Published plans of a home as the province's channels get them: whose number, which product, by which decision."""

from __future__ import annotations

import csv
import datetime as dt
import hmac
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.errors import UserError
from runtime.keys import pseudonym_key
from runtime.night import Night
from synth.plan import Ints, day_of
from synth.sequel import PublishedPlan
from synth.world import World

_RUN = re.compile(r"^(\d{4}-\d{2}-\d{2})-[0-9a-f]{12}$", re.ASCII)


def date_of_run(run_id: str) -> dt.date:
    """The decision date in a run's id.

    Raises:
        UserError: this is no run's id.
    """
    match = _RUN.match(run_id)
    try:
        return dt.date.fromisoformat(match[1] if match else "")
    except ValueError as error:
        remedy = "`cpc runs` lists the runs, such as 2026-01-09-0123456789ab"
        raise UserError(f"{run_id!r} is no run", where="--run", remedy=remedy) from error


def find_published_run(night: Night) -> str | None:
    """The run whose plan of the night was handed out; None where none was."""
    runs = night.lake.arrow("serving", partition=night.partition, columns=["run_id"])["run_id"]
    return min(pc.unique(runs).to_pylist(), default=None)


def read_plan(night: Night, world: World, run_id: str) -> PublishedPlan:
    """The contacts of a published run, those left out that were withdrawn before their file was written.

    Raises:
        UserError: the run was not published, another has taken its place, or its customers are not this province's.
    """
    handed_out = find_published_run(night)
    if handed_out != run_id:
        state = f"run {handed_out} was" if handed_out else "none was"
        raise UserError(
            f"run {run_id} is not the plan that was published for {night.date} ({state})",
            where=str(night.settings.home),
            remedy=f"name that run, or run `cpc nightly --date {night.date}` to its end",
        )
    columns = ["run_id", "decision_id", "customer_id", "product", "channel"]
    rows = night.lake.arrow("assignment", partition=night.partition, columns=columns)
    plan = world.plan
    pushed = pa.array([plan.channels[c].id for c in plan.outbound], pa.int16())
    rows = rows.filter(pc.and_(pc.equal(rows["run_id"], run_id), pc.is_in(rows["channel"], value_set=pushed)))
    if (sent := _list_decisions(night)) is not None:
        rows = rows.filter(pc.is_in(rows["decision_id"], value_set=pa.array(sorted(sent), pa.string())))
    customer = positions(night, world, rows["customer_id"].to_numpy())
    order = np.argsort(customer, kind="stable")
    products, channels = ([item.id for item in items] for items in (plan.products, plan.channels))
    return PublishedPlan(
        day=day_of(night.date),
        run_id=run_id,
        decision=np.array(rows["decision_id"].to_pylist(), dtype=np.str_)[order],
        customer=customer[order],
        product=_place(products, rows["product"].to_numpy())[order],
        channel=_place(channels, rows["channel"].to_numpy())[order],
    )


def _place(ids: list[int], wanted: np.ndarray) -> Ints:
    """Positions of ids in a list of them."""
    order = np.argsort(ids)
    return np.asarray(order[np.searchsorted(np.array(ids)[order], wanted)], dtype=np.int64)


def _list_decisions(night: Night) -> set[str] | None:
    """Decisions in the night's files for outbound channels; None where no such file is there (any more)."""
    folder = night.settings.home / "published" / night.date.isoformat()
    decisions: set[str] = set()
    known = False
    for path in sorted(folder.rglob("contacts-*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            if "decision_id" in (rows.fieldnames or ()):
                known = True
                decisions |= {row["decision_id"] for row in rows}
    return decisions if known else None


def positions(night: Night, world: World, customers: Ints) -> Ints:
    """Positions in the province of customers of the home: who holds the number on the night's date.

    Raises:
        UserError: a customer of the plan holds no number of the province.
    """
    if not len(customers):
        return np.zeros(0, dtype=np.int64)
    living = np.flatnonzero(world.is_living(np.arange(world.size), day_of(night.date)))
    key = pseudonym_key(night.settings.home)
    names = [hmac.digest(key, str(phone).encode(), "sha256") for phone in world["phone"][living].tolist()]
    columns = ["phone_pseudonym", "valid_from", "valid_to", "customer_id"]
    holders = night.lake.arrow("subscriber", columns=columns)
    at = pa.scalar(night.day_start, holders["valid_from"].type)
    ends = pc.fill_null(pc.greater(holders["valid_to"], at), True)
    holders = holders.filter(pc.and_(pc.less_equal(holders["valid_from"], at), ends))
    place = pc.index_in(holders["phone_pseudonym"], value_set=pa.array(names, holders["phone_pseudonym"].type))
    holders = holders.append_column("place", place).filter(pc.is_valid(place))
    ids, rows = holders["customer_id"].to_numpy(), living[holders["place"].to_numpy()]
    order = np.argsort(ids, kind="stable")
    nearest = np.minimum(np.searchsorted(ids[order], customers), max(len(ids) - 1, 0))
    strange = np.ones(len(customers), dtype=bool) if not len(ids) else ids[order][nearest] != customers
    if strange.any():
        raise UserError(
            f"{int(strange.sum())} of {len(customers)} customers of the plan hold no number of this province",
            where=str(night.settings.home),
            remedy="name the landing folder of the province that this home was made of",
        )
    return np.asarray(rows[order[nearest]], dtype=np.int64)
