"""The kinds of key that a limit's ``where:`` may have. Whoever adds one writes it here, and every reader of limits sees it.

A kind says what it looks at: the product, the channel or the customer. Products and channels that fit become ids;
customers enter through small integer columns of their own (`planning.limits.columns`). Nothing else knows of kinds:
the evaluator, and with it optimizer, explorers, pruning, what-if and explanations, see columns and integers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.catalogue import Catalogue
from conf.errors import MendableError
from conf.offer import Channel, Product

#: Conditions on columns: an arc fits where each column has one of its values.
Conditions = dict[str, list[int]]
#: Prefixes of customers' columns: a value of theirs, membership of any of some segments.
VALUE, MEMBER = "c_", "s_"


@dataclass(frozen=True)
class ProductKey:
    """Looks at the product of an arc."""

    value: Callable[[Product], object]


@dataclass(frozen=True)
class ChannelKey:
    """Looks at the channel of an arc."""

    value: Callable[[Channel], object]


class CustomerKey(ABC):
    """Looks at the customer, through an integer column made of the snapshot's."""

    @abstractmethod
    def reads(self, name: str, values: Sequence[str]) -> tuple[str, ...]:
        """Columns of the snapshot that ``name: values`` looks at."""

    def segments(self, values: Sequence[str]) -> tuple[str, ...]:
        """Segments that must be known as ``segment_<name>`` of the snapshot's rows."""
        return ()

    @abstractmethod
    def condition(self, name: str, values: Sequence[str], named: Sequence[str]) -> tuple[str, list[int]]:
        """The column and its values that fit; ``named`` are all values that any limit gives for the key."""

    @abstractmethod
    def column(self, name: str, values: Sequence[str], named: Sequence[str], rows: pa.Table) -> pa.Array:
        """That column, int16 [rows]."""


@dataclass(frozen=True)
class ValueKey(CustomerKey):
    """Looks at one value of a customer; its column counts, from 1, the values that limits name: 0 is none of them.

    Attributes:
        value: of each row of the snapshot, made of the columns ``of``; the attribute of the key's name by default.
    """

    value: Callable[[pa.Table], Any] | None = None
    of: tuple[str, ...] = ()

    def reads(self, name: str, values: Sequence[str]) -> tuple[str, ...]:
        """The columns it is made of."""
        return self.of if self.value else (name,)

    def condition(self, name: str, values: Sequence[str], named: Sequence[str]) -> tuple[str, list[int]]:
        """``c_<key>``."""
        return VALUE + name, [named.index(value) + 1 for value in values]

    def column(self, name: str, values: Sequence[str], named: Sequence[str], rows: pa.Table) -> pa.Array:
        """The position of each customer's value among those named."""
        value = self.value(rows) if self.value else rows[name]
        place = pc.index_in(pc.cast(value, pa.string()), value_set=pa.array(named, pa.string()))
        return pc.cast(pc.add(pc.fill_null(place, -1), 1), pa.int16())


@dataclass(frozen=True)
class SegmentKey(CustomerKey):
    """Looks at membership: a customer may be in several segments, so that each choice of them has a column of its own."""

    def reads(self, name: str, values: Sequence[str]) -> tuple[str, ...]:
        """Marks of the segments."""
        return tuple(f"segment_{value}" for value in values)

    def segments(self, values: Sequence[str]) -> tuple[str, ...]:
        """Those named."""
        return tuple(values)

    def condition(self, name: str, values: Sequence[str], named: Sequence[str]) -> tuple[str, list[int]]:
        """``s_<segment>_or_<segment>``: 1 for a member of one of them."""
        return MEMBER + "_or_".join(sorted(values)), [1]

    def column(self, name: str, values: Sequence[str], named: Sequence[str], rows: pa.Table) -> pa.Array:
        """1 for members."""
        mark = np.zeros(rows.num_rows, bool)
        for read in self.reads(name, values):
            mark |= pc.fill_null(rows[read], False).to_numpy(zero_copy_only=False)
        return pa.array(mark.astype(np.int16))


Key = ProductKey | ChannelKey | CustomerKey
Entry = TypeVar("Entry")
#: Kinds by the key's name; any other name is an attribute of customers.
KEYS: dict[str, Key] = {
    "product": ProductKey(lambda product: product.code),
    "group": ProductKey(lambda product: product.group),
    "channel": ChannelKey(lambda channel: channel.code),
    "segment": SegmentKey(),
}
_ATTRIBUTE = ValueKey()


def key_named(name: str) -> Key:
    """The kind of a key."""
    return KEYS.get(name, _ATTRIBUTE)


def listed(value: Any) -> list[str]:
    """A value or a list of them, as texts."""
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


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
            MendableError: the snapshot does not have what the key looks at.
        """
        if lost := [name for name in self.reads if name not in rows.column_names]:
            raise MendableError(
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
                    named.setdefault(name, set()).update(listed(value))
        return cls(catalogue, {name: tuple(sorted(values)) for name, values in named.items()})

    def conditions(self, where: Mapping[str, Any], limit: str) -> Conditions:
        """A selection as conditions: ids of products and channels that fit all its keys, and values of columns.

        Args:
            where: as written.
            limit: whose, for messages.

        Raises:
            MendableError: no product or channel has a value that is named.
        """
        keys = {name: key_named(name) for name in where}
        products = {name: key.value for name, key in keys.items() if isinstance(key, ProductKey)}
        channels = {name: key.value for name, key in keys.items() if isinstance(key, ChannelKey)}
        found: Conditions = {}
        if products:
            found["product"] = [entry.id for entry in self._fitting(self.catalogue.products, products, where, limit)]
        if channels:
            found["channel"] = [entry.id for entry in self._fitting(self.catalogue.channels, channels, where, limit)]
        for name, key in keys.items():
            if isinstance(key, CustomerKey):
                column, codes = key.condition(name, listed(where[name]), self.named[name])
                found[column] = codes
        return found

    def _fitting(
        self,
        entries: Sequence[Entry],
        keys: Mapping[str, Callable[[Entry], object]],
        where: Mapping[str, Any],
        limit: str,
    ) -> list[Entry]:
        fitting = list(entries)
        for name, value in keys.items():
            known, wanted = sorted({str(value(entry)) for entry in entries}), listed(where[name])
            if lost := [text for text in wanted if text not in known]:
                raise MendableError(
                    f"limit {limit}: no {name} {', '.join(lost)}",
                    where=str(self.catalogue.root / "limits.yml"),
                    remedy=f"choose among: {', '.join(known)}",
                )
            fitting = [entry for entry in fitting if str(value(entry)) in wanted]
        return fitting

    def columns(self, wheres: Iterable[Mapping[str, Any]]) -> dict[str, CustomerColumn]:
        """The columns of customers that selections look at, in the alphabet."""
        found = {}
        for where in wheres:
            for name, value in where.items():
                if isinstance(key := key_named(name), CustomerKey):
                    values = listed(value)
                    column, _ = key.condition(name, values, self.named[name])
                    found[column] = CustomerColumn(name, tuple(values), self.named[name], key)
        return dict(sorted(found.items()))
