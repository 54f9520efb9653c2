"""Partials and snapshots through the lake: what a night could see, restatements, late rows, new features."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conf.dates import cut_off, first_night_of, start_of_day
from conf.errors import UserError
from conf.feature import Family
from features.anchor import feeds_of
from features.store import snapshots
from features.store.preview import check_features, preview_feature
from jobs import partials, snapshot
from jobs.partials import find_changed_nights
from models.lifecycle import training_set
from runtime.lake import arrow_schema, nullable

D = dt.date(2026, 1, 9)
pytestmark = pytest.mark.spark
TICK = dt.timedelta(microseconds=1)


def write(night, table: str, rows: list[dict]) -> None:
    schema = nullable(arrow_schema(night.lake.table(table)))
    night.lake.replace_arrow(table, pa.Table.from_pylist(rows, schema))


def delivery(name: str, feed: str, day: dt.date, arrived: dt.datetime, state: str = "accepted") -> dict:
    return {
        "delivery_id": name,
        "feed": feed,
        "data_date": day,
        "resend": 0,
        "file": name,
        "code": "00",
        "state": state,
        "arrived_at": arrived,
    }


def call(customer: int, time: dt.datetime, arrived: dt.datetime, name: str, topic: str = "plan") -> dict:
    return {
        "customer_id": customer,
        "event_time": time,
        "arrived_at": arrived,
        "direction": "in",
        "channel": "10086",
        "topic": topic,
        "seconds": 60,
        "schema": "hotline_call",
        "feed": "hotline_call_gz",
        "delivery_id": name,
        "data_date": dt.date(2026, 1, 7 if name.startswith("d7") else 8),
        "line": 1,
    }


def profile(customer: int, **more) -> dict:
    told = start_of_day(dt.date(2025, 7, 1))
    return {
        "customer_id": customer,
        "valid_from": told,
        "arrived_at": told,
        "status": "active",
        "city": "gz",
        "feed": "subscriber_profile_full",
    } | more


@pytest.fixture
def house(spark, night):
    """A night with two days of calls of customer 1; customers 2 to 5 say something about who is in a snapshot."""
    made = night(D)
    jan7, jan8 = dt.date(2026, 1, 7), dt.date(2026, 1, 8)
    in_time, next_night = cut_off(D) - TICK, cut_off(D)
    ledger = [
        delivery("d7", "hotline_call_gz", jan7, cut_off(jan8) - TICK),
        delivery("d8", "hotline_call_gz", jan8, in_time),
        delivery("late", "hotline_call_sz", jan8, next_night),
    ]
    calls = [
        call(1, start_of_day(jan7), cut_off(jan8) - TICK, "d7"),
        call(1, start_of_day(D) - TICK, in_time, "d8"),
        call(1, start_of_day(D), in_time, "d8"),  # of D itself
        call(2, start_of_day(D) - TICK, in_time, "d8"),
        {**call(1, start_of_day(jan8), next_night, "late"), "feed": "hotline_call_sz"},
    ]
    later = start_of_day(D)
    people = [
        profile(1),
        profile(1, valid_from=later, city="sz"),
        profile(1, arrived_at=cut_off(D), valid_from=start_of_day(jan8), city="zh"),
        profile(2, minor=True),
        profile(3, status="closed"),
        profile(4, valid_from=later),
        profile(5),
    ]
    write(made, "ops_delivery", ledger)
    write(made, "contact", calls)
    write(made, "customer", people)
    refusal = {
        "customer_id": 5,
        "event_time": start_of_day(jan7),
        "arrived_at": in_time,
        "kind": "profiling",
        "channel": "all",
        "granted": False,
        "schema": "marketing_consent",
        "feed": "consent_app",
        "data_date": jan7,
        "delivery_id": "c",
        "line": 1,
    }
    write(made, "consent", [refusal])
    return made


def features(night, date: dt.date = D) -> dict[int, dict]:
    table = night.lake.arrow("customer_features", partition={"business_date": date})
    return {row["customer_id"]: row for row in table.to_pylist()}


def test_a_night_from_events_to_snapshot(house, night):
    figures = partials.run(house)
    assert figures.families_rebuilt >= 1
    assert snapshot.run(house).customers == 3
    found = features(house)
    assert sorted(found) == [1, 2, 5]  # closed ones and those of the future are not there
    assert found[1]["city"] == "gz"  # neither the profile of D nor the one that arrived at the cut-off
    assert found[1]["calls_10086_count_7d"] == 2  # not D's own call, not the late delivery
    assert found[1]["calls_10086_recency_180d"] == 1
    assert found[1]["contact_in_staleness_days"] == 0
    assert found[2]["calls_10086_count_7d"] is None  # a minor
    assert found[5]["calls_10086_count_7d"] is None  # refused profiling
    assert found[1]["visits_count_30d"] is None  # nothing has ever arrived of e-channels: unknown, not 0
    assert found[1]["complaints_count_30d"] is None

    # the next night sees what came late, and the call of D
    tomorrow = night(D + dt.timedelta(days=1))
    partials.run(tomorrow)
    snapshot.run(tomorrow)
    after = features(tomorrow, tomorrow.date)
    assert after[1]["calls_10086_count_7d"] == 3  # the late one too; nothing is delivered of 9 January, so it stays out
    assert after[1]["contact_in_staleness_days"] == 1
    assert after[1]["city"] == "sz"
    assert after[4]["city"] == "gz"
    # several dates in one pass give the same as one by one; repeating changes nothing
    before = house.lake.arrow("customer_features")
    snapshots.snapshots(house, [D, tomorrow.date])
    key = [("business_date", "ascending"), ("customer_id", "ascending")]
    assert house.lake.arrow("customer_features").sort_by(key).equals(before.sort_by(key))


def test_a_rerun_builds_nothing_and_a_restatement_its_nights_only(house):
    partials.run(house)
    assert partials.run(house).nights_rebuilt == 0
    version = house.lake.version("customer_day_contact_in")
    assert partials.run(house).rows == 0
    assert house.lake.version("customer_day_contact_in") == version

    # 7 January is sent again, tonight, with another call: the old night loses its rows, tonight gains
    jan7, again = dt.date(2026, 1, 7), cut_off(D) - 2 * TICK
    ledger = house.lake.arrow("ops_delivery").to_pylist()
    for row in ledger:
        if row["delivery_id"] == "d7":
            row["state"] = "replaced"
    write(house, "ops_delivery", [*ledger, delivery("d7b", "hotline_call_gz", jan7, again)])
    calls = [row for row in house.lake.arrow("contact").to_pylist() if row["delivery_id"] != "d7"]
    calls += [call(1, start_of_day(jan7), again, "d7b"), call(1, start_of_day(jan7) + TICK, again, "d7b", "bill")]
    write(house, "contact", calls)
    figures = partials.run(house)
    assert figures.families_rebuilt == 1
    assert figures.nights_rebuilt == 2
    restated = house.lake.arrow("customer_day_contact_in")
    snapshot.run(house)
    assert features(house)[1]["calls_10086_count_7d"] == 3
    assert features(house)[1]["calls_bill_count_30d"] == 1

    # equal to a build from scratch
    house.lake.replace_arrow("partial_source", house.lake.arrow("partial_source").slice(0, 0))
    partials.run(house)
    key = [(name, "ascending") for name in ("business_date", "customer_id", "day", "feed", "inputs", "at")]
    assert house.lake.arrow("customer_day_contact_in").sort_by(key).equals(restated.sort_by(key))


def test_boundary_examples_hold_and_the_probe_finds_no_leak(house):
    results = check_features(house)
    assert [fault for result in results for fault in result["faults"]] == []
    assert sum(result["examples"] for result in results) > 500
    told = preview_feature(house, "calls_10086_count_30d")
    assert told["leaks"] is False
    assert told["greatest"] == 2


def test_a_preview_ends_its_windows_where_the_last_good_data_ends(house):
    """A monthly family on 9 January is about December: its windows do not end in a month without data."""
    bill = {
        "customer_id": 1,
        "event_time": start_of_day(dt.date(2025, 12, 31)),
        "arrived_at": cut_off(dt.date(2026, 1, 5)),
        "kind": "data",
        "bytes": 7 << 20,
        "roaming": "none",
        "schema": "usage_month",
        "feed": "usage_month_full",
        "data_date": dt.date(2025, 12, 31),
        "delivery_id": "m",
        "line": 1,
    }
    family = house.catalogue.features.family("usage_month")
    feed = sorted(feeds_of(family, house.catalogue))[0]
    ledger = house.lake.arrow("ops_delivery").to_pylist()
    write(house, "ops_delivery", [*ledger, delivery("m", feed, dt.date(2025, 12, 31), cut_off(dt.date(2026, 1, 5)))])
    write(house, "usage", [bill | {"feed": feed}])
    assert preview_feature(house, "data_mb_sum_30d")["greatest"] == 7


def test_the_examples_catch_a_wrong_filter(house):
    declared = house.catalogue.features
    family = declared.family("contact_in")
    said = family.model_dump()["inputs"]
    wrong = family.inputs[0].model_copy(update={"where": "channel = '12580'"})
    broken = Family.model_validate(family.model_dump() | {"inputs": [wrong.model_dump(), *said[1:]]})
    from features.store.preview import check_family

    assert "the example gives None" in check_family(house, broken)["faults"][0]


def test_known_on_is_the_first_night_that_may_see_it():
    assert first_night_of(cut_off(D) - TICK) == D
    assert first_night_of(cut_off(D)) == D + dt.timedelta(days=1)


def test_changed_names_lost_and_new_nights():
    a, b = partials.Content("a", 1), partials.Content("b", 1)
    wanted = {("x", D): a, ("y", D): b}
    held = {("x", D): a, ("y", D): a, ("z", D): a, ("z", D + dt.timedelta(days=1)): a}
    assert find_changed_nights(wanted, held, D) == {"y": [D], "z": [D]}


def test_profile_of_a_snapshot(house, night):
    partials.run(house)
    snapshot.run(house)
    rows = house.lake.arrow("feature_profile", partition={"business_date": D})
    calls = rows.filter(pc.equal(rows["feature"], "calls_10086_count_7d")).to_pylist()[0]
    assert (calls["customers"], calls["missing"], calls["zeros"]) == (3, 2, 0)
    assert calls["family"] == "contact_in"


def test_a_training_set_as_known_then_and_as_known_now(house, night, tmp_path):
    tomorrow = night(D + dt.timedelta(days=1))
    for made in (house, tomorrow):
        partials.run(made)
        snapshot.run(made)
    labels = [
        {
            "decision_id": f"d{customer}",
            "run_id": "r",
            "business_date": D,
            "customer_id": customer,
            "role": "explore",
            "pscore": 0.5,
            "ordered": 0,
            "margin_micro": 7,
            "matured": customer != 2,
        }
        for customer in (1, 2, 5, 99)
    ]
    write(tomorrow, "outcome", labels)
    then = training_set.recipe(tomorrow, D, D, ["calls_10086_count_7d", "city"], "then")
    figures = training_set.write(tomorrow, then, tmp_path / "then")
    assert (figures["rows"], figures["snapshots"]) == (2, 1)  # 2 has not matured, 99 was no customer
    found = {row["customer_id"]: row for row in pq.read_table(tmp_path / "then" / "rows.parquet").to_pylist()}
    assert found[1]["calls_10086_count_7d"] == 2  # what the night of D could see
    assert found[5]["calls_10086_count_7d"] is None  # refused profiling
    now = training_set.recipe(tomorrow, D, D, ["calls_10086_count_7d", "city"], "now")
    training_set.write(tomorrow, now, tmp_path / "now")
    learned = {row["customer_id"]: row for row in pq.read_table(tmp_path / "now" / "rows.parquet").to_pylist()}
    assert learned[1]["calls_10086_count_7d"] == 3  # the call of 8 January that came after the cut-off
    assert (found[1]["city"], learned[1]["city"]) == ("gz", "zh")  # so with the profile that came late
    assert sorted(file.name for file in (tmp_path / "now").iterdir()) == ["recipe.json", "rows.parquet"]

    # the tables go on; the recipes give the same bytes
    write(tomorrow, "outcome", [*labels, {**labels[0], "decision_id": "d0", "margin_micro": 8}])
    partials.run(house)
    snapshots.snapshots(tomorrow, [D])
    for made, name in ((then, "then"), (now, "now")):
        again = training_set.read_recipe(tmp_path / name / "recipe.json")
        assert again == made
        training_set.write(tomorrow, again, tmp_path / "again")
        assert (tmp_path / "again" / "rows.parquet").read_bytes() == (tmp_path / name / "rows.parquet").read_bytes()


def test_a_recipe_keeps_the_snapshots_there_were(house, night, tmp_path):
    """A snapshot made later, nearer to the labels, is not what the set was made of."""
    later, label = night(D + dt.timedelta(days=3)), D + dt.timedelta(days=1)
    partials.run(house)
    snapshot.run(house)
    decided = {
        "decision_id": "d1",
        "run_id": "r",
        "business_date": label,
        "customer_id": 1,
        "role": "explore",
        "pscore": 0.5,
        "ordered": 0,
        "margin_micro": 7,
        "matured": True,
    }
    write(later, "outcome", [decided])
    made = {known: training_set.recipe(later, label, label, ["city"], known) for known in ("then", "now")}
    for known, recipe in made.items():
        training_set.write(later, recipe, tmp_path / known)
    snapshots.snapshots(later, [label])
    for known, recipe in made.items():
        training_set.write(later, recipe, tmp_path / "again")
        again, before = (pq.read_table(tmp_path / name / "rows.parquet") for name in ("again", known))
        assert again["snapshot_date"].to_pylist() == [D]
        assert again.equals(before)


def test_what_no_training_set_can_be_made_of(house, tmp_path):
    with pytest.raises(UserError, match="no feature 'nonsense'"):
        training_set.recipe(house, D, D, ["nonsense"], "then")
    with pytest.raises(UserError, match="that models may use"):
        training_set.recipe(house, dt.date(2026, 1, 1), dt.date(2026, 1, 2), ["profiled"], "then")
    with pytest.raises(UserError, match="labels from"):
        training_set.recipe(house, D, D, [], "then")
    empty = training_set.recipe(house, dt.date(2026, 1, 1), dt.date(2026, 1, 2), [], "then")
    with pytest.raises(UserError, match="no labels between the days"):
        training_set.write(house, empty, tmp_path)
    (tmp_path / "recipe.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="no recipe"):
        training_set.read_recipe(tmp_path / "recipe.json")
