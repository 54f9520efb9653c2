"""The runner: the record it keeps, the lease it takes, and where it goes on after a crash."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import sys
from pathlib import Path
from types import ModuleType

import deltalake
import pytest

from conf.errors import UserError
from conf.settings import Settings
from runtime import night_order, run_id, runner
from runtime.figures import PartialsFigures, ScoreFigures
from runtime.night import Night
from runtime.night_order import JobStep
from runtime.run_record import records

JOBS = ("scan", "ingest", "middle", "publish")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Four jobs that only say that they ran; ``middle`` fails while ``calls`` holds the word ``break``."""
    ran: list[str] = []

    def make(name: str) -> ModuleType:
        module = ModuleType(f"jobs.{name}", f"Do {name}.")

        def run(night: Night) -> PartialsFigures:
            ran.append(name)
            if name == "middle" and "break" in ran:
                raise RuntimeError("broken on purpose")
            return PartialsFigures(families=1, families_rebuilt=1, nights_rebuilt=1, rows=3)

        module.READS, module.WRITES, module.run = (), (), run  # type: ignore[attr-defined]
        return module

    for name in JOBS:
        monkeypatch.setitem(sys.modules, f"jobs.{name}", make(name))
    monkeypatch.setattr(night_order, "RUNS", {"nightly": JOBS})
    monkeypatch.setattr(run_id, "champion_hash", lambda night: "")
    steps = [JobStep(name, "", (), (), (), ()) for name in JOBS]
    monkeypatch.setattr(runner, "read_compiled", lambda run: steps)
    return ran


def steps() -> list[JobStep]:
    return runner.plan("nightly")


def test_a_night_runs_in_order_and_is_recorded(calls: list[str], night) -> None:
    records = runner.run_night(night(), steps())
    assert calls == list(JOBS)
    assert [record.state for record in records] == ["done"] * 4
    rows = night().lake.arrow("ops_run").to_pylist()
    assert sorted(row["job"] for row in rows) == sorted(JOBS)
    attempt = run_id.read_attempt(night())
    assert attempt is not None
    assert attempt.finished
    assert {row["run_id"] for row in rows if row["job"] != "scan"} == {attempt.run_id}


def test_running_it_again_runs_everything_and_keeps_one_record_a_job(calls: list[str], night) -> None:
    runner.run_night(night(), steps())
    runner.run_night(night(), steps())
    assert calls == [*JOBS, *JOBS]
    rows = night().lake.arrow("ops_run").to_pylist()
    assert len(rows) == len({(row["run_id"], row["job"]) for row in rows})


def test_after_a_failure_it_goes_on_where_it_stopped(calls: list[str], night) -> None:
    calls.append("break")
    with pytest.raises(RuntimeError, match="on purpose"):
        runner.run_night(night(), steps())
    failed = {row["job"]: row["state"] for row in night().lake.arrow("ops_run").to_pylist()}
    assert failed["middle"] == "failed"
    calls.clear()
    records = runner.run_night(night(), steps())
    assert calls == ["scan", "ingest", "middle", "publish"]  # what has landed is always looked at again
    assert [record.state for record in records] == ["done"] * 4


def test_jobs_done_before_a_crash_are_kept(calls: list[str], night) -> None:
    runner.run_job("scan", night())
    runner.run_job("ingest", night())
    runner.run_job("middle", night())
    calls.clear()
    records = runner.run_night(night(), steps())
    assert [(r.job, r.state) for r in records] == [
        ("scan", "done"),
        ("ingest", "done"),
        ("middle", "kept"),
        ("publish", "done"),
    ]


def test_changed_settings_are_another_run_and_nothing_is_kept(calls: list[str], night, settings: Settings) -> None:
    for job in JOBS[:3]:
        runner.run_job(job, night())
    first = run_id.run_id(night())
    other = Night(night().date, settings.model_copy(update={"seed": 1}), night().landing)
    other.settings.__dict__["home"] = settings.home
    calls.clear()
    runner.run_night(other, steps())
    assert calls == list(JOBS)
    assert run_id.run_id(other) != first


def test_the_same_inputs_have_the_same_id(calls: list[str], night) -> None:
    assert run_id.compute(night()) == run_id.compute(night())
    assert run_id.compute(night()).startswith("2026-01-09-")
    assert run_id.compute(night(dt.date(2026, 1, 10))) != run_id.compute(night())


