"""A campaign's holdout is a rule: the share asked for, the same customers every night, apart from other draws."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from conf.catalogue import Catalogue
from models.assignment.roles import CONTROL, roles
from planning.eligibility.rules import steps
from tests.fixtures.catalogue import FIXTURE

PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "holdout.md"
D = dt.date(2026, 1, 9)


@pytest.fixture
def campaign(tmp_path: Path) -> Catalogue:
    """Our catalogue with the rule of the page, a tenth held out of one product and a fifth of another."""
    for path in FIXTURE.glob("*.yml"):
        shutil.copy(path, tmp_path / path.name)
    products = yaml.safe_load((tmp_path / "products.yml").read_text(encoding="utf-8"))
    for product in products["products"]:
        if share := {"ai_phone": 10, "data_pack_10g": 20}.get(product["code"]):
            product["attributes"]["holdout"] = share
    (tmp_path / "products.yml").write_text(yaml.safe_dump(products, allow_unicode=True), encoding="utf-8")
    rule = re.search(r"- \{name: campaign_holdout.*?\}\n", PAGE.read_text(encoding="utf-8"), re.S)
    assert rule is not None
    rules = yaml.safe_load((tmp_path / "rules.yml").read_text(encoding="utf-8"))
    rules["rules"] += yaml.safe_load(rule.group())
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules, allow_unicode=True), encoding="utf-8")
    return Catalogue(tmp_path)


@pytest.mark.spark
def test_the_rule_of_the_page_holds_out_the_shares_asked_for(spark, campaign: Catalogue) -> None:
    customers = 50_000
    held = {}
    for date in (D, D + dt.timedelta(days=40)):
        step = next(step for step in steps(campaign, date) if step.name == "campaign_holdout")
        rows = spark.range(1, customers + 1).selectExpr("id as draw_key").selectExpr("draw_key", f"{step.sql[0]} as b")
        held[date] = rows.orderBy("draw_key").toPandas()["b"].to_numpy()
    bits = held[D]
    assert (bits == held[D + dt.timedelta(days=40)]).all()  # the same customers all through the campaign
    ids = {product.code: product.id for product in campaign.products}
    phone, data = (bits >> ids[code] & 1 for code in ("ai_phone", "data_pack_10g"))
    assert set(np.unique(bits & ~(1 << ids["ai_phone"]) & ~(1 << ids["data_pack_10g"]))) == {0}
    assert abs(phone.mean() - 0.1) < 0.005
    assert abs(data.mean() - 0.2) < 0.006
    assert abs((phone & data).mean() - 0.02) < 0.003
    control = roles(np.arange(1, customers + 1), D, 20260109, 0.1, 0.05) == CONTROL
    assert abs(phone[control].mean() - 0.1) < 0.015
