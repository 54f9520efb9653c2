"""What the checker said of tonight's plan, as the publisher must hear it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.compute as pc

from conf.errors import UserError
from runtime import run_id as identity
from runtime.figures import ProveFigures
from runtime.night import Night
from runtime.run_record import RunRecord, record_of


def require_accepted_run(night: Night) -> str:
    """The id of tonight's run, once its certificate was accepted and the plan in the lake is that run's.

    Raises:
        UserError: there is no plan, it is another run's, or its certificate was refused or never checked.
    """
    run_id = identity.run_id(night)
    planned = pc.unique(night.lake.arrow("assignment", partition=night.partition, columns=["run_id"])["run_id"])
    fault = fault_of(run_id, planned.to_pylist(), record_of(night, run_id, ProveFigures.job))
    if fault:
        raise UserError(
            f"the night of {night.date} is not published: {fault}",
            where=f"run {run_id}",
            remedy=f"run `cpc nightly --date {night.date} --from assign`; until then the last published night stays",
        )
    return run_id


def fault_of(run_id: str, planned: Sequence[str], checked: RunRecord | None) -> str:
    """Why a plan may not be published; empty if it may.

    Args:
        run_id: tonight's run.
        planned: the runs of which tonight's assignment holds rows.
        checked: the checker's run; None if it has not been asked.
    """
    if not planned:
        return "there is no assignment"
    if list(planned) != [run_id]:
        return f"the assignment is of run {', '.join(sorted(planned))}"
    if checked is None:
        return "its certificate has not been checked"
    if checked.state == "failed":
        return f"its certificate was refused ({checked.error or 'no reason recorded'})"
    verdict = checked.read(ProveFigures)
    if verdict.accepted is False:
        return f"its certificate was refused ({verdict.reason or 'no reason recorded'})"
    return ""
