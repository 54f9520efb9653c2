"""A night on which a tenth of the customers is served by the operator's usual rule: one plan, limits kept by the sum."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conf.catalogue import Catalogue
from conf.errors import UserError
from conf.offer import UsualKey
from jobs import assign, prove
from models.assignment.roles import USUAL
from planning.instance.run_folder import certify_run, open_run
from planning.plan import usual
from planning.whatif.replay import replay
from runtime.night import Night
from runtime.run_id import run_id

pytestmark = pytest.mark.whole
SHARE = 0.1
RULE = (UsualKey(by="product_price"), UsualKey(by="channel_cost", first="lowest"))


@pytest.fixture
def served(filled: Night, monkeypatch: pytest.MonkeyPatch) -> Night:
    shares = filled.settings.shares.model_copy(update={"usual": SHARE})
    night = dataclasses.replace(filled, settings=filled.settings.model_copy(update={"shares": shares}))
    changed = Catalogue(filled.catalogue.root)
    changed.__dict__["usual"] = RULE
    monkeypatch.setattr(Night, "catalogue", property(lambda self: changed))

    def read_keys(_: Night, arcs: pa.Table, keys: list[str]) -> pa.Table:
        for k, name in enumerate(keys):
            arcs = arcs.append_column(f"_key_{k}", arcs[name])
        return arcs

    monkeypatch.setattr(usual, "_read_keys", read_keys)
    return night


def test_limits_hold_for_all_that_is_published(served: Night) -> None:
    figures = assign.run(served)
    plan = served.lake.arrow("assignment", partition=served.partition)
    usuals = plan.filter(pc.equal(plan["role"], "usual"))
    assert 0.05 < usuals.num_rows / plan.num_rows < 0.16
    given = usuals.filter(pc.is_valid(usuals["product"]))
    assert given.num_rows > 5
    assert set(given["reason"].to_pylist()) == {"usual"}
    assert usuals["pscore"].null_count == usuals.num_rows
    assert given["value_micro"].null_count == 0
    assert not pc.any(usuals["marginal"]).as_py()
    assert figures.contacts == pc.sum(pc.is_valid(plan["product"])).as_py()
    prices = served.lake.arrow("limit_price", partition=served.partition).to_pylist()
    for row in prices:
        used = row["used"] + row["used_explore"] + row["used_usual"]
        assert used <= row["amount"] if row["kind"] == "at_most" else used >= row["amount"], row
        if row["kind"] == "at_most" and row["amount"] > 0:
            assert row["used_usual"] <= SHARE * row["amount"], row
    assert any(row["used_usual"] for row in prices)
    assert prove.run(served).verdict == "accepted"
    verdict = certify_run(served.settings, run_id(served))
    assert verdict.published == "accepted"
    assert verdict.used == {r["limit"]: r["used"] + r["used_explore"] + r["used_usual"] for r in prices}
    assert replay(served.settings, run_id(served)).identical


def test_arcs_are_served_in_the_declared_order(served: Night) -> None:
    """The same by hand: the dearest product first, the cheapest channel first, within a tenth of each cap."""
    assign.run(served)
    run = open_run(served.settings, run_id(served))
    inputs, population = run.inputs(), run.table("population")
    ranked = pq.read_table(run.path / "usual.parquet").to_pylist()
    price = {p.id: float(p.price) for p in served.catalogue.products}
    cost = {c.id: float(c.cost) for c in served.catalogue.channels}
    keys = [(-price[row["product"]], cost[row["channel"]]) for row in ranked]
    assert keys == sorted(keys)
    role = dict(zip(population["customer_id"].to_pylist(), population["role"].to_pylist(), strict=True))
    assert {role[row["customer"]] for row in ranked} == {USUAL}
    limits = run.whole_limits()
    others = pq.read_table(run.path / "others.parquet")
    uses = {
        (row["customer"], row["product"], row["channel"]): [
            (1 if limit.counts == 1 else row[limit.counts])
            * all(row[name] in values for name, values in limit.where.items())
            for limit in limits.limits
        ]
        for row in others.to_pylist()
    }
    room = [
        int(amount * SHARE) if capped else None for amount, capped in zip(inputs.amounts, inputs.capped, strict=True)
    ]
    wanted: dict[int, tuple[int, int]] = {}
    for row in ranked:
        arc = (row["customer"], row["product"], row["channel"])
        fits = all(left is None or use <= left for use, left in zip(uses[arc], room, strict=True))
        if row["customer"] not in wanted and fits:
            wanted[row["customer"]] = arc[1:]
            room = [left if left is None else left - use for use, left in zip(uses[arc], room, strict=True)]
    plan = served.lake.arrow("assignment", partition=served.partition).to_pylist()
    given = {
        row["customer_id"]: (row["product"], row["channel"])
        for row in plan
        if row["role"] == "usual" and row["product"] is not None
    }
    assert given == wanted


def test_without_the_arm_nothing_changes(served: Night, filled: Night) -> None:
    """The label takes its customers from those who explore or exploit; control and explorers' draws are others' business."""
    assign.run(filled)
    columns = ["customer_id", "role"]
    before = filled.lake.arrow("assignment", partition=filled.partition, columns=columns).sort_by("customer_id")
    assert not (open_run(filled.settings, run_id(filled)).path / "usual.parquet").exists()
    assign.run(served)
    after = served.lake.arrow("assignment", partition=served.partition, columns=columns).sort_by("customer_id")
    was, now = np.array(before["role"].to_pylist()), np.array(after["role"].to_pylist())
    assert ((was == "control") == (now == "control")).all()
    assert (now[now != "usual"] == was[now != "usual"]).all()


def test_a_share_without_a_rule_is_refused(served: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(served.catalogue.__dict__, "usual", ())
    with pytest.raises(UserError, match="no order is declared"):
        assign.run(served)
    assert served.date == dt.date(2026, 1, 9)
