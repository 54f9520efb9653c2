"""What each eligible offer is worth tonight: every customer × product × channel scored, and the few worth keeping.

Tasks get names of Parquet files of ``eligible``, read the customers' snapshot beside them, score only eligible arcs
with the champion's trees compiled, price them at last night's limits and keep the arcs that can win; one commit
publishes all. Where the registry is down the last champion serves, and the figures say so.

*Reads*: eligible, customer_features; of earlier nights limit_price and assignment.
*Writes*: candidate.
*Cost*: customers × eligible arcs × trees; nothing crosses into the JVM.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conf.errors import MendableError
from models.affinity.encode import ChangedFeatureError, MissingFeatureError
from planning.scoring import Task, plan, score_file
from runtime.night import Figures, Night
from runtime.parquet_files import WrittenFile

READS = ("eligible", "customer_features")
READS_PREVIOUS = ("limit_price", "assignment")
WRITES = ("candidate",)
_IN_PROCESS = 64 << 20  # bytes of `eligible` up to which threads here beat starting Python workers


def run(night: Night) -> Figures:
    """Write tonight's ``candidate``."""
    clock = time.perf_counter()
    task, files, told = plan(night)
    try:
        results = _run_tasks(night, task, files)
    except MissingFeatureError as error:
        raise MendableError(
            f"the champion needs features that tonight's snapshot lacks: {', '.join(error.names)}",
            where=f"model version {task.model_version}, table customer_features",
            remedy="declare them again in features/declared, `cpc models rollback`, or train anew with `cpc train`",
        ) from error
    except ChangedFeatureError as error:
        raise MendableError(
            f"features are not what the champion learnt: {'; '.join(error.changes)}",
            where=f"model version {task.model_version}, table customer_features",
            remedy="mend their declaration, `cpc models rollback`, or train anew with `cpc train`",
        ) from error
    written = [file for file, _ in results if file is not None]
    night.lake.commit_files("candidate", written, replace=[night.partition])
    figures = {name: sum(counts[name] for _, counts in results) for name in results[0][1]}
    seconds = time.perf_counter() - clock
    rate = {"arcs_per_second": round(figures["arcs"] / seconds)} if seconds > 0 else {}
    return {**figures, **told, **rate}


def _run_tasks(night: Night, task: Task, files: Sequence[str]) -> list[tuple[WrittenFile | None, dict[str, int]]]:
    """Run the task on every file: by threads here while small (the kernel holds no lock), by Spark beyond."""
    if sum(Path(path).stat().st_size for path in files) <= _IN_PROCESS:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda path: score_file(task, path), files))
    context = night.spark.sparkContext
    try:
        return context.parallelize(list(files), len(files)).map(lambda path: score_file(task, path)).collect()
    except Exception as error:  # Spark wraps what a task raised: find the one that has a remedy
        text = str(error)
        if "features missing: " in text:
            raise MissingFeatureError(text.split("features missing: ")[1].splitlines()[0].split(", ")) from error
        if "features changed: " in text:
            raise ChangedFeatureError(text.split("features changed: ")[1].splitlines()[0].split("; ")) from error
        raise
