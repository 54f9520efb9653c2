"""What happened: orders of their own accord, the nights of the past policy, and what came of each contact.

The result is a set of ledgers (arrays, a row an event) that feeds of the same entity share, so that a decision, its
contact, the order that answers it and a later cancellation agree wherever they are told.
Cost: nights × customers for the decisions, all else grows with the number of events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synth.aftermath import cancellations, complaints, consents
from synth.contacts import Luck, Organic, contact, organic_of, provoke
from synth.demand import background, organic_orders
from synth.events import Table, sort_by, stack, take
from synth.keyed import stream
from synth.plan import Ints
from synth.policy import PolicyNight, best_arcs, decide
from synth.world import World

#: Columns of the ledger of orders, before cancellations.
ORDER = ("customer", "product", "time", "channel", "margin", "night", "alive")
_CONTACT = ("customer", "time", "channel", "product", "night", "reached", "converted", "refused", "seconds")


@dataclass(frozen=True)
class Course:
    """What happened in the nights of the past policy.

    Attributes:
        coming: orders that come of their own accord, as contacts left them (``alive``, ``margin``, ``night``).
        answers: orders that contacts caused.
        contacts: the attempts, night by night.
        optouts: refusals that contacts provoked; protests: complaints that they provoked.
        touches: what contacts did to orders of ``coming``, in order of time.
        decided: decisions made; nights of them.

    ``contact`` in answers, refusals, protests and touches is the row of ``contacts``.
    """

    coming: Organic
    answers: Table
    contacts: Table
    optouts: Table
    protests: Table
    touches: Table
    decided: int

    @classmethod
    def uneventful(cls, coming: Organic) -> Course:
        """A course without a contact."""
        nothing: Ints = np.zeros(0, dtype=np.int64)
        contacts = dict.fromkeys(_CONTACT, nothing)
        contacts |= dict.fromkeys(("reached", "converted", "refused"), nothing.astype(bool))
        touches = dict.fromkeys(("order", "contact", "kind", "discount"), nothing)
        answers = take(coming.orders, nothing)
        feelings = contacts | {"contact": nothing}
        return cls(coming, answers | {"contact": nothing}, contacts, feelings, feelings, touches, 0)

    def orders(self) -> Table:
        """Orders that came about, in the order of the ledger; ``origin`` is the row of organic orders, then answers."""
        organic = self.coming.orders
        own = {name: organic[name] for name in ORDER} | {"origin": np.arange(len(organic["time"]))}
        caused = {name: self.answers[name] for name in ORDER}
        caused["origin"] = len(own["time"]) + np.arange(len(caused["time"]))
        return sort_by(stack([take(own, own["alive"]), caused]), "time", "customer")


def make_history(world: World, folder: Path) -> tuple[Course, dict[str, int]]:
    """Simulate, write ``decisions/<day>.npz`` a night and ``<ledger>.npz`` for orders, contacts, complaints, consents.

    Returns:
        what happened; rows of each ledger.
    """
    (folder / "decisions").mkdir(parents=True, exist_ok=True)

    def save(day: int, night: PolicyNight, living: np.ndarray) -> None:
        _save_night(folder / "decisions" / f"{day}.npz", night, living)

    course = live(world, save)
    orders = {name: column for name, column in course.orders().items() if name != "origin"}
    ledgers = {
        "order": cancellations(world, orders),
        "contact": stack([part for part in (course.contacts, background(world)) if part]),
        "consent": consents(world, course.optouts),
        "complaint": complaints(world, course.protests),
    }
    ledgers["complaint"] = take(ledgers["complaint"], ledgers["complaint"]["time"] < world.plan.end_day * 86400)
    for name, table in ledgers.items():
        arrays: dict[str, Any] = dict(sort_by(table, "time", "customer"))
        np.savez(folder / f"{name}.npz", **arrays)
    counts = {name: len(table["time"]) for name, table in ledgers.items()}
    return course, counts | {"decision": course.decided, "nights": len(world.plan.night_days)}


def live(world: World, save: Callable[[int, PolicyNight, np.ndarray], None] | None = None) -> Course:
    """Live through the nights of the past policy.

    Args:
        world: the province.
        save: called with each night's day, decisions and who lives then.
    """
    plan = world.plan
    coming = organic_of(world, organic_orders(world))
    orders = coming.orders
    top, scores = best_arcs(world)
    closed = np.full(world.size, np.iinfo(np.int64).max)  # the day of an opt-out
    next_free = np.zeros(world.size, dtype=np.int64)
    fatigue = np.zeros(world.size, dtype=np.float32)
    pushed = np.zeros((world.size, len(plan.products)), dtype=bool)
    piles: dict[str, list[Table]] = {name: [] for name in ("contacts", "answers", "optouts", "protests", "touches")}
    decided = before = 0
    may_ask = ~world["opted_out"] & ~world["minor"] & world["consent_profiling"] & ~world["suspended"]
    for day in plan.night_days:
        living = world.is_living(np.arange(world.size), day)
        owned = pushed.copy()
        had = orders["alive"] & (orders["time"] < day * 86400)
        owned[orders["customer"][had], orders["product"][had]] = True
        night = decide(world, day, top, scores, owned, living & may_ask & (next_free <= day) & (closed > day))
        if save is not None:
            save(day, night, living)
        decided += int(living.sum())
        fatigue *= np.float32(np.exp(-1 / 10))
        who = np.flatnonzero(night.product >= 0)
        product, channel = night.product[who].astype(np.int64), night.channel[who].astype(np.int64)
        contacts, answers, touches = contact(
            world, day, who, product, channel, fatigue[who], coming, _luck(plan.luck, "contact", day)
        )
        answers = take(answers, answers["time"] < plan.end_day * 86400)
        pushed[answers["customer"], answers["product"]] = True
        next_free[who] = day + 1 + plan.preset.policy.block_days
        fatigue[who] += 1
        left, angry = provoke(world, contacts, _luck(plan.luck, "feelings", day))
        closed[left["customer"]] = np.minimum(closed[left["customer"]], left["time"] // 86400)
        piles["contacts"].append(contacts)
        for name, table in (("answers", answers), ("optouts", left), ("protests", angry), ("touches", touches)):
            piles[name].append(table | {"contact": table["contact"] + before})
        before += len(who)
    if not piles["contacts"]:
        return Course.uneventful(coming)
    return Course(coming, **{name: stack(pile) for name, pile in piles.items()}, decided=decided)


def _luck(seed: int, name: str, day: int) -> Luck:
    """Luck of a past night: one stream in the order of its contacts, another for the orders they displace."""
    rng, displace = stream(seed, name, day), stream(seed, "displace", day)
    return Luck(lambda who: rng, lambda orders: displace.random(len(orders)))


def _save_night(path: Path, night: PolicyNight, living: np.ndarray) -> None:
    rows = np.flatnonzero(living)
    np.savez(
        path,
        customer=rows.astype(np.int32),
        product=night.product[rows],
        channel=night.channel[rows],
        role=night.role[rows],
        pscore=night.pscore[rows],
        score=night.score[rows],
        digest=night.digest[rows],
        arcs=night.arcs[rows],
    )
