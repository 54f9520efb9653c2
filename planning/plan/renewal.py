"""Since when a home's control is renewed by twelfths.

Releases up to 0.2 drew control for a calendar year. Such a home's control leaves a twelfth a month, so a night must know
until when it was drawn by the year: each run record of `assign` hands that on, and one that does not know it yet is of
such a release.
"""

from __future__ import annotations

import datetime as dt

from runtime.figures import AssignFigures
from runtime.night import Night
from runtime.run_record import records


def find_last_yearly(night: Night) -> dt.date | None:
    """The last night whose control was drawn for its calendar year; None where there was none, up to tonight."""
    decided = [
        record
        for record in records(night.lake)
        if record.job == AssignFigures.job and record.state != "failed" and record.business_date <= night.date
    ]
    if not decided:
        return None
    newest = max(decided, key=lambda record: (record.business_date, record.started_at))
    handed_on = newest.read(AssignFigures).control_yearly_until
    if handed_on is None:
        return newest.business_date
    return dt.date.fromisoformat(handed_on) if handed_on else None
