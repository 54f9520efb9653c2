"""The run record (``ops_run``): what each job of a night left, and the lines in which it is told."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from runtime.figures import Failure, JobFigures, TrainFigures
from runtime.lake import Lake
from runtime.night import Night

#: Marks a line that is meant for people in a log that is not.
MARK = "night> "
F = TypeVar("F", bound=JobFigures)


@dataclass(frozen=True)
class RunRecord:
    """A row of ``ops_run``: a job of a run."""

    run_id: str
    business_date: dt.date
    job: str
    state: str  # done, degraded, failed
    figures: Mapping[str, Any]  # as the job's release wrote them
    started_at: dt.datetime
    seconds: float
    host: str | None = None
    configuration: str | None = None  # hashes of what was configured and programmed; None before 0.3
    code: str | None = None

    def read(self, form: type[F]) -> F:
        """The figures, typed."""
        return form.load(self.figures)

    @property
    def error(self) -> str | None:
        """What stopped a failed job."""
        return self.read(Failure).error


@dataclass(frozen=True)
class NightRecord:
    """The last run of every job of a night, by name, in the order in which they ran."""

    jobs: Mapping[str, RunRecord]

    def read(self, form: type[F]) -> F:
        """Figures of the job whose form this is; all None where it has not run."""
        record = self.jobs.get(form.job)
        return record.read(form) if record else form.load({})


def records(lake: Lake, date: dt.date | None = None) -> list[RunRecord]:
    """What has run, of one night or of all, by the time at which it began."""
    rows = lake.arrow("ops_run", partition={"business_date": date} if date else None).to_pylist()
    runs = [RunRecord(**row | {"figures": json.loads(row["figures"] or "{}")}) for row in rows]
    return sorted(runs, key=lambda record: record.started_at)


def night_record(night: Night, date: dt.date, run_id: str | None = None) -> NightRecord:
    """The last run of every job on ``date``; those of ``run_id`` before any other."""
    runs = sorted(records(night.lake, date), key=lambda record: record.run_id == run_id)  # keeps the order of time
    return NightRecord({record.job: record for record in runs})


def record_of(night: Night, run_id: str, job: str) -> RunRecord | None:
    """A job in the run record of ``run_id`` tonight; None where it has not run."""
    runs = [record for record in records(night.lake, night.date) if record.job == job and record.run_id == run_id]
    return runs[-1] if runs else None


def last_training(night: Night) -> TrainFigures:
    """Figures of the newest training not after tonight; all None if there was none."""
    trained = [
        record
        for record in records(night.lake)
        if record.job == TrainFigures.job and record.state != "failed" and record.business_date <= night.date
    ]
    newest = max(trained, key=lambda record: (record.business_date, record.started_at), default=None)
    return newest.read(TrainFigures) if newest else TrainFigures.load({})


def line(job: str, state: str, seconds: float, figures: JobFigures) -> str:
    """One line about a job that has ended: why it was served by less, else its first figures."""
    if why := figures.served_by_less:
        return f"  {job:<12} {state:<9}{seconds:6.1f} s  {why}"
    facts = ", ".join(f"{name.replace('_', ' ')} {show(value)}" for name, value in [*figures.simple().items()][:5])
    return f"  {job:<12} {state:<9}{seconds:6.1f} s  {facts}"[:160].rstrip()


def show(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"
    return str(value)
