"""From a file of refusals to the table `consent`: nothing holds a refusal back, whatever is said of its feed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cli.feeds import app
from conf.dates import SHANGHAI
from dialects import write_delivery
from dialects.hmac import Keyed
from jobs import conform, ingest, quality, scan
from jobs.eligibility import funnel_steps
from runtime.keys import pseudonym_key
from runtime.night import Night
from tests.nights.published import put

pytestmark = [pytest.mark.spark, pytest.mark.whole]

D = dt.date(2026, 1, 9)
FEED = "consent_hotline"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, spark: object) -> None:
    """Data Docs take seconds, and nobody looks at them here."""
    monkeypatch.setattr(quality.docs, "build", lambda *_: None)


def number(n: int) -> str:
    return f"138{n:08d}"


def people(night: Night, count: int) -> None:
    """So many customers, each with a number since 2020."""
    names = Keyed(pseudonym_key(night.settings.home))(pa.array([number(n) for n in range(count)]))
    since = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    rows = [{"phone_pseudonym": p, "key_version": 1, "valid_from": since} for p in names.to_pylist()]
    put(night, "subscriber", [row | {"customer_id": n + 1} for n, row in enumerate(rows)])


def send_refusals(
    night: Night,
    numbers: Sequence[str],
    day: dt.date,
    arrived: dt.datetime,
    stated: dt.date | None = None,
    kind: str = "marketing",
    granted: bool = False,
) -> None:
    """A delivery of refusals of all marketing, stated at noon of ``day`` or as said; or of consents of another kind."""
    n, noon = len(numbers), dt.datetime.combine(stated or day, dt.time(12), SHANGHAI)
    words = {"consent_kind": kind, "consent_channel": "all", "stated_via": "call"}
    columns = {
        "consent_no": pa.array([f"R{stated or day:%m%d}{k:06d}" for k in range(n)]),
        "holder_no": pa.array(numbers, pa.string()),
        "stated_at": pa.array([noon] * n, pa.timestamp("us", "UTC")),
        "is_granted": pa.array([granted] * n),
        **{name: pa.array([word] * n) for name, word in words.items()},
    }
    schema = night.catalogue.schemas["marketing_consent"]
    kinds = {"date": pa.date32(), "bool": pa.bool_(), "timestamp": pa.timestamp("us", "UTC")}
    nothing = {f.name: pa.nulls(n, kinds.get(f.type, pa.string())) for f in schema.fields if f.name not in columns}
    table = pa.table(columns | nothing).select([f.name for f in schema.fields])
    write_delivery(night.catalogue.feeds[FEED], schema, table, night.landing, day, created=arrived)


def live(night: Night) -> None:
    """The night until its events are known."""
    scan.run(night)
    ingest.run(night)
    quality.run(night)
    conform.run(night)


def refusals(night: Night) -> int:
    return night.lake.arrow("consent").num_rows


def at(day: dt.date, hour: int, minute: int = 30) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), SHANGHAI)


def test_refusals_of_a_feed_that_is_a_day_behind_arrive(night: Callable[..., Night]) -> None:
    """The register is behind by a day: its `freshness` fails, of the feed, and its hundred refusals count all the same."""
    tonight = night(D)
    people(tonight, 100)
    behind = D - dt.timedelta(days=2)
    send_refusals(tonight, [number(n) for n in range(100)], behind, at(D, 1))
    live(tonight)
    checks = tonight.lake.arrow("ops_quality").to_pylist()
    assert [(c["severity"], c["success"]) for c in checks if c["subject"] == FEED and c["check"] == "freshness"] == [
        ("stop", False)
    ]
    assert refusals(tonight) == 100


def test_a_home_that_lost_refusals_takes_them_in_by_one_command(night: Callable[..., Night]) -> None:
    """What release 0.1 left out: loaded, its date conformed without it. The plan names it, the rebuild counts it."""
    tonight = night(D)
    people(tonight, 100)
    send_refusals(tonight, [number(n) for n in range(100)], D - dt.timedelta(days=2), at(D, 1))
    live(tonight)
    forgotten = tonight.lake.arrow("consent").schema.empty_table()
    tonight.lake.replace_arrow("consent", forgotten)
    tonight.lake.replace_arrow("ops_conform", tonight.lake.arrow("ops_conform").schema.empty_table())
    plan = CliRunner().invoke(app, ["rebuild", "--plan", "--since", "2026-01-09", "--json"])
    assert [(one["feed"], one["records"]) for one in json.loads(plan.stdout)["left_out"]] == [(FEED, 100)]
    assert refusals(tonight) == 0
    done = CliRunner().invoke(app, ["rebuild", "--since", "2026-01-09", "--json"])
    assert json.loads(done.stdout)["taken_in"] == {"consent": {FEED: 100}}
    assert refusals(tonight) == 100


def test_refusals_of_numbers_written_with_a_prefix_arrive_and_make_no_second_customer(
    night: Callable[..., Night],
) -> None:
    tonight = night(D)
    people(tonight, 4)
    written = [f"86{number(0)}", f"0086{number(1)}", f"+86 {number(2)}", f"17951{number(3)}"]
    send_refusals(tonight, written, D - dt.timedelta(days=1), at(D, 1))
    live(tonight)
    consents = tonight.lake.arrow("consent", columns=["customer_id"])
    assert sorted(consents["customer_id"].to_pylist()) == [1, 2, 3, 4]
    assert tonight.lake.arrow("subscriber").num_rows == 4


def check_of(night: Night, subject: str, begins: str) -> list[tuple[bool, float]]:
    rows = night.lake.arrow("ops_quality", partition=night.partition).to_pylist()
    return [(r["success"], r["observed"]) for r in rows if r["subject"] == subject and r["check"].startswith(begins)]


def test_refusals_without_owner_are_kept_named_and_stop_outbound_until_they_are_released(
    night: Callable[..., Night],
) -> None:
    tonight = night(D)
    people(tonight, 40)
    strange = [f"139{n:08d}" for n in range(2)]
    send_refusals(tonight, [number(n) for n in range(40)] + strange, D - dt.timedelta(days=1), at(D, 1))
    scan.run(tonight)
    ingest.run(tonight)
    quality.run(tonight)
    figures = conform.run(tonight)
    assert refusals(tonight) == 40
    assert figures.unmatched_by_feed == {FEED: 2}
    assert figures.refusals_without_owner == {FEED: 2}
    assert check_of(tonight, FEED, "without owner · consent") == [(False, 2.0)]
    assert check_of(tonight, FEED, "reconciled · consent") == [(True, 0.0)]
    assert check_of(tonight, "consent", "rows of the table") == [(True, 0.0)]
    last = funnel_steps(tonight)[-1]
    assert (last.name, last.direction) == ("refusals_without_owner", "outbound")
    assert "2 refusals of consent_hotline" in last.reason

    later = night(D + dt.timedelta(days=1))  # nothing was mended: it is told again, and nobody is contacted again
    assert conform.run(later).refusals_without_owner == {FEED: 2}
    assert check_of(later, FEED, "without owner · consent") == [(False, 2.0)]
    assert funnel_steps(later)[-1].name == "refusals_without_owner"
    done = CliRunner().invoke(app, ["feeds", "release", FEED, "--why", "numbers of another operator"])
    assert done.exit_code == 0, done.output
    assert funnel_steps(later)[-1].name != "refusals_without_owner"


def test_one_stray_refusal_stops_nobody(night: Callable[..., Night]) -> None:
    tonight = night(D)
    people(tonight, 3)
    send_refusals(tonight, [number(0), number(1), "13999999999"], D - dt.timedelta(days=1), at(D, 1))
    live(tonight)
    assert refusals(tonight) == 2
    assert check_of(tonight, FEED, "without owner · consent") == [(True, 1.0)]
    assert funnel_steps(tonight)[-1].name != "refusals_without_owner"


def test_a_refusal_told_again_in_the_next_file_counts_once(night: Callable[..., Night]) -> None:
    tonight, later = night(D), night(D + dt.timedelta(days=1))
    people(tonight, 5)
    noon = D - dt.timedelta(days=1)
    send_refusals(tonight, [number(n) for n in range(3)], noon, at(D, 1))
    live(tonight)
    send_refusals(later, [number(n) for n in range(5)], D, at(D + dt.timedelta(1), 1), stated=noon)
    scan.run(later)
    ingest.run(later)
    quality.run(later)
    figures = conform.run(later)
    assert figures.repeated_by_feed == {FEED: 3}
    assert figures.lost_by_feed == {}
    rows = later.lake.arrow("consent").to_pylist()
    assert sorted((row["customer_id"], row["data_date"]) for row in rows) == [
        *((n + 1, noon) for n in range(3)),
        *((n + 1, D) for n in range(3, 5)),
    ]
