"""The night's assignment on hand-made tables: everybody has a row, limits hold, the proof is accepted."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conf.catalogue import Catalogue
from conf.errors import UserError
from conf.offer import ShiftAmount
from jobs import assign, prove
from models.assignment.dual_evaluation import Local, evaluate
from models.assignment.explore import LEAST
from models.assignment.roles import EXPLORE
from models.assignment.solve import SolveOptions, solve
from planning.instance.reader import read_instance
from planning.instance.run_folder import RunFolder, certify_run, open_run
from planning.instance.solve import LimitsConflict
from planning.limits.amounts import agent_minutes
from planning.limits.in_force import write_limits
from planning.plan import column_generation
from planning.plan.customer_charges import charge_customer
from planning.plan.decide import decide, fill_known_values
from planning.plan.decision import assignment_table, table_hash
from planning.plan.exploration_cost import learning
from runtime.night import Night
from runtime.run_id import run_id

pytestmark = pytest.mark.whole


def plan_of(night: Night) -> pa.Table:
    return night.lake.arrow("assignment", partition=night.partition).sort_by("customer_id")


def test_a_night_is_decided_proved_and_replayed(decided: Night) -> None:
    figures = json.loads((decided.settings.home / "figures.json").read_text())
    plan = plan_of(decided)
    assert plan.num_rows == 900 == figures["customers"]
    assert plan["customer_id"].to_pylist() == sorted(set(plan["customer_id"].to_pylist()))
    assert set(plan["role"].to_pylist()) == {"exploit", "explore", "control"}
    assert not pc.any(pc.equal(plan["reason"], "")).as_py()
    assert pc.min(plan["pscore"]).as_py() >= LEAST
    assert pc.max(plan["pscore"]).as_py() <= 1
    held = plan.filter(pc.equal(plan["role"], "control"))
    assert held["pscore"].null_count == held.num_rows == plan["pscore"].null_count
    assert held["product"].null_count == held.num_rows
    assert figures["gap"] <= decided.settings.solve.gap
    claimed = figures["bound_claimed"] or figures["bound"]
    assert 0 <= claimed - figures["primal"] <= decided.settings.solve.gap * claimed
    verdict = prove.run(decided)
    assert verdict.verdict == "accepted"
    assert verdict.primal == figures["primal"]
    run = open_run(decided.settings, run_id(decided))
    again = decide(run)
    fill_known_values(again, run)
    assert table_hash(assignment_table(again, run.inputs())) == (run.path / "assignment.sha256").read_text().strip()


def test_limits_hold_for_exploiters_and_explorers_together(decided: Night) -> None:
    prices = decided.lake.arrow("limit_price", partition=decided.partition).to_pylist()
    assert len(prices) == len(decided.catalogue.limits)
    for row in prices:
        used = row["used"] + row["used_explore"]
        if row["kind"] == "at_most":
            assert used <= row["amount"], row
            assert row["price_pico"] >= 0
        else:
            assert used >= row["amount"], row
            assert row["price_pico"] <= 0
    assert any(row["price_pico"] for row in prices)
    assert any(row["used_explore"] for row in prices)
    verdict = certify_run(decided.settings, run_id(decided))
    assert verdict.published == "accepted"
    assert verdict.used == {row["limit"]: row["used"] + row["used_explore"] for row in prices}


def test_inbound_offers_are_ranked_and_eligible(decided: Night) -> None:
    offers = decided.lake.arrow("recommendation", partition=decided.partition).to_pylist()
    inbound = {c.id for c in decided.catalogue.channels if c.direction == "inbound"}
    scored = {
        (r["customer_id"], r["channel"], r["product"]): r["value_micro"]
        for r in decided.lake.arrow("candidate", partition=decided.partition).to_pylist()
    }
    control = {r["customer_id"] for r in plan_of(decided).to_pylist() if r["role"] == "control"}
    cells: dict[tuple[int, int], list[int]] = {}
    for row in (row for row in offers if row["channel"] in inbound):
        assert row["customer_id"] not in control
        assert scored[row["customer_id"], row["channel"], row["product"]] == row["value_micro"] > 0
        cells.setdefault((row["customer_id"], row["channel"]), []).append(row["rank"])
    assert cells
    assert all(sorted(ranks) == list(range(1, len(ranks) + 1)) and len(ranks) <= 3 for ranks in cells.values())
    assert any(len(ranks) == 3 for ranks in cells.values())


def test_explorers_get_only_what_passed_every_rule(decided: Night) -> None:
    masks = {
        r["customer_id"]: r["masks"] for r in decided.lake.arrow("eligible", partition=decided.partition).to_pylist()
    }
    given = [r for r in plan_of(decided).to_pylist() if r["product"] is not None]
    assert {r["role"] for r in given} == {"exploit", "explore"}
    for row in given:
        assert masks[row["customer_id"]][row["channel"]] >> row["product"] & 1


def test_the_next_night_starts_warm_and_says_what_changed(filled: Night) -> None:
    first = assign.run(filled)
    assert first.churn is None
    later = Night(filled.date + dt.timedelta(days=1), filled.settings, filled.landing)
    for table in ("eligible", "candidate"):
        rows = filled.lake.arrow(table, partition=filled.partition).drop_columns(["business_date"])
        later.lake.replace_arrow(table, rows, partition=later.partition)
    second = assign.run(later)
    assert 0 <= second.churn < 1
    assert any(later.settings.home.glob("runs/*/inputs.json"))
    assert open_run(later.settings, run_id(later)).inputs().start


def test_a_plan_that_was_changed_is_not_proved(decided: Night) -> None:
    rows = plan_of(decided).to_pylist()
    mine = next(r for r in rows if r["role"] == "exploit" and r["product"] is not None)
    mine["product"], mine["channel"] = None, None
    schema = decided.lake.arrow("assignment").schema
    decided.lake.replace_arrow("assignment", pa.Table.from_pylist(rows, schema=schema), partition=decided.partition)
    with pytest.raises(UserError, match="not what was proved"):
        prove.run(decided)


def test_a_missing_row_is_not_proved(decided: Night) -> None:
    decided.lake.replace_arrow("assignment", plan_of(decided).slice(1), partition=decided.partition)
    with pytest.raises(UserError, match="899 rows for 900"):
        prove.run(decided)


def test_nobody_eligible_is_said(night) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="has no rows"):
        assign.run(night())


def test_agent_minutes_come_from_the_last_word_of_the_calendar() -> None:
    day = dt.date(2026, 1, 9)

    def row(date: dt.date, agents: int, arrived: int) -> dict[str, object]:
        return {
            "date": date,
            "centre": "gz",
            "service": "outbound",
            "shift": "mid",
            "agents": agents,
            "minutes": 510,
            "meal_minutes": 30,
            "training_minutes": 20,
            "arrived_at": dt.datetime(2026, 1, arrived, tzinfo=dt.UTC),
            "delivery_id": "d",
            "line": 1,
        }

    amount = ShiftAmount(table="shift", service="outbound", centre="gz")
    table = pa.Table.from_pylist([row(day, 5, 1), row(day, 7, 2), row(day - dt.timedelta(days=7), 9, 1)])
    assert agent_minutes(table, amount, day) == (7 * 460, "")
    assert agent_minutes(table, amount, day - dt.timedelta(days=1))[0] == 0
    minutes, note = agent_minutes(table, amount, day + dt.timedelta(days=7))
    assert minutes == 7 * 460
    assert str(day) in note
    both = pa.concat_tables([table, pa.Table.from_pylist([{**row(day, 3, 1), "shift": "late"}])])
    assert agent_minutes(both, amount, day)[0] == (7 + 3) * 460
    late = amount.model_copy(update={"shifts": ("late",)})
    assert agent_minutes(both, late, day) == (3 * 460, "")  # a part of the day has the agents of its shifts
    assert agent_minutes(table, late, day)[0] == 0


def test_what_explain_charges_is_what_the_solver_charged(decided: Night) -> None:
    """For every customer looked at and each of its arcs: the sum over limits is the instance's own price."""
    run = open_run(decided.settings, run_id(decided))
    problem = read_instance(run.instance).problem
    said = json.loads((run.plan / "certificate.json").read_text())
    prices = {row["name"]: row["price_pico"] for row in said["limits"]}
    assert any(prices.values())
    signed = np.array([row["price_pico"] for row in said["limits"]]) * problem.limits.sign
    charge, block = problem.kinds.price(signed), problem.blocks[0]
    seen = 0
    for i in range(0, len(block), 40):
        found = charge_customer(run, int(block.customer[i]), prices)
        assert found is not None
        for arc in range(block.first[i], block.first[i + 1]):
            kind = int(block.kind[arc])
            pair = (int(problem.kinds.product[kind]), int(problem.kinds.channel[kind]))
            assert sum(found.get(pair, {}).values()) == charge[kind]
            seen += 1
    assert seen > 100
    assert charge_customer(run, -1, prices) is None


