"""The twin world without contacts: what every order would have been, and so what each contact caused.

Both worlds have the same customers, the same organic demand and the same draws; the twin's orders are those that
come of their own accord at their list margin. An order that is in both and was never touched is cancelled in both or
in neither. So the difference of the two, customer by customer, is the effect of the contacts, and each part of it
belongs to the contact that made it: effects of contacts add up to the effect of a period.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.aftermath import cancel_draws, time_cancellations
from synth.contacts import DISCOUNTED
from synth.events import Table
from synth.history import Course
from synth.plan import Floats, Ints
from synth.world import World

NEVER = -1


def orders_of_both(world: World, course: Course, draws: tuple[Floats, Floats] | None = None) -> Table:
    """A row an order that is in one world at least: organic orders as in ``course.coming``, then answers.

    Args:
        world: the province.
        course: what happened.
        draws: two uniform numbers a row, whether it is cancelled early and when (None: by number in the ledger).

    Returns:
        ``customer, product, channel, time``; ``contact`` (row of contacts that led to it or met it, −1 where none);
        in this world ``here``, ``margin`` (micro-元), ``cancelled`` (local second, −1 never), in the twin world
        ``twin``, ``twin_margin``, ``twin_cancelled``; margins are before cancellation, 0 where the order is not;
        ``pushed_cancelled``: when it would be cancelled if a contact had led to it.
    """
    organic, answers = course.coming.orders, course.answers
    m, n = len(organic["time"]), len(answers["time"])
    both = {name: np.concatenate([organic[name], answers[name]]) for name in ("customer", "product", "channel", "time")}
    ledger = course.orders()["origin"]
    number = np.full(m + n, NEVER)
    number[ledger] = np.arange(len(ledger))
    here, twin = number >= 0, np.arange(m + n) < m
    luck = _draw_by_number(world, number) if draws is None else draws
    pushed = np.concatenate([organic["night"] >= 0, np.ones(n, dtype=bool)])
    if_pushed, if_not = (
        time_cancellations(world, both["time"], luck, np.full(m + n, state)) for state in (True, False)
    )
    met = np.full(m, NEVER)
    given = course.touches["kind"] == DISCOUNTED
    met[course.touches["order"][given]] = course.touches["contact"][given]
    return both | {
        "contact": np.concatenate([met, answers["contact"]]),
        "here": here,
        "margin": np.where(here, np.concatenate([organic["margin"], answers["margin"]]), 0),
        "cancelled": np.where(here, np.where(pushed, if_pushed, if_not), NEVER),
        "twin": twin,
        "twin_margin": np.where(twin, world.plan.margin_micro[both["product"]], 0),
        "twin_cancelled": np.where(twin, if_not, NEVER),
        "pushed_cancelled": if_pushed,
    }


def _draw_by_number(world: World, number: Ints) -> tuple[Floats, Floats]:
    """Draws of cancellation: those of the ledger's order, own ones where an order is in the twin alone (−1)."""
    ledger = cancel_draws(world, int(number.max(initial=NEVER)) + 1)
    own = cancel_draws(world, len(number), "cancel in the twin")
    known = np.flatnonzero(number != NEVER)
    for of_ledger, drawn in zip(ledger, own, strict=True):
        drawn[known] = of_ledger[number[known]]
    return own


@dataclass(frozen=True)
class Window:
    """Which orders a period counts: placed in ``[first, last)`` (days), less those cancelled within ``cancel_days``."""

    first: int
    last: int
    cancel_days: int = 30

    def sum_by_customer(self, both: Table, customers: int, twin: bool = False) -> Ints:
        """Net margin of each customer in this world or the twin, micro-元 (n)."""
        world = "twin_" if twin else ""
        time, margin, cancelled = both["time"], both[world + "margin"], both[world + "cancelled"]
        counts = (time >= self.first * 86400) & (time < self.last * 86400)
        counts &= (cancelled == NEVER) | (cancelled >= time + self.cancel_days * 86400)
        total = np.zeros(customers, dtype=np.int64)
        np.add.at(total, both["customer"][counts], margin[counts])
        return total


def effects(world: World, course: Course, both: Table) -> Table:
    """What each contact caused, a row a contact that caused anything, ascending.

    Returns:
        ``contact``; ``orders`` (placed here less placed in the twin), ``kept`` (the same, early cancellations off),
        ``margin`` (micro-元, early cancellations off), ``optouts``, ``complaints``. What is not here caused nothing.
    """
    n, m = len(course.contacts["time"]), len(course.coming.orders["time"])
    total = {name: np.zeros(n, dtype=np.int64) for name in ("orders", "kept", "margin", "optouts", "complaints")}
    stays = both["cancelled"][m:] == NEVER
    made = course.answers["contact"]
    np.add.at(total["orders"], made, 1)
    np.add.at(total["kept"], made, stays.astype(np.int64))
    np.add.at(total["margin"], made, np.where(stays, both["margin"][m:], 0))
    for name, change in _changes(world, course, both).items():
        np.add.at(total[name], course.touches["contact"], change)
    for name, table in (("optouts", course.optouts), ("complaints", course.protests)):
        counts = world.is_living(table["customer"], table["time"] // 86400)
        np.add.at(total[name], table["contact"][counts], 1)
    some = np.flatnonzero(np.any([column != 0 for column in total.values()], axis=0))
    return {"contact": some} | {name: column[some] for name, column in total.items()}


def _changes(world: World, course: Course, both: Table) -> dict[str, Ints]:
    """What each touch changed of its order, given the touches before it."""
    touches = course.touches
    t = len(touches["order"])
    if not t:
        return {}
    pushed = both["pushed_cancelled"]
    order = np.lexsort((np.arange(t), touches["order"]))
    which, kind = touches["order"][order], touches["kind"][order]
    start = np.searchsorted(which, which, side="left")
    discounted, killed = (kind == DISCOUNTED).astype(np.int64), (kind != DISCOUNTED).astype(np.int64)
    given = touches["discount"][order]

    def before(column: Ints) -> Ints:
        running = np.concatenate([[0], np.cumsum(column)])
        return np.asarray(running[np.arange(t)] - running[start])

    def state(discounts: Ints, amount: Ints, kills: Ints) -> tuple[Ints, Ints, Ints]:
        there = kills == 0
        cancelled = np.where(discounts > 0, pushed[which], both["twin_cancelled"][which])
        remains = there & (cancelled == NEVER)
        worth = np.where(remains, both["twin_margin"][which] - amount, 0)
        return there.astype(np.int64), remains.astype(np.int64), worth

    old = state(before(discounted), before(given), before(killed))
    new = state(before(discounted) + discounted, before(given) + given, before(killed) + killed)
    changes: dict[str, Ints] = {}
    for name, was, becomes in zip(("orders", "kept", "margin"), old, new, strict=True):
        changes[name] = np.zeros(t, dtype=np.int64)
        changes[name][order] = becomes - was
    return changes
