"""What a limit is worth: price left and right of tonight's amount, value over amounts, least amount for a value.

A price by the dual is a slope at one point, and of a plan of whole contacts at that: a marketer who asks what ten more
agents bring wants the plan solved again with ten more. So each price here is a difference of two solved plans over a
step that is large against the gap, with the interval that both proofs leave: V in [primal, bound] at each end.
docs/developer/assignment.md, "Prices, left and right".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from conf.errors import UserError
from models.arrays import Ints
from models.assignment.problem import PICO
from planning.limits.in_force import LimitInForce
from planning.whatif.displayed import unit_of
from planning.whatif.whatif import Answer, Base, read_percent, refuse_reported, what_if

#: The step of a price is so large that the value changes by at least so many times what the proof leaves open.
STEP_OVER_GAP = 10
#: ... and at least this share of the amount, for a unit more or less of a large amount is nothing.
LEAST_STEP = 0.01
#: Solves of a goal seek at most.
TRIES = 24


@dataclass(frozen=True)
class Point:
    """A plan under another amount of one limit.

    Attributes:
        amount: of the limit, as written in the exploiters' instance; of a share its percent.
        primal, bound: micro-yuan; None where the limits cannot be kept together.
        used: of the limit.
        price_yuan: of the limit by the dual, yuan a unit.
        contacts: in the plan.
        conflict: why there is no plan; empty where there is one.
        answer: the whole answer; None where there is none, or at tonight's amount.
    """

    amount: int
    primal: int | None = None
    bound: int | None = None
    used: int | None = None
    price_yuan: float | None = None
    contacts: int | None = None
    conflict: str = ""
    answer: Answer | None = field(default=None, repr=False, compare=False)

    def row(self) -> dict[str, Any]:
        """The point as figures, money in yuan."""
        figures = {"amount": self.amount, "used": self.used, "price_yuan": self.price_yuan, "contacts": self.contacts}
        for name, micro in (("value_yuan", self.primal), ("bound_yuan", self.bound)):
            figures[name] = None if micro is None else micro * 1e-6
        return figures | ({"conflict": self.conflict} if self.conflict else {})


@dataclass(frozen=True)
class Side:
    """What a unit of a limit is worth on one side of tonight's amount.

    Attributes:
        tried: the other amount that was solved for; equal to tonight's where there is no such side.
        price_yuan: change of the value a unit, yuan (at most 0 for an at-least limit).
        low, high: what both proofs leave open around it.
        conflict: why there is no plan at ``tried``.
    """

    tried: int
    price_yuan: float | None
    low: float | None
    high: float | None
    conflict: str = ""


def limit_named(base: Base, name: str) -> LimitInForce:
    """A limit of the run's instance.

    Raises:
        UserError: there is none of that name, or it is reported only.
    """
    known = {limit.name: limit for limit in base.instance.limits.limits}
    if name in base.reported:
        raise refuse_reported(name, "--limit")
    if name not in known:
        raise UserError(f"no limit {name!r}", where="--limit", remedy=f"choose one of: {', '.join(known)}")
    return known[name]


def binding(base: Base) -> list[str]:
    """Limits that charge something at the run's final prices, dearest use of the whole amount first."""
    rows = [row for row in base.certificate.limits if row.price_pico]
    rows.sort(key=lambda row: (-abs(row.price_pico * (row.amount or row.used)), row.name))
    return [row.name for row in rows]


def amount_tonight(base: Base, name: str) -> int:
    """The amount in the exploiters' instance; of a share, whose amount is 0 for all parts together, its percent."""
    limit = limit_named(base, name)
    return base.percent(name) if base.is_share(limit) else limit.amount


def span_of(base: Base, name: str) -> tuple[int, int]:
    """The tightest and the loosest amount worth trying."""
    limit = limit_named(base, name)
    if base.is_share(limit):
        return (1, 99) if limit.sign > 0 else (99, 1)
    customers = base.certificate.customers
    if limit.sign > 0:
        return 0, 4 * max(1, abs(limit.amount)) + customers * base.largest(name)
    return limit.amount * 4 + customers, 0


def tonight(base: Base, name: str) -> Point:
    """The run itself, as a point of the curve of a limit."""
    row = base.certificate.limit(limit_named(base, name).name)
    contacts = sum(int((arcs >= 0).sum()) for arcs in base.arcs)
    used = row.used + (base.explored[name] if base.is_share(base.limit(name)) else 0)
    return Point(
        amount_tonight(base, name),
        base.certificate.primal,
        base.certificate.bound,
        used,
        row.price_pico * 1e-12,
        contacts,
    )


