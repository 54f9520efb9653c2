"""Columns of registers: the profile of a customer as of a day, and the shift calendars of the centres."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from conf.geography import GRADES
from conf.money import MICRO
from synth.events import Table
from synth.frame import Column, Frame
from synth.keyed import stream, uniform
from synth.people import BRANDS, PLANS
from synth.plan import Ints
from synth.wording import make_codes, take_words, with_nulls
from synth.world import World

#: Shift, start in minutes of the day, paid minutes, meal minutes, training minutes.
SHIFTS = (
    ("early", 480, 480, 30, 20),
    ("mid", 720, 480, 30, 15),
    ("late", 930, 480, 30, 10),
    ("night", 1050, 360, 30, 0),
    ("night7", 1110, 360, 30, 0),
)
#: Agents for each million customers, all centres together.
AGENTS = {"10086": 420, "12580": 60, "outbound": 300}


def find_last_change(world: World, rows: Ints, day: int | Ints) -> Ints:
    """Local second since when the profile as of the end of ``day`` holds."""
    opened, closed = world["opened"][rows].astype(np.int64), world["closed"][rows].astype(np.int64)
    handset = world["event_day"][rows, 0].astype(np.int64)
    last = np.where((handset >= opened) & (handset <= day) & (handset < closed), handset, opened)
    last = np.where(closed <= day, closed, last)
    return (
        last * 86400 + (uniform(rows, world.plan.seed, "changed") * 3600 * 8).astype(np.int64) + 9 * 3600 * (last > 0)
    )


def profile(frame: Frame) -> dict[str, Column]:
    """Profiles as of the end of the day of ``frame.time``."""
    w, rows = frame.world, frame.customer
    day = frame.time // 86400
    opened, closed = w["opened"][rows].astype(np.int64), w["closed"][rows].astype(np.int64)
    handset = w["event_day"][rows, 0].astype(np.int64)
    new = (handset >= opened) & (handset <= day)
    geography = w.plan.geography
    state = np.where(closed <= day, 2, np.where(w["suspended"][rows], 1, 0))
    group = w["group"][rows]
    fee = np.array([p[1] for p in PLANS])[w["plan"][rows]]
    return {
        "account": make_codes("A", rows, width=9),
        "birth_year": w["birth_year"][rows],
        "gender": with_nulls(take_words(["F", "M", "M"], w["gender"][rows].astype(int)), w["gender"][rows] == 2),
        "opened_on": opened,
        "status": take_words(["active", "suspended", "closed"], state),
        "city": take_words([c.code for c in geography.cities], w["city"][rows].astype(int)),
        "centre": take_words([c.code for c in geography.centres], w["centre"][rows].astype(int)),
        "grade": take_words(list(GRADES), w["grade"][rows].astype(int)),
        "star": w["star"][rows].astype(int),
        "group_id": with_nulls(make_codes("G", np.maximum(group, 0), width=5), group < 0),
        "manager_id": with_nulls(make_codes("M", np.maximum(group, 0) % 97, width=3), group < 0),
        "plan": take_words([p[0] for p in PLANS], w["plan"][rows].astype(int)),
        "plan_fee_micro": fee.astype(np.int64) * MICRO,
        "contract_end": w["contract_end"][rows].astype(np.int64),
        "terminal_brand": take_words([b[0] for b in BRANDS], w["brand"][rows].astype(int)),
        "terminal_model": make_codes("MD", w["model"][rows].astype(int) + 100 * new, width=3),
        "terminal_price_micro": (w["terminal_price"][rows] * np.where(new, 1.2, 1.0)).astype(np.int64) * MICRO,
        "terminal_5g": w["terminal_5g"][rows],
        "terminal_since": np.where(new, handset, np.maximum(w["terminal_since"][rows], opened)),
        "real_name": w["real_name"][rows],
        "minor": w["minor"][rows],
        "broadband": w["broadband"][rows],
        "household_size": w["household"][rows].astype(int).clip(max=12),
    }


def profile_rows(world: World, first: int, last: int, census: bool) -> Ints:
    """Whose profile a file of ``[first, last)`` holds: everyone of that time, or those with a change in it."""
    opened, closed = world["opened"], world["closed"]
    if census:
        return np.flatnonzero((opened < last) & (closed >= first))
    handset = world["event_day"][:, 0]
    changed = (opened >= first) & (opened < last) | (closed >= first) & (closed < last)
    changed |= (handset >= first) & (handset < last) & (opened < first) & (closed > first)
    touched = uniform(np.arange(world.size), world.plan.seed, "touched", first) < 0.002
    return np.flatnonzero(changed | (touched & (opened < last) & (closed >= last)))


def shift_rows(world: World, first: int, last: int, centres: tuple[str, ...]) -> Table:
    """Shifts of ``[first, last)`` of the named centres (all if none), a row a day, service and shift."""
    plan = world.plan
    known = plan.geography.centres
    share = np.bincount(world["centre"], minlength=len(known)) / world.size
    rows: list[tuple[int, int, str, int, int]] = []
    for z, centre in enumerate(known):
        if centres and centre.code not in centres:
            continue
        for service in centre.services:
            for s in range(len(SHIFTS)):
                rng = stream(plan.seed, "shift", centre.code, service, s, first)
                part = (0.34, 0.28, 0.22, 0.10, 0.06)[s] * (1.0 if service == "12580" else float(share[z]))
                for day in range(first, last):
                    weekend = 0.8 if (day + 3) % 7 >= 5 else 1.0
                    agents = AGENTS[service] * part * weekend * (0.9 + 0.2 * rng.random())
                    rows.append((day, z, service, s, round(agents)))
    starts = np.array([row[0] * 86400 + SHIFTS[row[3]][1] * 60 for row in rows], dtype=np.int64)
    table = {name: np.array([row[k] for row in rows], dtype=np.int64) for k, name in enumerate(("day", "centre"))}
    table |= {name: np.array([row[k] for row in rows], dtype=np.int64) for k, name in ((3, "shift"), (4, "agents"))}
    return table | {"service": np.array([row[2] for row in rows], dtype=object), "time": starts}


def shift(frame: Frame) -> dict[str, Column]:
    """Columns of shift rows; their end is ``ends``."""
    rows = frame.ledger or {}
    kinds = rows["shift"]
    minutes = np.array([s[2] for s in SHIFTS])[kinds]
    return {
        "date": rows["day"],
        "centre": take_words([c.code for c in frame.world.plan.geography.centres], rows["centre"]),
        "service": pa.array(rows["service"].tolist(), pa.string()),
        "shift": take_words([s[0] for s in SHIFTS], kinds),
        "agents": rows["agents"],
        "minutes": minutes,
        "meal_minutes": np.array([s[3] for s in SHIFTS])[kinds],
        "training_minutes": np.array([s[4] for s in SHIFTS])[kinds],
    }
