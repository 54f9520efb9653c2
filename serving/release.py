"""What the checker said of tonight's plan, as the publisher must hear it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from conf.errors import MendableError
from runtime import run_id as identity
from runtime.night import Night
from runtime.run_record import record_of

JOB = "prove"


def accepted_run(night: Night) -> str:
    """The id of tonight's run, once its certificate was accepted and the plan in the lake is that run's.

    Raises:
        MendableError: there is no plan, it is another run's, or its certificate was refused or never checked.
    """
    run_id = identity.run_id(night)
    planned = pc.unique(night.lake.arrow("assignment", partition=night.partition, columns=["run_id"])["run_id"])
    fault = fault_of(run_id, planned.to_pylist(), verdict_of(night, run_id))
    if fault:
        raise MendableError(
            f"the night of {night.date} is not published: {fault}",
            where=f"run {run_id}",
            remedy=f"run `cpc nightly --date {night.date} --from assign`; until then the last published night stays",
        )
    return run_id


def fault_of(run_id: str, planned: Sequence[str], verdict: Mapping[str, Any] | None) -> str:
    """Why a plan may not be published; empty if it may.

    Args:
        run_id: tonight's run.
        planned: the runs of which tonight's assignment holds rows.
        verdict: what the checker said of the run; None if it has not been asked.
    """
    if not planned:
        return "there is no assignment"
    if list(planned) != [run_id]:
        return f"the assignment is of run {', '.join(sorted(planned))}"
    if verdict is None:
        return "its certificate has not been checked"
    if verdict["state"] == "failed":
        return f"its certificate was refused ({verdict.get('error', 'no reason recorded')})"
    if verdict.get("accepted") is False:
        return f"its certificate was refused ({verdict.get('reason', 'no reason recorded')})"
    return ""


def verdict_of(night: Night, run_id: str) -> dict[str, Any] | None:
    """State and figures of the checker in the run record of ``run_id``; None where it has not run."""
    return record_of(night, run_id, JOB)
