"""A published plan as the channels get it: whose number, what was withdrawn, and runs that are none."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from conf.errors import UserError
from synth.published import date_of_run, find_published_run, positions, read_plan
from tests.synth.answered import DAY, Box


def test_contacts_are_of_those_who_hold_the_numbers(box: Box) -> None:
    run_id = box.publish()
    plan = read_plan(box.night(), box.world, run_id)
    assert plan.run_id == run_id == find_published_run(box.night())
    assert len(plan.customer) > 300
    assert (np.diff(plan.customer) > 0).all()
    assert (plan.customer % 2 == 0).all()
    assert plan.decision.tolist() == [f"{run_id}:{box.customer_id(p)}" for p in plan.customer.tolist()]
    assert np.array_equal(plan.product, plan.customer * 7 % len(box.world.plan.products))
    assert np.array_equal(plan.channel, box.world.plan.outbound[plan.customer % len(box.world.plan.outbound)])


def test_a_contact_that_was_withdrawn_before_its_file_was_written_is_not_made(box: Box) -> None:
    run_id = box.publish()
    folder = box.home.settings.home / "published" / DAY.isoformat()
    folder.mkdir(parents=True)
    wanted = [f"{run_id}:{box.customer_id(p)}" for p in (100, 102, 104)]
    text = "decision_id,phone\r\n" + "".join(f"{name},10000000000\r\n" for name in wanted)
    (folder / "contacts-sms_hall.csv").write_text(text, encoding="utf-8-sig")
    assert read_plan(box.night(), box.world, run_id).decision.tolist() == wanted


def test_a_plan_that_was_not_published_is_not_answered(box: Box) -> None:
    with pytest.raises(UserError, match="none was"):
        read_plan(box.night(), box.world, f"{DAY}-0123456789ab")
    box.publish()
    with pytest.raises(UserError, match="0123456789ab was"):
        read_plan(box.night(), box.world, f"{DAY}-ffffffffffff")


@pytest.mark.parametrize("text", ["", "2026-01-09", "2026-13-09-0123456789ab", "nosuch", "2026-01-09-0123456789AB"])
def test_what_is_no_run_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UserError, match="is no run"):
        date_of_run(text)
    assert date_of_run("2026-01-09-0123456789ab") == dt.date(2026, 1, 9)


def test_customers_of_another_province_are_refused(box: Box) -> None:
    known = box.customer_id(104)
    assert positions(box.night(), box.world, np.array([known])).tolist() == [104]
    with pytest.raises(UserError, match="1 of 2 customers"):
        positions(box.night(), box.world, np.array([known, 10**6]))
    assert not len(positions(box.night(), box.world, np.zeros(0, dtype=np.int64)))
