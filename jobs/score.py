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

from conf.errors import UserError
from planning.scoring import Scored, ScoringTask, plan, score_file
from runtime.figures import ScoreFigures
from runtime.night import Night

READS = ("eligible", "customer_features")
READS_PREVIOUS = ("limit_price", "assignment")
WRITES = ("candidate",)
_IN_PROCESS = 64 << 20  # bytes of `eligible` up to which threads here beat starting Python workers


def run(night: Night) -> ScoreFigures:
    """Write tonight's ``candidate``."""
    clock = time.perf_counter()
    task, files, basis = plan(night)
    results = _run_tasks(night, task, files)
    if fault := fault_of(task, results):
        raise fault
    written = [result.written for result in results if result.written is not None]
    night.lake.commit_files("candidate", written, replace=[night.partition])
    counts = [result.counts for result in results]
    arcs, seconds = sum(count.arcs for count in counts), time.perf_counter() - clock
    return ScoreFigures(
        customers=sum(count.customers for count in counts),
        arcs=arcs,
        kept=sum(count.kept for count in counts),
        without_snapshot=sum(count.without_snapshot for count in counts),
        model_version=task.model_version,
        model_sha256=task.sha256[:16],
        prices_of=basis.prices_of.isoformat() if basis.prices_of else None,
        degraded=basis.degraded or None,
        arcs_per_second=round(arcs / seconds) if seconds > 0 else None,
    )


def fault_of(task: ScoringTask, results: Sequence[Scored]) -> UserError | None:
    """What is wrong between champion and snapshot, as something to mend; None where all files were scored."""
    missing = sorted({name for result in results for name in result.missing})
    changed = sorted({change for result in results for change in result.changed})
    where = f"model version {task.model_version}, table customer_features"
    if missing:
        return UserError(
            f"the champion needs features that tonight's snapshot lacks: {', '.join(missing)}",
            where=where,
            remedy="declare them again in features/declared, `cpc models rollback`, or train anew with `cpc train`",
        )
    if changed:
        return UserError(
            f"features are not what the champion learnt: {'; '.join(changed)}",
            where=where,
            remedy="mend their declaration, `cpc models rollback`, or train anew with `cpc train`",
        )
    return None


def _run_tasks(night: Night, task: ScoringTask, files: Sequence[str]) -> list[Scored]:
    """Run the task on every file: by threads here while small (the kernel holds no lock), by Spark beyond."""
    if sum(Path(path).stat().st_size for path in files) <= _IN_PROCESS:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda path: score_file(task, path), files))
    context = night.spark.sparkContext
    return list(context.parallelize(list(files), len(files)).map(lambda path: score_file(task, path)).collect())