def point(base: Base, name: str, amount: int, near: Point | None = None, plans: Sequence[list[Ints]] = ()) -> Point:
    """Everybody reassigned under another amount of one limit.

    Args:
        base: the run.
        name: the limit.
        amount: its other amount.
        near: a point solved before, whose prices are the start.
        plans: plans known to be there.
    """
    here = tonight(base, name)
    if amount == here.amount:
        return here
    start = prices_of(near.answer) if near is not None and near.answer is not None else None
    try:
        if base.is_share(limit_named(base, name)):
            answer = what_if(base, {}, start, plans, {name: amount})
        else:
            answer = what_if(base, {name: amount}, start, plans)
    except UserError as error:
        return Point(amount, conflict=error.what)
    figures = answer.figures
    row = next(row for row in figures["limits"] if row["limit"] == name)
    solution = answer.solution
    return Point(
        amount,
        solution.plan.primal,
        solution.dual.bound,
        row["used"] - (0 if "percent" in row else base.explored[name]),
        row["price_yuan"],
        figures["contacts"],
        answer=answer,
    )


def prices_of(answer: Answer) -> dict[str, int]:
    """Final prices by limit, signed as in certificates."""
    limits = answer.solution.dual.prices
    return {
        row["limit"]: int(p) * sign for row, p, sign in zip(answer.figures["limits"], limits, answer.signs, strict=True)
    }


def step_of(base: Base, name: str) -> int:
    """By how much a limit is moved for its price: large against the gap, at least 1 % of the amount, at least 1."""
    row = base.certificate.limit(name)
    if base.is_share(base.limit(name)):
        return 1
    open_ = max(1, base.certificate.bound - base.certificate.primal)
    by_gap = math.ceil(STEP_OVER_GAP * open_ * PICO / abs(row.price_pico)) if row.price_pico else 0
    return max(1, by_gap, math.ceil(LEAST_STEP * abs(row.amount)))


def sides(base: Base, name: str) -> tuple[Side, Side]:
    """The price of a limit to the left (a smaller amount) and to the right (a larger one) of tonight's.

    A share's percent is moved by 1 to either side; other amounts stay at least 0.
    """
    here, step = tonight(base, name), step_of(base, name)
    least, most = (1, 99) if base.is_share(limit_named(base, name)) else (0, here.amount + step)
    less = point(base, name, max(least, here.amount - step))
    more = point(base, name, min(most, here.amount + step))
    return side(here, less), side(here, more)


def side(here: Point, there: Point) -> Side:
    """The price between two points: a difference of values over a difference of amounts."""
    width = there.amount - here.amount
    if width == 0 or there.primal is None or there.bound is None:
        return Side(there.amount, None, None, None, there.conflict)
    assert here.primal is not None
    assert here.bound is not None
    ends = ((there.primal - here.bound) / width * 1e-6, (there.bound - here.primal) / width * 1e-6)
    return Side(there.amount, (there.primal - here.primal) / width * 1e-6, min(ends), max(ends))


def differ(left: Side, right: Side) -> bool:
    """Whether the two sides are proved to have different prices: their intervals have nothing in common."""
    ends = (left.low, left.high, right.low, right.high)
    if any(end is None for end in ends):
        return False
    return bool(ends[0] > ends[3] or ends[1] < ends[2])  # type: ignore[operator]


def price_row(base: Base, name: str) -> dict[str, Any]:
    """A limit's price by the dual and by solving again on either side, as it is shown; a share's sides a percent."""
    here = tonight(base, name)
    left, right = sides(base, name)
    return {
        "limit": name,
        "unit": unit_shown(base, name),
        **{key: value for key, value in show_row(base, name, here.row()).items() if key in _PRICED},
        "left": show_side(base, name, left),
        "right": show_side(base, name, right),
        "differ": differ(left, right),
    }


_PRICED = ("amount", "used", "price_yuan")


def unit_shown(base: Base, name: str) -> str:
    """What amounts of a limit are given and shown in: a share's percent, else its displayed unit."""
    return "%" if base.is_share(base.limit(name)) else unit_of(base.limit(name)).name


def show_amount(base: Base, name: str, amount: int) -> int | float:
    """An amount as it is shown: whole, in the displayed unit; a share's percent as it is."""
    limit = limit_named(base, name)
    return amount if base.is_share(limit) else unit_of(limit).show(amount + base.apart[name])


def read_amount(base: Base, name: str, text: str, where: str) -> int:
    """An amount from what is shown.

    Raises:
        UserError: no such limit, or it cannot be.
    """
    limit = limit_named(base, name)
    if base.is_share(limit):
        return read_percent(base, limit, text, where)
    return base.left_of(limit, unit_of(limit).read(text, where), where)


def show_row(base: Base, name: str, row: dict[str, Any]) -> dict[str, Any]:
    """A point's row as it is shown: whole amounts and uses, price a displayed unit."""
    unit, share = unit_of(limit_named(base, name)), base.is_share(limit_named(base, name))
    used = None if row["used"] is None else unit.show(row["used"] + (0 if share else base.explored[name]))
    price = None if row["price_yuan"] is None else row["price_yuan"] * unit.size
    return {**row, "amount": show_amount(base, name, row["amount"]), "used": used, "price_yuan": price}


def show_side(base: Base, name: str, at: Side) -> dict[str, Any]:
    """A side of a price as it is shown: 元 a displayed unit, of a share 元 a percent."""
    size = 1 if base.is_share(limit_named(base, name)) else unit_of(limit_named(base, name)).size
    prices = {
        key: None if value is None else value * size
        for key, value in (("price_yuan", at.price_yuan), ("low", at.low), ("high", at.high))
    }
    return {"tried": show_amount(base, name, at.tried), **prices, "conflict": at.conflict}


