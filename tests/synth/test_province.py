"""The whole province: files of every feed, the same bytes from any number of workers, faults where declared."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from conf.errors import UserError
from conf.preset import load_preset
from synth import Summary, write_province
from synth.deliveries import deliveries, last_date_faults
from synth.emit import table_of
from synth.faults import with_faults
from synth.keyed import stream
from synth.plan import LoggedPlan
from synth.rows import Period
from synth.volume import nightly_bytes, scale_of
from tests.synth.conftest import START, Small, plan_of

pytestmark = pytest.mark.whole


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    out = tmp_path_factory.mktemp("out") / "landing"
    return out, write_province(out, 150, START, 1, 11, "real", workers=1, history_days=62)


def test_all_feeds_send_and_the_truth_is_beside(written: tuple[Path, Summary]) -> None:
    out, summary = written
    plan = LoggedPlan(plan_of().catalogue, load_preset("real"), 150, START, 1, 11, 62)
    absent, _ = last_date_faults(plan)
    assert summary["feeds"] == len(plan.catalogue.feeds) - len(absent) == 241
    assert summary["files"] == len([p for p in out.iterdir() if p.is_file()])
    assert summary["decision_date"] == "2026-01-02"
    truth = pq.read_table(out / "truth" / "response.parquet")
    assert truth.num_rows == summary["truth_rows"] > 0
    assert [p.name for p in out.parent.iterdir()] == ["landing"]
    suffixes = {path.name.split(".", 1)[1] for path in out.iterdir() if path.is_file()}
    assert {"CHK", "verf", "dat", "jsonl.gz", "jsonl.zst", "manifest.json", "AVL.gz", "AVL.Z"} <= suffixes


def test_two_workers_write_the_same_bytes(written: tuple[Path, Summary], tmp_path: Path) -> None:
    out, _ = written
    again = tmp_path / "again"
    write_province(again, 150, START, 1, 11, "real", workers=2, history_days=62)
    assert digest(again) == digest(out)


def test_another_seed_writes_other_bytes(written: tuple[Path, Summary], small: Small) -> None:
    feed = small.plan.catalogue.feeds["usage_data_day"]
    period = Period(small.plan.start_day, small.plan.start_day + 1, small.plan.start_day)
    other = dataclasses.replace(small.world, plan=dataclasses.replace(small.plan, seed=8))
    assert table_of(small.world, feed, period, small.folder) == table_of(small.world, feed, period, small.folder)
    assert table_of(other, feed, period, small.folder) != table_of(small.world, feed, period, small.folder)


def test_files_arrive_between_half_past_midnight_and_the_deadline_but_for_the_late() -> None:
    plan = plan_of(days=8)
    absent, tardy = last_date_faults(plan)
    late = 0
    for d in deliveries(plan):
        feed = plan.catalogue.feeds[d.feed]
        after = d.data_date + dt.timedelta(days=2 if feed.granularity == "monthly" else 1)
        if feed.granularity == "hourly" or d.resend:
            continue
        moment = d.created.replace(tzinfo=None)
        if moment > dt.datetime.combine(after, dt.time(4)):
            late += 1
            assert not feed.required
        else:
            assert dt.datetime.combine(after, dt.time(0, 30)) <= moment
            assert f"{moment:%H:%M}" < feed.deadline
    assert late >= 1
    assert len(absent) == len(tardy) == 1
    last = [d for d in deliveries(plan) if d.period.day == plan.end_day - 1]
    assert not absent & {d.feed for d in last}


def test_a_resend_follows_its_first_sending() -> None:
    plan = plan_of(days=8)
    sent = deliveries(plan)
    again = [d for d in sent if d.resend]
    assert again
    for d in again:
        first = next(o for o in sent if (o.feed, o.period, o.resend) == (d.feed, d.period, 0))
        assert first.restated
        assert first.created < d.created


def test_faults_stay_below_the_threshold(small: Small) -> None:
    catalogue = small.plan.catalogue
    feed = catalogue.feeds["wap_visit"]
    schema = catalogue.schemas[feed.schema_name]
    period = Period(small.plan.start_day, small.plan.start_day + 1, small.plan.start_day)
    table = table_of(small.world, feed, period, small.folder, scale=200)
    faults = small.plan.preset.faults.model_copy(update={"bad_bytes": 0.005, "changed_code": 0.005})
    dirty, raw = with_faults(feed, schema, table, stream(1, "t"), faults)
    assert dirty.num_rows > table.num_rows
    assert raw
    assert all(b"\xff" in line for line in raw.values())
    codes = sum(dirty.column(f.name).to_pylist().count("X9") for f in schema.fields if f.type == "code")
    assert 0 < codes + len(raw) + dirty.num_rows - table.num_rows <= feed.quarantine_threshold * dirty.num_rows


def test_a_small_delivery_has_no_faults(small: Small) -> None:
    feed = small.plan.catalogue.feeds["wap_visit"]
    schema = small.plan.catalogue.schemas[feed.schema_name]
    period = Period(small.plan.start_day, small.plan.start_day + 1, small.plan.start_day)
    table = table_of(small.world, feed, period, small.folder).slice(0, 20)
    assert with_faults(feed, schema, table, stream(1, "t"), small.plan.preset.faults) == (table, {})


def test_bytes_a_day_scale_what_is_free() -> None:
    plan = dataclasses.replace(plan_of(), bytes_per_day=1_000 * plan_of().customers)
    drawn, fixed = nightly_bytes(plan.catalogue)
    assert scale_of(plan, "wap_visit") == pytest.approx((1000 - fixed) / drawn)
    assert scale_of(plan, "usage_data_day") == 1
    assert 150 < drawn + fixed < 400  # about 256 a customer as declared


@pytest.mark.parametrize("arguments", [{"customers": 0}, {"preset": "nosuch"}, {"days": 0}, {"customers": 100_000_000}])
def test_what_cannot_be_is_said(tmp_path: Path, arguments: dict[str, object]) -> None:
    given: dict[str, object] = {"customers": 10, "start": START, "days": 1, "seed": 1, "preset": "real", **arguments}
    with pytest.raises(UserError) as caught:
        write_province(tmp_path / "out", **given)  # type: ignore[arg-type]
    assert caught.value.remedy


def test_a_folder_that_holds_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        write_province(tmp_path, 10, START, 1, 1)


def test_shifts_tell_the_coming_month(small: Small) -> None:
    feed = small.plan.catalogue.feeds["shift_calendar_gz"]
    december = Period(small.plan.start_day - 31, small.plan.start_day, small.plan.start_day - 1)
    days = table_of(small.world, feed, december, small.folder).column("work_day").to_pylist()
    assert (min(days), max(days)) == (dt.date(2026, 1, 1), dt.date(2026, 1, 31))


def test_memory_of_the_world_is_a_few_hundred_bytes_a_customer(small: Small) -> None:
    size = sum(np.asarray(column).nbytes for column in small.world.columns.values())
    assert size / small.world.size < 700
