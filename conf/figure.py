"""Figures: what each number that a screen shows means, declared once in ``conf/figures/*.yml``.

Table `kpi`, ``cpc kpi``, the night report and the store's comments take label, unit and formula from here, and only
what is declared can be shown.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Key
from pydantic import model_validator

from conf.documents import Misfit, Strict
from conf.errors import suggest
from conf.money import MICRO

#: Who may see a figure: the roles of people, as in docs/README.md.
Reader = Literal["marketer", "operator", "scientist", "auditor"]
#: How a value is stored, and with it how it is shown.
Unit = Literal[
    "count", "yuan", "share", "gap", "per_10000", "ratio", "yuan_per_yuan", "seconds", "hours", "days", "number"
]
#: Sums over outcomes are multiplied by this to become the unit.
SCALES: dict[str, float] = {"per_10000": 1e4, "yuan": 1 / MICRO}
#: The operation's twelve goals (五快四多三低): what they are called.
GOALS: dict[str, tuple[str, str]] = {
    "launch_to_channels": ("hours from a product's launch to its first offer in every channel", "上市到渠道快"),
    "visible_per_channel": ("hours until an offer is visible, per channel", "渠道可见快"),
    "order_handling": ("handling time of orders", "订单受理快"),
    "rule_to_night": ("days from a rule's declaration to its first night", "规则上线快"),
    "launch_to_echannels": ("days until a new product is sold on e-channels", "新业务上电子渠道快"),
    "channels_per_product": ("channels a product", "产品渠道多"),
    "orders_per_customer": ("orders a contacted customer", "客户订单多"),
    "revenue_per_contact": ("revenue a contacted customer", "触达收入多"),
    "satisfaction": ("satisfaction: complaints and refusals of 10,000 contacts", "客户满意多"),
    "cost_per_order": ("marketing cost an order, share of orders by e-channels", "营销成本低"),
    "complexity": ("active products, rules and exceptions to manage", "管理复杂度低"),
    "support": ("changes by configuration against changes by code", "支撑成本低"),
}


class Figure(Strict):
    """A figure: its name, what it means in words, its unit, where it is stored, what it is called, who may see it.

    ``table`` and ``column`` say where the number is found. ``over`` makes it one sum over another of matured outcomes
    (names of ``reporting.kpi.SUMS``), by slice. ``goal`` is the one of the operation's twelve goals that it measures.
    """

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label: str = Key(min_length=1)
    label_zh: str = Key(min_length=1)
    formula: str = Key(min_length=1)
    formula_zh: str = Key(min_length=1)
    unit: Unit
    table: str
    column: str
    seen_by: tuple[Reader, ...] = Key(default=("marketer", "operator", "scientist", "auditor"), min_length=1)
    over: tuple[str, str] | None = None
    position: int = Key(default=0, ge=0)  # of the rows of one table on a page
    goal: str = ""  # a name of GOALS

    @model_validator(mode="after")
    def _can_be_divided(self) -> Figure:
        if self.over is not None and self.unit not in {"share", "ratio", *SCALES}:
            what = f"one sum over another is no {self.unit}"
            raise Misfit(what, "unit", remedy=f"write one of share, ratio, {', '.join(SCALES)}")
        if self.goal and self.goal not in GOALS:
            raise Misfit(f"there is no goal {self.goal!r}", "goal", remedy=suggest(self.goal, GOALS))
        return self

    @property
    def scale(self) -> float:
        """What a ratio of two sums (money in micro-元) is multiplied by."""
        return SCALES.get(self.unit, 1.0)
