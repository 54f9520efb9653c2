"""Explanation of one customer, the funnel and figures: from tables that a night left."""

from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli.explain import app, select_slice
from conf.errors import UserError
from conf.offer import Limit
from jobs.eligibility import build_eligible, funnel_rows
from models.bit_sets import split_words
from planning.eligibility.rules import shape_of, steps
from planning.instance.decision_inputs import DecisionInputs, write_inputs
from planning.limits.arc_units import ArcUnits, ChannelUnits, ShareUnits
from planning.limits.declared import DeclaredLimits
from planning.limits.evaluator import Evaluator
from planning.limits.in_force import LimitInForce
from planning.rescoring import COLUMNS
from reporting import explanation
from runtime import audit
from runtime.lake import arrow_schema, nullable

RUN = "2026-01-09-0123456789ab"
CHANNEL_BITS = 2047


def put(night, table, rows, partition=None):
    schema = nullable(arrow_schema(night.lake.table(table)))
    night.lake.replace_arrow(table, pa.Table.from_pylist(rows, schema=schema), partition=partition)


@pytest.fixture
def decided_night(night):
    """Three customers: 1 gets an offer, 2 opted out, 3 is priced out."""
    night = night()
    found = steps(night.catalogue, night.date)
    shape = shape_of(found, night.catalogue.products, night.catalogue.channels)
    removed = [[0] * len(found) for _ in range(3)]
    removed[1][shape.names.index("opt_out")] = CHANNEL_BITS
    removed[0][shape.names.index("already_holds")] = 1 << 3
    people, recent = pa.array([1, 2, 3], pa.int64()), pa.array([0, 0, 0], pa.int32())
    rows = pa.table({"customer_id": people, "draw_key": people, "recent_milli": recent, "removed": pa.array(removed)})
    table, counts = build_eligible(rows, night.date, shape)
    put(night, "eligible", table.to_pylist() and [r | {"business_date": night.date} for r in table.to_pylist()])
    put(night, "funnel", funnel_rows(found, counts, night.date))
    scored = [(1, 12, 1, 9_000_000), (1, 11, 1, 4_000_000), (3, 11, 0, 2_000_000)]
    put(
        night,
        "candidate",
        [
            {
                "business_date": night.date,
                "customer_id": c,
                "product": p,
                "channel": h,
                "value_micro": v,
                "cost_micro": 50_000,
                "seconds": 180,
                "p_convert": 0.02,
                "p_base": 0.01,
                "effect_micro": v + 50_000,
                "basis": "effect",
                "model_version": "1",
            }
            for c, p, h, v in scored
        ],
    )
    none = {"product": None, "channel": None, "value_micro": None, "price_micro": None}
    base = {
        "business_date": night.date,
        "run_id": RUN,
        "role": "exploit",
        "pscore": 0.95,
        "marginal": False,
        "eligible_hash": "x",
    }
    put(
        night,
        "assignment",
        [
            base
            | {
                "customer_id": 1,
                "decision_id": "d1",
                "product": 12,
                "channel": 1,
                "value_micro": 9_000_000,
                "price_micro": 150_000,
                "reason": "best",
            },
            base | none | {"customer_id": 2, "decision_id": "d2", "reason": "opt_out"},
            base | none | {"customer_id": 3, "decision_id": "d3", "reason": "priced out"},
        ],
    )
    put(
        night,
        "limit_price",
        [
            {
                "business_date": night.date,
                "limit": name,
                "kind": "at_most",
                "unit": unit,
                "amount": 1,
                "used": 1,
                "price_pico": price,
                "price_yuan": price / 1e12,
            }
            for name, unit, price in (("sms", "contacts", 150_000_000_000), ("agents", "s", 20_000_000_000))
        ],
    )
    folder = night.settings.home / "runs" / RUN / "instance"
    (folder / "arcs").mkdir(parents=True)
    (folder / "limits.yml").write_text(
        "choose: at_most_one\nlimits:\n  - {name: sms, at_most: 1, counts: 1, where: {channel: [1]}}\n"
        "  - {name: agents, at_most: 1, counts: seconds, where: {channel: [0]}}\n",
        encoding="utf-8",
    )
    population = pa.table({"customer_id": pa.array([1, 2, 3], pa.int64())})
    pq.write_table(population, folder.parent / "population.parquet")
    inputs = DecisionInputs(
        version=2,
        run_id=RUN,
        date=night.date,
        seed=1,
        explore=0.05,
        gap=1e-3,
        start={},
        arcs=DeclaredLimits.from_catalogue(night.catalogue).units,
        amounts=(1, 1),
        reserves=(0, 0),
        capped=(True, True),
    )
    write_inputs(folder.parent / "inputs.json", inputs)
    return night


