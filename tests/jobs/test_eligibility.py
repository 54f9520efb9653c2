"""Rules, holdings and the funnel where products are more than a word of a set holds, against plain sets."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from conf.catalogue import Catalogue
from conf.settings import Settings
from jobs import eligibility
from models.bit_sets import has, join_words, read_sets
from models.lifecycle.arcs import menu
from planning.eligibility.masks import first_remover
from runtime.night import Night
from tests.jobs.cases.conftest import write

CASES = Path(__file__).parent / "cases" / "conf"
D = dt.date(2026, 1, 9)
OUTBOUND, CHANNELS = (0, 1), (0, 1, 2)
RULES = """rules:
  - {name: held, scope: product, removes: product.held, reason: has it, reason_zh: 已有}
  - {name: cancelled, scope: product, removes: product.cancelled_90d, reason: gave it up, reason_zh: 已退订}
  - {name: refused, scope: product, removes: "product.refused_30d and grade = 'gold'", reason: declined, reason_zh: 拒绝}
  - {name: excluded, scope: product, removes: product.excluded, reason: does not go with it, reason_zh: 互斥}
  - {name: named, scope: product, removes: "product.code in ('p1', '%s') and grade = 'standard'", reason: x, reason_zh: 无}
  - {name: dear, scope: product, removes: "product.price > 100 and tenure_months < 12", reason: dear, reason_zh: 贵}
  - {name: quiet, removes: open_complaint, direction: outbound, reason: a complaint, reason_zh: 投诉}
"""


@dataclass(frozen=True)
class WideNight(Night):
    """A night over a catalogue of its own."""

    root: Path = Path()

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.root)


def catalogue(root: Path, products: int) -> Path:
    """So many products; the last excludes the first, asks for tenure and is dear; the one before is not on sale yet."""
    shutil.copytree(CASES, root)
    rows = [
        {
            "id": i,
            "code": f"p{i}",
            "label": f"P{i}",
            "label_zh": f"品{i}",
            "group": "data",
            "price": 200 if i == products - 1 else 10,
            "margin": 5,
            "launch_date": dt.date(2026, 2, 1) if i == products - 2 else dt.date(2025, 1, 1),
            "excludes": ["p0"] if i == products - 1 else [],
            "eligible": "tenure_months >= 6" if i == products - 1 else "true",
        }
        for i in range(products)
    ]
    (root / "products.yml").write_text(yaml.safe_dump({"products": rows}, allow_unicode=True), encoding="utf-8")
    (root / "rules.yml").write_text(RULES % f"p{products - 1}", encoding="utf-8")
    return root


def events(products: int) -> dict[str, list[dict[str, Any]]]:
    """Customer 1 holds the last product, 2 the first; 3 gave up the third last; 4 refused the last; 5 complained."""
    last, third = f"p{products - 1}", f"p{products - 3}"
    seen = {"event_time": "2025-12-20 10:00", "arrived_at": "2025-12-21 02:00", "data_date": "2025-12-20"}
    seen["data_date"] = dt.date(2025, 12, 20)
    contact = {**seen, "direction": "out", "channel": "sms", "attempted": True, "product": last, "refused": True}
    return {
        "customer_features": [
            {"business_date": D, "customer_id": i, "grade": grade, "tenure_months": months, "city": "gz"}
            for i, grade, months in (
                (1, "gold", 24),
                (2, "gold", 24),
                (3, "gold", 24),
                (4, "gold", 24),
                (5, "gold", 24),
                (6, "standard", 24),
                (7, "gold", 3),
                (8, "gold", 9),
                (9, "gold", 24),
            )
        ],
        "order": [
            {**seen, "customer_id": 1, "product": last, "action": "subscribe"},
            {**seen, "customer_id": 2, "product": "p0", "action": "subscribe"},
            {**seen, "customer_id": 3, "product": third, "action": "subscribe"},
            {**seen, "event_time": "2025-12-30 10:00", "customer_id": 3, "product": third, "action": "cancel"},
        ],
        "contact": [{**contact, "customer_id": 4}, {**contact, "customer_id": 6}],
        "complaint": [{**seen, "customer_id": 5, "complaint_id": "t", "kind": "complaint", "step": "open"}],
        "consent": [],
    }


def enumerate_gone(products: int) -> dict[int, list[set[int]]]:
    """What each product rule removes from each customer, alone: plain sets, in the order of the funnel."""
    last, nothing = products - 1, {c: set() for c in range(1, 10)}
    return {
        customer: [own.get(customer, set()) for own in rules]
        for rules in [
            [
                {c: {products - 2} for c in nothing},  # on_sale
                {7: {last}},  # product_eligible
                {1: {last}, 2: {0}},  # held
                {3: {products - 3}},  # cancelled
                {4: {last}},  # refused; 6 refused too, but is no gold customer
                {1: {0}, 2: {last}},  # excluded
                {6: {1, last}},  # named
                {7: {last}, 8: {last}},  # dear
            ]
        ]
        for customer in nothing
    }


@pytest.mark.spark
@pytest.mark.parametrize("products", [63, 64, 65, 130])
def test_products_beyond_a_word_are_judged_like_all_others(
    products: int, settings: Settings, spark: object, tmp_path: Path
) -> None:
    root = catalogue(tmp_path / "conf", products)
    night = WideNight(D, settings, settings.landing, root=root)
    for table, rows in events(products).items():
        write(night, table, rows)
    figures = eligibility.run(night)
    eligible = night.lake.arrow("eligible", partition=night.partition).sort_by("customer_id")
    funnel = night.lake.arrow("funnel", partition=night.partition).sort_by("position").to_pylist()
    names = [row["rule"] for row in funnel]
    assert (eligible["masks_more"].null_count == 9) == (products == 63)
    masks, removed = read_sets(eligible, "masks"), read_sets(eligible, "removed")
    wanted = enumerate_gone(products)
    places = [names.index(name) for name in names if name not in ("channel_eligible", "quiet")]
    left = 0
    for customer in range(1, 10):
        sets = removed[customer - 1]
        for place, gone in zip(places, wanted[customer], strict=True):
            assert {p for p in range(products) if has(sets[place], p)} == gone, (customer, names[place])
        stays = set(range(products)) - set().union(*wanted[customer])
        open_channels = [c for c in CHANNELS if not (customer == 5 and c in OUTBOUND)]
        for channel in CHANNELS:
            there = {p for p in range(products) if has(masks[customer - 1, channel], p)}
            assert there == (stays if channel in open_channels else set()), (customer, channel)
        left += len(stays) * len(open_channels)
    assert figures.arcs == left == funnel[-1]["arcs_before"] - funnel[-1]["arcs_removed"]
    assert figures.arcs_considered == 9 * products * 3
    gone_first = {row["rule"]: row["arcs_removed"] for row in funnel}
    assert gone_first["on_sale"] == 9 * 3
    assert gone_first["named"] == 2 * 3
    shape = eligibility.shape_of(
        eligibility.steps(night.catalogue, D), night.catalogue.products, night.catalogue.channels
    )
    first = first_remover([join_words(words) for words in removed[3].tolist()], shape, products - 1, 2)
    assert first is not None
    assert names[first] == "refused"
    assert menu(night.catalogue).eligible(masks).sum() == left
    assert eligibility.recount(night)["rules"] == []
