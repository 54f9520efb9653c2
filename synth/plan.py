"""What a province is made of: its size, dates, preset and the facts of conf as arrays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from conf.catalogue import Catalogue
from conf.errors import UserError
from conf.geography import Geography, load_geography
from conf.money import MICRO
from conf.offer import Channel, Product
from conf.preset import Habit, Preset
from synth.keyed import key, stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
EPOCH = dt.date(1970, 1, 1)
#: What customers of the province want at heart, and what their usage shows; a product group follows one of them.
NEEDS = ("voice", "message", "data", "terminal")
MOST_CUSTOMERS = 99_000_000  # synthetic numbers are 100xxxxxxxx
BLOCK = 65_536  # customers handled at a time


def day_of(date: dt.date) -> int:
    """Days since 1970-01-01 (local calendar)."""
    return (date - EPOCH).days


def date_of(day: int) -> dt.date:
    """The date of a day number."""
    return EPOCH + dt.timedelta(days=int(day))


@dataclass(frozen=True)
class LoggedPlan:
    """The order for a province.

    Attributes:
        customers: customers who ever held a number of it.
        start: first data date with daily files.
        days: number of data dates with daily files; the decision date is the day after the last.
        history_days: days before ``start`` that come as monthly archives.
        bytes_per_day: source bytes wanted a day, before compression, of all feeds together (None: as the feeds declare).
        redraw: another life of the same customers and products: labels, orders and answers drawn anew (0: the first).
    """

    catalogue: Catalogue
    preset: Preset
    customers: int
    start: dt.date
    days: int
    seed: int
    history_days: int = 180
    bytes_per_day: int | None = None
    redraw: int = 0
    _geography: list[Geography] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.customers <= MOST_CUSTOMERS:
            raise UserError(
                f"{self.customers} customers cannot be made",
                where="--customers",
                remedy=f"choose 1 to {MOST_CUSTOMERS} (the synthetic number range 100xxxxxxxx)",
            )
        if self.days < 1 or self.history_days < 0:
            raise UserError("a province needs at least one day", where="--days", remedy="give --days 1 or more")

    @cached_property
    def geography(self) -> Geography:
        """Cities and centres of the catalogue, else of conf."""
        return load_geography(self.catalogue.root)

    @cached_property
    def luck(self) -> int:
        """Seed of what happens: orders, labels of the past policy, answers."""
        return key(self.seed, "redraw", self.redraw) if self.redraw else self.seed

    @property
    def products(self) -> Sequence[Product]:
        """Products in order of id."""
        return self.catalogue.products

    @property
    def channels(self) -> Sequence[Channel]:
        """Channels in order of id."""
        return self.catalogue.channels

    @property
    def first_day(self) -> int:
        """First day of history."""
        return day_of(self.start) - self.history_days

    @property
    def start_day(self) -> int:
        """First day with daily files."""
        return day_of(self.start)

    @property
    def end_day(self) -> int:
        """The decision date: the day after the last data date."""
        return day_of(self.start) + self.days

    @property
    def night_days(self) -> range:
        """Decision dates of the logged past policy, first to last."""
        last = self.start_day - self.preset.policy.ends_days_before
        first = max(last - self.preset.policy.nights + 1, self.first_day + 14)
        return range(first, max(last, first - 1) + 1)

    @cached_property
    def habits(self) -> list[Habit]:
        """The preset's habit of every channel (a default for one that it does not name)."""
        return [
            self.preset.channels.get(c.code, Habit(push=0.01, daily=10 if c.direction == "outbound" else 0))
            for c in self.channels
        ]

    @cached_property
    def outbound(self) -> Ints:
        """Positions of pushed channels."""
        return np.array([k for k, c in enumerate(self.channels) if c.direction == "outbound"], dtype=np.int64)

    @cached_property
    def need_of(self) -> Ints:
        """Need (position in NEEDS) that each product answers."""
        return np.array([NEEDS.index(self._need(p.group)) for p in self.products], dtype=np.int64)

    def _need(self, group: str) -> str:
        declared = self.preset.groups.get(group)
        return declared.need if declared and declared.need else group if group in NEEDS else "data"

    @cached_property
    def margin_micro(self) -> Ints:
        """Net margin of each product, micro-元."""
        return np.array([p.margin_micro for p in self.products], dtype=np.int64)

    @cached_property
    def price_micro(self) -> Ints:
        """Price of each product, micro-元."""
        return np.array([int(p.price * MICRO) for p in self.products], dtype=np.int64)

    @cached_property
    def launch_day(self) -> Ints:
        """First day on sale."""
        return np.array([day_of(p.launch_date) for p in self.products], dtype=np.int64)

    @cached_property
    def last_day(self) -> Ints:
        """Last day on sale (far in the future where open)."""
        return np.array([day_of(p.end_date) if p.end_date else 10**6 for p in self.products], dtype=np.int64)

    @cached_property
    def loading(self) -> Floats:
        """Hidden taste of each product, P × 3, keyed by its code: a new product changes no other."""
        return np.array([stream(self.seed, "taste", p.code).normal(size=3) for p in self.products])

    @cached_property
    def popularity(self) -> Floats:
        """Organic 30-day rate of each product before customers differ."""
        groups = self.preset.groups
        base = np.array([groups[p.group].base if p.group in groups else 1.0 for p in self.products])
        own = np.array([stream(self.seed, "popular", p.code).normal() for p in self.products])
        dear = np.log1p(self.price_micro / MICRO / 30.0)
        return self.preset.response.base * base * np.exp(0.4 * own - 0.15 * dear)

    @cached_property
    def dearness(self) -> Floats:
        """How dear each product is among those that answer its need (z of log price)."""
        logs = np.log1p(self.price_micro / MICRO)
        result = np.zeros(len(logs))
        for g in range(len(NEEDS)):
            in_group = self.need_of == g
            if in_group.any():
                result[in_group] = (logs[in_group] - logs[in_group].mean()) / max(logs[in_group].std(), 0.1)
        return result
