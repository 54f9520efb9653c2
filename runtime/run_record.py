"""The figures a night ends with, and the line a job ends with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runtime.night import Night

#: Marks a line that is meant for people in a log that is not.
MARK = "night> "


def line(job: str, state: str, seconds: float, figures: Mapping[str, Any]) -> str:
    """One line about a job that has ended: its first figures."""
    simple = [(name, value) for name, value in figures.items() if isinstance(value, int | float | str)]
    facts = ", ".join(f"{name.replace('_', ' ')} {show(value)}" for name, value in simple[:5])
    return f"  {job:<12}{state:<9}{seconds:6.1f} s  {facts}"[:160].rstrip()


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


def record_of(night: Night, run_id: str, job: str) -> dict[str, Any] | None:
    """State and figures of a job in the run record of ``run_id``; None where it has not run."""
    rows = night.lake.arrow("ops_run", partition=night.partition).to_pylist()
    mine = [row for row in rows if row["job"] == job and row["run_id"] == run_id]
    return {"state": mine[0]["state"], **json.loads(mine[0]["figures"])} if mine else None
