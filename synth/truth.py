"""The truth beside the files: response and incremental margin per customer, product and channel at the decision date.

Written to ``DIR/truth/`` as Parquet for tests and regret reports. No job may open it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synth.response import lift, margin_effect, organic
from synth.world import World


def write_truth(world: World, folder: Path) -> int:
    """Write ``response.parquet`` (a row a customer, product, channel) and ``customer.parquet``; returns rows.

    Columns of the first: ``phone, opened_on, product, channel, p0, p1, margin_effect_micro`` (30 days; before
    the attempt's cost; life events as of the decision date). Hidden traits are in the second.
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
    return rows_written


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
