"""The job: deliveries are judged once, by the night that first sees them; counts are reconciled with the tables."""

import datetime as dt
import json

import pyarrow as pa
import pytest

from jobs import quality
from runtime.holds import read_holds
from runtime.lake import arrow_schema, nullable

pytestmark = pytest.mark.whole

DATE = dt.date(2026, 1, 9)
FEED, SCHEMA = "sms_inbound", "sms_inbound"


def _utc(day: dt.date, hour: int = 18) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour), dt.UTC)  # 18:00 UTC is 02:00 of the next day in Shanghai


def _delivery(day: dt.date, rows: int = 3, **change):
    row = {
        "delivery_id": f"d{day:%m%d}",
        "feed": FEED,
        "data_date": day,
        "hour": -1,
        "resend": 0,
        "ordinal": 1,
        "file": f"f{day}",
        "bytes": 1,
        "sha256": "0",
        "control_records": rows,
        "loaded": rows,
        "quarantined": 0,
        "code": "00",
        "state": "accepted",
        "reason": None,
        "arrived_at": _utc(day),
        "received_at": _utc(day),
        "run_id": "r",
    }
    return row | change


def _load_row(day: dt.date, column: str = "", **change):
    row = {
        "feed": FEED,
        "data_date": day,
        "hour": -1,
        "delivery_id": f"d{day:%m%d}",
        "schema": SCHEMA,
        "column": column,
        "rows": 3,
        "nulls": 0,
        "faults": 0,
        "distinct": 3,
        "minimum": None,
        "maximum": None,
        "mean": None,
        "longest": None,
        "codes": None,
    }
    return row | change


def _fill(lake, table: str, rows: list[dict]) -> None:
    columns = {column.name: [row.get(column.name) for row in rows] for column in lake.table(table).columns}
    lake.replace_arrow(table, pa.table(columns, schema=nullable(arrow_schema(lake.table(table)))))


def _records(lake, day: dt.date, rows: int) -> None:
    raw = lake.table(f"raw_{SCHEMA}")
    made = [
        {"feed": FEED, "data_date": day, "hour": -1, "delivery_id": f"d{day:%m%d}", "file": "f", "line": n}
        for n in range(1, rows + 1)
    ]
    _fill(lake, raw.name, made)


@pytest.fixture(autouse=True)
def plain(request, monkeypatch):
    """Data Docs take seconds: only the test that looks at them builds them."""
    if "data_docs" not in request.node.name:
        monkeypatch.setattr(quality.docs, "build", lambda *_: None)


@pytest.fixture
def province(night):
    """One feed with one delivery of three records."""
    made = night(DATE)
    day = DATE - dt.timedelta(days=1)
    _fill(made.lake, "ops_delivery", [_delivery(day)])
    _fill(made.lake, "ops_load", [_load_row(day), _load_row(day, "sms_no", longest=10)])
    _records(made.lake, day, 3)
    return made


def _rows(night) -> dict[tuple[str, str], dict]:
    found = night.lake.arrow("ops_quality", partition=night.partition).to_pylist()
    return {(row["subject"], row["check"]): row for row in found}


def test_a_good_delivery_has_its_line_and_no_failure(province):
    figures = quality.run(province)
    rows = _rows(province)
    line = rows[FEED, "suite · 2026-01-08"]
    assert line["success"]
    assert json.loads(line["details"])["delivery_id"] == "d0108"
    assert figures.deliveries == 1
    assert FEED not in figures.stopped_feeds
    assert FEED not in figures.behind


def test_data_docs_show_suites_and_the_load(province, request):
    quality.run(province)
    home = province.settings.home / "docs"
    assert "load" in (home / "load" / "index.html").read_text(encoding="utf-8")
    pages = {page.stem for page in (home / "suites" / "expectations").glob("*.html")}
    assert pages == set(province.catalogue.schemas)
    first = (home / "suites" / "index.html").stat().st_mtime_ns
    quality.run(province)
    assert (home / "suites" / "index.html").stat().st_mtime_ns == first  # unchanged suites are not rendered again


def test_the_same_night_again_writes_the_same(province):
    quality.run(province)
    before = province.lake.arrow("ops_quality").to_pylist()
    quality.run(province)
    assert province.lake.arrow("ops_quality").to_pylist() == before


