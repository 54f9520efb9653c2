"""Rules as SQL and arcs as bits: every function with a few values, and bits against a plain enumeration."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.catalogue import Catalogue
from conf.errors import UserError
from jobs.eligibility import build_eligible, funnel_rows
from models.bit_sets import has, join_words, read_sets, split_words
from planning.eligibility.customer_state import columns
from planning.eligibility.masks import Shape, first_remover, leave, totals
from planning.eligibility.rules import shape_of, steps
from tests.examples import examples
from tests.fixtures.catalogue import frozen

CASES = Path(__file__).parents[2] / "jobs" / "cases" / "conf"
D = dt.date(2026, 1, 9)
SCOPES = st.sampled_from(["customer", "product", "channel"])
DIRECTIONS = st.sampled_from(["outbound", "inbound", "both"])


@st.composite
def nights(draw):
    products = draw(st.lists(st.integers(0, 200), min_size=1, max_size=6, unique=True))
    channels = {i: draw(st.sampled_from(["outbound", "inbound"])) for i in range(draw(st.integers(1, 5)))}
    k = draw(st.integers(1, 5))
    scopes = tuple(draw(st.lists(SCOPES, min_size=k, max_size=k)))
    shape = Shape(
        tuple(f"r{i}" for i in range(k)),
        scopes,
        tuple(draw(st.lists(DIRECTIONS, min_size=k, max_size=k))),
        tuple(products),
        channels,
    )
    cells = [
        st.sets(st.sampled_from(products)) if scope == "product" else st.sets(st.sampled_from(list(channels)))
        for scope in scopes
    ]
    customers = draw(st.lists(st.tuples(*cells), min_size=1, max_size=6))
    removed = [[split_words(sum(1 << bit for bit in cell), shape.words) for cell in row] for row in customers]
    return shape, np.array(removed, np.int64)


@pytest.mark.whole
@given(nights())
@settings(max_examples=examples(150), deadline=None)
def test_bits_count_what_an_enumeration_counts(drawn):
    shape, removed = drawn
    left = leave(removed, shape)
    for i, row in enumerate([[join_words(words) for words in row] for row in removed.tolist()]):
        pairs = [(p, c) for p in shape.products for c in shape.channels]
        gone_at = {pair: first_remover(row, shape, *pair) for pair in pairs}
        for k in range(len(shape.names) + 1):
            alive = [pair for pair in pairs if gone_at[pair] is None or gone_at[pair] >= k]
            assert left.arcs[k, i] == len(alive)
            assert left.outbound[k, i] == sum(shape.channels[c] == "outbound" for _, c in alive)
        for p, c in pairs:
            assert has(left.masks[i, c], p) == (gone_at[p, c] is None)
    assert totals(left)[0].tolist() == left.arcs.sum(axis=1).tolist()


@given(nights())
@settings(max_examples=examples(50), deadline=None)
def test_rows_of_eligible_say_why_nothing_is_left(drawn):
    shape, removed = drawn
    people = pa.array(range(len(removed)), pa.int64())
    recent = pa.array([0] * len(removed), pa.int32())
    flat = removed.transpose(0, 2, 1).reshape(len(removed), -1)
    rows = pa.table(
        {"customer_id": people, "draw_key": people, "recent_milli": recent, "removed": pa.array(flat.tolist())}
    )
    table, counts = build_eligible(rows, D, shape)
    assert (read_sets(table, "removed") == removed).all()
    for row, masks in zip(table.to_pylist(), read_sets(table, "masks"), strict=True):
        assert (row["masks_more"] is None) == (row["removed_more"] is None) == (shape.words == 1)
        assert (row["reason"] is None) == masks.any()
        wanted = hashlib.sha256(masks.astype("<i8").tobytes()).hexdigest()[:32]
        assert row["eligible_hash"] == wanted
    funnel = funnel_rows([_Named(n) for n in shape.names], counts, D)
    assert funnel[0]["arcs_before"] == len(removed) * len(shape.products) * len(shape.channels)
    assert sum(r["arcs_removed"] for r in funnel) + int(counts[0, -1]) == funnel[0]["arcs_before"]


class _Named:
    scope = direction = reason = reason_zh = ""

    def __init__(self, name):
        self.name = name


def test_steps_start_with_what_the_offer_asks_for():
    found = steps(Catalogue(CASES), D)
    assert [step.name for step in found][:4] == ["on_sale", "product_eligible", "channel_eligible", "opt_out"]
    assert found[0].sql == ("8L",)  # the product of tomorrow
    assert "if(not coalesce((tenure_months >= 12), false), 4L, 0L)" in found[1].sql[0]
    tomorrow = steps(Catalogue(CASES), dt.date(2026, 1, 10))
    assert tomorrow[0].sql == ("0L",)


def test_values_and_bits_take_the_place_of_names():
    sql = {step.name: step.sql[0] for step in steps(Catalogue(CASES), D)}
    assert sql["held"] == "(holds & 15L)"
    assert sql["no_word"] == "(opted_out_channels & 7L)"
    assert sql["complaint"] == "if(coalesce((open_complaint), false), 3L, 0L)"  # outbound only
    assert "days_since_contact_sms <= 3" in sql["rest"]
    assert "website" not in sql["rest"]
    # excludes is symmetric: small excludes large because large excludes small
    assert "if(coalesce((((holds & 2L) <> 0L)), false), 1L, 0L)" in sql["excluded"]
    assert "if(coalesce((((holds & 1L) <> 0L)), false), 2L, 0L)" in sql["excluded"]


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("{name: r, scope: product, removes: product.colour = 1, reason: x, reason_zh: x}", "no 'product.colour'"),
        ("{name: r, removes: product.price > 3, reason: x, reason_zh: x}", "not known here"),
        ("{name: r, scope: channel, removes: product.price > 3, reason: x, reason_zh: x}", "not known here"),
    ],
)
def test_a_rule_that_names_what_there_is_not(tmp_path, rule, what):
    for name in ("products.yml", "channels.yml"):
        (tmp_path / name).write_text((CASES / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "rules.yml").write_text(f"rules:\n  - {rule}\n", encoding="utf-8")
    with pytest.raises(UserError, match=what) as caught:
        steps(Catalogue(tmp_path), D)
    assert caught.value.where == f"{tmp_path / 'rules.yml'}:2"


def test_text_in_quotes_is_left_alone(tmp_path):
    for name in ("products.yml", "channels.yml"):
        (tmp_path / name).write_text((CASES / name).read_text(encoding="utf-8"), encoding="utf-8")
    rule = "{name: r, removes: \"plan = 'product.price'\", reason: x, reason_zh: x}"
    (tmp_path / "rules.yml").write_text(f"rules:\n  - {rule}\n", encoding="utf-8")
    assert "plan = 'product.price'" in steps(Catalogue(tmp_path), D)[-1].sql[0]


def test_every_state_column_that_the_page_lists_exists():
    page = (Path(__file__).parents[3] / "docs" / "developer" / "entities.md").read_text(encoding="utf-8")
    table = page.split("| column | type | meaning |")[1].split("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    told = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    channels = Catalogue(CASES).channels
    there = set(columns(channels))
    assert told
    for name in told:
        assert name.replace("<channel>", "sms") in there, name
    plain = {name for name in there if not name.endswith(("_sms", "_agent_out"))}
    assert plain <= told


def test_the_shape_of_our_own_rules():
    ours = frozen()
    found = steps(ours, D)
    shape = shape_of(found, ours.products, ours.channels)
    assert len(shape.names) == len(ours.rules) + 3
    assert shape.of_direction("both") == sum(1 << c.id for c in ours.channels)
