"""The summary a night ends with on the terminal: what was loaded, decided, proved, and where to look next."""

from __future__ import annotations

from typing import Any

from cli.output import console, print_table
from reporting.feed_status import loads
from reporting.figure_text import say_gap
from reporting.night_report.facts import read_plan
from runtime.figures import AssignFigures, EligibilityFigures, JobFigures, ProveFigures, ScoreFigures
from runtime.night import Night
from runtime.run_id import run_id
from runtime.run_record import NightRecord, night_record


def summary(night: Night) -> dict[str, Any]:
    """The night in figures; what a job did not report is None."""
    run = run_id(night)
    record = night_record(night, night.date, run)
    assign = record.read(AssignFigures)
    plan = read_plan(night, night.date)
    channels = {channel.id: channel.code for channel in night.catalogue.channels}
    loaded = loads(night)
    return {
        "business_date": night.date.isoformat(),
        "run_id": run,
        "files_loaded": loaded.files,
        "rows_loaded": loaded.rows,
        "quarantined": loaded.quarantined,
        "served_by_less": list_shortfalls(record),
        "customers_scored": record.read(ScoreFigures).customers,
        "customers_assigned": plan.customers,
        "contacts": plan.contacts,
        "contacts_by_channel": {channels[key]: count for key, count in sorted(plan.by(1).items())},
        "roles": dict(sorted(plan.roles.items())),
        "value_yuan": plan.value_micro / 1e6,
        "certified_gap": assign.gap,
        "certificate": record.read(ProveFigures).verdict,
        "lift_over_arbitrate_then_cap": assign.lift,
        "lift_caps_only": assign.lift_caps_only,
        "lift_no_budget": assign.lift_no_budget,
        "arbitrate_then_cap_breaks": assign.baseline_breaks or [],
        "seconds": sum(job.seconds for job in record.jobs.values()),
        "look": places(night, run),
    }


def list_shortfalls(record: NightRecord) -> dict[str, str]:
    """Why a job is done but not as it should be, by job."""
    forms: tuple[type[JobFigures], ...] = (EligibilityFigures, ScoreFigures)
    reasons = {form.job: record.read(form).served_by_less for form in forms}
    return {job: why for job, why in reasons.items() if why}


def lift_line(figures: dict[str, Any]) -> str:
    """The lift of predicted value, like with like, and which limits arbitrate-then-cap breaks."""
    both, alone, rich = (
        "–" if figures[name] is None else f"{figures[name]:+.1%}"
        for name in ("lift_over_arbitrate_then_cap", "lift_caps_only", "lift_no_budget")
    )
    breaks = figures["arbitrate_then_cap_breaks"]
    return f"{rich} with budgets open; {both} on caps and floors, {alone} on caps alone" + (
        f"; it breaks {', '.join(breaks)}" if breaks else ""
    )


def places(night: Night, run: str) -> dict[str, str]:
    """Where to look next."""
    home = night.settings.home
    return {
        "night report": str(home / "published" / night.date.isoformat() / "report.html"),
        "campaign files": str(home / "published" / night.date.isoformat()),
        "tables": str(night.settings.lake),
        "certificate": f"cpc certify --run {run}",
        "why, for all": f"cpc funnel --run {run}",
        "models": f"mlflow ui --backend-store-uri sqlite:///{home}/mlflow.db",
        "airflow": f"AIRFLOW_HOME={home}/airflow airflow standalone",
    }


def print_summary(night: Night) -> None:
    """The summary as a table for people."""
    figures = summary(night)
    by_channel = ", ".join(f"{name} {count:,}" for name, count in figures["contacts_by_channel"].items()) or "nobody"
    gap = figures["certified_gap"]
    rows: list[tuple[str, Any]] = [
        ("run", figures["run_id"]),
        ("files loaded", figures["files_loaded"]),
        ("rows loaded", figures["rows_loaded"]),
        ("rows quarantined", figures["quarantined"]),
        ("customers scored", figures["customers_scored"]),
        ("customers assigned", figures["customers_assigned"]),
        ("contacts", f"{figures['contacts']:,} ({by_channel})"),
        ("roles", ", ".join(f"{name} {count:,}" for name, count in figures["roles"].items())),
        ("predicted value", f"{figures['value_yuan']:,.2f} yuan (元)"),
        (
            "certified gap",
            "–" if gap is None else f"{say_gap(gap)} of the optimum at most; checker: {figures['certificate']}",
        ),
        ("lift over arbitrate-then-cap", lift_line(figures)),
        *((f"less than usual: {job}", why) for job, why in figures["served_by_less"].items()),
    ]
    print_table(
        f"the night of {night.date}",
        ("what", "figure"),
        [(name, str(value) if not isinstance(value, int) else value) for name, value in rows],
    )
    console.print("look next:")
    for name, place in figures["look"].items():
        console.print(f"  {name:<15} {place}")
