"""Runs jobs: takes the lease, times them, keeps the run record (``ops_run``), resumes after a crash.

The Airflow tasks and ``cpc nightly`` both end here, so a night is the same night whoever started it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout

from conf.dates import local_date, parse_date
from conf.errors import UserError, raise_all
from conf.settings import load_settings
from runtime.figures import Failure, JobFigures, UpgradeFigures
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.night_order import JobStep, load, read_compiled
from runtime.run_id import Attempt, code, compute, configuration, read_attempt, write_attempt
from runtime.run_record import MARK, line
from runtime.table_upgrade import upgrade_tables
from runtime.telemetry import silence_telemetry

#: The job whose end fixes what the night may read, and with it the run's id.
PINS = "ingest"


@dataclass(frozen=True)
class Record:
    """What the run record says of a job."""

    job: str
    state: str
    seconds: float
    figures: JobFigures

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"job": self.job, "state": self.state, "seconds": self.seconds, "figures": self.figures.as_json()}


@contextlib.contextmanager
def lease(night: Night) -> Iterator[None]:
    """Hold the home for one night at a time; the lock dies with its process, so a killed owner blocks nobody.

    Raises:
        UserError: another process is running a night here.
    """
    home = night.settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(home / "night.lock"), timeout=0, is_singleton=True)
        lock.acquire()
    except Timeout as error:
        owner = home / "night.owner"
        who = owner.read_text(encoding="utf-8").strip() if owner.exists() else "unknown"
        raise UserError(
            "another night is running here",
            where=f"{home} (held by {who})",
            remedy="wait until it ends, or stop that process; nothing was changed",
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot write to the home: {error.strerror}",
            where=str(home),
            remedy="free disk space or mend its permissions, then run again: nothing is lost",
        ) from error
    try:
        (home / "night.owner").write_text(f"process {os.getpid()} on {socket.gethostname()}, night {night.date}\n")
        yield
    finally:
        lock.release()


def decision_date(context: Mapping[str, Any]) -> str:
    """D of an Airflow run: its logical date as it reads in Shanghai, or today's there where it was triggered without one."""
    return local_date(context.get("logical_date") or dt.datetime.now(dt.UTC)).isoformat()


def run_task(job: str, date: str) -> dict[str, Any]:
    """One job as an Airflow task: by name and decision date, in the environment of the process."""
    silence_telemetry()
    settings = load_settings()
    night = Night(parse_date(date), settings, settings.landing)
    if job == read_compiled("nightly")[0].job:
        begin_night(night, tell_task)
    record = run_job(job, night)
    tell_task(job, record)
    return dict(record.figures.simple())


def tell_task(job: str, record: Record | None) -> None:
    """One line for people, in the log of a task."""
    if record is not None:
        sys.stdout.write(MARK + line(job, record.state, record.seconds, record.figures) + "\n")


def begin_night(night: Night, tell: Callable[[str, Record | None], None]) -> None:
    """What comes before the first job: mistakes are refused, tables of an older release are brought up to date.

    Raises:
        UserError: every mistake in what people wrote.
    """
    refuse_mistakes(night)
    clock = time.perf_counter()
    with lease(night), _disk_trouble(night):
        tables = upgrade_tables(night.lake)
    if tables:
        columns, files = sum(len(table.columns) for table in tables), sum(table.files for table in tables)
        figures = UpgradeFigures(tables=len(tables), columns=columns, files=files)
        tell("upgrade", Record("upgrade", "done", time.perf_counter() - clock, figures))


def refuse_mistakes(night: Night) -> None:
    """Refuse at the beginning what the night would refuse in its middle: the same that `cpc check` tells.

    Raises:
        UserError: every mistake in what people wrote.
    """
    from runtime.rehearsal import rehearse

    raise_all(rehearse(night))


def run_job(job: str, night: Night) -> Record:
    """Run one job of the night and record it.

    Raises:
        UserError: what the job raises, unchanged; the record says ``failed``.
    """
    with lease(night), _disk_trouble(night):
        module = load(job)
        started = dt.datetime.now(dt.UTC)
        clock = time.perf_counter()
        try:
            figures = module.run(night)
        except Exception as error:
            failed = Record(job, "failed", time.perf_counter() - clock, Failure(error=_first_line(error)))
            with contextlib.suppress(OSError):  # the first error is the one to show
                _keep(night, failed, started)
            raise
        record = Record(job, "degraded" if figures.served_by_less else "done", time.perf_counter() - clock, figures)
        if job == PINS:
            pin(night)
        _keep(night, record, started)
        _mark_done(night, job)
        return record


