"""``cpc nightly``, ``cpc job``, ``cpc scan`` and ``cpc runs``: the night, one job of it, and what has run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import typer

from cli.check import examine
from cli.check import tell as tell_mistakes
from cli.output import (
    DateOption,
    EnvOption,
    JsonOption,
    SetOption,
    console,
    open_night,
    print_json,
    print_table,
)
from cli.report import print_summary
from cli.tonight import show, would_change
from conf.errors import UserError
from conf.settings import load_settings
from runtime.lake import Lake
from runtime.run_record import RunRecord, line, records
from runtime.runner import Record, plan, run_job, run_night

app = typer.Typer()


@app.command()
def nightly(
    date: DateOption,
    until: Annotated[str | None, typer.Option("--until", help="Last job to run.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First job to run.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the order, check what people wrote, run nothing.")
    ] = False,
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """The whole night of a decision date, in order; resumes after a crash. Example: cpc nightly --date 2026-01-09."""
    night = open_night(date, env, set_)
    steps = plan("nightly", from_, until)
    if dry_run:
        mistakes = examine(night)
        rows = [(step.job, ", ".join(step.after), ", ".join(step.reads), ", ".join(step.writes)) for step in steps]
        if as_json:
            print_json([{"job": r[0], "after": r[1], "reads": r[2], "writes": r[3]} for r in rows])
        else:
            print_table(f"the night of {night.date}", ("job", "after", "reads", "writes"), rows)
        if mistakes:
            tell_mistakes(mistakes)
            raise typer.Exit(2)
        if not as_json:
            show(would_change(night))
        return
    if not night.landing.is_dir():
        raise UserError(
            "nothing has landed: the folder does not exist",
            where=str(night.landing),
            remedy="point CPC_LANDING at the landing folder, or make a province with `cpc demo` or `cpc synth`",
        )
    done = run_night(night, steps, lambda job, record: None if as_json else tell(job, record))
    if as_json:
        print_json([record.as_json() for record in done])
    else:
        print_summary(night)


def tell(job: str, record: Record | None, log: Callable[[str], None] = console.print) -> None:
    """One line as a job ends; on a terminal, one as it begins too."""
    if record is not None:
        log(line(job, record.state, record.seconds, record.figures))
    elif console.is_terminal:
        log(f"  {job} …")


@app.command()
def job(
    name: str, date: DateOption, env: EnvOption = None, set_: SetOption = None, as_json: JsonOption = False
) -> None:
    """One job of the night by its name. Example: cpc job eligibility --date 2026-01-09."""
    record = run_job(name, open_night(date, env, set_))
    if as_json:
        print_json(record.as_json())
    else:
        tell(name, record)


@app.command()
def scan(date: DateOption, env: EnvOption = None, set_: SetOption = None, as_json: JsonOption = False) -> None:
    """Look at what has landed. Example: cpc scan --date 2026-01-09."""
    job("scan", date, env, set_, as_json)


@app.command()
def runs(
    what: Annotated[str, typer.Argument(help="list, or show")] = "list",
    run: Annotated[str | None, typer.Argument(help="run id")] = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """What has run: every night, or the jobs of one. Example: cpc runs show 2026-01-09-0123456789ab."""
    settings = load_settings(env)
    history = sorted(
        records(Lake(settings.lake, settings.catalogue)), key=lambda each: (each.business_date, each.run_id)
    )
    if what == "show":
        chosen = [record for record in history if record.run_id == run]
        if not chosen:
            raise UserError(f"no run {run!r}", where="cpc runs show", remedy="`cpc runs` lists them")
        if as_json:
            print_json([vars(record) for record in chosen])
        else:
            print_table(
                str(run),
                ("job", "state", "seconds", "figures"),
                [(r.job, r.state, r.seconds, json.dumps(r.figures, ensure_ascii=False)[:160]) for r in chosen],
            )
        return
    if what != "list":
        raise UserError(f"no `cpc runs {what}`", where="cpc runs", remedy="use `cpc runs` or `cpc runs show RUN`")
    nights: dict[str, list[RunRecord]] = {}
    for record in history:
        nights.setdefault(record.run_id, []).append(record)
    listed = [
        {
            "run_id": run_id,
            "business_date": jobs[0].business_date,
            "jobs": len(jobs),
            "state": next((job.state for job in jobs if job.state != "done"), "done"),
            "seconds": sum(job.seconds for job in jobs),
        }
        for run_id, jobs in nights.items()
    ]
    if as_json:
        print_json(listed)
    else:
        print_table("runs", ("run", "night", "jobs", "state", "seconds"), [list(entry.values()) for entry in listed])
