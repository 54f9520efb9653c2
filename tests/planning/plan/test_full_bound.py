"""The bound over all arcs: equal to the certificate's where nothing was dropped, higher by what a dropped arc adds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from conf.catalogue import Catalogue
from conf.errors import UserError
from jobs import assign, prove
from models.affinity.prune import prune
from models.lifecycle.arcs import menu
from planning.instance.run_folder import open_run
from planning.limits.arc_classes import Arcs
from planning.limits.declared import DeclaredLimits
from planning.limits.in_force import LimitInForce
from planning.plan import column_generation, full_bound
from planning.plan.customer_charges import charge_customer
from planning.plan.full_bound import BoundAsked, find_impossible, spread
from planning.scoring import ScoredBlock
from planning.whatif.replay import replay
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.run_id import run_id

pytestmark = pytest.mark.whole


def scorer_of(night: Night, extra: dict[tuple[int, int, int], int]) -> Any:
    """A scorer whose arcs are the stored ones and ``extra`` (customer, product, channel) → value."""
    rows = night.lake.arrow("candidate", partition=night.partition).to_pylist()
    value = {(r["customer_id"], r["product"], r["channel"]): r["value_micro"] for r in rows} | extra
    arcs = menu(night.catalogue)
    place = {(int(p), int(c)): k for k, (p, c) in enumerate(zip(arcs.product(), arcs.channel(), strict=True))}
    ids = np.array(sorted({customer for customer, _, _ in value}))
    eligible, worth = np.zeros((len(ids), arcs.arcs), bool), np.zeros((len(ids), arcs.arcs), np.int64)
    for (customer, product, channel), micro in value.items():
        row = np.searchsorted(ids, customer)
        eligible[row, place[product, channel]], worth[row, place[product, channel]] = True, micro

    def blocks(task: Any, path: str) -> Iterator[ScoredBlock]:
        for part in np.array_split(np.arange(len(ids)), 3):
            yield ScoredBlock(ids[part], None, eligible[part], SimpleNamespace(value=worth[part]), 0)  # type: ignore[arg-type]

    return blocks


def bound(night: Night, monkeypatch: pytest.MonkeyPatch, extra: dict[tuple[int, int, int], int]) -> tuple[int, int]:
    run = open_run(night.settings, run_id(night))
    said = json.loads((run.plan / "certificate.json").read_text())
    with_scorer(night, monkeypatch, extra)
    prices = {row["name"]: row["price_pico"] for row in said["limits"]}
    return full_bound.bound_of_all_arcs(night, run, prices)["bound_all_arcs"], said["bound"]


def test_where_nothing_was_dropped_it_is_the_certificates_bound(
    decided: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    over_all, stored = bound(decided, monkeypatch, {})
    assert over_all == stored


def test_a_dropped_arc_that_would_win_is_seen_to_the_micro_yuan(
    decided: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = decided.lake.arrow("assignment", partition=decided.partition).to_pylist()
    idle = next(r["customer_id"] for r in plan if r["role"] == "exploit" and r["reason"] == "priced_out")
    held = next(r["customer_id"] for r in plan if r["role"] == "control")
    free = next(c.id for c in decided.catalogue.channels if c.code == "ivr_out")
    before, stored = bound(decided, monkeypatch, {(idle, 14, free): 0})
    assert before == stored
    assert bound(decided, monkeypatch, {(held, 14, free): 5_000_000})[0] == stored  # no exploiter's
    after, _ = bound(decided, monkeypatch, {(idle, 14, free): 5_000_000})
    charged = stored + 5_000_000 - after
    assert 0 <= charged < 5_000_000  # what the limits charge for it
    dearer, _ = bound(decided, monkeypatch, {(idle, 14, free): 5_000_007})
    assert dearer == after + 7


def test_pruning_keeps_what_a_fallen_price_would_choose() -> None:
    """Eight arcs, four kept: the arc that last night's price made the worst is the best once the price is gone."""
    value = np.array([[8, 7, 6, 5, 4, 3, 2, 100]])
    reduced = value - np.array([[0, 0, 0, 0, 0, 0, 0, 99]])
    every, channel = np.ones((1, 8), bool), np.zeros(8, np.int64)
    kept = prune(value, reduced, every, every[0], channel, np.zeros((0, 8), bool), keep=4)
    assert kept[0].tolist() == [True, True, True, False, False, False, False, True]


