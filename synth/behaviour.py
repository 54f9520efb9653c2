"""Columns of what customers do, drawn for given customers and times: traits with noise.

Each function returns the columns of one entity in its own vocabulary (``conf/tables``): strings as Arrow arrays,
numbers and booleans as NumPy, times as local seconds, days as day numbers, money in micro-元.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.frame import Column, Frame, by_intent, product_in_mind
from synth.people import PLANS
from synth.traits import EVENTS
from synth.wording import make_codes, take_words

MIX = {
    "visit.channel": ("website", "wap", "wechat", "weibo", "sms_hall", "ivr", "app"),
    "visit.action": (
        "visit",
        "visit",
        "visit",
        "search",
        "login",
        "click",
        "exposure",
        "answer",
        "query",
        "order_step",
    ),
    "visit.result": ("ok", "ok", "ok", "ok", "failed", "left"),
    "visit.device": ("phone", "phone", "phone", "pc", "pad"),
    "visit.topic": (
        "bill",
        "data_plan",
        "voice_pack",
        "sms_pack",
        "terminal_mall",
        "points",
        "roaming",
        "home",
        "help",
    ),
    "contact.channel": ("10086",),
    "contact.topic": ("bill", "data", "plan", "terminal", "network", "voice", "message", "roaming", "other"),
    "contact.result": ("handled", "handled", "handled", "handled", "abandoned", "transferred"),
    "usage.roaming": ("none",),
    "usage.direction": ("out",),
    "usage.app": ("video", "social", "game", "web", "other"),
    "complaint.category": ("fee", "network", "service", "marketing", "business", "terminal"),
    "life.kind": ("terminal", "contract", "roaming", "data_used_up", "plan", "top_up"),
    "life.code": tuple(f"E{k:02d}" for k in range(12)),
}


def visit(frame: Frame) -> dict[str, Column]:
    """Visits, searches, clicks, exposures and answers on e-channels."""
    persuade = frame.trait("persuade")
    actions = frame.choices.get("action", MIX["visit.action"])
    answered = frame.rng.random(frame.size) < 1 / (1 + np.exp(2.0 - 0.9 * persuade))
    results = tuple(frame.choices.get("result", MIX["visit.result"]))
    action = take_words(list(actions), frame.rng.integers(0, len(actions), frame.size))
    return {
        "channel": _draw_liked_channel(frame, frame.choices.get("channel", MIX["visit.channel"])),
        "action": action,
        "topic": by_intent(frame, frame.choices.get("topic", MIX["visit.topic"])),
        "product": product_in_mind(frame, 0.35),
        "result": _answers(frame, results, answered),
        "seconds": np.minimum(frame.noisy(np.full(frame.size, np.log(45.0)), 1.6), 7200).astype(np.int64),
        "pages": np.minimum(1 + frame.rng.poisson(2.5, frame.size), 99),
        "device": take_words(
            list(frame.choices.get("device", MIX["visit.device"])),
            frame.rng.integers(0, len(frame.choices.get("device", MIX["visit.device"])), frame.size),
        ),
        "decision_id": pa.nulls(frame.size, pa.string()),
    }


def _draw_liked_channel(frame: Frame, values: tuple[str, ...]) -> pa.Array:
    codes = [c.code for c in frame.world.plan.channels]
    habit = frame.trait("habit")
    score = np.stack([habit[:, codes.index(v)] if v in codes else 0.7 * frame.trait("digital") for v in values], axis=1)
    return pa.array(values).take(pa.array(np.argmax(0.9 * score + frame.rng.gumbel(size=score.shape), axis=1)))


def _answers(frame: Frame, values: tuple[str, ...], positive: np.ndarray) -> pa.Array:
    """Positive answers where the customer was willing, if the codes tell such; any else."""
    words = ("accept", "click", "yes", "ok", "done", "interest", "handled", "answered")
    good = [v for v in values if v.lower().startswith(words)]
    bad = [v for v in values if v not in good] or list(values)
    if not good:
        return take_words(list(values), frame.rng.integers(0, len(values), frame.size))
    pick = frame.rng.integers(0, 10**6, frame.size)
    index = np.where(positive, pick % len(good), len(good) + pick % len(bad))
    return pa.array(good + bad).take(pa.array(index))


def contact(frame: Frame) -> dict[str, Column]:
    """Calls and messages of customers, and what became of our own attempts."""
    talk = frame.noisy(np.log(110.0) + 0.25 * frame.trait("irritable"), 1.3)
    score = np.clip(np.rint(7.6 - 1.1 * frame.trait("irritable") + 1.2 * frame.rng.normal(size=frame.size)), 1, 10)
    results = frame.choices.get("result", MIX["contact.result"])
    centre = np.array([c.code for c in frame.world.plan.geography.centres])[frame.world["centre"][frame.customer]]
    willing = frame.rng.random(frame.size) < 1 / (1 + np.exp(-0.8 - 0.8 * frame.trait("persuade")))
    return {
        "direction": take_words(list(frame.choices.get("direction", ("in",))), np.zeros(frame.size, dtype=int)),
        "channel": _draw_liked_channel(frame, frame.choices.get("channel", MIX["contact.channel"])),
        "decision_id": pa.nulls(frame.size, pa.string()),
        "product": product_in_mind(frame, 0.5),
        "topic": by_intent(frame, frame.choices.get("topic", MIX["contact.topic"])),
        "result": _answers(frame, results, willing),
        "attempted": np.ones(frame.size, dtype=bool),
        "reached": willing | (frame.rng.random(frame.size) < 0.5),
        "refused": ~willing & (frame.rng.random(frame.size) < 0.3),
        "seconds": np.minimum(talk, 7000).astype(np.int64),
        "wait_seconds": np.minimum(frame.rng.exponential(25, frame.size), 3600).astype(np.int64),
        "hops": frame.rng.poisson(0.4, frame.size).clip(max=9),
        "score": score.astype(np.int64),
        "centre": pa.array(centre.tolist(), pa.string()),
        "agent": make_codes("A", frame.rng.integers(1000, 1999, frame.size)),
    }


def bill(frame: Frame) -> dict[str, Column]:
    """A month's bill: the plan's fee and, by intent, what goes beyond the bundle."""
    intent, value = frame.trait("intent"), frame.trait("value")
    fee = np.array([p[1] for p in PLANS])[frame.world["plan"][frame.customer]].astype(float)
    over = [
        np.maximum(frame.noisy(0.8 * intent[:, g] + 0.3 * value, 1.5) - lid, 0) * size
        for g, lid, size in ((0, 1.0, 4.0), (1, 1.2, 1.0), (2, 0.9, 7.0))
    ]
    extra = np.maximum(frame.noisy(0.4 * value, 1.5) - 0.8, 0) * 4.0
    discount = np.where(frame.rng.random(frame.size) < 0.3, 0.1 * fee, 0.0)
    total = np.maximum(fee + sum(over) + extra - discount, 0.01)
    late = np.where(frame.rng.random(frame.size) < 0.06, frame.rng.geometric(0.08, frame.size), 0)
    micro = {
        "arpu_micro": total,
        "fee_fixed_micro": fee,
        "fee_voice_micro": over[0],
        "fee_message_micro": over[1],
        "fee_data_micro": over[2],
        "fee_value_added_micro": extra,
        "discount_micro": discount,
        "paid_micro": np.where(late > 0, 0.4 * total, total),
        "balance_micro": frame.noisy(np.log(30.0) + 0.4 * value) - np.where(late > 0, 60.0, 0.0),
    }
    cents = {name: np.rint(amount.clip(-4000, 20000) * 100).astype(np.int64) * 10_000 for name, amount in micro.items()}
    return {"month": frame.time // 86400, "overdue_days": late.clip(max=300), **cents}


def usage(frame: Frame) -> dict[str, Column]:
    """Metered use of a kind, direction and period, by the customer's intent and its noise."""
    kind = frame.only("kind") or "data"
    group = {"voice": 0, "sms": 1, "mms": 1, "data": 2}.get(kind, 2)
    intent, value = frame.trait("intent")[:, group], frame.trait("value")
    days = {"month": 30.0, "day": 1.0}.get(frame.only("period"), 0.1)
    level = frame.noisy(0.75 * intent + 0.2 * value, 1.0) * days
    app, roaming = frame.only("app"), frame.only("roaming")
    if app:
        share = frame.trait("taste")[:, {"night": 0, "video": 1}.get(app, 2)]
        level = level * np.clip(0.25 * np.exp(0.5 * share), 0, 0.9)
    if roaming == "international":
        level = level * 0.02 * frame.world.is_boosted(frame.customer, frame.time // 86400)[:, 0]
    if frame.only("direction") == "in":
        level = level * 0.9
    count = np.maximum(np.rint(level * {"voice": 3.2, "sms": 1.0, "mms": 0.15, "data": 18.0}.get(kind, 1.0)), 0)
    over = np.maximum(level / days - 1.6, 0) * days * 0.12
    five = frame.world["terminal_5g"][frame.customer]
    none = np.zeros(frame.size, dtype=int)
    rats = frame.choices.get("rat", ("4g", "5g"))
    rat = np.where(five & (frame.rng.random(frame.size) < 0.8), "5g", "4g")
    rat = rat if {"4g", "5g"} <= set(rats) else np.array(rats)[frame.rng.integers(0, len(rats), frame.size)]
    return {
        "kind": take_words([kind], none),
        "period": take_words([frame.only("period") or "event"], none),
        "direction": take_words(list(frame.choices.get("direction", ("out",))), none),
        "seconds": np.minimum(level * 260 * (kind == "voice"), 80_000 * max(days, 1)).astype(np.int64),
        "bytes": (level * 4.2e8 * (kind == "data")).astype(np.int64),
        "count": count.astype(np.int64),
        "fee_micro": np.rint(over * 100).astype(np.int64) * 10_000,
        "bundle_share": np.round(np.minimum(level / days / 1.6, 15.0), 4),
        "roaming": take_words(list(frame.choices.get("roaming", MIX["usage.roaming"])[:1]), none),
        "rat": pa.array(rat.tolist(), pa.string()),
        "hour": np.minimum(frame.rng.binomial(23, 0.72, frame.size), 23),
        "app": by_intent(frame, frame.choices.get("app", MIX["usage.app"])),
    }


def life(frame: Frame) -> dict[str, Column]:
    """Events of a customer's life as the operator sees them: what happened to the customer, if it can be told here."""
    kinds = frame.choices.get("kind", MIX["life.kind"])
    month = (frame.time // 86400)[:, None] - frame.world["event_day"][frame.customer]
    reported = np.array([name in kinds for name in EVENTS])
    near = (np.abs(month) <= 31) & reported & (frame.world["event_day"][frame.customer] >= 0)
    own = pa.array(list(EVENTS)).take(pa.array(np.argmax(near, axis=1), mask=~near.any(axis=1)))
    return {
        "kind": pc.coalesce(own, by_intent(frame, kinds)),
        "value": np.rint(frame.noisy(np.log(50.0) + 0.5 * frame.trait("value"), 1.2)).astype(np.int64),
        "code": by_intent(frame, frame.choices.get("code", MIX["life.code"])),
        "ends_at": frame.time + frame.rng.integers(1, 40, frame.size) * 86400,
    }
