"""From ``where:`` as written to conditions on integer columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa

from conf.catalogue import Catalogue
from conf.errors import UserError
from conf.offer import Limit
from planning.limits.arc_units import SHARE
from planning.limits.keys import ChannelKey, CustomerKey, ProductKey, as_list, key_named

#: Conditions on columns: an arc fits where each column has one of its values.
Conditions = dict[str, list[int]]
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class DeclaredLimit:
    """A limit as the catalogue has it, with its conditions on columns.

    Attributes:
        limit: as written.
        where: its conditions.
    """

    limit: Limit
    where: Conditions

    @property
    def name(self) -> str:
        """Its name."""
        return self.limit.name

    @property
    def sign(self) -> int:
        """+1 for at most, -1 for at least."""
        return 1 if self.limit.side == "at_most" else -1

    @property
    def counts(self) -> int | str:
        """1, or the column whose units count."""
        if self.limit.share:
            return SHARE + self.limit.name
        return 1 if self.limit.counts == "contacts" else self.limit.counts

    @property
    def capped(self) -> bool:
        """Whether explorers are held within it: at most, and no share."""
        return self.sign > 0 and not self.limit.share


@dataclass(frozen=True)
class CustomerColumn:
    """A column of customers that limits look at.

    Attributes:
        key: name of the key.
        values: of the first limit that asks for the column.
        named: all values that limits give for the key, in the alphabet.
    """

    key: str
    values: tuple[str, ...]
    named: tuple[str, ...]
    kind: CustomerKey = field(repr=False)

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the snapshot it is made of."""
        return self.kind.reads(self.key, self.values)

    def fill(self, rows: pa.Table, where: str) -> pa.Array:
        """The column of customers, int16.

        Raises:
            UserError: the snapshot does not have what the key looks at.
        """
        if lost := [name for name in self.reads if name not in rows.column_names]:
            raise UserError(
                f"a limit names {self.key!r}, which needs {', '.join(lost)}: no attribute of customers",
                where=where,
                remedy="name an attribute of features/declared/attributes.yml",
            )
        return self.kind.column(self.key, self.values, self.named, rows)


@dataclass(frozen=True)
class Translation:
    """From ``where:`` as written to conditions on columns.

    Attributes:
        catalogue: for products and channels.
        named: all values that limits give for each key that looks at customers.
    """

    catalogue: Catalogue
    named: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, catalogue: Catalogue, wheres: Iterable[Mapping[str, Any]]) -> Translation:
        """For every selection that the catalogue's limits make."""
        named: dict[str, set[str]] = {}
        for where in wheres:
            for name, value in where.items():
                if isinstance(key_named(name), CustomerKey):
                    named.setdefault(name, set()).update(as_list(value))
        return cls(catalogue, {name: tuple(sorted(values)) for name, values in named.items()})

    def conditions(self, where: Mapping[str, Any], limit: str) -> Conditions:
        """A selection as conditions: ids of products and channels that fit all its keys, and values of columns.

        Args:
            where: as written.
            limit: whose, for messages.

        Raises:
            UserError: no product or channel has a value that is named.
        """
        keys = {name: key_named(name) for name in where}
        products = {name: key.value for name, key in keys.items() if isinstance(key, ProductKey)}
        channels = {name: key.value for name, key in keys.items() if isinstance(key, ChannelKey)}
        conditions: Conditions = {}
        if products:
            conditions["product"] = [
                entry.id for entry in self._fitting(self.catalogue.products, products, where, limit)
            ]
        if channels:
            conditions["channel"] = [
                entry.id for entry in self._fitting(self.catalogue.channels, channels, where, limit)
            ]
        for name, key in keys.items():
            if isinstance(key, CustomerKey):
                column, codes = key.condition(name, as_list(where[name]), self.named[name])
                conditions[column] = codes
        return conditions

    def _fitting(
        self,
        entries: Sequence[Entry],
        keys: Mapping[str, Callable[[Entry], object]],
        where: Mapping[str, Any],
        limit: str,
    ) -> list[Entry]:
        fitting = list(entries)
        for name, value in keys.items():
            known, wanted = sorted({str(value(entry)) for entry in entries}), as_list(where[name])
            if lost := [text for text in wanted if text not in known]:
                raise UserError(
                    f"limit {limit}: no {name} {', '.join(lost)}",
                    where=str(self.catalogue.root / "limits.yml"),
                    remedy=f"choose among: {', '.join(known)}",
                )
            fitting = [entry for entry in fitting if str(value(entry)) in wanted]
        return fitting

    def columns(self, wheres: Iterable[Mapping[str, Any]]) -> dict[str, CustomerColumn]:
        """The columns of customers that selections look at, in the alphabet."""
        columns = {}
        for where in wheres:
            for name, value in where.items():
                if isinstance(key := key_named(name), CustomerKey):
                    values = as_list(value)
                    column, _ = key.condition(name, values, self.named[name])
                    columns[column] = CustomerColumn(name, tuple(values), self.named[name], key)
        return dict(sorted(columns.items()))
