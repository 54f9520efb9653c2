"""The usual rule's arithmetic: shares of limits, what the rule may name, and its SQL."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from conf.catalogue import ROOT, Catalogue
from conf.offer import UsualKey
from conf.settings import Settings
from jobs.assign import rehearse
from models.assignment.roles import USUAL
from planning.plan.usual import ARC_COLUMNS, describe_arcs, rank, take_share
from runtime.clauses import Clause
from tests.jobs.cases.conftest import CaseNight, write

D = dt.date(2026, 1, 9)


@pytest.mark.parametrize(
    ("amount", "share", "part"),
    [(100, 0.1, 10), (99, 0.1, 9), (5, 0.1, 0), (1 << 60, 0.02, (1 << 60) // 50), (7, 0.0, 0)],
)
def test_a_share_of_a_limit_is_exact_and_rounded_down(amount: int, share: float, part: int) -> None:
    assert take_share(amount, share) == part


def test_the_rule_sees_what_is_declared_of_arcs() -> None:
    catalogue = Catalogue(ROOT)
    offer, way = catalogue.products[3], catalogue.channels[0]
    arcs = pa.table(
        {"customer": [7], "product": pa.array([offer.id], pa.int16()), "channel": pa.array([way.id], pa.int16())}
    )
    row = describe_arcs(arcs, catalogue).to_pylist()[0]
    assert set(ARC_COLUMNS) <= set(row)
    assert (row["product"], row["product_price"], row["channel_cost"]) == (
        offer.code,
        float(offer.price),
        float(way.cost),
    )


def test_a_check_compiles_the_rule(tmp_path: Path) -> None:
    root = tmp_path / "conf"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (root / "usual.yml").write_text("order:\n  - {by: product_price * tenure_months}\n", encoding="utf-8")
    clauses = [item for item in rehearse(Catalogue(root), D) if isinstance(item, Clause)]
    usuals = [clause for clause in clauses if clause.subject == "the usual rule"]
    assert [(clause.sql, clause.where) for clause in usuals] == [
        ("(product_price * tenure_months)", f"{root / 'usual.yml'}:2")
    ]
    assert {"product_price", "tenure_months", "channel"} <= {name for name, _ in usuals[0].over}


@pytest.mark.spark
def test_spark_orders_the_arcs_by_snapshot_and_arc(settings: Settings, spark: object) -> None:
    night = CaseNight(D, settings, settings.landing)
    features = [
        {"business_date": D, "customer_id": i, "grade": "gold", "tenure_months": months, "city": "gz"}
        for i, months in ((1, 5), (2, 50), (4, None))
    ]
    write(night, "customer_features", features)
    night.catalogue.__dict__["usual"] = (UsualKey(by="tenure_months"), UsualKey(by="product_price", first="lowest"))
    population = pa.table({"customer_id": [1, 2, 3, 4], "role": pa.array([USUAL, USUAL, 0, USUAL], pa.int8())})
    rows = [(1, 0, 0), (1, 2, 0), (2, 2, 1), (2, 0, 1), (3, 0, 0), (4, 1, 1)]
    arcs = pa.table(
        {
            "customer": [row[0] for row in rows],
            "product": pa.array([row[1] for row in rows], pa.int16()),
            "channel": pa.array([row[2] for row in rows], pa.int16()),
        }
    )
    try:
        ranked = [tuple(row.values()) for row in rank(night, population, arcs).to_pylist()]
    finally:
        del night.catalogue.__dict__["usual"]
    assert ranked == [(2, 0, 1), (2, 2, 1), (1, 0, 0), (1, 2, 0), (4, 1, 1)]  # who has no tenure comes last
