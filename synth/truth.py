"""The truth beside the files: what contacts would bring at the decision date, and what those of the past caused.

Written to ``DIR/truth/`` as Parquet for tests and regret reports. No job may open it.

``response.parquet``
    a customer, product and channel at the decision date: chances with and without a contact, effect on margin.
``customer.parquet``
    a customer, in the order of positions: hidden traits.
``decision.parquet``
    a logged decision that caused anything, and what (see ``synth.twin``); a decision that is absent caused nothing.
``order.parquet``
    an order of this world or of its twin without contacts, what it is in either (times are local seconds).
``province.json``
    what the province was made of, so that it can be made again.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synth.events import Table
from synth.history import Course
from synth.ledger_columns import decision_ids
from synth.plan import Ints, LoggedPlan
from synth.response import lift, margin_effect, organic
from synth.twin import Window, effects, orders_of_both
from synth.wording import dates
from synth.world import World


def write_truth(world: World, folder: Path, course: Course) -> int:
    """Write the files of the truth; returns rows of ``response.parquet``.

    Its columns: ``phone, product, channel, p0, p1, margin_effect_micro`` (30 days; before the attempt's cost; life
    events as of the decision date).
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan = world.plan
    products, channels = np.arange(len(plan.products)), np.arange(len(plan.channels))
    rows_written = 0
    with pq.ParquetWriter(folder / "response.parquet", _SCHEMA, compression="zstd") as writer:
        for block in world.blocks():
            for piece in np.array_split(block, max(1, len(block) // 4096)):
                rows = piece[world.is_living(piece, plan.end_day)]
                if len(rows):
                    rows_written += len(rows) * len(products) * len(channels)
                    writer.write_table(_piece(world, rows, products, channels))
    _write_customers(world, folder / "customer.parquet")
    write_caused(world, course, decision_ids(course.contacts["night"], course.contacts["customer"]), folder)
    return rows_written


def write_origin(plan: LoggedPlan, preset: str, folder: Path) -> None:
    """Write what the province was made of: the arguments of ``LoggedPlan`` but for the catalogue."""
    origin = {
        "customers": plan.customers,
        "start": plan.start.isoformat(),
        "days": plan.days,
        "seed": plan.seed,
        "preset": preset,
        "history_days": plan.history_days,
        "bytes_per_day": plan.bytes_per_day,
    }
    (folder / "province.json").write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")


def write_caused(world: World, course: Course, decision_id: pa.Array, folder: Path, both: Table | None = None) -> None:
    """Write what contacts caused (``decision.parquet``) and the orders of both worlds (``order.parquet``).

    Args:
        world: the province.
        course: what happened.
        decision_id: of each contact.
        folder: where to.
        both: orders of both worlds (None: those of the course by number; with ``lapsed`` where it is known).
    """
    both = orders_of_both(world, course) if both is None else both
    contacts, plan = course.contacts, world.plan
    caused = effects(world, course, both)
    rows = caused["contact"]
    products = pa.array([p.code for p in plan.products], pa.string())
    channels = pa.array([c.code for c in plan.channels], pa.string())
    decisions = {
        "decision_id": decision_id.take(pa.array(rows)),
        "customer": contacts["customer"][rows],
        "phone": world["phone"][contacts["customer"][rows]],
        "business_date": dates(contacts["night"][rows]),
        "product": products.take(pa.array(contacts["product"][rows])),
        "channel": channels.take(pa.array(contacts["channel"][rows])),
        "orders": caused["orders"],
        "kept_orders": caused["kept"],
        "margin_micro": caused["margin"],
        "opt_outs": caused["optouts"],
        "complaints": caused["complaints"],
    }
    pq.write_table(pa.table(decisions), folder / "decision.parquet", compression="zstd")
    led = both["contact"]
    orders = {
        "customer": both["customer"],
        "phone": world["phone"][both["customer"]],
        "product": products.take(pa.array(both["product"])),
        "channel": channels.take(pa.array(both["channel"])),
        "time": both["time"],
        "decision_id": decision_id.take(pa.array(led, mask=led < 0)),
    } | {name: both[name] for name in (*_BOTH, *_LAPSES) if name in both}
    pq.write_table(pa.table(orders), folder / "order.parquet", compression="zstd")


_BOTH = ("here", "margin", "cancelled", "twin", "twin_margin", "twin_cancelled")
_LAPSES = ("lapsed", "twin_lapsed")


def read_margins(folder: Path, window: Window) -> tuple[Ints, Ints]:
    """Net margin of each customer (by position) in a period, and in the twin world without contacts, micro-元.

    The sum of their difference is what contacts brought in that period. See ``synth.redraw`` for many lives of one
    province, on arrays.

    Args:
        folder: ``DIR/truth``.
        window: which orders count.
    """
    customers = pq.read_metadata(folder / "customer.parquet").num_rows
    stored = pq.read_table(folder / "order.parquet", columns=["customer", "time", *_BOTH])
    both: Table = {name: stored.column(name).to_numpy() for name in stored.column_names}
    return window.sum_by_customer(both, customers), window.sum_by_customer(both, customers, twin=True)


_SCHEMA = pa.schema(
    [
        ("phone", pa.int64()),
        ("product", pa.int16()),
        ("channel", pa.int16()),
        ("p0", pa.float32()),
        ("p1", pa.float32()),
        ("margin_effect_micro", pa.int64()),
    ]
)


def _piece(world: World, rows: np.ndarray, products: np.ndarray, channels: np.ndarray) -> pa.Table:
    p0 = organic(world, rows, products, world.is_boosted(rows, world.plan.end_day))
    delta = lift(world, rows[:, None, None], products[None, :, None], channels[None, None, :], p0[:, :, None])
    effect = margin_effect(world, rows, p0, delta, products, channels)
    shape = effect.shape
    full = (np.broadcast_to(p0[:, :, None], shape), np.clip(p0[:, :, None] + delta, 0, 1))
    columns = [
        np.broadcast_to(world["phone"][rows][:, None, None], shape),
        np.broadcast_to(products[None, :, None].astype(np.int16), shape),
        np.broadcast_to(channels[None, None, :].astype(np.int16), shape),
        full[0].astype(np.float32),
        full[1].astype(np.float32),
        effect,
    ]
    return pa.table([pa.array(np.ascontiguousarray(c).reshape(-1)) for c in columns], schema=_SCHEMA)


def _write_customers(world: World, path: Path) -> None:
    names = ["phone", "opened", "closed", "value", "digital", "price_sense", "irritable", "persuade"]
    columns = {name: pa.array(np.asarray(world[name])) for name in names}
    for name in ("intent", "habit", "taste", "reach", "event_day"):
        columns[name] = pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(world[name]).reshape(-1)), world[name].shape[1]
        )
    pq.write_table(pa.table(columns), path, compression="zstd")
