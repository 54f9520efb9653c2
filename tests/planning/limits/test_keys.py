"""A new kind of ``where:`` key is one entry of `planning.limits.keys`: every reader of limits sees it."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conf.catalogue import ROOT, Catalogue
from conf.errors import UserError
from conf.offer import Limit
from jobs import assign, prove
from planning.instance.run_folder import RunFolder, open_run
from planning.limits import keys
from planning.limits.declared import DeclaredLimits
from planning.limits.keys import ProductKey, ValueKey
from planning.plan.customer_charges import charge_customer
from planning.whatif.replay import replay
from planning.whatif.whatif import base_of, what_if
from reporting.night_report.facts import limit_rows
from runtime.night import Night
from runtime.run_id import run_id

NEW = (
    Limit(name="cap_cheap_to_new", at_most=60, where={"price_band": "cheap", "tenure": ["new", "settled"]}),
    Limit(name="floor_dear", at_least=40, where={"price_band": "dear"}),
)


def band(price: object) -> str:
    """The kind that is added here: of a product's price."""
    return "cheap" if float(str(price)) < 20 else "dear"


def tenures(rows: pa.Table) -> pa.Array:
    """And one of the customer: of two columns of the snapshot."""
    months = pc.subtract(rows["month_now"], rows["month_joined"])
    return pc.if_else(pc.less(months, 12), "new", pc.if_else(pc.less(months, 36), "settled", "old"))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that adding two kinds takes."""
    monkeypatch.setitem(keys.KEYS, "price_band", ProductKey(lambda product: band(product.price)))
    monkeypatch.setitem(keys.KEYS, "tenure", ValueKey(tenures, ("month_now", "month_joined")))


@pytest.mark.whole
def test_a_new_kind_of_key_is_seen_by_everything(filled: Night, known: None, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalogue(filled.catalogue.root)
    catalogue.__dict__["limits"] = (*filled.catalogue.limits, *NEW)
    monkeypatch.setattr(Night, "catalogue", property(lambda self: catalogue))
    seen = assign.read_limit_attributes(filled, pa.table({}))
    joined = pa.array([i * 7 % 60 for i in range(seen.num_rows)], pa.int64())
    rows = seen.append_column("month_joined", joined).append_column("month_now", pa.array([60] * seen.num_rows))
    monkeypatch.setattr(assign, "read_limit_attributes", lambda night, eligible: rows)
    cheap = {product.id for product in catalogue.products if band(product.price) == "cheap"}
    tenure = dict(zip(rows["customer_id"].to_pylist(), tenures(rows).to_pylist(), strict=True))
    assert 0 < len(cheap) < len(catalogue.products)
    assert set(tenure.values()) == {"new", "settled", "old"}

    def capped(customer: int, product: int) -> bool:
        return product in cheap and tenure[customer] in {"new", "settled"}

    # optimizer and explorers: what the plan uses is what the rows of the plan say
    assign.run(filled)
    plan = filled.lake.arrow("assignment", partition=filled.partition).to_pylist()
    given = [row for row in plan if row["product"] is not None]
    prices = {row["limit"]: row for row in filled.lake.arrow("limit_price", partition=filled.partition).to_pylist()}
    cap, floor = prices["cap_cheap_to_new"], prices["floor_dear"]
    for role, name in (("exploit", "used"), ("explore", "used_explore")):
        mine = [row for row in given if row["role"] == role]
        assert cap[name] == sum(capped(row["customer_id"], row["product"]) for row in mine)
        assert floor[name] == sum(row["product"] not in cheap for row in mine)
    assert cap["used"] + cap["used_explore"] == cap["amount"] == 60  # it binds
    assert floor["used"] + floor["used_explore"] >= 40

    # prices and report
    assert cap["price_pico"] > 0
    assert "cap_cheap_to_new" in {row["limit"] for row in limit_rows(filled)}

    # explanation: each arc of a customer is charged as the instance charged it
    folder = open_run(filled.settings, run_id(filled))
    signed = {name: row["price_pico"] for name, row in prices.items()}
    for customer in list(tenure)[::90]:
        charges = charge_customer(folder, customer, signed)
        assert charges is not None
        for (product, _), paid in charges.items():
            assert paid.get("cap_cheap_to_new", 0) == cap["price_pico"] * capped(customer, product)

    # pruning, at these prices, on the night after
    declared = DeclaredLimits.from_catalogue(catalogue)
    only = {"cap_cheap_to_new": cap["price_pico"]}
    pruned = declared.charges(rows.select(["customer_id", "centre", "month_now", "month_joined"]), only)
    for i in range(0, rows.num_rows, 90):
        for j, (product, _) in enumerate((p, c) for p in catalogue.products for c in catalogue.channels):
            hit = capped(rows["customer_id"][i].as_py(), product.id)
            assert pruned[i, j] == hit * round(cap["price_pico"] / 10**6)
    (floors,) = [row for limit, row in zip(_floors(declared), declared.floors(), strict=True) if limit == "floor_dear"]
    assert floors.reshape(len(catalogue.products), -1)[:, 0].tolist() == [p.id not in cheap for p in catalogue.products]
    assert {"month_now", "month_joined"} <= set(declared.reads)  # what scoring reads of the snapshot

    # what-if, replay, and the checker, which shares nothing with all this
    answer = what_if(base_of(folder), {"cap_cheap_to_new": 5})
    (row,) = [row for row in answer.figures["limits"] if row["limit"] == "cap_cheap_to_new"]
    assert row["used"] <= 5 + cap["used_explore"] < row["used_was"] == cap["amount"]
    assert replay(filled.settings, run_id(filled)).identical
    assert prove.run(filled).verdict == "accepted"
    assert used_in(folder, "cap_cheap_to_new") == cap["used"]


def _floors(declared: DeclaredLimits) -> list[str]:
    return [limit.name for limit in declared.limits if limit.sign < 0 and "product" in limit.where]


def used_in(folder: RunFolder, name: str) -> int:
    """A limit's use as the certificate states it, against the instance's own columns."""
    limit = next(limit for limit in folder.limits().limits if limit.name == name)
    arcs = pq.read_table(folder.instance / "arcs").to_pylist()
    plan = {(r["customer"], r["product"], r["channel"]) for r in pq.read_table(folder.plan / "assignment").to_pylist()}
    chosen = [arc for arc in arcs if (arc["customer"], arc["product"], arc["channel"]) in plan]
    found = sum(all(arc[column] in values for column, values in limit.where.items()) for arc in chosen)
    said = json.loads((folder.plan / "certificate.json").read_text())
    assert found == next(row["used"] for row in said["limits"] if row["name"] == name)
    return found


def catalogue_with(*limits: Limit) -> Catalogue:
    found = Catalogue(ROOT)
    found.__dict__["limits"] = limits
    return found


def test_a_value_that_no_product_or_channel_has_is_refused(known: None) -> None:
    with pytest.raises(UserError, match="limit x: no price_band chep") as told:
        DeclaredLimits.from_catalogue(catalogue_with(Limit(name="x", at_most=1, where={"price_band": "chep"})))
    assert "choose among: cheap, dear" in "\n".join(told.value.lines())


def test_an_attribute_that_customers_do_not_have_is_refused() -> None:
    declared = DeclaredLimits.from_catalogue(catalogue_with(Limit(name="x", at_most=1, where={"colour": "red"})))
    with pytest.raises(UserError, match="'colour', which needs colour"):
        declared.columns(pa.table({"customer_id": [1]}))


def test_keys_of_products_meet_and_customers_have_columns_of_their_own() -> None:
    catalogue = catalogue_with(
        Limit(name="a", at_most=1, where={"group": "terminal", "product": ["ai_phone", "home_broadband"]}),
        Limit(name="b", at_most=1, where={"centre": "sz", "segment": ["senior", "rural"]}),
        Limit(name="c", at_most=1, where={"centre": ["gz", "zh"], "grade": 3}),
        Limit(name="d", at_least=0, where={"channel": "ivr_out"}, share={"of": {"segment": "rural"}, "percent": 5}),
    )
    declared = DeclaredLimits.from_catalogue(catalogue)
    ids = {product.code: product.id for product in catalogue.products}
    channel = next(channel.id for channel in catalogue.channels if channel.code == "ivr_out")
    assert [limit.where for limit in declared.limits] == [
        {"product": [ids["ai_phone"]]},
        {"c_centre": [2], "s_rural_or_senior": [1]},
        {"c_centre": [1, 3], "c_grade": [1]},
        {"channel": [channel]},
    ]
    assert declared.units.shares["share_d"].of == {"s_rural": [1]}
    assert set(declared.segments) == {"senior", "rural"}
    rows = pa.table(
        {
            "customer_id": [1, 2, 3],
            "centre": ["zh", None, "xx"],
            "grade": pa.array([3, 3, None], pa.int32()),
            "segment_senior": [False, True, None],
            "segment_rural": [True, False, None],
        }
    )
    found = declared.columns(rows).table
    assert found.to_pydict() == {
        "c_centre": [3, 0, 0],
        "c_grade": [1, 1, 0],
        "s_rural": [1, 0, 0],
        "s_rural_or_senior": [1, 1, 0],
    }
    assert {field.type for field in found.schema} == {pa.int16()}
