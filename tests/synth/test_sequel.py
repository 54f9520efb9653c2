"""Life after the files: days stay as they were lived, luck is each customer's own, and the twin world goes on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from synth.history import Course, live
from synth.sequel import LAPSE_MONTHS, PublishedPlan, Sequel, live_on, time_lapses
from synth.twin import NEVER, Window, effects
from synth.world import World, make_world
from tests.synth.conftest import plan_of


@pytest.fixture(scope="module")
def easy() -> World:
    return make_world(plan_of("easy", customers=3000))


@pytest.fixture(scope="module")
def past(easy: World) -> Course:
    return live(easy)


def plan_for(world: World, day: int, step: int = 2, shift: int = 0) -> PublishedPlan:
    """Every ``step``-th customer is contacted."""
    who = np.arange(shift, world.size, step)
    decision = np.array([f"run{day}:{customer}" for customer in who])
    product, channel = (who * 7 + day) % len(world.plan.products), world.plan.outbound[who % len(world.plan.outbound)]
    return PublishedPlan(day, f"run{day}", decision, who, product, channel)


def assert_same(one: Sequel, other: Sequel, until: int, customers: np.ndarray | None = None) -> None:
    """The ledgers of both agree up to a day (of some customers; numbers apart then)."""
    for name, table in one.ledgers.items():
        rows = table["time"] < until * 86400
        theirs = other.ledgers[name]["time"] < until * 86400
        columns = set(table)
        if customers is not None:
            rows &= np.isin(table["customer"], customers)
            theirs &= np.isin(other.ledgers[name]["customer"], customers)
            columns -= {"number"}
        for column in columns:
            assert np.array_equal(table[column][rows], other.ledgers[name][column][theirs]), (name, column)


def test_a_lived_day_stays_when_later_days_and_plans_come(easy: World, past: Course) -> None:
    first = easy.plan.end_day
    short = live_on(easy, past, [plan_for(easy, first)], first + 1)
    more = live_on(easy, past, [plan_for(easy, first), plan_for(easy, first + 1, 3)], first + 40)
    assert len(short.ledgers["order"]["time"]) > 0
    assert_same(short, more, first + 1)


def test_who_is_not_contacted_lives_as_if_nobody_were(easy: World, past: Course) -> None:
    first = easy.plan.end_day
    busy = live_on(easy, past, [plan_for(easy, first)], first + 35)
    quiet = live_on(easy, past, [], first + 35)
    spared = np.setdiff1d(np.arange(easy.size), busy.course.contacts["customer"])
    assert len(spared) == easy.size // 2
    assert_same(busy, quiet, first + 35, spared)
    assert not np.isin(busy.ledgers["contact"]["customer"], spared).any()
    named = {name for table in busy.ledgers.values() if "decision" in table for name in table["decision"]} - {""}
    assert named == set(plan_for(easy, first).decision)
    for name in ("order", "reply"):
        table = busy.ledgers[name]
        ours = table["decision"] != ""
        assert ours.any()
        customer = np.array([int(text.split(":")[1]) for text in table["decision"][ours]])
        assert np.array_equal(customer, table["customer"][ours])


def test_what_a_contact_brings_does_not_depend_on_who_else_is_contacted(easy: World, past: Course) -> None:
    first = easy.plan.end_day
    many, few = (live_on(easy, past, [plan_for(easy, first, step)], first + 35) for step in (1, 3))
    assert few.course.contacts["converted"].sum() > 10
    assert_same(few, many, first + 35, few.course.contacts["customer"])


def test_what_decisions_caused_adds_up_and_the_twin_is_the_life_without_them(easy: World, past: Course) -> None:
    first = easy.plan.end_day
    plans = [plan_for(easy, first + k, 3, k) for k in range(3)]
    busy, quiet = live_on(easy, past, plans, first + 33), live_on(easy, past, [], first + 33)
    ever = Window(first, first + 10_000)
    caused = effects(easy, busy.course, busy.both)
    by_customer = np.zeros(easy.size, dtype=np.int64)
    np.add.at(by_customer, busy.course.contacts["customer"][caused["contact"]], caused["margin"])
    twin = ever.sum_by_customer(busy.both, easy.size, twin=True)
    assert np.array_equal(by_customer, ever.sum_by_customer(busy.both, easy.size) - twin)
    assert by_customer.sum() > 0
    assert np.array_equal(ever.sum_by_customer(quiet.both, easy.size, twin=True)[:50], twin[:50])
    alone = quiet.both["time"] < (first + 33) * 86400
    organic = busy.both["twin"] & (busy.both["time"] < (first + 33) * 86400)
    for name in ("customer", "product", "time", "twin_margin", "twin_cancelled", "twin_lapsed"):
        assert np.array_equal(busy.both[name][organic], quiet.both[name][alone]), name


def test_what_customers_take_they_have_and_do_not_take_again(easy: World, past: Course) -> None:
    first = easy.plan.end_day
    one = plan_for(easy, first, 1)
    again = dataclasses.replace(one, day=first + 20, decision=np.char.add(one.decision, "b"))
    lived = live_on(easy, past, [one, again], first + 60)
    lasting = np.array([p.term_months > 0 for p in easy.plan.products])
    both = lived.both
    orders = both["here"] & lasting[both["product"]]
    keys = both["customer"][orders] * len(lasting) + both["product"][orders]
    assert len(keys) > 100
    assert len(np.unique(keys)) == len(keys)


def test_holdings_end_within_the_year_more_often_where_a_contact_led_to_them(easy: World, past: Course) -> None:
    first = easy.plan.end_day
    until = first + 30 * (LAPSE_MONTHS + 1)
    lived = live_on(easy, past, [plan_for(easy, first + k, 1) for k in range(4)], until)
    both = lived.both
    lasts = (
        both["here"]
        & (both["cancelled"] == NEVER)
        & np.array([p.term_months > 0 for p in easy.plan.products])[both["product"]]
    )
    ends = both["lapsed"] != NEVER
    age = (both["lapsed"] - both["time"])[ends]
    assert (age >= 30 * 86400).all()
    assert (age < 30 * LAPSE_MONTHS * 86400).all()
    led = both["contact"] != NEVER
    assert ends[lasts & led].mean() > 1.4 * ends[lasts & ~led].mean() > 0
    ledger = lived.ledgers["order"]
    ours = ledger["number"][(ledger["action"] == 1) & (ledger["number"] >= 10**9)]
    early = both["here"] & (both["cancelled"] != NEVER) & (both["cancelled"] < until * 86400)
    late = both["here"] & ends & (both["lapsed"] < until * 86400)
    assert len(ours) == early.sum() + late.sum()
    assert np.isin(ours, ledger["number"][ledger["action"] == 0]).all()


def test_months_of_a_holding_are_geometric() -> None:
    draws = np.random.default_rng(1).random((2, 200_000))
    ends = time_lapses(np.zeros(200_000, dtype=np.int64), (draws[0], draws[1]), np.full(200_000, 0.05))
    month = ends // (30 * 86400)
    for k in range(1, LAPSE_MONTHS):
        assert (month == k).mean() == pytest.approx(0.05 * 0.95 ** (k - 1), abs=0.002)
    assert (ends == NEVER).mean() == pytest.approx(0.95 ** (LAPSE_MONTHS - 1), abs=0.005)
    assert (time_lapses(np.zeros(3, dtype=np.int64), (draws[0][:3], draws[1][:3]), np.zeros(3)) == NEVER).all()
