"""The cases of `benchmarks.assignment_cases` as instances on disk, written block by block by all cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks.assignment_cases import CHANNELS, COST, Case, draw, limits
from models.assignment.problem import BLOCK
from models.cores import cores

#: Blocks a file.
BLOCKS = 16
MINUTES = 180


def write(case: Case, folder: Path) -> Path:
    """Write ``arcs/`` and ``limits.yml`` of a case; memory does not grow with it."""
    (folder / "arcs").mkdir(parents=True)
    (folder / "limits.yml").write_text(
        yaml.safe_dump({"choose": "at_most_one", "limits": written(case)}, sort_keys=False)
    )
    blocks = -(-case.customers // BLOCK)
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda first: _file(case, folder / "arcs", first, blocks), range(0, blocks, BLOCKS)))
    return folder


def written(case: Case) -> list[dict[str, Any]]:
    """The limits as ``limits.yml`` has them: by segment (centre x 2 + low), channel and product."""
    found: list[dict[str, Any]] = []
    for name, side, amount in limits(case)[0]:
        kind, *where = name.split("_")
        row: dict[str, Any] = {"name": name, side: amount, "counts": 1}
        if kind == "channel":
            channel, centre = (int(x) for x in where)
            row |= {
                "counts": "minutes" if channel == 0 else 1,
                "where": {"channel": [channel], "segment": [2 * centre, 2 * centre + 1]},
            }
        elif kind in {"product", "floor"}:
            row["where"] = {"product": [int(where[0])]}
        else:
            row["counts"] = {"budget": "cost", "share": "share"}[kind]
        found.append(row)
    return found


def _file(case: Case, folder: Path, first: int, blocks: int) -> None:
    with pq.ParquetWriter(
        folder / f"{first:06d}.parquet", SCHEMA, compression="zstd", use_dictionary=[n for n in NAMES if n != "value"]
    ) as file:
        for number in range(first, min(first + BLOCKS, blocks)):
            file.write_table(table(case, number))


NAMES = ("customer", "product", "channel", "value", "segment", "cost", "minutes", "share")
_TYPES = (pa.int64(), pa.int16(), pa.int16(), pa.int64(), pa.int32(), pa.int64(), pa.int64(), pa.int64())
SCHEMA = pa.schema(list(zip(NAMES, _TYPES, strict=True)))


def table(case: Case, number: int) -> pa.Table:
    """A block's arcs as rows."""
    size = min(BLOCK, case.customers - number * BLOCK)
    group, pairs, value = draw(case, number, size)
    channel = (pairs % CHANNELS).ravel()
    owner = np.repeat(np.arange(size), case.arcs)
    segment = group[owner]
    columns = (
        number * BLOCK + owner,
        (pairs // CHANNELS).ravel(),
        channel,
        value.ravel(),
        segment,
        COST[channel],
        np.where(channel == 0, MINUTES, 0),
        np.where(segment % 2, 80, -20),
    )
    return pa.table([pa.array(c.astype(t.to_pandas_dtype())) for c, t in zip(columns, _TYPES, strict=True)], SCHEMA)