def _hold(home: str, ready, done) -> None:  # runs in a process of its own
    from filelock import FileLock

    Path(home).mkdir(parents=True, exist_ok=True)
    with FileLock(f"{home}/night.lock"):
        ready.set()
        done.wait(30)


def test_a_second_night_at_the_same_time_is_refused_and_a_dead_owner_is_not(calls: list[str], night) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(str(night().settings.home), ready, done))
    process.start()
    assert ready.wait(30)
    with pytest.raises(UserError, match="another night"):
        runner.run_night(night(), steps())
    assert calls == []
    process.kill()  # the owner dies without letting go
    process.join(30)
    runner.run_night(night(), steps())
    assert calls == list(JOBS)


def test_from_and_until_cut_the_night() -> None:
    names = [step.job for step in runner.plan("nightly")]
    assert [s.job for s in runner.plan("nightly", names[2], names[4])] == names[2:5]
    with pytest.raises(UserError, match="no job 'nowhere'"):
        runner.plan("nightly", "nowhere")


def test_no_disk_is_told_with_a_remedy(calls: list[str], night, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(night: Night) -> PartialsFigures:
        raise OSError(28, "No space left on device", "/lake/part.parquet")

    sys.modules["jobs.middle"].run = full  # type: ignore[attr-defined]
    with pytest.raises(UserError) as caught:
        runner.run_night(night(), steps())
    assert "No space left" in caught.value.what
    assert "finished jobs are kept" in caught.value.remedy


def test_a_night_run_job_by_job_is_finished_with_its_last_one(calls: list[str], night) -> None:
    for step in steps():
        assert run_id.read_attempt(night()) is None or not run_id.read_attempt(night()).finished
        runner.run_job(step.job, night())
    assert run_id.read_attempt(night()).finished
    calls.clear()
    runner.run_night(night(), steps())
    assert calls == list(JOBS)  # what Airflow finished is run again whole, not carried on


def test_what_ran_before_the_id_was_fixed_goes_to_the_run(calls: list[str], night) -> None:
    for step in steps():
        runner.run_job(step.job, night())
    run = run_id.read_attempt(night()).run_id
    first = {(row["run_id"], row["job"]) for row in night().lake.arrow("ops_run").to_pylist()}
    assert first == {(run, name) for name in JOBS}
    runner.run_night(night(), steps())
    assert {(row["run_id"], row["job"]) for row in night().lake.arrow("ops_run").to_pylist()} == first


def test_a_job_that_is_served_by_less_is_degraded_and_says_why(calls: list[str], night) -> None:
    told = dict.fromkeys(ScoreFigures.model_fields) | {"kept": 1, "degraded": "last champion kept: no answer"}
    sys.modules["jobs.middle"].run = lambda night: ScoreFigures(**told)  # type: ignore[attr-defined]
    assert runner.run_job("middle", night()).state == "degraded"


def test_an_error_without_a_word_is_recorded_by_its_name(calls: list[str], night) -> None:
    def broken(night: Night) -> PartialsFigures:
        raise AssertionError

    sys.modules["jobs.middle"].run = broken  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        runner.run_job("middle", night())
    [row] = night().lake.arrow("ops_run").to_pylist()
    assert (row["state"], row["figures"]) == ("failed", '{"error": "AssertionError"}')


def test_a_record_says_what_was_configured_and_programmed_on_an_older_home_too(
    calls: list[str], night, settings: Settings
) -> None:
    tonight = night()
    runner.run_night(tonight, steps())
    path, rows = tonight.lake.path("ops_run"), tonight.lake.arrow("ops_run")
    older = rows.drop_columns(["configuration", "code"])  # the columns of release 0.2
    deltalake.write_deltalake(str(path), older, mode="overwrite", schema_mode="overwrite", partition_by="business_date")
    tonight = night()
    runner.run_job("scan", tonight)
    other = Night(tonight.date, settings.model_copy(update={"seed": 7}), tonight.landing)
    runner.run_job("publish", other)
    by_job = {record.job: record for record in records(tonight.lake, tonight.date)}
    assert by_job["middle"].configuration is None
    assert len({by_job["scan"].configuration, by_job["publish"].configuration}) == 2  # another seed is configured
    assert by_job["scan"].code == by_job["publish"].code == run_id.code()[:16]