def explained(night, customer):
    return explanation.explain(explanation.read(night, customer), night.catalogue)


def test_every_arc_has_what_became_of_it(decided_night):
    found = explained(decided_night, 1)
    catalogue = decided_night.catalogue
    assert len(found["arcs"]) == len(catalogue.products) * len(catalogue.channels)
    states = [arc["state"] for arc in found["arcs"]]
    assert states.count("chosen") == 1
    assert states.count("considered") == 1
    by_rule = {arc["rule"] for arc in found["arcs"] if arc["state"] == "removed"}
    assert by_rule == {"already_holds"}
    held = [arc for arc in found["arcs"] if arc["state"] == "removed"]
    assert {arc["product"] for arc in held} == {next(p.code for p in catalogue.products if p.id == 3)}
    assert len(held) == len(catalogue.channels)


def test_value_less_prices_is_what_is_left(decided_night):
    chosen = explained(decided_night, 1)["arcs"][0]
    assert (chosen["state"], chosen["value_micro"], chosen["price_micro"]) == ("chosen", 9_000_000, 150_000)
    assert chosen["reduced_micro"] == chosen["value_micro"] - chosen["price_micro"]
    assert chosen["paid"] == {"sms": 150_000}
    dear = explained(decided_night, 3)["arcs"][0]
    assert dear["paid"] == {"agents": 3_600_000}
    assert dear["reduced_micro"] == 2_000_000 - 3_600_000


@pytest.mark.parametrize(
    ("customer", "en", "zh"),
    [
        (1, "worth 9.00 yuan", "价值9.00元"),
        (2, "most fell to opt_out", "拒绝营销"),
        (3, "costs 3.60 yuan", "价格3.60元"),
        (1, "priced at 0.15 yuan", "价格0.15元"),
    ],
)
def test_a_sentence_in_both_languages(decided_night, customer, en, zh):
    said = explained(decided_night, customer)["sentence"]
    assert en in said["en"]
    assert zh in said["zh"]


def test_a_run_whose_instance_is_gone_still_explains(decided_night):
    (decided_night.settings.home / "runs" / RUN / "instance" / "limits.yml").unlink()
    chosen = explained(decided_night, 1)["arcs"][0]
    assert chosen["state"] == "chosen"
    assert chosen["price_micro"] is None


def test_who_is_not_there_and_which_run(decided_night):
    with pytest.raises(UserError, match="there is no customer 99"):
        explanation.read(decided_night, 99)
    with pytest.raises(UserError, match="another run"):
        explanation.read(decided_night, 1, "2026-01-09-ffffffffffff")
    with pytest.raises(UserError, match="no run id"):
        explanation.date_of_run("yesterday")
    assert explanation.date_of_run(RUN) == dt.date(2026, 1, 9)


def test_why_not_that_of_every_arc(decided_night):
    found = explained(decided_night, 1)
    said = {(arc["product"], arc["channel"]): arc["why"] for arc in found["arcs"]}
    codes = {p.id: p.code for p in decided_night.catalogue.products}
    assert all(why["en"] and why["zh"] and why["short"] for why in said.values())
    assert said[codes[11], "sms_hall"]["en"] == (
        "worth 4.00 yuan, limits charge 0.15 (sms 0.15): 5 yuan less than the one chosen"
    )
    assert said[codes[12], "sms_hall"]["short"] == "chosen"
    assert said[codes[3], "sms_hall"]["short"].startswith("removed by already_holds")
    # this night's snapshot and model are not there: what pruning dropped is said to be unknown, and why
    assert said[codes[0], "agent_out"]["short"] == "passed every rule; its score is not known any more"
    assert "customer_features" in found["note"]
    assert explained(decided_night, 3)["arcs"][0]["why"]["short"] == "the capacity it needs is worth more elsewhere"


