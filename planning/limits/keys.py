"""The kinds of key that a limit's ``where:`` may have. Whoever adds one writes it here, and every reader of limits sees it.

A kind says what it looks at: the product, the channel or the customer. Products and channels that fit become ids;
customers enter through small integer columns of their own (`planning.limits.columns`). Nothing else knows of kinds:
the evaluator, and with it optimizer, explorers, pruning, what-if and explanations, see columns and integers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.offer import Channel, Product

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


def as_list(value: Any) -> list[str]:
    """A value or a list of them, as texts."""
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
