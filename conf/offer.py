"""Products, their groups, channels, rules and limits: what may be offered, where, to whom, and how much of it."""

from __future__ import annotations

import string
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, field_validator, model_validator
from pydantic import Field as Key

from conf.bounds import LARGEST_AMOUNT, LONGEST_DAYS, MOST
from conf.dates import Day
from conf.documents import Misfit, Strict
from conf.errors import suggest
from conf.money import MICRO

#: What the text of a message may be filled with.
PLACEHOLDERS = ("product", "product_zh", "price")
#: The largest id of a product: tables keep it in 16 bits, sets of products take a word for each 63 ids up to it.
LARGEST_PRODUCT = 4_095


def _decimal(value: Any) -> Decimal:
    if isinstance(value, str | bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("should be a number")
    return Decimal(str(value))


#: A decimal number, of which pydantic would take text as well.
Number = Annotated[Decimal, BeforeValidator(_decimal)]
#: An amount of money in 元, never negative, to the micro-元.
Yuan = Annotated[Number, Key(ge=0, le=1_000_000_000, decimal_places=6)]
_Choice = Annotated[list[str], Key(min_length=1)] | Annotated[list[int], Key(min_length=1)] | str | int


class UsualKey(Strict):
    """A key of the order in which customers labelled usual are served: Spark SQL over snapshot and arc, and which comes first."""

    by: str = Key(min_length=1)
    first: Literal["highest", "lowest"] = "highest"


class ProductGroup(Strict):
    """A group of products. ``id`` is what a trained model knows it by: never changed, never given to another group."""

    id: int = Key(ge=0, le=62)
    code: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    label_zh: str


class Product(Strict):
    """Something that can be offered. Money is in 元 in the file and in micro-元 (`*_micro`) in code.

    ``id`` is its bit in the eligibility masks. ``eligible`` is a Spark SQL predicate over the
    snapshot; ``excludes`` names products that cannot be held beside it.
    """

    id: int = Key(ge=0, le=LARGEST_PRODUCT)
    code: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    label_zh: str
    group: str  # a code of groups.yml
    price: Yuan  # 元 a month (terminals: once)
    margin: Yuan  # 元 over the horizon, net of cost of service
    subsidy: Yuan = Decimal(0)
    launch_date: Day
    end_date: Day | None = None
    term_months: int = Key(default=1, ge=0)
    eligible: str = "true"
    excludes: tuple[str, ...] = ()
    attributes: dict[Annotated[str, Key(pattern=r"^[a-z][a-z0-9_]*$")], int] = {}

    @model_validator(mode="after")
    def _lasts(self) -> Product:
        if self.end_date is not None and self.end_date <= self.launch_date:
            what = f"the product ends on {self.end_date}, before or on its launch on {self.launch_date}"
            raise Misfit(what, "end_date", remedy="end_date is the first day on which it is no longer on sale")
        return self

    @property
    def margin_micro(self) -> int:
        """Margin over the horizon less subsidy, in micro-元."""
        return int((self.margin - self.subsidy) * MICRO)


class Channel(Strict):
    """A way to meet customers. A channel that is both pushed and pulled has two entries.

    ``id`` is its position in the eligibility masks. ``cost`` is 元 an attempt, ``seconds`` agent time an attempt.
    ``callbacks`` are the seconds of agents who answer that an attempt causes 0, 1, 2 and 3 days later, on average:
    calls of receivers less calls of a randomised holdout.
    ``knows_numbers``: an inbound channel that is told who comes by number (a call); its file is keyed by it.
    ``message`` is the text of its campaign file, with ``{product}``, ``{product_zh}``, ``{price}``; none if empty.
    """

    id: int = Key(ge=0, le=31)
    code: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    label_zh: str
    direction: Literal["outbound", "inbound"]
    cost: Yuan = Decimal(0)
    seconds: int = Key(default=0, ge=0, le=MOST)
    block_days: int = Key(default=0, ge=0, le=LONGEST_DAYS)  # nights the frequency window blocks after a contact
    callbacks: tuple[Annotated[int, Key(ge=0)], ...] = Key(default=(), max_length=4)
    eligible: str = "true"
    message: str = ""
    knows_numbers: bool = False

    @field_validator("message")
    @classmethod
    def _check_message(cls, message: str) -> str:
        if fault := _message_fault(message):
            what, remedy = fault
            raise Misfit(what, remedy=remedy)
        return message

    @property
    def cost_micro(self) -> int:
        """Cost of an attempt in micro-元."""
        return int(self.cost * MICRO)

    def callback(self, lag: int) -> int:
        """Seconds of call-backs that an attempt causes ``lag`` days later."""
        return self.callbacks[lag] if lag < len(self.callbacks) else 0

    def units(self, counts: str) -> int:
        """What an attempt uses of a limit that ``counts`` ``contacts``, ``seconds``, ``cost_micro`` or ``callback_<lag>``."""
        if counts.startswith("callback_"):
            return self.callback(int(counts.removeprefix("callback_")))
        return {"contacts": 1, "seconds": self.seconds, "cost_micro": self.cost_micro}[counts]


class Rule(Strict):
    """A named reason to remove arcs: where ``removes`` (Spark SQL over the snapshot) is true, they go.

    ``scope`` says what else the predicate may name: ``product.<attribute>`` and ``channel.<attribute>`` are
    replaced by the value for each product or channel. Rules apply in the order of the file. ``declared`` is the day on
    which it was asked for: figure ``rule_to_night_days`` counts from it.
    """

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    scope: Literal["customer", "product", "channel"] = "customer"
    removes: str
    reason: str
    reason_zh: str
    direction: Literal["outbound", "inbound", "both"] = "both"
    declared: Day | None = None


class ShiftAmount(Strict):
    """An amount of agent seconds from the shift calendar: it differs by day and centre.

    Σ over the shifts of the service at the centre ``lag`` days after the decision date of
    agents × (paid − meal − training minutes) × 60, times ``occupancy`` (what can be planned at all). Where ``inbound_z``
    is given, the calls that the service will get at the centre are taken off: their mean over the last four weeks plus
    z standard deviations (what was answered, our own waves' call-backs among them). Of what is left this limit may
    take ``spare``. Each factor is applied once, rounded down. ``shifts`` are those that count (all where none is named): the
    capacity of a part of the day, for customers who can only be reached then.
    """

    table: Literal["shift"]
    service: Literal["10086", "12580", "outbound"]
    centre: str
    shifts: tuple[Literal["early", "mid", "late", "night", "night7"], ...] = ()
    occupancy: Annotated[Number, Key(gt=0, le=Decimal("0.85"))] = Decimal("0.85")
    spare: Annotated[Number, Key(gt=0, le=1)] = Decimal(1)
    lag: int = Key(default=0, ge=0, le=3)
    inbound_z: float | None = Key(default=None, ge=0)

    def seconds(self, agent_minutes: int) -> int:
        """Seconds that can be planned from ``agent_minutes`` = Σ agents × (paid − meal − training minutes)."""
        return int(agent_minutes * 60 * self.occupancy)


class Share(Strict):
    """A share of contacts as one limit: of the contacts that ``where`` selects, ``percent`` are to be ``of``.

    A selected contact uses 100 − percent where it is ``of`` and −percent where not; the amount is 0. Both sides
    exist: ``at_least: 0`` is a floor for the share, ``at_most: 0`` a ceiling.
    """

    of: dict[str, _Choice] = Key(min_length=1)
    percent: int = Key(ge=1, le=99)


class Limit(Strict):
    """A limit of the operation: exactly one of ``at_most`` and ``at_least``.

    The amount is an integer in what ``counts`` says, or comes from the shift calendar. ``counts`` is ``contacts``
    (1 an arc), ``seconds`` (the channel's), ``cost_micro`` (the channel's cost in micro-元) or ``callback_<lag>`` (agent
    seconds that the contact causes so many days later; those of the waves of the last nights that fall on that day
    are taken off the amount). ``where`` selects arcs:
    ``product`` and ``channel`` (codes), ``group`` (of the product), ``segment`` (a name of segments.yml), or an
    attribute of the customer (``centre, city, grade, star …``); a list means any of these, several keys mean all.
    ``scale_with_customers``: the amount is for each 1,000,000 active customers (rounded down).
    ``reported_only``: what the plan takes of it is counted and told, and nothing is kept to it.
    """

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label: str = ""
    label_zh: str = ""
    at_most: Annotated[int, Key(ge=0, lt=LARGEST_AMOUNT)] | ShiftAmount | None = None
    at_least: Annotated[int, Key(ge=0, lt=LARGEST_AMOUNT)] | ShiftAmount | None = None
    counts: Literal["contacts", "seconds", "cost_micro", "callback_0", "callback_1", "callback_2", "callback_3"] = (
        "contacts"
    )
    unit: str = "contacts"
    where: dict[str, _Choice] = {}
    share: Share | None = None
    scale_with_customers: bool = False
    reported_only: bool = False

    @model_validator(mode="after")
    def _one_side(self) -> Limit:
        if (self.at_most is None) == (self.at_least is None):
            at = () if self.at_most is None else ("at_least",)
            raise Misfit("give exactly one of at_most and at_least", *at, remedy="keep one of them")
        if self.share and (self.amount != 0 or self.counts != "contacts"):
            what = "a share counts contacts and has the amount 0"
            raise Misfit(what, "share", remedy="write `at_least: 0` or `at_most: 0`, and no `counts`")
        if self.lag is not None and isinstance(self.amount, ShiftAmount) and self.amount.lag != self.lag:
            what = f"{self.counts} falls on the day {self.lag} days later"
            raise Misfit(what, self.side, remedy=f"give the amount `lag: {self.lag}`")
        if isinstance(self.amount, ShiftAmount) and self.unit_counted != "s":
            what = f"the shift calendar gives seconds of agents, and the limit counts {self.counts}"
            raise Misfit(what, self.side, remedy="write `counts: seconds` or one of the call-backs")
        if "unit" in self.model_fields_set and self.unit != self.unit_counted:
            what = f"{self.counts} are counted in {self.unit_counted!r}, not in {self.unit!r}"
            raise Misfit(what, "unit", remedy=f"write `unit: {self.unit_counted}`, and the amount in it")
        return self

    @property
    def unit_counted(self) -> str:
        """The unit of what ``counts`` says."""
        return {"contacts": "contacts", "cost_micro": "micro-yuan"}.get(self.counts, "s")

    @property
    def lag(self) -> int | None:
        """Days after the decision date on which a call-back limit is used; None where it is none."""
        return int(self.counts[-1]) if self.counts.startswith("callback_") else None

    @property
    def amount(self) -> int | ShiftAmount:
        """The amount, whichever side it is on."""
        amount = self.at_most if self.at_least is None else self.at_least
        assert amount is not None
        return amount

    @property
    def side(self) -> Literal["at_most", "at_least"]:
        """Which side binds."""
        return "at_most" if self.at_least is None else "at_least"

    def scale_amount(self, amount: int, customers: int) -> int:
        """The amount in force for ``customers`` active customers."""
        return amount * customers // 1_000_000 if self.scale_with_customers else amount


class Segment(Strict):
    """A named group of customers: ``who`` is a Spark SQL predicate over the snapshot; null counts as no."""

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    label_zh: str
    who: str


def _message_fault(text: str) -> tuple[str, str] | None:
    """What is wrong with the text of a message, and what to do; None if nothing."""
    listed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        named = [(name, form, how) for _, name, form, how in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        return f"the message cannot be filled in: {error}", f"write placeholders as {listed}, and a brace itself twice"
    for name, form, how in named:
        if name not in PLACEHOLDERS or form or how:
            return f"the message has no placeholder {{{name}}}", suggest(name, PLACEHOLDERS)
    return None