def test_pruned_arcs_are_priced_too(decided_night, monkeypatch):
    score = dict.fromkeys(COLUMNS, 0) | {"value_micro": 3_700_000, "p_convert": 0.5}
    lossy = score | {"value_micro": -1}
    monkeypatch.setattr(
        explanation,
        "score_all_arcs",
        lambda night, customer, version: ({(0, 0): score, (1, 0): lossy, (0, 5): score}, ""),
    )
    found = explained(decided_night, 1)
    pruned = {(arc["product"], arc["channel"]): arc for arc in found["arcs"] if arc["state"] == "pruned"}
    codes = {p.id: p.code for p in decided_night.catalogue.products}
    call = pruned[codes[0], "agent_out"]
    assert (call["price_micro"], call["reduced_micro"], call["paid"]) == (3_600_000, 100_000, {"agents": 3_600_000})
    assert call["why"]["short"] == "8.75 yuan less than the one chosen"
    assert pruned[codes[1], "agent_out"]["why"]["short"] == "contacting would lose money"
    assert pruned[codes[0], "website"]["price_micro"] == 0
    assert pruned[codes[0], "website"]["why"]["zh"].endswith("该渠道有三个更优推荐")
    assert found["note"] == ""


def test_arcs_that_a_limit_of_0_closes_say_so(decided_night, monkeypatch):
    catalogue = decided_night.catalogue
    first = next(p.code for p in catalogue.products if p.id == 0)
    shut = Limit(name="no_calls", at_most=0, where={"product": first, "channel": "agent_out"})
    monkeypatch.setitem(vars(catalogue), "limits", (*catalogue.limits, shut))
    found = explained(decided_night, 1)
    [arc] = [arc for arc in found["arcs"] if arc["state"] == "closed"]
    assert (arc["product"], arc["channel"], arc["limit"]) == (first, "agent_out", "no_calls")
    assert arc["why"]["short"] == "closed for everybody: no_calls is 0"
    assert "no_calls" in arc["why"]["zh"]


def test_negative_uses_stock_and_floors_are_priced():
    row = pa.table({"customer_id": pa.array([1], pa.int64()), "s_low": pa.array([1], pa.int64())})
    units = ArcUnits(
        products=(0, 1),
        channels=(
            ChannelUnits(id=0, direction="outbound", units={"seconds": 5}),
            ChannelUnits(id=1, direction="inbound", units={"seconds": 0}),
        ),
        shares={"share_low": ShareUnits(of={"s_low": [0]}, percent=20)},
    )
    limits = (
        LimitInForce(name="share", at_least=0, counts="share_low"),
        LimitInForce(name="stock", at_most=3, where={"product": [1]}),
        LimitInForce(name="floor", at_least=3, where={"product": [0]}),  # what acceptance takes is stock, not a floor
        LimitInForce(name="calls", at_most=3, counts="seconds", where={"channel": [0], "product": [1]}),
    )
    found = Evaluator(units, limits).charges(row, {"share": -5, "stock": 7, "calls": 2, "floor": -3})
    assert found == {
        (0, 0): {"share": 100, "floor": -3},
        (1, 0): {"share": 100, "stock": 7, "calls": 10},
        (1, 1): {"stock": 7},
    }
    assert Evaluator(units, limits).charges(row, {}) == {}


def cli(decided_night, monkeypatch, *arguments):
    monkeypatch.setenv("CPC_HOME", str(decided_night.settings.home))
    result = CliRunner().invoke(app, [*arguments])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_commands_print_json(decided_night, monkeypatch):
    found = json.loads(cli(decided_night, monkeypatch, "explain", "1", "--run", RUN, "--why", "test", "--json"))
    assert found["decision"]["channel"] == "sms_hall"
    rules = json.loads(cli(decided_night, monkeypatch, "funnel", "--json"))["rules"]
    assert [row["rule"] for row in rules][:3] == ["on_sale", "product_eligible", "channel_eligible"]
    put(
        decided_night,
        "kpi",
        [
            {
                "business_date": decided_night.date,
                "kpi": "reached_rate",
                "slice": s,
                "value": 0.5,
                "numerator": 1.0,
                "denominator": 2.0,
            }
            for s in ("all", "channel:sms_hall")
        ],
    )
    figures = json.loads(cli(decided_night, monkeypatch, "kpi", "--json"))["figures"]
    assert [row["slice"] for row in figures] == ["all"]
    assert len(json.loads(cli(decided_night, monkeypatch, "kpi", "--slice", "*", "--json"))["figures"]) == 2


