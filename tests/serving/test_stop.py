"""Who says stop is out at once: of offers, of acceptance, of the contacts of tonight and of the next pull."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg
import pyarrow as pa
import pytest

from conf.errors import UserError
from jobs import publish
from runtime.night import Night
from serving import stock
from serving import store as serving

pytestmark = pytest.mark.whole
WEBSITE, WAP = 5, 6


def shown(night: Night, customer: int) -> set[int]:
    with serving.connect(night.settings, alone=False) as store:
        return {row["channel"] for row in stock.offers(store, night.date, customer)}


def write_stop(night: Night, customer: int, channel: str = "all") -> None:
    """As another program writes it: a plain row."""
    with serving.connect(night.settings, alone=False) as store:
        store.execute("INSERT INTO cpc.stop (customer_id, channel) VALUES (%s, %s)", (customer, channel))


def test_a_stop_is_out_of_offers_and_acceptance_at_once(planned: Callable[..., Night]) -> None:
    night = planned(verdict={"accepted": True, "gap": 1e-5})
    publish.publish(night, ["store"])
    assert shown(night, 2) == shown(night, 4) == shown(night, 6) == {WEBSITE, WAP}
    write_stop(night, 2)
    write_stop(night, 4, "website")
    write_stop(night, 6, "fax")  # a channel that nobody knows: every channel
    assert shown(night, 2) == set()
    assert shown(night, 4) == {WAP}
    assert shown(night, 6) == set()
    with serving.connect(night.settings, alone=False) as store:
        for customer, channel in ((2, WEBSITE), (4, WEBSITE), (6, WAP)):
            with pytest.raises(UserError, match="stopped"):
                stock.accept(store, night.date, customer, 5, channel, [0, 1, 2])
        assert stock.accept(store, night.date, 4, 5, WAP, [0, 1, 2]).taken


def test_a_stop_withdraws_tonight_s_contact_at_once(planned: Callable[..., Night]) -> None:
    night = planned(verdict={"accepted": True, "gap": 1e-5})
    publish.publish(night, ["store"])  # customer 4 is planned on channel 1, customer 5 on channel 2

    def contacts() -> set[int]:
        with serving.connect(night.settings, alone=False) as store:
            rows = store.execute("SELECT customer_id FROM cpc.contact WHERE customer_id IN (2, 4, 5)").fetchall()
            marked = store.execute("SELECT customer_id FROM cpc.assignment WHERE withdrawn").fetchall()
        assert {2, 4, 5} - {who for (who,) in rows} == {who for (who,) in marked}
        return {who for (who,) in rows}

    assert contacts() == {2, 4, 5}
    write_stop(night, 4, "website")  # not the channel of the contact
    write_stop(night, 5, "wechat")
    assert contacts() == {2, 4}
    write_stop(night, 4)
    assert contacts() == {2}


def test_a_stop_that_is_committed_while_the_night_is_published_is_marked(
    planned: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    night = planned(verdict={"accepted": True, "gap": 1e-5})
    publish.publish(night, ["store"])
    change_value(night, 5)  # so that the row of customer 5 is another when the night takes the place of the first
    load = serving.load

    def late(store, table, *rest):
        count = load(store, table, *rest)
        if table.name == "recommendation":  # the plan's rows are copied, with marks as of before
            write_stop(night, 5)
            write_stop(night, 6, "website")
        return count

    monkeypatch.setattr(serving, "load", late)
    publish.publish(night, ["store"])
    assert marked(night, "assignment") == {5}
    assert marked(night, "recommendation") == {5, 6}


def test_a_stop_whose_writer_is_not_done_yet_is_waited_for_and_marked(
    planned: Callable[..., Night], store_address: str
) -> None:
    night = planned(verdict={"accepted": True, "gap": 1e-5})
    publish.publish(night, ["store"])
    change_value(night, 5)
    failures: list[BaseException] = []

    def act() -> None:
        try:
            publish.publish(night, ["store"])
        except BaseException as error:
            failures.append(error)

    with psycopg.connect(store_address) as writer:
        writer.execute("INSERT INTO cpc.stop (customer_id) VALUES (5)")  # it has marked the row of before
        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        until = time.monotonic() + 30
        with psycopg.connect(store_address, autocommit=True) as other:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while thread.is_alive() and time.monotonic() < until and not other.execute(waiting).fetchone()[0]:
                time.sleep(0.02)
        assert thread.is_alive(), "nobody waited for the writer"
        writer.commit()
    thread.join(timeout=60)
    assert failures == []
    assert marked(night, "assignment") == {5}


def test_an_acceptance_while_the_night_is_published_takes_the_contact_out(
    planned: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    night = planned(verdict={"accepted": True, "gap": 1e-5})
    publish.publish(night, ["store"])
    change_value(night, 4)
    swap = serving.swap

    def late(store, table, *rest):
        if table.name == "assignment":
            with serving.connect(night.settings, alone=False) as other:
                assert stock.accept(other, night.date, 4, 5, WAP, [0, 1, 2]).taken
        return swap(store, table, *rest)

    monkeypatch.setattr(serving, "swap", late)
    publish.publish(night, ["store"])
    assert marked(night, "assignment") == {4}


def change_value(night: Night, customer: int) -> None:
    plan = night.lake.arrow("assignment", partition=night.partition)
    values = [
        value + (who == customer)
        for who, value in zip(plan["customer_id"].to_pylist(), plan["value_micro"].to_pylist(), strict=True)
    ]
    place = plan.column_names.index("value_micro")
    night.lake.replace_arrow(
        "assignment", plan.set_column(place, "value_micro", pa.array(values)), partition=night.partition
    )


def marked(night: Night, table: str) -> set[int]:
    with serving.connect(night.settings, alone=False) as store:
        return {who for (who,) in store.execute(f"SELECT customer_id FROM cpc.{table} WHERE withdrawn").fetchall()}