def test_a_delivery_is_judged_by_the_first_night_only(province, night):
    quality.run(province)
    following = night(DATE + dt.timedelta(days=1))
    figures = quality.run(following)
    assert figures.deliveries == 0
    assert FEED in figures.behind  # nothing new came


@pytest.mark.parametrize(
    ("delivery", "there", "failed"),
    [
        ({"control_records": 4}, 3, "control count · 2026-01-08"),
        ({}, 2, "table count · 2026-01-08"),
    ],
)
def test_counts_that_do_not_agree_stop_the_feed(province, delivery, there, failed):
    day = DATE - dt.timedelta(days=1)
    _fill(province.lake, "ops_delivery", [_delivery(day, **delivery)])
    _records(province.lake, day, there)
    figures = quality.run(province)
    row = _rows(province)[FEED, failed]
    assert not row["success"]
    assert row["severity"] == "stop"
    assert FEED in figures.stopped_feeds
    assert figures.held_back == {FEED: 1}
    assert set(read_holds(province.lake, province.catalogue)) == {"d0108"}


def test_a_feed_that_is_behind_alarms_and_holds_nothing_back(province, night):
    following = night(DATE + dt.timedelta(days=4))
    figures = quality.run(following)
    assert {"bill_month", "consent_hotline"} <= set(figures.stopped_feeds)
    assert figures.held_back == {}
    assert read_holds(province.lake, province.catalogue) == {}


def test_a_key_that_repeats_stops_the_feed(province):
    day = DATE - dt.timedelta(days=1)
    _fill(province.lake, "ops_load", [_load_row(day, distinct=2)])
    assert FEED in quality.run(province).stopped_feeds
    line = _rows(province)[FEED, "suite · 2026-01-08"]
    assert not line["success"]
    assert json.loads(line["details"])["failed"] == 1


def test_a_failure_shows_what_was_seen(province):
    day = DATE - dt.timedelta(days=1)
    _fill(province.lake, "ops_load", [_load_row(day), _load_row(day, "gateway_no", longest=99)])
    quality.run(province)
    details = json.loads(_rows(province)[FEED, "longest gateway_no · 2026-01-08"]["details"])
    assert details == {"delivery_id": "d0108", "faults": 0, "nulls": 0, "rows": 3}


def test_records_set_aside_are_shown_by_line_and_reason_but_not_by_their_bytes(province):
    day = DATE - dt.timedelta(days=1)
    _fill(province.lake, "ops_load", [_load_row(day, faults=7)])
    bad = [
        {
            "delivery_id": "d0108",
            "feed": FEED,
            "data_date": day,
            "hour": -1,
            "file": "f",
            "line": n,
            "byte_offset": n,
            "raw": b"10000000000|x",
            "field": "sent_at",
            "code": 1,
            "reason": "no timestamp",
        }
        for n in range(1, 8)
    ]
    _fill(province.lake, "ops_quarantine", bad)
    quality.run(province)
    text = _rows(province)[FEED, "faults record · 2026-01-08"]["details"]
    records = json.loads(text)["records"]
    assert [record["line"] for record in records] == [1, 2, 3, 4, 5]
    assert records[0]["reason"] == "no timestamp"
    assert "1000" not in text


def test_what_arrived_after_the_cut_off_waits(province):
    day = DATE - dt.timedelta(days=1)
    late = _delivery(day, arrived_at=province.cut_off)
    refused = _delivery(day, delivery_id="x", state="refused")
    _fill(province.lake, "ops_delivery", [late, refused])
    assert quality.run(province).deliveries == 0


def test_a_feed_that_never_came_is_behind_and_required_ones_stop(province):
    figures = quality.run(province)
    assert "bill_month" in figures.stopped_feeds  # required
    assert "nps_survey_a" in figures.behind
    assert "nps_survey_a" not in figures.stopped_feeds


def test_volume_is_held_against_the_weeks_before(province):
    last = DATE - dt.timedelta(days=1)
    days = [last - dt.timedelta(days=7 * n) for n in range(5)]
    _fill(province.lake, "ops_delivery", [_delivery(day, 3 if day == last else 1000) for day in days])
    quality.run(province)
    rows = _rows(province)
    assert not rows[FEED, "volume · 2026-01-08"]["success"]
    assert rows[FEED, "volume · 2026-01-08"]["observed"] == 3
    assert rows[FEED, "volume · 2026-01-01"]["success"]
