"""SLA grade or age never sets a price: what a product costs is one number, and no arc's money looks at a customer.

Grade and age may decide who is contacted, how, and by whom (rules, capacities of segments); the response by grade and age
is watched every night (`models/lifecycle/monitoring.py`) and held by the gate. What an offer costs whoever takes it is not theirs to move.
"""

from __future__ import annotations

import re
from dataclasses import fields
from decimal import Decimal

import numpy as np
import pyarrow as pa

from conf.catalogue import load_catalogue
from models.affinity.encode import Offer
from models.affinity.scorer import Menu
from models.lifecycle.arcs import menu
from planning.limits.declared import DeclaredLimits

#: Columns of the snapshot that tell grade or age.
PERSONAL = re.compile(r"\b(grade|grade_id|star|age_group|birth_year|senior)\b")


def test_a_product_has_one_price_for_everyone() -> None:
    catalogue = load_catalogue()
    assert catalogue.products
    for product in catalogue.products:
        for name in ("price", "subsidy", "margin"):
            assert isinstance(getattr(product, name), Decimal), f"{product.code}: {name} is no plain number"
        # the same thing under two codes at two prices, one for each grade or age, would be a price by grade or age
        assert not PERSONAL.search(product.eligible), f"{product.code}: {product.eligible}"


def test_the_money_of_an_arc_knows_no_customer() -> None:
    table = menu(load_catalogue())
    assert {field.name for field in fields(Menu)} & {"margin_micro", "cost_micro"} == {"margin_micro", "cost_micro"}
    assert (len(table.margin_micro), len(table.cost_micro)) == (len(table.offers), len(table.ways))
    assert {field.name for field in fields(Offer)} == {"id", "group", "price", "margin", "subsidy", "term"}


def test_no_limit_charges_by_grade_or_age_when_arcs_are_kept() -> None:
    catalogue = load_catalogue()
    grades, ages = ["diamond", "gold", "standard"], ["u18", "25_34", "65_up"]
    people = pa.table(
        {
            "customer_id": range(9),
            "grade": np.repeat(grades, 3),
            "age_group": ages * 3,
            "grade_id": [4, 3, 0] * 3,
            "centre": ["gz"] * 9,
            "city": ["gz"] * 9,
        }
    )
    prices = {limit.name: 10**12 for limit in catalogue.limits}
    charged = DeclaredLimits.from_catalogue(catalogue).charges(people, prices)
    assert charged.any()
    assert (charged == charged[0]).all()