def test_slates_carry_their_probability_and_alternates_pay(decided: Night) -> None:
    rows = decided.lake.arrow("recommendation", partition=decided.partition).to_pylist()
    outbound = {c.id for c in decided.catalogue.channels if c.direction == "outbound"}
    plan = {row["customer_id"]: row for row in plan_of(decided).to_pylist()}
    slates: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in (row for row in rows if row["channel"] not in outbound):
        slates.setdefault((row["customer_id"], row["channel"]), []).append(row)
    drawn = [sorted(slate, key=lambda row: row["rank"]) for slate in slates.values()]
    assert {tuple(row["rank"] for row in slate) for slate in drawn} == {(1,), (1, 2), (1, 2, 3)}
    for slate in drawn:
        (chance,) = {row["slate_probability"] for row in slate}
        assert (chance == 1.0) if len(slate) == 1 else (0 < chance < 1.0 + 1e-12)
    # shown by score with noise: often, not always, the better one first
    better = np.mean([slate[0]["value_micro"] >= slate[1]["value_micro"] for slate in drawn if len(slate) > 1])
    assert 0.6 < better < 1.0
    run = open_run(decided.settings, run_id(decided))
    said = json.loads((run.plan / "certificate.json").read_text())
    prices = {row["name"]: row["price_pico"] for row in said["limits"]}
    others = [row for row in rows if row["channel"] in outbound]
    assert {row["rank"] for row in others} == {2, 3}
    both = {row["customer_id"] for row in others if row["rank"] == 3}
    for customer in sorted(both)[:30]:
        charged = charge_customer(run, customer, prices) or {}
        mine = sorted((row for row in others if row["customer_id"] == customer), key=lambda row: row["rank"])
        left = [r["value_micro"] * 10**6 - sum(charged.get((r["product"], r["channel"]), {}).values()) for r in mine]
        assert left[0] >= left[1]
    for row in others[::7]:
        contact = plan[row["customer_id"]]
        assert (contact["role"], contact["channel"] is None) == ("exploit", False)
        assert (row["product"], row["channel"]) != (contact["product"], contact["channel"])
        charged = charge_customer(run, row["customer_id"], prices)
        assert charged is not None
        assert row["value_micro"] * 10**6 > sum(charged.get((row["product"], row["channel"]), {}).values())
        assert row["slate_probability"] is None