def _first_line(error: Exception) -> str:
    """What an error says first; of one that says nothing, its name."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def _disk_trouble(night: Night) -> Iterator[None]:
    """Say of a full or read-only disk what to do about it."""
    try:
        yield
    except OSError as error:
        if error.errno not in {28, 30, 13}:  # no space, read-only, not permitted
            raise
        raise UserError(
            f"cannot write: {error.strerror}",
            where=str(error.filename or night.settings.home),
            remedy="free disk space or mend permissions, then run again: finished jobs are kept",
        ) from error


def pin(night: Night) -> None:
    """Fix the run's id; an unfinished attempt with the same inputs is carried on, anything else starts anew."""
    identity = compute(night)
    last = read_attempt(night)
    if last is None or last.finished or last.run_id != identity:
        write_attempt(night, Attempt(identity))


def _mark_done(night: Night, job: str) -> None:
    """Note a job of the attempt; with the night's last one it is finished, whoever started the jobs."""
    attempt = read_attempt(night)
    if attempt is not None and not attempt.finished:
        last = job == read_compiled("nightly")[-1].job
        write_attempt(night, Attempt(attempt.run_id, tuple(dict.fromkeys((*attempt.done, job))), finished=last))


def _keep(night: Night, record: Record, started: dt.datetime) -> None:
    """Replace the job's row of this run in ``ops_run`` (a few rows a night).

    What ran before the run's id was fixed is kept as unpinned, and goes to the run when it is.
    """
    attempt = read_attempt(night)
    unpinned = f"{night.date}-unpinned"
    run_id = attempt.run_id if attempt and not _precedes_pin(record.job) else unpinned
    runs = night.lake.arrow("ops_run", partition=night.partition)
    rows = {(row["run_id"], row["job"]): row for row in runs.to_pylist()}
    if record.job == PINS:
        waiting = [key for key in rows if key[0] == unpinned]
        rows |= {(run_id, job): {**rows.pop((old, job)), "run_id": run_id} for old, job in waiting}
    rows[run_id, record.job] = {
        "run_id": run_id,
        "business_date": night.date,
        "job": record.job,
        "state": record.state,
        "figures": json.dumps(record.figures.as_json(), ensure_ascii=False, default=str),
        "started_at": started,
        "seconds": record.seconds,
        "host": socket.gethostname(),
        "configuration": configuration(night)[:16],
        "code": code()[:16],
    }
    schema = nullable(arrow_schema(night.lake.table("ops_run")))  # an older home's table lacks later columns
    table = pa.Table.from_pylist(list(rows.values()), schema=schema)
    night.lake.replace_arrow("ops_run", table, partition=night.partition)


def _precedes_pin(job: str) -> bool:
    names = [step.job for step in read_compiled("nightly")]
    return job in names[: names.index(PINS)]


def plan(run: str, first: str | None = None, last: str | None = None) -> list[JobStep]:
    """The steps of a run from ``first`` to ``last``.

    Raises:
        UserError: the run has no such job.
    """
    steps = read_compiled(run)
    names = [step.job for step in steps]
    for name, option in ((first, "--from"), (last, "--until")):
        if name is not None and name not in names:
            raise UserError(f"no job {name!r} in the night", where=option, remedy=f"choose one of: {', '.join(names)}")
    start = names.index(first) if first else 0
    end = names.index(last) + 1 if last else len(names)
    return steps[start:end]


def run_night(
    night: Night,
    steps: Sequence[JobStep],
    tell: Callable[[str, Record | None], None] = lambda job, record: None,
) -> list[Record]:
    """Run the steps in order under one lease; after a crash, jobs done under the same inputs are not done again.

    Args:
        night: the night.
        steps: from ``plan``.
        tell: called before a job (with None) and after it (with its record).
    """
    records: list[Record] = []
    before = read_attempt(night)
    resumable = set(before.done) if before and not before.finished and before.run_id == compute(night) else set()
    with lease(night):
        if steps and steps[0].job == read_compiled("nightly")[0].job:
            begin_night(night, tell)
        for step in steps:
            attempt = read_attempt(night)
            carried = attempt is not None and before is not None and attempt.run_id == before.run_id
            skippable = step.job not in {"scan", PINS}  # what has landed is always looked at again
            if carried and skippable and step.job in resumable and len(steps) > 1:
                record = Record(step.job, "kept", 0.0, JobFigures())
            else:
                tell(step.job, None)
                record = run_job(step.job, night)
            tell(step.job, record)
            records.append(record)
    return records
