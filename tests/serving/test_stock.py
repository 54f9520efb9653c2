"""Stock through the day: taken by acceptances, hidden when it is gone, priced when it would not last."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from cli.offers import app, share_passed
from conf.catalogue import Catalogue
from conf.errors import UserError
from conf.offer import Limit
from jobs import publish
from runtime.night import Night
from serving import stock
from serving import store as serving
from tests.nights.published import put

pytestmark = pytest.mark.whole
WEBSITE, WAP, SCARCE, PLENTY = 5, 6, 4, 5
OUTBOUND = [0, 1, 2, 3, 4]


@pytest.fixture
def day(planned: Callable[..., Night], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Night]:
    """``day(n)``: a published night with n left of the scarce product after one that the plan contacts about."""

    def make(left: int) -> Night:
        night = planned(verdict={"accepted": True, "gap": 1e-5})
        code = {p.id: p.code for p in night.catalogue.products}[SCARCE]
        limit = Limit.model_validate({"name": "stock_scarce", "at_most": 9, "where": {"product": code}})
        catalogue = copy.copy(night.catalogue)
        vars(catalogue)["limits"] = [*night.catalogue.limits, limit]
        monkeypatch.setattr("conf.settings.load_catalogue", lambda root: catalogue)
        rows = night.lake.arrow("limit_price", partition=night.partition).to_pylist()
        put(
            night,
            "limit_price",
            [
                *rows,
                {
                    "business_date": night.date,
                    "limit": "stock_scarce",
                    "kind": "at_most",
                    "unit": "contacts",
                    "amount": left,
                    "used": 1,
                    "reserve": 2,  # of a night of release 0.2
                    "used_explore": 1,
                    "price_pico": 0,
                    "price_yuan": 0.0,
                },
            ],
            night.partition,
        )
        publish.publish(night, ["store"])
        return night

    return make


def taken(night: Night, customer: int, product: int = SCARCE, channel: int = WEBSITE) -> stock.Accepted:
    with serving.connect(night.settings, alone=False) as store:
        return stock.accept(store, night.date, customer, product, channel, OUTBOUND)


def shown(night: Night, customer: int) -> list[tuple[int, int, int, float | None]]:
    with serving.connect(night.settings, alone=False) as store:
        rows = stock.offers(store, night.date, customer)
    return [(row["channel"], row["rank"], row["product"], row["slate_probability"]) for row in rows]


def left(night: Night) -> int:
    with serving.connect(night.settings, alone=False) as store:
        [row] = [row for row in stock.stocks(store, night.date) if row["name"] == "stock_scarce"]
    return row["remaining"]


def test_an_acceptance_takes_one_withdraws_outbound_contacts_and_counts_once(day: Callable[[int], Night]) -> None:
    night = day(2)  # of 2 + 2 the plan and its explorers contact about 2
    assert left(night) == 2
    assert taken(night, 2) == stock.Accepted(taken=True, withdrawn=1)  # customer 2 was to be contacted
    assert taken(night, 2) == stock.Accepted(taken=True, again=True)
    assert taken(night, 3) == stock.Accepted(taken=True)  # customer 3 was not
    assert left(night) == 0
    assert taken(night, 4) == stock.Accepted(taken=False)
    assert left(night) == 0
    with serving.connect(night.settings) as store:
        assert store.execute("SELECT customer_id FROM cpc.assignment WHERE withdrawn").fetchall() == [(2,)]


def test_what_is_sold_out_or_taken_is_hidden_and_its_slate_is_no_draw_any_more(day: Callable[[int], Night]) -> None:
    night = day(1)
    whole = [(channel, rank, 3 + rank, 0.5) for channel in (WEBSITE, WAP) for rank in (1, 2)]
    assert shown(night, 2) == whole
    taken(night, 9)  # the last one
    assert shown(night, 2) == [(channel, 1, PLENTY, None) for channel in (WEBSITE, WAP)]
    taken(night, 2, PLENTY)  # without stock
    assert shown(night, 2) == []
    assert shown(night, 5) == [(channel, 1, PLENTY, None) for channel in (WEBSITE, WAP)]


def test_of_many_at_once_only_so_many_get_it(day: Callable[[int], Night]) -> None:
    night = day(3)
    found: list[bool] = []
    threads = [threading.Thread(target=lambda n=n: found.append(taken(night, n).taken)) for n in range(20, 28)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False] * 5 + [True] * 3
    assert left(night) == 0


def test_a_night_published_again_keeps_what_was_accepted(day: Callable[[int], Night]) -> None:
    night = day(2)
    taken(night, 2)
    figures = publish.publish(night, ["store", "files"])
    assert left(night) == 1
    assert taken(night, 2).again
    assert figures.withdrawn == 1  # the contact of who accepted stays cancelled, in the store and in the files
    with serving.connect(night.settings) as store:
        assert store.execute("SELECT customer_id FROM cpc.assignment WHERE withdrawn").fetchall() == [(2,)]
        assert not store.execute("SELECT 1 FROM cpc.recommendation WHERE withdrawn").fetchall()


def test_what_was_not_offered_cannot_be_accepted(day: Callable[[int], Night]) -> None:
    night = day(2)
    assert {channel for channel, *_ in shown(night, 4)} == {WEBSITE, WAP}  # its alternate is no offer
    for customer, product, channel in ((2, 9, WEBSITE), (2, SCARCE, 7), (10**6, SCARCE, WEBSITE), (4, 4, 1)):
        with pytest.raises(UserError, match="was not offered"):
            taken(night, customer, product, channel)


def test_what_would_not_last_is_kept_for_whom_it_is_worth_most(day: Callable[[int], Night]) -> None:
    night = day(30)
    for customer in range(20, 20 + stock.ENOUGH):
        taken(night, customer)
    with serving.connect(night.settings) as store:
        store.execute("UPDATE cpc.recommendation SET value_micro = 1000 * customer_id WHERE product = %s", (SCARCE,))
        [row] = [r for r in stock.refresh(store, night.date, 0.2) if r["name"] == "stock_scarce"]
        # 10 in a fifth of the day: 40 more are wanted and 20 are left, so the better half of 230 customers stay
        assert (row["remaining"], row["accepted"], row["expected"]) == (20, 10, 40)
    offered = [customer for customer in range(240) if (WEBSITE, 1, SCARCE, 0.5) in shown(night, customer)]
    assert len(offered) == 115
    assert offered[-1] == 239
    assert max(set(range(240)) - set(offered)) < min(offered)
    with serving.connect(night.settings) as store:  # a quiet afternoon: there is enough for all again
        [row] = [r for r in stock.refresh(store, night.date, 0.8) if r["name"] == "stock_scarce"]
    assert row["charge_micro"] == 0


def test_the_share_of_a_day_and_what_is_no_time(night: Callable[..., Night]) -> None:
    assert [share_passed(night(), at) for at in ("07:00", "08:00", "15:00", "22:00", "23:30")] == [
        0.0,
        0.0,
        0.5,
        1.0,
        1.0,
    ]
    with pytest.raises(UserError, match="no time of day"):
        share_passed(night(), "25:00")


def test_the_commands_speak(day: Callable[[int], Night], store_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    night = day(1)
    monkeypatch.setenv("CPC_HOME", str(night.settings.home))
    monkeypatch.setenv("CPC_SERVING_URL", store_address)
    codes: Catalogue = night.catalogue
    product = {p.id: p.code for p in codes.products}[SCARCE]
    channel = {c.id: c.code for c in codes.channels}[WEBSITE]

    def told(*words: str) -> str:
        result = CliRunner().invoke(app, ["offers", *words, "--date", str(night.date)])
        assert result.exit_code == 0, result.output
        return result.output

    assert product in told("show", "2", "--channel", channel, "--why", "a test")
    assert "accepted" in told("accept", "2", product, channel, "--why", "a test")
    assert "sold out" in told("accept", "3", product, channel, "--why", "a test")
    assert json.loads(told("stock", "--json"))
    assert "50% of the day" in told("refresh", "--at", "15:00")
    refused = CliRunner().invoke(app, ["offers", "stock", "--date", "2026-02-01"])
    assert "no night of 2026-02-01 is published" in str(refused.exception)