def test_what_learning_costs_bounds_what_everybody_exploiting_could_add(decided: Night, tmp_path: Path) -> None:
    """Everybody's arcs on the whole limits, solved: its plan is worth no more than plan, drawn arcs and both costs say."""
    run = open_run(decided.settings, run_id(decided))
    inputs = run.inputs()
    decision = decide(run)
    fill_known_values(decision, run)
    told = learning(decision, inputs)
    assert told["learning_yuan"] > 0
    assert told["control_yuan"] > 0
    assert 0 < told["explored_known"] <= json.loads((decided.settings.home / "figures.json").read_text())["explored"]
    own = pq.read_table(run.instance / "arcs")
    rows = pa.concat_tables([own, run.table("others")])
    rows = rows.sort_by([(name, "ascending") for name in ("customer", "product", "channel")])
    (tmp_path / "all" / "arcs").mkdir(parents=True)
    pq.write_table(rows, tmp_path / "all" / "arcs" / "part.parquet")
    write_limits(tmp_path / "all" / "limits.yml", run.whole_limits())
    everybody = read_instance(tmp_path / "all").problem
    whole = solve(everybody, SolveOptions(gap=0.05, start=decision.solution.dual.prices)).plan.primal
    drawn = int(decision.value[(decision.role == EXPLORE) & decision.known].sum())
    at_most = decision.solution.dual.bound + drawn + (told["learning_yuan"] + told["control_yuan"]) * 1e6
    assert whole <= at_most + 1
    assert whole > decision.solution.plan.primal
    dual = evaluate(everybody, Local(everybody), decision.solution.dual.prices)
    assert at_most == pytest.approx(
        dual.bound, rel=1e-6
    )  # it is that problem's bound, but for the rounding of each customer


def test_only_a_changed_limit_is_told_against_the_plan(
    decided: Night, attributes: tuple[Path, pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assign, "read_limit_attributes", lambda night, eligible: attributes[1])
    assert assign.recount(decided) == []
    prices = {row["limit"]: row for row in decided.lake.arrow("limit_price", partition=decided.partition).to_pylist()}
    name = next(x.name for x in decided.catalogue.limits if x.at_most and not x.share and prices[x.name]["used"] > 1)
    changed = Catalogue(decided.catalogue.root)
    tight = tuple(
        limit.model_copy(update={"at_most": 0}) if limit.name == name else limit for limit in decided.catalogue.limits
    )
    changed.__dict__["limits"] = tight
    monkeypatch.setattr(Night, "catalogue", property(lambda self: changed))
    (told,) = assign.recount(decided)
    assert told["limit"] == name
    used = prices[name]["used"] + prices[name]["used_explore"]
    assert (told["amount_then"], told["used_then"]) == (prices[name]["amount"], used)
    assert (told["amount_now"], told["beyond"]) == (0, used)
    assert told["contacts"] > 0


def test_where_limits_conflict_with_what_explorers_drew_they_get_nothing_and_it_is_said(
    filled: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first solve finds a conflict; the night is decided without draws, proved, and replayed."""
    decided_with: list[bool] = []
    solve_once = column_generation.decide

    def conflict_once(run: RunFolder) -> Any:
        decided_with.append(run.inputs().draws)
        if run.inputs().draws:
            raise LimitsConflict("these limits cannot be kept together", where="limits")
        return solve_once(run)

    monkeypatch.setattr(column_generation, "decide", conflict_once)
    figures = assign.run(filled)
    assert decided_with[:2] == [True, False]
    assert assign.NO_DRAWS in figures.warnings
    explorers = [row for row in plan_of(filled).to_pylist() if row["role"] == "explore"]
    assert explorers
    assert {(row["product"], row["pscore"], row["reason"]) for row in explorers} == {(None, None, "explore_withdrawn")}
    assert figures.withdrawn == len(explorers)
    assert prove.run(filled).published == "accepted"
