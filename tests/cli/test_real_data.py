import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from cli import real_data
from conf.catalogue import ROOT, load_catalogue
from planning.limits.declared import DeclaredLimits
from synth.real import DataSetFacts
from tests.fixtures.catalogue import frozen


def test_auc_is_that_of_scikit_learn_with_ties():
    generator = np.random.default_rng(5)
    chance = np.round(generator.random(500), 1)
    label = generator.random(500) < chance
    assert real_data.auc(chance, label) == pytest.approx(roc_auc_score(label, chance), abs=1e-12)
    assert real_data.auc(chance, np.ones(500, bool)) is None


def test_calibration_is_shown_only_where_bins_hold_enough():
    chance = np.linspace(0, 1, 200)
    assert real_data.bins(chance[:50], chance[:50] > 0.5) == []
    shown = real_data.bins(chance, chance > 0.5)
    assert [row["rows"] for row in shown] == [40.0] * 5
    assert [row["predicted"] for row in shown] == sorted(row["predicted"] for row in shown)


def test_rows_that_are_missing_are_counted(planned, tmp_path):
    night = planned(verdict={})
    ledger = night.lake.arrow("ops_delivery").to_pylist()
    first = next(row for row in ledger if row["state"] == "accepted")
    written = {first["feed"]: first["loaded"] + first["quarantined"] + 5}
    facts = DataSetFacts("bank", night.date, (), 1, written, tmp_path / "later.parquet")
    assert real_data.reconcile_rows(night, facts)["missing"] == 5


def test_what_was_scored_is_held_against_what_came(planned, tmp_path):
    night = planned(verdict={})
    customers = list(range(0, 240, 2))
    code = {product.id: product.code for product in night.catalogue.products}
    where = [("sms_hall", 1), ("wechat", 2)]
    rows = [
        {
            "business_date": night.date,
            "customer_id": c,
            "product": 3,
            "channel": number,
            "value_micro": 1,
            "p_convert": c / 500 + number / 100,
            "p_base": 0.0,
            "effect_micro": 1,
            "cost_micro": 1,
            "seconds": 0,
            "basis": "prior",
            "model_version": "1",
        }
        for c in customers
        for _, number in where
    ]
    night.lake.replace_arrow("candidate", pa.Table.from_pylist(rows), partition=night.partition)
    path = tmp_path / "later.parquet"
    answers = [
        {"number": f"1000{c:07d}", "product": code[3], "channel": "sms_hall", "converted": c > 100} for c in customers
    ]
    pq.write_table(pa.Table.from_pylist([*answers, {**answers[0], "number": "10009999999"}]), path)
    told = real_data.score_held_back(night, path)
    assert told["arcs_told"] == 121
    assert told["arcs_scored"] == 120
    assert told["auc"] == 1.0
    assert told["observed_rate"] == pytest.approx(sum(c > 100 for c in customers) / 120)


def test_what_the_set_itself_gives_is_looked_up_in_the_night(planned):
    night = planned(verdict={})
    rows = [
        {
            "business_date": night.date,
            "customer_id": c,
            "draw_key": c,
            "masks": [0],
            "masks_more": None,
            "removed_more": None,
            "recent_milli": 0,
            "removed": [0],
            "eligible_hash": "x",
            "reason": "open_complaint" if c < 7 else None,
            "outbound_reason": None,
        }
        for c in range(20)
    ]
    night.lake.replace_arrow("eligible", pa.Table.from_pylist(rows), partition=night.partition)
    assert real_data.compare_figure(night, "reason:open_complaint") == 7.0
    assert real_data.compare_figure(night, "reason:opt_out") == 0.0


def test_arcs_that_a_limit_of_nothing_closes_are_never_kept():
    """The offers of the coffee set went out on one set of channels each: the other three are closed to them."""
    catalogue = load_catalogue(ROOT / "demo" / "starbucks")
    shut = (
        DeclaredLimits.from_catalogue(catalogue).find_closed().reshape(len(catalogue.products), len(catalogue.channels))
    )
    assert shut.sum(axis=1).tolist() == [len(catalogue.channels) - 1] * len(catalogue.products)
    assert not DeclaredLimits.from_catalogue(frozen()).find_closed().any()
