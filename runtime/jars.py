"""Fetches Delta's two jars once, at set-up; later runs need no network.

Spark's own Ivy resolves them by coordinates; only the two that are needed are kept, checked by SHA-256.
Run as ``python -m runtime.jars``.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from cli.output import complain
from conf.errors import MendableError
from runtime.spark import JARS

#: Coordinates → (file, SHA-256 of the released jar).
WANTED = {
    "io.delta:delta-spark_4.2_2.13:4.4.0": (
        "io.delta_delta-spark_4.2_2.13-4.4.0.jar",
        "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
    ),
    "io.delta:delta-storage:4.4.0": (
        "io.delta_delta-storage-4.4.0.jar",
        "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
    ),
}


def missing(folder: Path = JARS) -> list[str]:
    """Coordinates whose jar is absent from ``folder`` or is not the released one."""
    return [name for name, (file, digest) in WANTED.items() if _sha256(folder / file) != digest]


def fetch(folder: Path = JARS) -> None:
    """Bring the wanted jars into ``folder``.

    Raises:
        MendableError: they could not be had, or are not the released ones.
    """
    if not missing(folder):
        return
    from pyspark.sql import SparkSession

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        try:
            spark = (
                SparkSession.builder.master("local[1]")
                .config("spark.jars.ivy", cache)
                .config("spark.jars.packages", ",".join(WANTED))
                .config("spark.ui.enabled", "false")
                .config("spark.driver.bindAddress", "127.0.0.1")
                .config("spark.driver.host", "127.0.0.1")
                .getOrCreate()
            )
        except Exception as error:
            raise MendableError(
                "Delta's jars could not be fetched",
                where=str(folder),
                remedy="check that Maven artefacts can be reached, or copy the two jars there: " + ", ".join(WANTED),
            ) from error
        spark.stop()
        for file, _ in WANTED.values():
            shutil.copy(Path(cache) / "jars" / file, folder / file)
    if wrong := missing(folder):
        raise MendableError(
            f"not the released jars: {', '.join(wrong)}", where=str(folder), remedy="delete them and run `make setup`"
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


if __name__ == "__main__":
    try:
        fetch()
    except MendableError as mendable:
        complain(mendable)
        sys.exit(2)
