"""The change of the predicted value by cause: parts add up exactly, and one cause alone has all of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.assignment.roles import EXPLOIT
from planning.instance.decision_inputs import DecisionInputs
from planning.instance.run_folder import RunFolder, freeze
from planning.limits.in_force import LimitsInForce
from planning.plan.decide import decide, fill_known_values, leave
from planning.plan.value_change import CAUSES, ValueChange, decide_setting, explain_change, read_setting, sum_value
from tests.planning.plan.test_exploration import IDS, KEPT, LIMITS, inputs_of, population_of


def make_run(
    folder: Path,
    *,
    arcs: pa.Table = KEPT,
    limits: LimitsInForce = LIMITS,
    population: pa.Table | None = None,
    date: dt.date = dt.date(2026, 1, 9),
    **changed: Any,
) -> RunFolder:
    """A night frozen; its arcs are those of its population's masks."""
    inputs: DecisionInputs = inputs_of(3, limits).model_copy(update={"date": date, **changed})
    people = population_of(3) if population is None else population
    arcs = arcs.filter(pa.array(np.isin(arcs["customer"].to_numpy(), people["customer_id"].to_numpy())))
    row = np.searchsorted(people["customer_id"].to_numpy(), arcs["customer"].to_numpy())
    exploit = people["role"].to_numpy()[row] == EXPLOIT
    stays = KEPT.select(["customer", "product", "channel"]).slice(0, 0)
    tables = {"population": people, "others": arcs.filter(pa.array(~exploit)), "inbound": arcs.slice(0, 0)}
    left = leave(people, arcs, limits, inputs)
    return freeze(folder, inputs, limits, left, arcs.filter(pa.array(exploit)), {**tables, "stays": stays})


def value_of(run: RunFolder) -> int:
    decision = decide(run)
    return sum_value(decision, fill_known_values(decision, run))


def revalue(old: pa.Table) -> Any:
    """Values of another table of arcs, by key; those it lacks keep theirs."""
    known = {(r["customer"], r["product"], r["channel"]): r["value"] for r in old.to_pylist()}

    def give(arcs: pa.Table) -> pa.Table:
        rows = arcs.to_pylist()
        values = [known.get((r["customer"], r["product"], r["channel"]), r["value"]) for r in rows]
        return arcs.set_column(3, "value", pa.array(values, pa.int64()))

    return give


def scale(arcs: pa.Table, factor: float) -> pa.Table:
    return arcs.set_column(3, "value", pa.array((arcs["value"].to_numpy() * factor).astype(np.int64)))


def compare(before: RunFolder, now: RunFolder, **how: Any) -> ValueChange:
    same = {"last_model": lambda arcs: arcs, "last_prices": lambda arcs: arcs}
    return explain_change(before, now, (value_of(before), value_of(now)), **{**same, **how})


def take_customers(count: int) -> pa.Table:
    return population_of(3).slice(0, count)


def forbid(population: pa.Table, product: int) -> tuple[pa.Table, pa.Table]:
    """A population that no rule allows a product, and its arcs."""
    masks = [[mask & ~(1 << product) for mask in row] for row in population["masks"].to_pylist()]
    place = population.column_names.index("masks")
    column = pa.array(masks, population["masks"].type)
    population = population.set_column(place, population.schema.field(place), column)
    return population, KEPT.filter(pa.array(KEPT["product"].to_numpy() != product))


TIGHT = LimitsInForce.model_validate(
    {
        "limits": [
            row.model_dump(exclude_none=True) | ({"at_most": 120} if row.name == "messages" else {})
            for row in LIMITS.limits
        ]
    }
)
CHEAPER = scale(KEPT, 0.7)


@pytest.mark.parametrize("cause", CAUSES)
def test_one_cause_alone_has_all_of_the_change(tmp_path: Path, cause: str) -> None:
    before, how = make_run(tmp_path / "before"), {}
    if cause == "population":
        now = make_run(tmp_path / "now", population=take_customers(700))
    elif cause == "eligibility":
        population, arcs = forbid(population_of(3), 1)
        now = make_run(tmp_path / "now", population=population, arcs=arcs)
    elif cause == "limits":
        now = make_run(tmp_path / "now", limits=TIGHT)
    else:
        now = make_run(tmp_path / "now", arcs=CHEAPER)
        how = {f"last_{cause}": revalue(KEPT)}
    change = compare(before, now, **how)
    assert change.now != change.before
    assert {name for name, part in change.parts.items() if part} == {cause}
    assert sum(change.parts.values()) == change.now - change.before
    assert tuple(change.parts) == CAUSES


def test_several_causes_add_up_and_each_has_its_own(tmp_path: Path) -> None:
    before = make_run(tmp_path / "before")
    population, arcs = forbid(take_customers(800), 1)
    now = make_run(
        tmp_path / "now", population=population, arcs=scale(arcs, 0.8), limits=TIGHT, date=dt.date(2026, 1, 10)
    )
    change = compare(before, now, last_prices=revalue(scale(KEPT, 0.9)), last_model=revalue(KEPT))
    assert sum(change.parts.values()) == change.now - change.before
    assert all(change.parts[cause] for cause in CAUSES)
    assert change.parts["population"] < 0
    assert change.parts["limits"] < 0
    assert change.note == ""


def test_the_same_night_again_changes_nothing(tmp_path: Path) -> None:
    change = compare(make_run(tmp_path / "before"), make_run(tmp_path / "now"))
    assert set(change.parts.values()) == {0}


def test_a_setting_is_decided_as_its_run_was(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert decide_setting(read_setting(run), tmp_path) == value_of(run)
    assert not list(tmp_path.glob("change-*"))


def test_limits_that_cannot_be_kept_with_tonight_s_people_are_said(tmp_path: Path) -> None:
    before = make_run(tmp_path / "before")
    now = make_run(
        tmp_path / "now",
        population=take_customers(60),
        limits=LimitsInForce(limits=LIMITS.limits[:1]),
        amounts=(LIMITS.limits[0].amount,),
        capped=(True,),
    )
    change = compare(before, now)  # the floor of 60 is more than so few can keep
    assert "not told apart" in change.note
    assert sum(change.parts.values()) == change.now - change.before
    assert len(IDS) > 60
