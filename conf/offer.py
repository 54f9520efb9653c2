"""Products, channels, rules and limits: what may be offered, where, to whom, and how much of it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

from pydantic import Field as Key
from pydantic import model_validator

from conf.documents import Strict

MICRO = 1_000_000


class Product(Strict):
    """Something that can be offered. Money is in 元 in the file and in micro-元 (`*_micro`) in code.

    ``id`` is its bit in the eligibility masks (0 … 62). ``eligible`` is a Spark SQL predicate over the
    snapshot; ``excludes`` names products that cannot be held beside it.
    """

    id: int = Key(ge=0, le=62)
    code: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    label_zh: str
    group: Literal["voice", "message", "data", "terminal", "finance", "retail"]  # the last two: real data of others
    price: Decimal = Key(ge=0)  # 元 a month (terminals: once)
    margin: Decimal  # 元 over the horizon, net of cost of service
    subsidy: Decimal = Decimal(0)
    launch_date: dt.date
    end_date: dt.date | None = None
    term_months: int = Key(default=1, ge=0)
    eligible: str = "true"
    excludes: tuple[str, ...] = ()
    attributes: dict[str, int] = {}

    @property
    def margin_micro(self) -> int:
        """Margin over the horizon less subsidy, in micro-元."""
        return int((self.margin - self.subsidy) * MICRO)


class Channel(Strict):
    """A way to meet customers. A channel that is both pushed and pulled has two entries.

    ``id`` is its position in the eligibility masks. ``cost`` is 元 an attempt, ``seconds`` agent time an attempt.
    ``message`` is the text of its campaign file, with ``{product}``, ``{product_zh}``, ``{price}``; none if empty.
    """

    id: int = Key(ge=0, le=31)
    code: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    label_zh: str
    direction: Literal["outbound", "inbound"]
    cost: Decimal = Key(default=Decimal(0), ge=0)
    seconds: int = Key(default=0, ge=0)
    block_days: int = Key(default=0, ge=0)  # nights the frequency window blocks after a contact
    eligible: str = "true"
    message: str = ""

    @property
    def cost_micro(self) -> int:
        """Cost of an attempt in micro-元."""
        return int(self.cost * MICRO)


class Rule(Strict):
    """A named reason to remove arcs: where ``removes`` (Spark SQL over the snapshot) is true, they go.

    ``scope`` says what else the predicate may name: ``product.<attribute>`` and ``channel.<attribute>`` are
    replaced by the value for each product or channel. Rules apply in the order of the file.
    """

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    scope: Literal["customer", "product", "channel"] = "customer"
    removes: str
    reason: str
    reason_zh: str
    direction: Literal["outbound", "inbound", "both"] = "both"


class Limit(Strict):
    """A limit of the operation: exactly one of ``at_most`` and ``at_least``.

    The amount is an integer in the unit of ``counts`` (contacts, micro-元 of ``cost``, ``seconds`` of agents),
    or the name of an amount table with a factor (``{table: shift, ...}``), resolved by the job for each date.
    ``where`` selects arcs by code of product, group, channel, centre, city, grade or by segment.
    """

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    at_most: int | str | None = None
    at_least: int | str | None = None
    counts: str = "contacts"
    unit: str = "contacts"
    where: dict[str, list[str] | list[int] | str | int] = {}
    label_zh: str = ""
    scale_with_customers: bool = False  # amount is per 1,000,000 active customers

    @model_validator(mode="after")
    def _one_side(self) -> Limit:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("give exactly one of at_most and at_least")
        return self
