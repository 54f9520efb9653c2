"""Whether to train: a week after the last training, or some days after it where the model's own nights raised alarms."""

from __future__ import annotations

import datetime as dt

from conf.dates import parse_date
from conf.settings import load_settings
from models.lifecycle.monitoring import SUBJECT
from models.lifecycle.registry import versions
from runtime.night import Night

#: Days between trainings, and the least number of days: results of a new model take time to come.
WEEK, REST = 7, 3


def why(date: str) -> str:
    """Why to train on a decision date, in the environment of the process; empty where there is no reason."""
    settings = load_settings()
    return reason(Night(parse_date(date), settings, settings.landing))


def reason(night: Night) -> str:
    """Why to train tonight; empty where there is no reason."""
    trained = [dt.date.fromisoformat(row["date"]) for row in versions(night.settings) if row["date"]]
    last = max((date for date in trained if date < night.date), default=None)
    if last is None:
        return "no model was trained yet"
    days = (night.date - last).days
    if days >= WEEK:
        return f"the last training is {days} days old"
    rows = night.lake.arrow("ops_quality", columns=["business_date", "subject", "check", "success"]).to_pylist()
    alarms = sorted(
        row["check"]
        for row in rows
        if row["subject"] == SUBJECT and not row["success"] and last < row["business_date"] <= night.date
    )
    return "alarms: " + ", ".join(alarms) if alarms and days >= REST else ""
