"""The one Spark session of a process, made when first asked for."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from pyspark.sql import SparkSession

from conf.errors import UserError
from conf.settings import Settings

#: Threads that ask for the session together get one; two starting JVMs would also lose standard error to each other.
_ONE_AT_A_TIME = threading.Lock()
JARS = Path(os.environ.get("CPC_JARS", Path(__file__).resolve().parent.parent / "jars"))


def session(settings: Settings) -> SparkSession:
    """The process's session, with Delta; settings count only for the first call.

    Raises:
        UserError: Java or Delta's jars are missing.
    """
    with _ONE_AT_A_TIME:
        return _session(settings)


def _session(settings: Settings) -> SparkSession:
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    jars = sorted(JARS.glob("*.jar"))
    if len(jars) < 2:
        raise UserError("Delta's jars are missing", where=str(JARS), remedy="run `make setup`")
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    # a query that Spark refuses is an exception; its Java stack on standard error would be said besides
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
    spark = settings.spark
    builder = (
        SparkSession.builder.appName("cpc")
        .master(spark.master)
        .config("spark.jars", ",".join(str(jar) for jar in jars))
        .config("spark.driver.memory", spark.driver_memory)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")  # a date is derived from a time in conf.dates only
        .config("spark.sql.shuffle.partitions", str(spark.shuffle_partitions))
        .config("spark.databricks.delta.snapshotPartitions", "2")  # small tables: two tasks read the log
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.warehouse.dir", str(settings.home / "warehouse"))
        .config("spark.python.worker.reuse", "true")
    )
    if spark.master.startswith("local"):
        builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    for key, value in spark.conf.items():
        builder = builder.config(key, value)
    with _jvm_speaks_to(settings.home / "logs" / "spark.log"):
        return builder.getOrCreate()


@contextlib.contextmanager
def _jvm_speaks_to(log: Path) -> Iterator[None]:
    """Give the JVM, which inherits standard error when it is started, a file for it: its notices are no news to people.

    What goes wrong in Spark reaches Python as an exception; the file has the rest.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    stderr = os.dup(2)
    with log.open("ab") as out:
        os.dup2(out.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
