"""The integer columns through which limits see customers: made of the snapshot once a night, frozen with the population."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import Ints
from planning.limits.keys import MEMBER, VALUE

#: The column of customers' centres, of which quotas of exploration are told.
CENTRE = VALUE + "centre"


@dataclass(frozen=True)
class LimitColumns:
    """Customers as limits see them.

    Attributes:
        table: ``c_<key>`` and ``s_<segments>``, small integers, a row a customer.
        customers: rows, also where limits look at nothing.
    """

    table: pa.Table
    customers: int

    @classmethod
    def of(cls, population: pa.Table) -> LimitColumns:
        """Those that a table has."""
        names = [name for name in population.column_names if name.startswith((VALUE, MEMBER))]
        return cls(population.select(names), population.num_rows)

    @property
    def names(self) -> list[str]:
        """Their names."""
        return self.table.column_names

    def onto(self, population: pa.Table) -> pa.Table:
        """The population with them, whose rows are theirs."""
        for name in self.names:
            population = population.append_column(name, self.table[name])
        return population

    def beside(self, arcs: pa.Table, rows: pa.Array | pa.ChunkedArray) -> pa.Table:
        """Arcs with the columns of their customers, whose rows are given."""
        for name in self.names:
            arcs = arcs.append_column(name, self.table[name].take(rows))
        return arcs

    def classes(self) -> tuple[dict[str, Ints], Ints, int]:
        """Customers who look alike to every limit: the columns of each class, each customer's class, how many there are."""
        if not self.names:
            return {}, np.zeros(self.customers, np.int64), 1
        rows = np.stack([self.table[name].to_numpy().astype(np.int64) for name in self.names], 1)
        distinct, classes = np.unique(rows, axis=0, return_inverse=True)
        return dict(zip(self.names, distinct.T, strict=True)), classes.reshape(-1).astype(np.int64), len(distinct)


def rows_of(arcs: pa.Table, population: pa.Table, key: str = "customer") -> pa.ChunkedArray:
    """The row of each arc's customer in the population; null for nobody of it."""
    return pc.index_in(arcs[key], value_set=population["customer_id"].combine_chunks())
