"""Columns of ledger rows: decisions, contacts, orders, complaints and consents agree wherever they are told."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.aftermath import ACTIONS, CONSENTS, KINDS, STEPS
from synth.behaviour import MIX, visit
from synth.events import Table
from synth.frame import Column, Frame
from synth.keyed import uniform
from synth.plan import Ints, date_of
from synth.policy import ROLES
from synth.wording import make_codes, take_words


def decision_ids(day: Ints, customer: Ints) -> pa.Array:
    """``L<date>-<customer>``; null where the day is negative."""
    known = np.unique(day)
    names = pa.array([f"L{date_of(int(d)):%Y%m%d}-" if d >= 0 else None for d in known], pa.string())
    digits = pc.utf8_lpad(pa.array(customer).cast(pa.string()), 8, "0")
    return pc.binary_join_element_wise(names.take(pa.array(np.searchsorted(known, day))), digits, "")


def _decisions(rows: Table, night: Ints) -> pa.Array:
    """The decision that each row names: ours (``decision``, empty where none), else the logged one of its night."""
    logged = decision_ids(night, rows["customer"])
    if "decision" not in rows:
        return logged
    ours = pa.array(rows["decision"].tolist(), pa.string())
    return pc.if_else(pc.equal(ours, ""), logged, ours)


def _codes(values: list[str], index: Ints) -> pa.Array:
    return pa.array(values, pa.string()).take(pa.array(index, mask=np.asarray(index) < 0))


def attempts(frame: Frame) -> dict[str, Column]:
    """Our own attempts and their results, as the ledger has them."""
    rows, plan = frame.ledger or {}, frame.world.plan
    reached, refused, converted = rows["reached"], rows["refused"], rows["converted"]
    warm = frame.rng.random(frame.size) < 0.06 / (1 + np.exp(-frame.trait("persuade")))
    result = np.select([converted, refused, reached & warm, reached], [0, 3, 1, 2], 4)
    human = np.array([h.seconds > 0 for h in plan.habits])[rows["channel"]]
    centre = np.array([c.code for c in plan.geography.centres])[frame.world["centre"][frame.customer]]
    return {
        "direction": take_words(["out"], np.zeros(frame.size, dtype=int)),
        "channel": _codes([c.code for c in plan.channels], rows["channel"]),
        "decision_id": _decisions(rows, rows["night"]),
        "product": _codes([p.code for p in plan.products], rows["product"]),
        "topic": make_codes("C", rows["product"] * 10 + rows["channel"] % 10, width=4),
        "result": _codes(["accepted", "interested", "reached", "refused", "no_answer"], result),
        "attempted": np.ones(frame.size, dtype=bool),
        "reached": reached,
        "refused": refused,
        "seconds": rows["seconds"],
        "hops": 1 + frame.rng.poisson(0.3, frame.size).clip(max=7),
        "centre": pa.array(centre.tolist(), pa.string()),
        "agent": make_codes("A", np.where(human, frame.rng.integers(1000, 1999, frame.size), 0)),
    }


#: What a customer answers to a message of ours, and the codes that may say so, the fittest first.
REPLIES = {"take": ("yes", "take"), "no": ("no",), "stop": ("stop", "never")}


def reply(frame: Frame) -> dict[str, Column]:
    """Answers to our messages, as the ledger has them, told on top of what a customer does there anyway."""
    rows, plan = frame.ledger or {}, frame.world.plan
    known = frame.choices.get("result", ())
    words = [next((code for code in codes if code in known), None) for codes in REPLIES.values()]
    return visit(frame) | {
        "channel": _codes([c.code for c in plan.channels], rows["channel"]),
        "product": _codes([p.code for p in plan.products], rows["product"]),
        "result": pa.array(words, pa.string()).take(pa.array(rows["reply"])),
        "decision_id": pa.array(rows["decision"].tolist(), pa.string()),
    }


def order(frame: Frame) -> dict[str, Column]:
    """Orders and cancellations of the ledger."""
    rows, plan = frame.ledger or {}, frame.world.plan
    months = np.array([p.term_months for p in plan.products])[rows["product"]]
    prefix = np.where(rows["action"] == 1, "C", "O")
    numbers = make_codes("", rows["number"], width=10)
    return {
        "order_id": pc.binary_join_element_wise(pa.array(prefix.tolist(), pa.string()), numbers, ""),
        "product": _codes([p.code for p in plan.products], rows["product"]),
        "channel": _codes([c.code for c in plan.channels], rows["channel"]),
        "action": _codes(list(ACTIONS), rows["action"]),
        "price_micro": plan.price_micro[rows["product"]],
        "margin_micro": rows["margin"],
        "decision_id": _decisions(rows, np.where(rows["action"] == 0, rows["night"], -1)),
        "effective_time": rows["time"] + 300,
        "end_time": rows["time"] + np.maximum(months, 1) * 30 * 86400,
    }


def complaint(frame: Frame) -> dict[str, Column]:
    """Complaints and faults of the ledger, step by step."""
    rows = frame.ledger or {}
    categories = frame.choices.get("category", MIX["complaint.category"])
    pick = np.floor(uniform(rows["ticket"], frame.world.plan.seed, "category") * len(categories)).astype(np.int64)
    return {
        "complaint_id": make_codes("T", rows["ticket"], width=9),
        "kind": _codes(list(KINDS), rows["kind"]),
        "step": _codes(list(STEPS), rows["step"]),
        "category": take_words(list(categories), pick),
        "severity": rows["severity"],
        "satisfied": pa.array(rows["satisfied"], mask=rows["step"] != 2),
        "compensation_micro": rows["compensation"],
    }


def consent(frame: Frame) -> dict[str, Column]:
    """Consents and refusals of the ledger."""
    rows = frame.ledger or {}
    codes = [c.code for c in frame.world.plan.channels]
    return {
        "kind": _codes(list(CONSENTS), rows["kind"]),
        "channel": pa.array([*codes, "all"]).take(pa.array(np.where(rows["channel"] < 0, len(codes), rows["channel"]))),
        "granted": rows["granted"],
    }


def decision(frame: Frame) -> dict[str, Column]:
    """The log of the past policy, a row a customer and night."""
    rows, plan = frame.ledger or {}, frame.world.plan
    return {
        "decision_id": decision_ids(frame.time // 86400, frame.customer),
        "business_date": frame.time // 86400,
        "role": _codes(list(ROLES), rows["role"].astype(np.int64)),
        "product": _codes([p.code for p in plan.products], rows["product"].astype(np.int64)),
        "channel": _codes([c.code for c in plan.channels], rows["channel"].astype(np.int64)),
        "pscore": rows["pscore"],
        "eligible_hash": hex_digits(rows["digest"]),
        "value_micro": rows["score"],
    }


def hex_digits(values: np.ndarray) -> pa.Array:
    """16 lower-case hexadecimal digits of each unsigned 64-bit integer."""
    table = np.frombuffer("".join(f"{k:02x}" for k in range(256)).encode(), dtype=np.uint8).reshape(256, 2)
    octets = np.ascontiguousarray(values, dtype=">u8").view(np.uint8)
    digits = np.ascontiguousarray(table[octets]).reshape(-1)
    offsets = np.arange(0, 16 * len(values) + 1, 16, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(digits)])