def with_scorer(night: Night, monkeypatch: pytest.MonkeyPatch, extra: dict[tuple[int, int, int], int]) -> None:
    """Tonight's scorer is there: the stored arcs, and ``extra`` that pruning dropped."""
    task = SimpleNamespace(model_version="1", catalogue=str(night.catalogue.root))
    monkeypatch.setattr(full_bound, "plan", lambda night: (task, night.lake.files("eligible", night.partition)[:1], {}))
    schema = nullable(arrow_schema(night.lake.table("customer_features")))
    there = pa.Table.from_pylist([{"business_date": night.date, "customer_id": 1}], schema=schema)
    night.lake.replace_arrow("customer_features", there, partition=night.partition)
    monkeypatch.setattr(full_bound, "blocks", scorer_of(night, extra))


def dropped_arcs(night: Night, worth: int) -> dict[tuple[int, int, int], int]:
    """Calls by machine that nobody's candidates hold, for forty customers."""
    held = {(r["customer_id"], r["product"], r["channel"]) for r in night.lake.arrow("candidate").to_pylist()}
    free = next(c.id for c in night.catalogue.channels if c.code == "ivr_out")
    ids = sorted({customer for customer, _, _ in held})[::15]
    return {
        (customer, product, free): worth + customer
        for customer in ids
        for product in (14, 20)
        if (customer, product, free) not in held
    }


