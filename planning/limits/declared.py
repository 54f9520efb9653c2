"""The catalogue's limits: what they take of arcs, the columns they look through, and what is in force tonight."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from conf.catalogue import Catalogue
from conf.money import MICRO
from models.arrays import Ints
from planning.limits.agent_demand import Demand, demand
from planning.limits.amounts import amount_of, shifts
from planning.limits.arc_units import SHARE, ArcUnits, ChannelUnits, ShareUnits
from planning.limits.columns import LimitColumns
from planning.limits.evaluator import Evaluator, select_arcs, take_units
from planning.limits.in_force import LimitInForce, LimitsInForce
from planning.limits.translation import CustomerColumn, DeclaredLimit, Translation
from runtime.night import Night


@dataclass(frozen=True)
class InForce:
    """Tonight's limits.

    Attributes:
        limits: with their whole amounts.
        capped: of each, whether explorers are held within it.
        notes: on amounts that are not what the calendar says.
        reported: limits that are counted and not kept, with their whole amounts.
    """

    limits: LimitsInForce
    capped: tuple[bool, ...]
    notes: tuple[str, ...]
    reported: LimitsInForce = field(default_factory=LimitsInForce)

    @property
    def amounts(self) -> tuple[int, ...]:
        """Whole amounts, in the at-most form."""
        return tuple(limit.amount * limit.sign for limit in self.limits.limits)


@dataclass(frozen=True)
class DeclaredLimits:
    """The limits of a catalogue.

    Attributes:
        limits: that are kept, in the order of the file.
        units: what arcs have that they count.
        customers: the columns of customers they look at, by name.
        source: the file, for messages.
        reported: limits that are counted and not kept: no plan, price or explorer is held to them.
    """

    limits: tuple[DeclaredLimit, ...]
    units: ArcUnits
    customers: Mapping[str, CustomerColumn]
    source: str
    reported: tuple[DeclaredLimit, ...] = ()

    @classmethod
    def from_catalogue(cls, catalogue: Catalogue) -> DeclaredLimits:
        """Translate what is written."""
        wheres = [w for limit in catalogue.limits for w in (limit.where, limit.share.of if limit.share else {}) if w]
        translation = Translation.of(catalogue, wheres)
        lags = sorted({limit.counts for limit in catalogue.limits if limit.lag is not None})
        channels = [
            ChannelUnits(
                id=channel.id,
                direction=channel.direction,
                units={name: channel.units(name) for name in ("seconds", "cost_micro", *lags)},
            )
            for channel in catalogue.channels
        ]
        shares = {
            SHARE + limit.name: ShareUnits(
                of=translation.conditions(limit.share.of, limit.name), percent=limit.share.percent
            )
            for limit in catalogue.limits
            if limit.share
        }
        every = [DeclaredLimit(limit, translation.conditions(limit.where, limit.name)) for limit in catalogue.limits]
        return cls(
            tuple(each for each in every if not each.limit.reported_only),
            ArcUnits(products=tuple(p.id for p in catalogue.products), channels=tuple(channels), shares=shares),
            translation.columns(wheres),
            str(catalogue.root / "limits.yml"),
            tuple(each for each in every if each.limit.reported_only),
        )

    @property
    def evaluator(self) -> Evaluator:
        """What those that are kept take of arcs."""
        return Evaluator(self.units, self.limits)

    # -- customers -----------------------------------------------------------------------------------------------

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the snapshot, and ``segment_<name>``, that `columns` needs of its rows."""
        return tuple(dict.fromkeys(read for column in self.customers.values() for read in column.reads))

    @property
    def segments(self) -> tuple[str, ...]:
        """Segments among them."""
        names = (name for column in self.customers.values() for name in column.kind.segments(column.values))
        return tuple(dict.fromkeys(names))

    def columns(self, rows: pa.Table) -> LimitColumns:
        """Customers as limits see them.

        Args:
            rows: their snapshot, with the columns that `reads` names.

        Raises:
            UserError: a limit names an attribute that the snapshot does not have.
        """
        columns = {name: column.fill(rows, self.source) for name, column in self.customers.items()}
        return LimitColumns(pa.table(columns), rows.num_rows)

    def beside(self, arcs: pa.Table, population: pa.Table) -> pa.Table:
        """Arcs with every column that limits look at: of their customers, their channels, and shares."""
        return Evaluator(self.units, self.limits + self.reported).beside(arcs, population)

    # -- tonight -------------------------------------------------------------------------------------------------

    def in_force(self, night: Night, population: pa.Table) -> InForce:
        """Tonight's, from the shift calendar and from what agents have to do anyway.

        Args:
            night: tonight.
            population: every active customer, with the columns of `columns`.
        """
        work = demand(night, self.limits + self.reported, population)
        return self.at(population.num_rows, shifts(night), night.date, work)

    def at(self, customers: int, calendar: pa.Table, date: dt.date, work: Demand | None = None) -> InForce:
        """The same, of what is given.

        Args:
            customers: active ones.
            calendar: of shifts.
            date: decision date.
            work: what agents who answer have to do anyway.
        """
        limits, notes = [], []
        for declared in self.limits + self.reported:
            amount, note = amount_of(declared.limit, customers, calendar, date, work or Demand())
            if note:
                notes.append(f"{declared.name}: {note}")
            side = {declared.limit.side: amount}
            limits.append(LimitInForce(name=declared.name, counts=declared.counts, where=declared.where, **side))
        count = len(self.limits)
        capped = tuple(declared.capped for declared in self.limits)
        counted = LimitsInForce(limits=tuple(limits[count:]))
        return InForce(LimitsInForce(limits=tuple(limits[:count])), capped, tuple(notes), counted)

    # -- pruning: the arcs of the scorer's menu, products outermost -------------------------------------------------

    def _menu(self) -> dict[str, Ints]:
        """Product and channel of every arc of the menu, [1, arcs]."""
        products = np.array(self.units.products, np.int64)
        channels = np.array([channel.id for channel in self.units.channels], np.int64)
        return {
            "product": np.repeat(products, len(channels))[None, :],
            "channel": np.tile(channels, len(products))[None, :],
        }

    def charges(self, rows: pa.Table, prices: Mapping[str, int]) -> Ints:
        """(customers, arcs of the menu) what limits charge at given prices, micro-元.

        A limit that looks at something that the rows do not have (segments are SQL over the whole snapshot) is left out.

        Args:
            rows: customers' snapshot.
            prices: pico-元 a unit by limit, signed as in certificates.
        """
        here = {name: column for name, column in self.customers.items() if set(column.reads) <= set(rows.column_names)}
        known = {"product", "channel", *here}
        visible = replace(self, limits=self._visible(known, prices), customers=here)
        own, classes, count = visible.columns(rows).classes()
        menu = self._menu()
        shape = (count, menu["product"].shape[1])
        uses = visible.evaluator.uses({**{name: column[:, None] for name, column in own.items()}, **menu}, shape)
        total = np.zeros(shape, np.int64)
        for limit, use in zip(visible.limits, uses, strict=True):
            total += np.rint(use * (prices[limit.name] * limit.sign / MICRO)).astype(np.int64)
        return total[classes]

    def _visible(self, known: set[str], prices: Mapping[str, int]) -> tuple[DeclaredLimit, ...]:
        """Limits that charge something and look at nothing but ``known`` columns."""

        def looks_at(limit: DeclaredLimit) -> set[str]:
            share = self.units.shares.get(str(limit.counts))
            return set(limit.where) | (set(share.of) if share else set())

        return tuple(limit for limit in self.limits if prices.get(limit.name) and looks_at(limit) <= known)

    def floors(self) -> NDArray[np.bool_]:
        """(floors, arcs of the menu) the arcs of each limit that asks for a least number of products."""
        menu = self._menu()
        shape = menu["product"].shape
        floors = [limit for limit in self.limits if limit.sign < 0 and "product" in limit.where]
        rows = [select_arcs(limit.where, menu, shape, part=True)[0] for limit in floors]
        return np.array(rows, bool).reshape(-1, shape[1])

    def closing(self) -> list[str]:
        """(arcs of the menu) the limit of 0 that closes an arc for everybody, else empty."""
        menu = self._menu()
        shape = menu["product"].shape
        seen = {**menu, **self.evaluator.channel_units(menu)}
        names = [""] * shape[1]
        for limit in self.limits:
            if limit.capped and limit.limit.amount == 0 and set(limit.where) <= set(menu):
                for arc in np.flatnonzero(take_units(limit, seen, shape)[0] > 0).tolist():
                    names[arc] = names[arc] or limit.name
        return names

    def find_closed(self) -> NDArray[np.bool_]:
        """(arcs of the menu) arcs that a limit of 0 closes for everybody: no plan has them, so pruning must not keep them.

        A floor of their product would otherwise find nothing but arcs that it cannot use.
        """
        return np.array([bool(name) for name in self.closing()])
