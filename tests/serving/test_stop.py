"""Who says stop is out at once: of offers, of acceptance, of the contacts of tonight and of the next pull."""

from __future__ import annotations

from collections.abc import Callable

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
