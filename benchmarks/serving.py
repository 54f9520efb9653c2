"""A night's plan into the serving store: ours (Arrow → CSV → COPY) against what is usual, into the same PostgreSQL.

Each contestant loads the same rows of ``assignment`` into a table of its own and builds its primary key.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from sqlalchemy import create_engine

from benchmarks.result import Result, peak_bytes
from conf.catalogue import load_catalogue
from runtime.lake import arrow_schema
from serving import embedded, store

SIZES = ("100k", "1m")
DATE = dt.date(2026, 1, 9)
_ROWS = {"100k": 100_000, "1m": 1_000_000}


def plan(rows: int) -> pa.Table:
    """A plan of ``rows`` customers as ``assignment`` holds it."""
    rng = np.random.default_rng(1)
    some = rng.random(rows) < 0.3
    schema = arrow_schema(load_catalogue().tables["assignment"])
    filled: dict[str, Any] = {
        "business_date": pa.array([DATE] * rows, pa.date32()),
        "run_id": pa.array(["2026-01-09-feed00c0ffee"] * rows),
        "decision_id": pa.array([f"2026-01-09-feed00c0ffee:{n}" for n in range(rows)]),
        "customer_id": pa.array(np.arange(rows)),
        "product": pa.array(rng.integers(0, 25, rows), pa.int16(), mask=~some),
        "channel": pa.array(rng.integers(0, 5, rows), pa.int16(), mask=~some),
        "role": pa.array(["exploit"] * rows),
        "reason": pa.array(np.where(some, "best", "no_value")),
        "pscore": pa.array(rng.random(rows)),
        "marginal": pa.array(np.zeros(rows, bool)),
        "eligible_hash": pa.array([f"{n:016x}" for n in range(rows)]),
    }
    zero = {field.name: pa.array(np.zeros(rows, np.int64)) for field in schema if field.name not in filled}
    return pa.table([(filled | zero)[field.name].cast(field.type) for field in schema], schema=schema)


def run(size: str) -> Result:
    """Load the same plan by each contestant."""
    table = plan(_ROWS[size])
    entry = load_catalogue().tables["assignment"]
    with tempfile.TemporaryDirectory() as folder:
        address = embedded.start_embedded(Path(folder))
        with psycopg.connect(address) as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {store.SCHEMA}")

        def ours() -> None:
            with psycopg.connect(address) as connection:
                store.load(connection, entry, DATE, table.to_batches(1 << 16))
                store.swap(connection, entry, DATE)

        def row_by_row() -> None:
            with psycopg.connect(address) as connection:
                connection.execute(f"CREATE TABLE rows (LIKE {store.SCHEMA}.assignment)")
                names = ", ".join(f'"{name}"' for name in table.column_names)
                with connection.cursor().copy(f"COPY rows ({names}) FROM STDIN") as copy:
                    for batch in table.to_batches(1 << 16):
                        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                            copy.write_row(row)
                connection.execute("ALTER TABLE rows ADD PRIMARY KEY (business_date, customer_id)")

        def pandas() -> None:
            engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
            with engine.begin() as connection:
                table.to_pandas().to_sql("frame", connection, index=False, chunksize=2000, method="multi")
            with psycopg.connect(address) as connection:
                connection.execute("ALTER TABLE frame ADD PRIMARY KEY (business_date, customer_id)")

        contestants: list[tuple[str, str, Callable[[], None]]] = [
            ("ours: Arrow CSV into COPY, swapped in", "0.1", ours),
            ("psycopg COPY, row by row", importlib.metadata.version("psycopg"), row_by_row),
            ("pandas to_sql, multi-row inserts", importlib.metadata.version("pandas"), pandas),
        ]
        rows = []
        for who, version, act in contestants:
            started = time.perf_counter()
            act()
            took = time.perf_counter() - started
            rows.append(
                {
                    "who": who,
                    "version": version,
                    "seconds": took,
                    "rows_per_second": table.num_rows / took,
                    "peak_mib": peak_bytes() / 2**20,
                }
            )
    ratio = {f"ours / {row['who'].split(',')[0]}": rows[0]["seconds"] / row["seconds"] for row in rows[1:]}
    return Result(rows, ratio, (f"{table.num_rows:,} rows, {table.nbytes / 2**20:.0f} MiB in memory, one run each.",))
