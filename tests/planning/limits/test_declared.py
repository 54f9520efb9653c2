"""The catalogue's limits: what is in force, what pruning sees, which arcs are closed."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from conf.catalogue import ROOT, Catalogue
from conf.offer import Limit
from planning.limits.declared import DeclaredLimits

NIGHT = dt.date(2026, 1, 9)


def declare(*limits: Limit) -> DeclaredLimits:
    catalogue = Catalogue(ROOT)
    catalogue.__dict__["limits"] = limits
    return DeclaredLimits.from_catalogue(catalogue)


def arcs_where(limits: DeclaredLimits, product: str | None = None, channel: str | None = None) -> np.ndarray:
    """Arcs of the menu, by codes."""
    catalogue = Catalogue(ROOT)
    return np.array(
        [
            (product is None or p.code == product) and (channel is None or c.code == channel)
            for p in catalogue.products
            for c in catalogue.channels
        ]
    )


def test_amounts_are_scaled_and_whole() -> None:
    limits = declare(
        Limit(name="cap", at_most=3_000_000, where={"channel": "sms_hall"}, scale_with_customers=True),
        Limit(name="floor", at_least=40, where={"product": "ring_tone"}),
        Limit(name="share", at_most=0, share={"of": {"segment": "rural"}, "percent": 30}),
        Limit(name="money", at_most=101, counts="cost_micro"),
        Limit(name="nothing", at_most=0, counts="seconds"),
    )
    found = limits.at(500, pa.table({}), NIGHT)
    rows = {limit.name: limit.row() for limit in found.limits.limits}
    channel = [c.id for c in Catalogue(ROOT).channels if c.code == "sms_hall"]
    product = [p.id for p in Catalogue(ROOT).products if p.code == "ring_tone"]
    assert rows == {
        "cap": {"name": "cap", "at_most": 1500, "counts": 1, "where": {"channel": channel}},
        "floor": {"name": "floor", "at_least": 40, "counts": 1, "where": {"product": product}},
        "share": {"name": "share", "at_most": 0, "counts": "share_share"},
        "money": {"name": "money", "at_most": 101, "counts": "cost_micro"},
        "nothing": {"name": "nothing", "at_most": 0, "counts": "seconds"},
    }
    assert found.amounts == (1500, -40, 0, 101, 0)
    assert found.capped == (True, False, False, True, True)
    assert found.notes == ()


def test_floors_of_products_have_their_arcs_whoever_the_customer_is() -> None:
    limits = declare(
        Limit(name="a", at_least=1, where={"product": "ring_tone", "segment": "rural"}),
        Limit(name="b", at_least=1, where={"channel": "sms_hall"}),
        Limit(name="c", at_most=1, where={"product": "ring_tone"}),
        Limit(name="d", at_least=1, where={"product": "ai_phone", "channel": "agent_out", "centre": "gz"}),
    )
    floors = limits.floors()
    assert floors.shape[0] == 2
    assert (floors[0] == arcs_where(limits, "ring_tone")).all()
    assert (floors[1] == arcs_where(limits, "ai_phone", "agent_out")).all()
    none = declare(Limit(name="c", at_most=1))
    assert none.floors().shape == (0, floors.shape[1])


def test_a_limit_of_nothing_closes_what_uses_it_for_everybody() -> None:
    limits = declare(
        Limit(name="of_some", at_most=0, where={"product": "ring_tone", "centre": "gz"}),  # not for everybody
        Limit(name="no_calls", at_most=0, counts="seconds", where={"product": "ai_phone"}),  # messages use no seconds
        Limit(name="first", at_most=0, where={"channel": "agent_out"}),
        Limit(name="share", at_most=0, where={"channel": "sms_hall"}, share={"of": {"group": "voice"}, "percent": 5}),
    )
    found = np.array(limits.closing(), object)
    calls = arcs_where(limits, "ai_phone", "agent_out")
    assert set(found[calls]) == {"no_calls"}  # the first of the file that does
    assert set(found[arcs_where(limits, None, "agent_out") & ~calls]) == {"first"}
    seconds = {c.code for c in Catalogue(ROOT).channels if c.seconds}
    open_ = ~arcs_where(limits, None, "agent_out")
    for code in seconds:
        open_ &= ~arcs_where(limits, "ai_phone", code)
    assert set(found[open_]) == {""}
    assert (limits.find_closed() == (found != "")).all()


def test_pruning_leaves_out_what_its_rows_cannot_tell() -> None:
    limits = declare(
        Limit(name="seen", at_most=1, where={"product": "ring_tone", "centre": "gz"}),
        Limit(name="segment", at_most=1, where={"product": "ring_tone", "segment": "rural"}),
        Limit(name="share", at_most=0, share={"of": {"segment": "rural"}, "percent": 30}),
        Limit(name="grade", at_most=1, where={"product": "ring_tone", "grade": "gold"}),
    )
    prices = dict.fromkeys(("seen", "segment", "share", "grade"), 2_000_000)
    rows = pa.table({"customer_id": [1, 2], "centre": ["gz", "sz"]})
    mine = arcs_where(limits, "ring_tone")
    found = limits.charges(rows, prices)
    assert (found == np.array([[2], [0]]) * mine).all()
    both = limits.charges(rows.append_column("grade", pa.array(["gold", None])), prices)
    assert (both == np.array([[4], [0]]) * mine).all()
    assert not limits.charges(rows, {}).any()
    assert limits.charges(rows.slice(0, 0), prices).shape == (0, len(mine))


@pytest.mark.parametrize("name", ["limits.yml", "demo/starbucks/limits.yml"])
def test_the_catalogues_limits_can_be_translated(name: str) -> None:
    catalogue = Catalogue((ROOT / name).parent)
    limits = DeclaredLimits.from_catalogue(catalogue)
    assert [limit.name for limit in limits.limits] == [limit.name for limit in catalogue.limits]
    assert set(limits.segments) <= set(catalogue.segments)
