"""What has become of every feed has one answer: on the command line, in the night report, and among the KPIs."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import feeds as command
from conf.catalogue import Catalogue
from conf.dates import cut_off
from conf.settings import Settings
from reporting import feed_status, kpi
from reporting.feed_status import STATES, FeedState
from reporting.night_report.facts import gather
from reporting.night_report.view import colour, tip, view
from runtime.night import Night
from tests.nights.published import put

D = dt.date(2026, 1, 9)
DAY = D - dt.timedelta(days=1)
IN_TIME = cut_off(D) - dt.timedelta(hours=3)


def delivery(feed: str, **more: Any) -> dict[str, Any]:
    """A row of the ledger: a delivery of yesterday that came in time."""
    return {
        "delivery_id": feed,
        "feed": feed,
        "data_date": DAY,
        "hour": -1,
        "resend": 0,
        "ordinal": 1,
        "file": f"{feed}.dat",
        "loaded": 7,
        "quarantined": 1,
        "code": "00",
        "state": "accepted",
        "arrived_at": IN_TIME,
        **more,
    }


@pytest.fixture
def odd_night(night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch) -> tuple[Night, dict[str, str]]:
    """A night on which feeds are in every state, and the state of each that was made so; the others are missing."""
    made = night(D)
    by = {
        kind: sorted(code for code, feed in made.catalogue.feeds.items() if feed.granularity == kind)
        for kind in ("daily", "hourly", "monthly")
    }
    whole, overdue, resent, aside, refused, late, waiting, ready, not_due = by["daily"][:9]
    part, full = by["hourly"][:2]
    month, no_month = by["monthly"][:2]
    later = made.catalogue.feeds[not_due].model_copy(update={"deadline": "23:00"})
    catalogue = Catalogue(made.catalogue.root)
    vars(catalogue)["feeds"] = made.catalogue.feeds | {not_due: later}  # as if it were read so
    monkeypatch.setattr(Settings, "catalogue", property(lambda settings: catalogue))
    after = cut_off(D) + dt.timedelta(hours=1)
    put(
        made,
        "ops_delivery",
        [
            delivery(whole),
            delivery(overdue, code="94"),
            delivery(resent, state="replaced", delivery_id="first"),
            delivery(resent, ordinal=2, resend=1, arrived_at=after, loaded=9),  # after the cut-off: the next night's
            delivery(aside, quarantined=40),
            delivery(refused, state="refused", ordinal=0, code="06", loaded=0, quarantined=0, reason="bytes"),
            *(delivery(part, hour=hour, file=f"p{hour}", delivery_id=f"p{hour}") for hour in range(5)),
            *(delivery(full, hour=hour, file=f"f{hour}", delivery_id=f"f{hour}") for hour in range(24)),
            delivery(month, data_date=dt.date(2025, 12, 31), arrived_at=cut_off(dt.date(2026, 1, 3))),
        ],
    )
    found = {"data_date": DAY, "hour": -1, "path": "x", "state": "ready", "resend": 0}
    put(
        made,
        "landing",
        [
            {**found, "feed": late, "file": "late.dat", "arrived_at": after},
            {**found, "feed": waiting, "file": "w.dat", "state": "waiting", "reason": "no control file yet"},
            {**found, "feed": ready, "file": "r.dat", "arrived_at": IN_TIME},
        ],
    )
    expected = dict.fromkeys((whole, overdue, resent, aside, full, month), "loaded")
    expected |= {part: "partly", refused: "refused", late: "late", waiting: "waiting", ready: "ready"}
    return made, expected | {not_due: "not due", no_month: "missing"}


def test_command_line_report_and_kpis_count_the_same(odd_night: tuple[Night, dict[str, str]]) -> None:
    tonight, expected = odd_night
    done = CliRunner().invoke(command.app, ["feeds", "status", "--date", str(D), "--json"])
    assert done.exit_code == 0, done.output
    rows = {row["feed"]: row for row in json.loads(done.stdout)}
    assert {code: rows[code]["state"] for code in expected} == expected
    told = Counter(row["state"] for row in rows.values())
    assert set(told) == set(STATES)  # a night on which nothing is left out

    facts = gather(tonight, "r")
    page = view(facts, tonight.catalogue, "", operational=False)
    assert {state: number for state, _, number in page["feeds"]["legend"]} == {colour(s): n for s, n in told.items()}
    tile = next(one for one in page["tiles"] if one["label"] == "feeds in")
    came, due = told["loaded"] + told["partly"], sum(told.values()) - told["not due"]
    assert tile["value"] == f"{came} / {due}"

    figures = {(row["kpi"], row["slice"]): row for row in kpi.feeds(feed_status.read(tonight))}
    assert {state: figures["feeds", f"state:{state}"]["value"] for state in told} == dict(told)
    assert (figures["feeds_in", "all"]["numerator"], figures["feeds_in", "all"]["denominator"]) == (came, due)


def test_rows_of_the_night_are_told_alike(odd_night: tuple[Night, dict[str, str]]) -> None:
    """What came for the month on another night is no row of this one; what a resend replaced later was loaded."""
    tonight, _ = odd_night
    facts = gather(tonight, "r")
    assert (facts.loads.files, facts.loads.rows, facts.loads.quarantined) == (33, 33 * 7, 32 + 40)
    tiles = {one["label"]: one for one in view(facts, tonight.catalogue, "", operational=False)["tiles"]}
    assert (tiles["feeds in"]["note"], tiles["set aside"]["value"]) == ("231 rows 行", "72")


def test_what_needs_a_look_is_listed_worst_first(odd_night: tuple[Night, dict[str, str]]) -> None:
    tonight, expected = odd_night
    states = {one.feed.code: one for one in feed_status.read(tonight)}
    odd = {code for code in expected if states[code].odd}
    assert odd == {code for code, state in expected.items() if state not in ("loaded", "not due")} | {
        code for code in expected if states[code].code == "94"
    }
    listed = view(gather(tonight, "r"), tonight.catalogue, "", operational=False)["feeds"]["odd"]
    assert listed[0]["state"] == "missing"


def test_every_state_is_said_in_words(odd_night: tuple[Night, dict[str, str]]) -> None:
    tonight, expected = odd_night
    said: dict[str, FeedState] = {one.feed.code: one for one in feed_status.read(tonight)}
    lines = {state: tip(said[code]) for code, state in expected.items() if state != "loaded"}
    assert lines["partly"] == "35 rows, 5 set aside; 5 of 24 hours 小时"
    assert lines["refused"] == "refused 拒收: 06 bytes"
    assert lines["not due"] == "not due 未到期"
    assert lines["late"].startswith("after the cut-off 迟到: arrived after the cut-off")


def test_a_resend_after_the_cut_off_does_not_undo_the_night(odd_night: tuple[Night, dict[str, str]]) -> None:
    tonight, _ = odd_night
    ledger, _ = feed_status.records(tonight)
    [resent] = [row["feed"] for row in ledger if row["ordinal"] == 2]
    state = next(one for one in feed_status.read(tonight) if one.feed.code == resent)
    assert (state.state, state.rows, state.resend) == ("loaded", 7, 0)  # as the night had it; 9 rows came later


def test_a_feed_whose_delivery_is_held_back_says_so(night: Callable[..., Night]) -> None:
    tonight = night(D)
    put(tonight, "ops_delivery", [delivery("topup_bank")])
    stop = {"success": False, "severity": "stop", "details": json.dumps({"delivery_id": "topup_bank"})}
    put(tonight, "ops_quality", [{"business_date": D, "subject": "topup_bank", "check": "rows · x", **stop}])
    state = next(one for one in feed_status.read(tonight) if one.feed.code == "topup_bank")
    assert state.state == "loaded"
    assert state.odd
    assert state.held_back == ("rows · x",)
    assert "cpc feeds release topup_bank" in state.reason
