"""Plans over few rows are interpreted, not compiled: compiling a night of small unions costs more than running it.

Spark compiles every branch of a union to Java and plans again after every shuffle. That pays from some 100,000 rows
on; below, generated code is never run often enough. The choice rests on counts of the ledger and of the tables' logs,
so that it is the same on any number of cores, and the rows are the same either way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Up to so many rows are few.
FEW = 250_000
_INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}


def few(rows: int) -> bool:
    """Whether so many rows are better interpreted in one task than compiled and spread."""
    return rows <= FEW


@contextlib.contextmanager
def interpret(spark: SparkSession, rows: int) -> Iterator[None]:
    """Interpret the plans made and run inside, where they are about few rows."""
    if not few(rows):
        yield
        return
    before = {name: spark.conf.get(name, None) for name in _INTERPRETED}
    for name, value in _INTERPRETED.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, old)


def narrow(frame: DataFrame, rows: int) -> DataFrame:
    """Few rows in one partition: what is sorted, joined or windowed after it needs no shuffle."""
    return frame.coalesce(1) if few(rows) else frame
