"""A feed against its own past: weekday-aware volume, freshness with stand-in, deadlines."""

import datetime as dt

import pytest

from conf.dates import SHANGHAI
from expectations import history
from expectations.history import Load, due, expect_rows, freshness, punctual, volume
from expectations.measure import frame
from expectations.verdict import judge
from tests.fixtures.catalogue import frozen

pytestmark = pytest.mark.whole

CATALOGUE = frozen()
DAILY = CATALOGUE.feeds["hotline_call_gz"]
MONTHLY = CATALOGUE.feeds["bill_month"]
FRIDAY = dt.date(2026, 1, 9)


def _past(weeks: int = 5) -> dict[dt.date, int]:
    """Working days carry 1,000 rows, weekends 300."""
    days = [FRIDAY - dt.timedelta(days=n) for n in range(1, 7 * weeks + 1)]
    return {day: 300 if day.weekday() > 4 else 1000 for day in days}


def _passes(row: dict) -> bool:
    return bool(judge(frame([row])).checks["success"].iloc[0])


def _load(day: dt.date, rows: int) -> Load:
    return Load(day, rows, dt.datetime.combine(day + dt.timedelta(days=1), dt.time(1), SHANGHAI))


def test_a_weekend_is_held_against_weekends():
    saturday = FRIDAY + dt.timedelta(days=1)
    assert expect_rows(DAILY, saturday, _past()) == 300
    assert expect_rows(DAILY, FRIDAY, _past()) == 1000
    assert _passes(volume(DAILY, _load(saturday, 300), _past()))
    assert not _passes(volume(DAILY, _load(saturday, 1000), _past()))  # a Friday's volume on a Saturday


@pytest.mark.parametrize(
    ("rows", "good"), [(1000, True), (350, True), (250, False), (2900, True), (3200, False), (0, False)]
)
def test_volume_keeps_to_the_bounds_of_the_contract(rows, good):
    assert _passes(volume(DAILY, _load(FRIDAY, rows), _past())) is good


def test_tiny_feeds_have_room_for_chance():
    past = dict.fromkeys(_past(), 3)
    assert _passes(volume(DAILY, _load(FRIDAY, 9), past))
    assert _passes(volume(DAILY, _load(FRIDAY, 0), past))
    assert not _passes(volume(DAILY, _load(FRIDAY, 40), past))


def test_without_history_nothing_is_judged():
    assert expect_rows(DAILY, FRIDAY, {}) is None
    assert expect_rows(DAILY, FRIDAY, {FRIDAY - dt.timedelta(days=60): 5}) is None
    assert _passes(volume(DAILY, _load(FRIDAY, 10**6), {}))


def test_the_future_is_no_history():
    past = _past() | {FRIDAY + dt.timedelta(days=7 * n): 10**6 for n in range(1, 9)}
    assert expect_rows(DAILY, FRIDAY, past) == 1000


def test_months_are_held_against_months():
    ends = [dt.date(2025, m, d) for m, d in ((8, 31), (9, 30), (10, 31), (11, 30))]
    assert expect_rows(MONTHLY, dt.date(2025, 12, 31), dict.fromkeys(ends, 20000)) == 20000


def test_what_is_due_follows_the_granularity():
    assert due(DAILY, FRIDAY) == dt.date(2026, 1, 8)
    assert due(MONTHLY, FRIDAY) == dt.date(2025, 12, 31)
    assert due(MONTHLY, dt.date(2026, 1, 2)) == dt.date(2025, 11, 30)  # December comes by the third
    assert due(MONTHLY, dt.date(2026, 3, 3)) == dt.date(2026, 2, 28)


@pytest.mark.parametrize(
    ("newest", "good", "severity"),
    [
        (dt.date(2026, 1, 8), True, "info"),
        (dt.date(2026, 1, 7), False, "warn"),  # stands in
        (dt.date(2026, 1, 6), False, "warn"),
        (dt.date(2026, 1, 5), False, "stop"),  # required, beyond its two days
        (None, False, "stop"),
    ],
)
def test_a_required_feed_stops_beyond_its_stand_in(newest, good, severity):
    row = freshness(DAILY, FRIDAY, newest)
    assert _passes(row) is good
    assert row["severity"] == severity


def test_an_optional_feed_never_stops():
    optional = next(f for f in CATALOGUE.feeds.values() if not f.required and f.granularity == "daily")
    assert freshness(optional, FRIDAY, None)["severity"] == "warn"


def test_a_delivery_after_its_deadline_is_noted():
    on_time = _load(dt.date(2026, 1, 8), 5)
    late = Load(dt.date(2026, 1, 8), 5, dt.datetime(2026, 1, 9, 3, 30, tzinfo=SHANGHAI))
    assert _passes(punctual(DAILY, on_time))
    row = punctual(DAILY, late)
    assert row["observed"] == 30
    assert not _passes(row)


def test_series_is_rows_by_date():
    assert history.series([_load(FRIDAY, 7)]) == {FRIDAY: 7}
