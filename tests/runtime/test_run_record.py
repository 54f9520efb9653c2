"""The run record: what a job wrote is read typed, whatever release wrote it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import pytest
from pydantic import ValidationError

from runtime import figures as forms
from runtime.figures import AssignFigures, Failure, JobFigures, ProveFigures, ScanFigures, ScoreFigures, TrainFigures
from runtime.night import Night
from runtime.night_order import RUNS, load
from runtime.run_record import last_training, night_record, record_of
from tests.nights.published import put

D = dt.date(2026, 1, 9)
FORMS = {form.job: form for form in vars(forms).values() if isinstance(form, type) and getattr(form, "job", "")}


def row(job: str, run: str, figures: dict, minute: int = 0, date: dt.date = D, state: str = "done") -> dict:
    """A row of ``ops_run``."""
    began = dt.datetime(2026, 1, 9, 4, minute, tzinfo=dt.UTC)
    base = {"run_id": run, "business_date": date, "job": job, "state": state, "started_at": began, "seconds": 1.0}
    return {**base, "figures": json.dumps(figures), "host": "here"}


def test_every_job_has_figures_of_its_own() -> None:
    jobs = {job for run in RUNS.values() for job in run}
    assert set(FORMS) <= jobs
    for job in jobs:
        promised = get_type_hints(load(job).run)["return"]
        assert issubclass(promised, JobFigures), job
        assert promised.job == job


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_record_of_any_release_can_be_read(form: type[JobFigures]) -> None:
    empty = form.load({"a figure of another release": 1})
    assert set(vars(empty).values()) == {None}
    with pytest.raises(ValidationError):
        form.model_validate({"misspelt": 1})


def test_what_release_0_1_recorded_is_read_and_written_alike() -> None:
    """A line a job of a night of release 0.1: its figures have name, order and value as before; later ones are null."""
    lines = (Path(__file__).parent / "records_0_1.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [json.loads(line) for line in lines]
    assert {one["job"] for one in kept} == set(FORMS)
    for one in kept:
        before = json.loads(one["figures"])
        written = FORMS[one["job"]].load(before).as_json()
        as_before = {name: value for name, value in written.items() if name in before}
        assert json.dumps(as_before, ensure_ascii=False) == one["figures"], one["job"]
        assert {name: value for name, value in written.items() if name not in before and value is not None} == {}


def test_the_json_has_the_names_and_the_order_that_it_had() -> None:
    scan = ScanFigures(files=3, ready=3, waiting=0, refused=0, unknown=0, dates=1)
    assert (
        json.dumps(scan.as_json()) == '{"files": 3, "ready": 3, "waiting": 0, "refused": 0, "unknown": 0, "dates": 1}'
    )
    known = dict.fromkeys(AssignFigures.model_fields) | {"customers": 4}
    told = AssignFigures(**known).as_json()
    assert told["bound_claimed"] is None  # always told, if only that there is none
    assert "pruning" not in told  # told where pruning was not verified


def test_the_last_run_of_a_job_counts_and_the_run_asked_for_before_it(night: Callable[..., Night]) -> None:
    tonight = night(D)
    rows = [
        row("assign", "a", {"gap": 0.1}, 1),
        row("assign", "b", {"gap": 0.2}, 2),
        row("score", "b", {"kept": 7}, 3),
        row("prove", "a", {"error": "refused"}, 4, state="failed"),
    ]
    put(tonight, "ops_run", rows, tonight.partition)
    assert night_record(tonight, D).read(AssignFigures).gap == 0.2
    of_a = night_record(tonight, D, "a")
    assert of_a.read(AssignFigures).gap == 0.1
    assert of_a.read(ScoreFigures).kept == 7  # of the other run, better than nothing
    assert of_a.read(TrainFigures).auc is None  # has not run
    prove = record_of(tonight, "a", ProveFigures.job)
    assert prove is not None
    assert (prove.state, prove.error, prove.read(ProveFigures).accepted) == ("failed", "refused", None)
    assert record_of(tonight, "b", ProveFigures.job) is None


def test_the_last_training_is_the_newest_that_ended_and_is_not_of_the_future(night: Callable[..., Night]) -> None:
    tonight = night(D)
    assert last_training(tonight).version is None
    days = {day: D + dt.timedelta(days=day) for day in (-2, -1, 1)}
    for day, version, state in ((-2, "1", "done"), (-1, "2", "failed"), (1, "3", "done")):
        one = row("train", "r", {"version": version}, date=days[day], state=state)
        put(tonight, "ops_run", [one], {"business_date": days[day]})
    assert last_training(tonight).version == "1"


def test_a_failure_has_a_reason() -> None:
    assert Failure(error="no disk").as_json() == {"error": "no disk"}
