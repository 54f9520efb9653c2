"""Hidden traits: what customers are like. Files show them only through behaviour, with noise."""

from __future__ import annotations

import numpy as np

from synth.keyed import stream
from synth.plan import NEEDS, Floats, Ints, LoggedPlan

Columns = dict[str, np.ndarray]
#: Life events and the need that each raises.
EVENTS = {"terminal": "terminal", "contract": "data", "roaming": "voice", "data_used_up": "data", "family": "message"}


def traits(plan: LoggedPlan, block: int, size: int) -> Columns:
    """Hidden traits of ``size`` customers of a block.

    Returns:
        ``value``, ``digital``, ``price_sense``, ``irritable``, ``persuade`` (n, standard normal);
        ``intent`` (n × 4), ``habit`` (n × channels), ``taste`` (n × 3); ``reach`` (n × channels, 0 … 1);
        ``event_day`` (n × events, day number, −1 where none in the period); float32 but for days.
    """
    rng = stream(plan.seed, "traits", block)
    value, digital, sense, irritable, persuade = rng.normal(size=(5, size))
    persuade = 0.3 * digital + np.sqrt(1 - 0.09) * persuade
    intent = _intents(plan, value, digital, rng.normal(size=(size, len(NEEDS))))
    habit = _habits(plan, digital, rng.normal(size=(size, len(plan.channels))))
    reach = _reaches(plan, habit, rng.normal(size=size))
    columns: Columns = {
        "value": value,
        "digital": digital,
        "price_sense": sense,
        "irritable": irritable,
        "persuade": persuade,
        "intent": intent,
        "habit": habit,
        "taste": rng.normal(size=(size, 3)),
        "reach": reach,
    }
    out: Columns = {name: column.astype(np.float32) for name, column in columns.items()}
    return out | {"event_day": _events(plan, rng, size)}


def _intents(plan: LoggedPlan, value: Floats, digital: Floats, own: Floats) -> Floats:
    columns = []
    for g, name in enumerate(NEEDS):
        group = plan.preset.groups.get(name)
        d, v = (group.digital, group.value) if group else (0.0, 0.0)
        rest = np.sqrt(max(0.1, 1 - d * d - v * v))
        columns.append(d * digital + v * value + rest * own[:, g])
    return np.stack(columns, axis=1)


def _habits(plan: LoggedPlan, digital: Floats, own: Floats) -> Floats:
    loads = np.array([habit.digital for habit in plan.habits])
    return loads * digital[:, None] + np.sqrt(np.maximum(0.1, 1 - loads**2)) * own


def _reaches(plan: LoggedPlan, habit: Floats, busy: Floats) -> Floats:
    mean = np.clip([h.reach for h in plan.habits], 1e-3, 1 - 1e-3)
    logit = np.log(mean / (1 - mean)) + 0.6 * habit - 0.5 * busy[:, None]
    return np.asarray(1 / (1 + np.exp(-logit)))


def _events(plan: LoggedPlan, rng: np.random.Generator, size: int) -> Ints:
    span = plan.end_day - plan.first_day + 30
    days = plan.first_day + rng.integers(0, span, size=(size, len(EVENTS)))
    happens = rng.random((size, len(EVENTS))) < min(1.0, 0.35 * span / 180)
    return np.where(happens, days, -1).astype(np.int32)
