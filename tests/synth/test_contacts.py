"""A night's contacts: what they do to orders that come anyway, and luck that is each customer's own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from synth.contacts import DISCOUNTED, DISPLACED, LOST, REPLACED, Luck, contact, organic_of, provoke
from synth.demand import organic_orders
from synth.events import Table
from synth.history import live
from synth.keyed import KeyedDraws
from synth.plan import Ints
from synth.world import World, make_world
from tests.synth.conftest import plan_of


@pytest.fixture(scope="module")
def easy() -> World:
    return make_world(plan_of("easy", customers=3000))


def own_luck() -> Luck:
    calls = itertools.count()
    return Luck(lambda who: KeyedDraws(who, 1, "answers", calls=calls), lambda orders: np.zeros(len(orders)))


def try_contacts(world: World, who: Ints) -> tuple[Table, Table, Table]:
    day = world.plan.end_day - 20
    product = who % len(world.plan.products)
    channel = world.plan.outbound[who % len(world.plan.outbound)]
    coming = organic_of(world, organic_orders(world))
    luck = own_luck()
    contacts, answers, _ = contact(world, day, who, product, channel, np.zeros(len(who)), coming, luck)
    return contacts, answers, provoke(world, contacts, luck)[0]


def test_what_a_customer_answers_does_not_depend_on_who_else_is_contacted(easy: World) -> None:
    everyone = try_contacts(easy, np.arange(easy.size))
    some = try_contacts(easy, np.arange(0, easy.size, 3))
    for all_rows, rows in zip(everyone, some, strict=True):
        mine = all_rows["customer"] % 3 == 0
        assert len(rows["time"])
        for name in set(rows) - {"contact"}:
            assert np.array_equal(all_rows[name][mine], rows[name]), name


def test_nobody_answers_who_was_not_contacted(easy: World) -> None:
    who = np.arange(0, easy.size, 5)
    contacts, answers, left = try_contacts(easy, who)
    assert np.array_equal(contacts["customer"], who)
    assert set(answers["customer"]) <= set(who)
    assert set(left["customer"]) <= set(who)
    assert contacts["converted"].sum() == len(answers["time"]) > 0


def test_touches_tell_all_that_became_of_orders_that_come_anyway(easy: World) -> None:
    course = live(easy)
    orders, touches = course.coming.orders, course.touches
    assert set(touches["kind"]) >= {DISCOUNTED, DISPLACED} or set(touches["kind"]) >= {DISCOUNTED, REPLACED}
    killed = np.isin(touches["kind"], [LOST, REPLACED, DISPLACED])
    assert np.array_equal(np.unique(touches["order"][killed]), np.flatnonzero(~orders["alive"]))
    given = touches["kind"] == DISCOUNTED
    assert np.array_equal(np.unique(touches["order"][given]), np.flatnonzero(orders["night"] >= 0))
    less = np.bincount(touches["order"][given], touches["discount"][given], minlength=len(orders["time"]))
    assert np.array_equal(easy.plan.margin_micro[orders["product"]] - orders["margin"], less.astype(np.int64))
    same = course.contacts["customer"][touches["contact"]] == orders["customer"][touches["order"]]
    assert same.all()
