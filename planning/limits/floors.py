"""What limits ask for at least, on a night on which nobody is contacted."""

from __future__ import annotations

from dataclasses import replace

from planning.limits.declared import InForce
from planning.limits.in_force import LimitsInForce
from runtime.holds import read_unowned_refusals
from runtime.night import Night


def waive_floors(night: Night, limits: InForce) -> InForce:
    """Tonight's limits without their floors where refusals without owner stop all outbound contacts."""
    stop = read_unowned_refusals(night.lake, night.catalogue, night.date)
    if not stop:
        return limits
    rows = tuple(
        limit.with_amount(0) if limit.sign < 0 and limit.amount > 0 else limit for limit in limits.limits.limits
    )
    note = f"nobody is contacted ({', '.join(sorted({hold.feed for hold in stop}))}): floors are waived"
    return replace(limits, limits=LimitsInForce(limits=rows), notes=(*limits.notes, note))