def test_figures_of_one_run(decided_night, monkeypatch):
    later = {"business_date": dt.date(2026, 2, 20), "numerator": 1.0, "denominator": 1.0}
    tonight = {**later, "business_date": decided_night.date}
    put(
        decided_night,
        "kpi",
        [
            tonight | {"kpi": "predicted_value_yuan", "slice": "all", "value": 900.5},
            tonight | {"kpi": "reached_rate", "slice": "all", "value": 0.1},  # of other runs
            later | {"kpi": "predicted_value_yuan", "slice": "all", "value": 1.5},
            later | {"kpi": "reached_rate", "slice": f"run:{RUN}", "value": 0.6},
            later | {"kpi": "reached_rate", "slice": "run:other", "value": 0.7},
        ],
    )
    told = json.loads(cli(decided_night, monkeypatch, "kpi", "--run", RUN, "--json"))
    assert told["run_id"] == RUN
    assert [(row["kpi"], row["value"]) for row in told["figures"]] == [
        ("predicted_value_yuan", 900.5),
        ("reached_rate", 0.6),
    ]


def test_commands_print_tables_and_the_look_is_logged(decided_night, monkeypatch):
    shown = cli(decided_night, monkeypatch, "explain", "1", "--all", "--why", "a complaint about us")
    assert "already_holds" in shown
    assert "opt_out" in cli(decided_night, monkeypatch, "funnel")
    log = decided_night.lake.arrow("ops_audit").to_pylist()
    assert [row["why"] for row in log] == ["a complaint about us"]
    assert [row["who"] for row in log] == [audit.name_user()]
    assert audit.broken(log) == ""


def test_a_look_without_a_purpose_is_refused_and_one_that_fails_leaves_its_row(decided_night, monkeypatch):
    for purpose in ((), ("--why", ""), ("--why", "  ")):
        with pytest.raises(UserError, match="needs its purpose"):
            cli(decided_night, monkeypatch, "explain", "1", *purpose)
    assert not decided_night.lake.exists("ops_audit")
    for words in (("999999",), ("1", "--date", "2026-01-07"), ("1", "--run", f"{RUN[:-1]}x")):
        with pytest.raises(UserError):
            cli(decided_night, monkeypatch, "explain", *words, "--why", "call 12")
    log = audit.in_order(decided_night.lake.arrow("ops_audit").to_pylist())
    assert [row["what"].split(":")[0] for row in log] == ["explain customer 999999", *["explain customer 1"] * 2]
    assert all("refused, " in row["what"] and (row["rows"], row["why"]) == (0, "call 12") for row in log)
    assert audit.broken(log) == ""


def test_a_night_that_is_not_there(decided_night, monkeypatch):
    with pytest.raises(UserError, match="no night of 2026-01-07") as caught:
        cli(decided_night, monkeypatch, "funnel", "--date", "2026-01-07")
    assert "2026-01-09" in caught.value.remedy
    with pytest.raises(UserError, match="kpi holds no night"):
        cli(decided_night, monkeypatch, "kpi")


def test_slices():
    assert select_slice("all", "all")
    assert not select_slice("channel:all_day", "all")
    assert select_slice("channel:sms_hall", "channel")


def test_sets_of_any_width_are_read_as_the_table_has_them() -> None:
    sets = [1 << 5 | 1 << 64 | 1 << 130, 0, 1 << 126]
    words = [split_words(each, 3) for each in sets]
    first, more = [row[0] for row in words], [row[k] for k in (1, 2) for row in words]
    assert explanation._join_sets(first, more) == sets
    assert explanation._join_sets([3, 4], []) == [3, 4]
    assert explanation._join_sets([], []) == []