def around(base: Base, name: str) -> tuple[int, int]:
    """The range of a curve where none is given: from half to twice tonight's amount; of a share some steps to either side."""
    limit, step, now = limit_named(base, name), step_of(base, name), amount_tonight(base, name)
    if base.is_share(limit):
        return max(1, now - 10), min(99, now + 10)
    return (now // 2, 2 * now) if now > 0 else (now - 5 * step, now + 5 * step)


def curve(base: Base, name: str, low: int, high: int, points: int = 9) -> list[Point]:
    """The value over amounts of one limit from ``low`` to ``high``, tonight's amount among them, ascending.

    Each point starts at the prices of its neighbour; a plan that keeps a narrower amount is known at every wider one, so the
    curve never falls where a limit is loosened.

    Raises:
        UserError: no such limit, or no range.
    """
    limit, here = limit_named(base, name), tonight(base, name)
    if not low < high or points < 2:
        raise UserError(
            f"no range from {low} to {high} with {points} points",
            where="--from, --to, --points",
            remedy="give --from less than --to and at least 2 points",
        )
    asked = {low + round(k * (high - low) / (points - 1)) for k in range(points)} | {here.amount}
    by_amount: dict[int, Point] = {here.amount: here}
    for part in (
        sorted(a for a in asked if a > here.amount),
        sorted((a for a in asked if a < here.amount), reverse=True),
    ):
        near = here
        for amount in part:
            near = by_amount[amount] = point(base, name, amount, near)
    ordered = sorted(by_amount.values(), key=lambda at: at.amount)
    wider = ordered if limit.sign > 0 else ordered[::-1]
    done: list[Point] = []
    for at in wider:
        before = done[-1] if done else None
        if before is not None and before.primal is not None and (at.primal is None or before.primal > at.primal):
            at = _at_least(at, before)
        done.append(at)
    return done if limit.sign > 0 else done[::-1]


def _at_least(at: Point, before: Point) -> Point:
    """The point with the plan of a narrower amount, which is worth more."""
    bound = before.bound if at.bound is None else at.bound
    return Point(at.amount, before.primal, bound, before.used, at.price_yuan, before.contacts, "", before.answer)


@dataclass(frozen=True)
class LeastAmount:
    """An amount that reaches a value.

    Attributes:
        reached: the least amount found (the greatest of an at-least limit), with its plan.
        missed: the nearest amount whose plan does not reach it; None where none was tried.
        proved: at ``missed`` the bound itself is below the value: no plan there reaches it.
        solves: how often everybody was reassigned.
    """

    reached: Point
    missed: Point | None
    proved: bool
    solves: int


def least_amount(base: Base, name: str, value_micro: int, tries: int = TRIES) -> LeastAmount:
    """The least amount of an at-most limit (the greatest of an at-least one) whose plan is worth ``value_micro``.

    The value is concave in the amount: the next amount tried is where the chord through the two ends meets the value,
    or the middle where the last chord cut off less than half.

    Raises:
        UserError: no such limit, or no amount reaches the value.
    """
    here = tonight(base, name)
    tight, free = span_of(base, name)
    solves = 0
    if _reaches(here, value_micro):
        good: Point = here
        bad = point(base, name, tight, here)
        solves += 1
        if _reaches(bad, value_micro):
            return LeastAmount(bad, None, False, solves)
    else:
        good, bad = point(base, name, free, here), here
        solves += 1
        if not _reaches(good, value_micro):
            best = "is in conflict" if good.primal is None else f"the plan is worth {good.primal / 1e6:,.2f} 元"
            raise UserError(
                f"no amount of {name} reaches {value_micro / 1e6:,.2f} 元",
                where="--value",
                remedy=f"without this limit {best}",
            )
    halve = False
    while abs(good.amount - bad.amount) > 1 and solves < tries:
        span = abs(good.amount - bad.amount)
        near = good if good.answer is not None else bad
        tried = point(base, name, between(good, bad, value_micro, halve), near)
        solves += 1
        if _reaches(tried, value_micro):
            good = tried
        else:
            bad = tried
        halve = abs(good.amount - bad.amount) > span / 2
    return LeastAmount(good, bad, bad.bound is None or bad.bound < value_micro, solves)


def _reaches(at: Point, value_micro: int) -> bool:
    return at.primal is not None and at.primal >= value_micro


def between(good: Point, bad: Point, value_micro: int, halve: bool) -> int:
    """An amount strictly between two: where the chord meets the value, or the middle."""
    low, high = sorted((good.amount, bad.amount))
    middle = (low + high) // 2
    if not halve and bad.primal is not None and good.primal is not None and good.primal > bad.primal:
        share = (value_micro - bad.primal) / (good.primal - bad.primal)
        middle = round(bad.amount + share * (good.amount - bad.amount))
    return min(max(middle, low + 1), high - 1)
