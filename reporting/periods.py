"""The period that figures of money are about: its parts, its orders, and when it can be told.

A period is first to last decision date of a policy; its orders are those from the first date to the day that is
``conversion_days`` after the last, that day included. It is split where control changes, so that within a part nobody does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

#: Customers with an order that each group needs before the interval holds: margins have a heavy tail.
BUYERS = 20
#: Control has changed on a date where more of it than this came or went; single customers are left out instead.
CHANGED = 0.02


@dataclass(frozen=True)
class DayCount:
    """A policy's decision date: customers in control, and customers who changed into it or out of it that day."""

    policy: str
    date: dt.date
    control: int
    switched: int


@dataclass(frozen=True)
class Part:
    """Dates of one policy on which control is the same; orders count from ``first`` to the day before ``until``."""

    number: int
    policy: str
    first: dt.date
    last: dt.date
    until: dt.date


def split(days: Iterable[DayCount], conversion_days: int) -> list[Part]:
    """The parts of every policy, in order of date.

    Args:
        days: the decision dates of all policies.
        conversion_days: how long after a date its orders may come; shorter where another part begins before.
    """
    runs: list[tuple[str, dt.date, dt.date]] = []
    by_policy: dict[str, list[DayCount]] = {}
    for day in sorted(days, key=lambda day: (day.policy, day.date)):
        by_policy.setdefault(day.policy, []).append(day)
    for policy, ordered in by_policy.items():
        starts = [0, *(i for i, day in enumerate(ordered) if i and day.switched > max(1.0, CHANGED * day.control))]
        for begin, end in pairwise([*starts, len(ordered)]):
            runs.append((policy, ordered[begin].date, ordered[end - 1].date))
    runs.sort(key=lambda run: (run[1], run[0]))
    parts = []
    for number, (policy, first, last) in enumerate(runs):
        until = last + dt.timedelta(days=conversion_days + 1)
        later = [start for _, start, _ in runs if last < start < until]
        parts.append(Part(number, policy, first, last, min(later, default=until)))
    return parts


def date_told(first: dt.date, today: dt.date, until: dt.date, buyers: int) -> dt.date | None:
    """When the groups will tell: orders of the last date are in, and the smaller group has buyers enough.

    None where it tells already. Buyers are taken to come as they came so far; of none, that one comes tomorrow.

    Args:
        first: first decision date.
        today: the date of the night.
        until: the day after the last orders that count.
        buyers: customers with an order, of the group that has fewer.
    """
    if buyers >= BUYERS and today >= first + dt.timedelta(days=1):
        return None
    elapsed = max((min(today, until) - first).days, 1)
    rate = max(buyers, 1) / elapsed
    return max(first + dt.timedelta(days=ceil(BUYERS / rate)), today + dt.timedelta(days=1))