def test_dropped_arcs_that_win_are_taken_back_and_the_plan_is_proved_over_all(
    filled: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = dropped_arcs(filled, 2_500_000)
    with_scorer(filled, monkeypatch, extra)
    figures = assign.run(filled)
    assert figures.pruning_passes == 2
    assert figures.taken_back > len({customer for customer, _, _ in extra})  # two of most customers
    assert figures.pruning_loss <= filled.settings.solve.gap
    plan = filled.lake.arrow("assignment", partition=filled.partition).to_pylist()
    given = {(r["customer_id"], r["product"], r["channel"]) for r in plan if r["role"] == "exploit"}
    assert len(given & set(extra)) > 3
    run = open_run(filled.settings, run_id(filled))
    roles = {r["customer_id"]: r["role"] for r in plan}
    others = {(r["customer"], r["product"], r["channel"]) for r in run.table("others").to_pylist()}
    assert {arc for arc in extra if roles[arc[0]] != "exploit"} <= others  # the same for who explores
    proof = prove.run(filled)
    assert proof.pruning_loss <= filled.settings.solve.gap
    assert proof.gap_all_arcs >= proof.gap
    assert replay(filled.settings, run_id(filled)).identical


def test_costs_are_proved_over_all_arcs(filled: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropped arcs that no price of tonight's wants win where the limit that charges them is gone."""
    with_scorer(filled, monkeypatch, {})
    assign.run(filled)

    def told() -> dict[str, Any]:
        rows = filled.lake.arrow("limit_price", partition=filled.partition).to_pylist()
        return {row["limit"]: row for row in rows}

    before = told()
    assert {row["cost_all_arcs"] for row in before.values()} == {True}
    name, run = "cap_message", open_run(filled.settings, run_id(filled))
    prices = {limit: row["price_pico"] for limit, row in before.items()}
    assert prices[name] > 10**11
    declared = {limit.name: limit for limit in DeclaredLimits.from_catalogue(filled.catalogue).limits}
    product = declared[name].where["product"][0]
    channel = next(c.id for c in filled.catalogue.channels if c.code == "ivr_out")
    held = {(r["customer_id"], r["product"], r["channel"]) for r in filled.lake.arrow("candidate").to_pylist()}
    idle = [
        row["customer_id"]
        for row in filled.lake.arrow("assignment", partition=filled.partition).to_pylist()
        if row["role"] == "exploit" and row["product"] is None
    ]
    extra = {}
    for customer in idle:
        if (customer, product, channel) not in held:
            charged = (charge_customer(run, customer, prices) or {})[product, channel]
            assert charged[name] == prices[name]
            extra[customer, product, channel] = (sum(charged.values()) - prices[name] // 10) // 10**6
    assert len(extra) > 5
    with_scorer(filled, monkeypatch, extra)
    figures = assign.run(filled)
    assert figures.taken_back == 0  # at tonight's prices none of them wins
    after = told()
    assert after[name]["cost_micro"] == before[name]["cost_micro"]  # the plan without the limit is over kept arcs
    assert after[name]["cost_least_micro"] == before[name]["cost_least_micro"]
    assert after[name]["cost_most_micro"] > before[name]["cost_most_micro"]


def test_without_a_limit_the_arcs_that_it_alone_put_out_are_back(
    filled: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stock of 0 closes its product's arcs: the pass leaves them out, and not where that limit is taken away."""
    changed = Catalogue(filled.catalogue.root)
    none = (x.model_copy(update={"at_most": 0}) if x.name == "stock_mifi_5g" else x for x in filled.catalogue.limits)
    changed.__dict__["limits"] = tuple(none)
    monkeypatch.setattr(Night, "catalogue", property(lambda self: changed))
    monkeypatch.setattr(full_bound, "load_catalogue", lambda root: changed)
    product = next(p.id for p in filled.catalogue.products if p.code == "mifi_5g")
    free = next(c.id for c in filled.catalogue.channels if c.code == "ivr_out")
    rows = filled.lake.arrow("candidate", partition=filled.partition)
    filled.lake.replace_arrow(
        "candidate", rows.filter(pc.not_equal(rows["product"], product)), partition=filled.partition
    )
    with_scorer(filled, monkeypatch, {})
    assign.run(filled)
    run = open_run(filled.settings, run_id(filled))
    said = json.loads((run.plan / "certificate.json").read_text())
    prices = {row["name"]: row["price_pico"] for row in said["limits"]}
    exploit = [c for c, role in _roles(filled).items() if role == "exploit"]
    with_scorer(filled, monkeypatch, {(customer, product, free): 90_000_000 for customer in exploit})
    asked = [BoundAsked(prices), BoundAsked(prices, "sms_day"), BoundAsked(prices, "stock_mifi_5g")]
    night, other, without = full_bound.bounds_over_all_arcs(filled, run, asked)
    assert night == said["bound"] == full_bound.bound_of_all_arcs(filled, run, prices)["bound_all_arcs"]
    assert other >= night if prices["sms_day"] else other == night
    assert without > night + 80_000_000 * len(exploit)


def _roles(night: Night) -> dict[int, str]:
    rows = night.lake.arrow("assignment", partition=night.partition).to_pylist()
    return {row["customer_id"]: row["role"] for row in rows}


def test_a_plan_that_pruning_may_have_spoilt_is_refused(filled: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    with_scorer(filled, monkeypatch, dropped_arcs(filled, 2_500_000))
    monkeypatch.setattr(column_generation, "ROUNDS", 1)
    figures = assign.run(filled)
    assert figures.taken_back == 0
    assert figures.pruning_loss > filled.settings.solve.gap
    with pytest.raises(UserError, match="pruned arcs may be worth") as caught:
        prove.run(filled)
    assert "solve.keep_arcs=16" in caught.value.remedy


def test_arcs_that_use_more_than_there_is_are_out_of_the_full_bound() -> None:
    zero = np.zeros(2, np.int64)
    uses = np.array([[[180, 0]], [[50, -50]]])
    arcs = Arcs(zero, zero, np.zeros((1, 1), np.int64), np.zeros(3, np.int64), uses, np.zeros(1, np.int64))
    limits = [LimitInForce(name="seconds", at_most=100, counts="s"), LimitInForce(name="share", at_most=0, counts="u")]
    out = find_impossible(arcs, limits)
    assert out.tolist() == [[True, False]]
    assert spread(out[np.array([0, 0])], np.array([-1, 1, 0])).tolist() == [[False, False, True]] * 2
