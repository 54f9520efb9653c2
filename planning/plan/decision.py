"""A night's decision, row by row of the population, and the table `assignment` that it becomes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import Floats, Ints
from models.assignment.problem import KEY_PARTS, PICO
from models.assignment.roles import CHAMPION, EXPLOIT, NAMES
from models.assignment.solve import Solution
from models.hashing import draw_keys
from planning.instance.decision_inputs import DecisionInputs
from planning.instance.reader import Instance
from planning.limits.arc_classes import Arcs

if TYPE_CHECKING:
    from planning.plan.exploration import Exploration

#: Parts of an arc's key that a night may not have.
OPTIONAL = KEY_PARTS


@dataclass
class Decision:
    """The decision of a night, row by row of the population.

    Attributes:
        population: the frozen population, customers ascending.
        arcs: outbound arcs and classes.
        solution: of the exploiters' problem.
        instance: that problem.
        given: arc given (place in ``arcs``; -1 none), int64 [n].
        greedy: arc that the customer gets as an exploiter.
        value: micro-yuan of the arc given; ``known`` says where it was scored.
        marginal, reason, pscore: columns of ``assignment``; a pscore is NaN where no draw gave the row.
        withdrawn: explorers who got none because a limit was full.
        left: what the best arc of an explorer or control would leave at the final prices, micro-yuan; 0 for exploiters.
        decision_value: what was decided on, micro-yuan; ``value`` is the mean money of it.
        exploration: the draws; None in runs of releases that reserved a part of limits for them.
    """

    population: pa.Table
    arcs: Arcs
    solution: Solution
    instance: Instance
    given: Ints
    greedy: Ints
    value: Ints
    known: np.ndarray
    marginal: np.ndarray
    reason: np.ndarray
    pscore: Floats
    withdrawn: int
    left: Ints
    decision_value: Ints
    exploration: Exploration | None = None

    @property
    def customer(self) -> Ints:
        """Ids of the population."""
        return self.population["customer_id"].to_numpy()

    @property
    def draw_key(self) -> Ints:
        """What draws of the population are hashed from."""
        return draw_keys(self.population)

    @property
    def role(self) -> np.ndarray:
        """Roles of the population."""
        return self.population["role"].to_numpy()

    def arc_rows(self, table: pa.Table) -> tuple[Ints, Ints, Ints]:
        """Row in the population, place of the arc and value of each arc of a table, sorted by row and arc label."""
        row = np.searchsorted(self.customer, table["customer"].to_numpy())
        product, channel = (table[name].to_numpy().astype(np.int64) for name in ("product", "channel"))
        order = np.lexsort((channel, product, row))
        return row[order], self.arcs.of(product, channel)[order], table["value"].to_numpy()[order]


def assignment_table(night: Decision, inputs: DecisionInputs) -> pa.Table:
    """Rows of ``assignment``: every active customer, ascending; in the columns of the release that decided the run."""
    given, greedy = night.given, night.greedy
    none, n = given < 0, len(given)
    price = night.arcs.price(night.solution.dual.prices)[night.arcs.classes, np.maximum(given, 0)]
    run = inputs.run_id
    ids = pc.binary_join_element_wise(pa.scalar(run), pc.cast(pa.array(night.customer), pa.string()), ":")
    unknown = none | ~night.known

    def of(values: Ints, place: Ints) -> pa.Array:
        return pa.array(values[np.maximum(place, 0)], pa.int16(), mask=place < 0)

    columns = {
        "business_date": pa.array([inputs.date] * n, pa.date32()),
        "run_id": pa.array([run] * n),
        "decision_id": ids,
        "customer_id": night.population["customer_id"],
        "product": of(night.arcs.product, given),
        "channel": of(night.arcs.channel, given),
        "value_micro": pa.array(night.value, mask=unknown),
        "price_micro": pa.array(-((-price) // PICO), mask=none),
        "role": pa.array([NAMES[r] for r in night.role.tolist()]),
        "reason": pa.array(night.reason, pa.string()),
        "pscore": pa.array(night.pscore, mask=np.isnan(night.pscore)),
        "marginal": pa.array(night.marginal),
        "eligible_hash": night.population["eligible_hash"],
    }
    if not inputs.labels_first:
        ghost = np.where(night.role == EXPLOIT, -1, greedy)
        columns |= {"ghost_product": of(night.arcs.product, ghost), "ghost_channel": of(night.arcs.channel, ghost)}
        return pa.table(columns)
    return pa.table(
        columns
        | {
            "greedy_product": of(night.arcs.product, greedy),
            "greedy_channel": of(night.arcs.channel, greedy),
            "decision_value": pa.array(night.decision_value, mask=unknown),
            "arm": pa.array(np.full(n, CHAMPION, object), pa.string(), mask=night.role != EXPLOIT),
            "slot": pa.nulls(n, pa.int16()),
            "variant": pa.nulls(n, pa.int16()),
        }
    )


def table_hash(table: pa.Table) -> str:
    """SHA-256 of a table's content, column by column in the order of its schema; a part of the key that is absent counts not."""
    digest = hashlib.sha256()
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name in OPTIONAL and column.null_count == len(column):
            continue
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(pc.is_null(column).to_numpy(zero_copy_only=False)).tobytes())
        if pa.types.is_string(column.type):
            digest.update("\0".join(pc.fill_null(column, "").to_pylist()).encode())
        else:
            filled = pc.cast(column, pa.int32()) if pa.types.is_date(column.type) else column
            filler = False if pa.types.is_boolean(filled.type) else 0
            digest.update(np.ascontiguousarray(pc.fill_null(filled, filler).to_numpy(zero_copy_only=False)).tobytes())
    return digest.hexdigest()
