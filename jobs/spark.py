"""The one Spark session of a process, made when first asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from conf.errors import MendableError
from conf.settings import Settings

JARS = Path(os.environ.get("CPC_JARS", Path(__file__).resolve().parent.parent / "jars"))


def session(settings: Settings) -> SparkSession:
    """The process's session, with Delta; settings count only for the first call.

    Raises:
        MendableError: Java or Delta's jars are missing.
    """
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    jars = sorted(JARS.glob("*.jar"))
    if len(jars) < 2:
        raise MendableError("Delta's jars are missing", where=str(JARS), remedy="run `make setup`")
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    spark = settings.spark
    builder = (
        SparkSession.builder.appName("cpc")
        .master(spark.master)
        .config("spark.jars", ",".join(str(jar) for jar in jars))
        .config("spark.driver.memory", spark.driver_memory)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
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
    for key, value in spark.conf.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
