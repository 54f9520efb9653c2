"""The cost of switching: last night's arc counts for more in what is decided, and for nothing in what is told."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs import assign, prove
from models.assignment.problem import PICO
from planning.instance.run_folder import open_run
from planning.plan.customer_charges import charge_customer
from planning.plan.decide import decide, fill_known_values
from planning.plan.decision import assignment_table, table_hash
from planning.plan.switching_cost import mark_favoured, stays_of, with_cost
from runtime.night import Night
from runtime.run_id import run_id

BEFORE = pa.table(
    {
        "customer_id": [7, 3, 5, 9],
        "product": pa.array([2, 1, None, 4], pa.int16()),
        "channel": pa.array([0, 1, None, 2], pa.int16()),
        "role": ["exploit", "exploit", "exploit", "explore"],
    }
)


def test_only_what_exploiters_were_given_is_favoured() -> None:
    stays = stays_of(BEFORE, 500)
    assert stays.to_pylist() == [
        {"customer": 3, "product": 1, "channel": 1},
        {"customer": 7, "product": 2, "channel": 0},
    ]
    assert stays_of(BEFORE, 0).num_rows == stays_of(None, 500).num_rows == 0
    arcs = pa.table(
        {
            "customer": [1, 3, 3, 7, 7, 9],
            "product": pa.array([1, 1, 1, 2, 3, 4], pa.int16()),
            "channel": pa.array([1, 0, 1, 0, 0, 2], pa.int16()),
            "value": [10, 20, 30, 40, 50, 60],
        }
    )
    assert with_cost(arcs, stays, 500)["value"].to_pylist() == [10, 20, 530, 540, 50, 60]
    assert with_cost(arcs, stays.slice(0, 0), 0) is arcs
    none = np.zeros(0, np.int64)
    assert mark_favoured(stays, none, none, none).tolist() == []


def two_nights(filled: Night, cost: float) -> tuple[Night, dict[str, Any]]:
    """The night after one with other values: figures of the second."""
    assign.run(filled)
    solve = filled.settings.solve.model_copy(update={"switch_cost": cost})
    settings = filled.settings.model_copy(update={"solve": solve})
    later = Night(filled.date + dt.timedelta(days=1), settings, filled.landing)
    eligible = filled.lake.arrow("eligible", partition=filled.partition).drop_columns(["business_date"])
    later.lake.replace_arrow("eligible", eligible, partition=later.partition)
    rows = filled.lake.arrow("candidate", partition=filled.partition).drop_columns(["business_date"])
    moved = np.rint(rows["value_micro"].to_numpy() * np.random.default_rng(3).uniform(0.9, 1.1, rows.num_rows))
    at = rows.column_names.index("value_micro")
    rows = rows.set_column(at, "value_micro", pa.array(moved.astype(np.int64)))
    later.lake.replace_arrow("candidate", rows, partition=later.partition)
    return later, assign.run(later)


@pytest.mark.whole
def test_a_plan_moves_less_and_is_told_in_money(filled: Night) -> None:
    _, free = two_nights(filled, 0.0)
    later, dear = two_nights(filled, 0.5)
    assert dear.churn < 0.8 * free.churn
    assert dear.value_yuan < free.value_yuan  # the lever is no money
    scored = {
        (r["customer_id"], r["product"], r["channel"]): r["value_micro"]
        for r in later.lake.arrow("candidate", partition=later.partition).to_pylist()
    }
    plan = later.lake.arrow("assignment", partition=later.partition).to_pylist()
    given = [row for row in plan if row["product"] is not None]  # of the whole plan: explorers' contacts too
    solved = [row["value_micro"] for row in given if row["role"] == "exploit"]
    assert 0 < len(solved) < len(given)
    for row in given:
        assert scored[row["customer_id"], row["product"], row["channel"]] == row["value_micro"]
    assert sum(row["value_micro"] for row in given) == round(dear.value_yuan * 1e6)
    for row in later.lake.arrow("recommendation", partition=later.partition).to_pylist():
        assert scored[row["customer_id"], row["product"], row["channel"]] == row["value_micro"]

    assert prove.run(later).accepted
    run = open_run(later.settings, run_id(later))
    again = decide(run)
    lever = fill_known_values(again, run)
    assert lever == dear.primal - sum(solved) > 0
    rebuilt = table_hash(assignment_table(again, run.inputs()))
    assert rebuilt == (run.path / "assignment.sha256").read_text().strip()

    stay = run.table("stays").to_pylist()[0]
    said = json.loads((run.plan / "certificate.json").read_text())
    charged = charge_customer(run, stay["customer"], {row["name"]: row["price_pico"] for row in said["limits"]})
    assert charged is not None
    assert charged[stay["product"], stay["channel"]]["switch_cost"] == -500_000 * PICO
