"""A delivery is in the table once, whole, whatever is repeated, resent, killed or done at the same time."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jobs import ingest, scan
from jobs.ingest.deliveries import Delivery, identify, survey
from jobs.ingest.task import Loader
from runtime.night import Night
from tests.jobs.ingest.conftest import CREATED, DAY, Desk

FEEDS = ["plain_avl", "packed_avl", "gzip_avl", "parts_verf", "fixed_verf", "strict_vgop", "day_json"]


@pytest.mark.parametrize("feed", FEEDS)
def test_every_dialect_is_loaded_and_again_changes_nothing(desk: Desk, feed: str) -> None:
    desk.send(feed, [1, 2, 3])
    assert desk.load()["rows"] == 3
    assert desk.rows("no", "word", "file", "line")[0][1] == "東個"
    before, version = desk.state(), desk.night().lake.version("raw_every")
    assert desk.load()["files"] == 0
    assert desk.state() == before
    assert desk.night().lake.version("raw_every") == version


def test_the_same_content_under_a_later_creation_time_is_16(desk: Desk) -> None:
    desk.send("plain_avl", [1, 2])
    desk.load()
    [data, _] = desk.send("plain_avl", [1, 2], created=CREATED + dt.timedelta(minutes=5))
    assert desk.load()["codes"] == {"16": 1}
    assert desk.numbers("plain_avl") == [1, 2]
    assert desk.verdicts(data.name) == [("00", "accepted", 2), ("16", "duplicate", 0)]  # what was accepted stays so
    assert data.exists()  # a duplicate stays where it is
    assert desk.load()["files"] == 0


def test_the_same_resend_number_with_other_content_is_97(desk: Desk) -> None:
    desk.send("parts_verf", [1, 2])
    desk.load()
    files = desk.send("parts_verf", [8, 9], created=CREATED + dt.timedelta(minutes=5))
    assert desk.load()["codes"] == {"97": 2}
    assert desk.numbers("parts_verf") == [1, 2]
    assert not files[0].exists()
    assert (desk.settings.home / "rejected" / "parts_verf" / files[0].name).is_file()


@pytest.mark.parametrize("feed", FEEDS)
def test_a_resend_replaces_its_feed_and_date_and_leaves_its_siblings(desk: Desk, feed: str) -> None:
    sibling = "gzip_avl" if feed == "plain_avl" else "plain_avl"
    desk.send(sibling, [50])
    desk.send(feed, [60], day=DAY - dt.timedelta(1))
    desk.send(feed, [1, 2, 3])
    desk.load()
    desk.send(feed, [2, 4], resend=1)
    figures = desk.load()
    assert figures["replaced"] == 1
    assert desk.numbers(feed) == [2, 4, 60]
    assert desk.numbers(sibling) == [50]
    states = [state for _, state in desk.ledger().values()]
    assert states.count("replaced") == (2 if feed == "parts_verf" else 1)  # a record of both is left


def test_a_resend_number_not_above_the_last_and_the_fourth_are_97(desk: Desk) -> None:
    desk.send("parts_verf", [1], resend=2)
    desk.load()
    desk.send("parts_verf", [2], resend=1)
    desk.send("parts_verf", [3], resend=4)
    assert desk.load()["codes"] == {"97": 4}  # two parts each
    assert desk.numbers("parts_verf") == [1]


@pytest.mark.parametrize("feed", ["plain_avl", "day_json"])
def test_of_dialects_without_resend_numbers_three_are_taken(desk: Desk, feed: str) -> None:
    for number in (0, 1, 5, 9):
        desk.send(feed, [number], resend=number)
        desk.load()
    assert desk.numbers(feed) == [9]
    desk.send(feed, [12], resend=12)
    assert desk.load()["codes"] == {"97": 1}
    assert desk.numbers(feed) == [9]


def test_a_higher_batch_replaces_it_whole(desk: Desk) -> None:
    folder = desk.night().landing
    for batch, lines in (("000001", b"1$$$$$$$\n"), ("000002", b"2$$$$$$$\n3$$$$$$$\n")):
        name = f"p3000120260108{batch}"
        (folder / f"{name}.AVL").write_bytes(lines)
        said = f"{name}.AVL${len(lines)}${lines.count(b'2') + 1}$20260108$20260109013000$\n"
        (folder / f"{name}.CHK").write_text(said)
        desk.load()
    assert desk.numbers("plain_avl") == [2, 3]


def test_two_sendings_in_one_load_end_with_the_last(desk: Desk) -> None:
    desk.send("plain_avl", [1, 2])
    desk.send("plain_avl", [3], resend=1)
    desk.load()
    assert desk.numbers("plain_avl") == [3]
    root = desk.night().lake.path("raw_every")
    assert len(list(root.rglob("*.parquet"))) == 1  # what nobody will see is not left lying about


def test_an_older_date_that_comes_later_is_added(desk: Desk) -> None:
    desk.send("plain_avl", [1])
    desk.load()
    desk.send("plain_avl", [2], day=DAY - dt.timedelta(5), created=CREATED)
    desk.load()
    assert desk.rows("data_date", "no") == [(DAY - dt.timedelta(5), 2), (DAY, 1)]


def test_hours_are_keys_of_their_own(desk: Desk) -> None:
    for hour in (8, 9):
        desk.send("hour_json", [hour * 10], hour=hour)
    desk.load()
    desk.send("hour_json", [81, 82], hour=8, resend=1)
    desk.load()
    assert desk.rows("hour", "no") == [(8, 81), (8, 82), (9, 90)]


def test_a_month_is_its_last_day(desk: Desk) -> None:
    desk.send("month_avl", [1], day=dt.date(2025, 12, 31))
    desk.load()
    assert desk.rows() == [("month_avl", dt.date(2025, 12, 31), 1)]


def test_a_resend_that_is_empty_empties_its_date(desk: Desk) -> None:
    desk.send("plain_avl", [1])
    desk.load()
    desk.send("plain_avl", [], resend=1)
    desk.load()
    assert desk.numbers("plain_avl") == []
    assert desk.load()["files"] == 0


def test_what_arrives_after_the_cut_off_waits_for_the_next_night(desk: Desk) -> None:
    desk.send("plain_avl", [1], created=CREATED + dt.timedelta(hours=4))
    assert desk.load()["files"] == 0
    assert desk.load(DAY + dt.timedelta(2))["codes"] == {"94": 1}


# -- at the same time, and killed --------------------------------------------------------------------------------


def works_of(night: Night) -> list[Delivery]:
    """What the night would load if nothing had been loaded yet."""
    feeds, schemas = night.catalogue.feeds, night.catalogue.schemas
    return ingest.pending(ingest.visible(night, "*"), {}, feeds, schemas, night.cut_off)[0]


def loaded(desk: Desk) -> list[Any]:
    """The night's deliveries as tasks leave them: written, not published."""
    night = desk.night()
    scan.run(night)
    works = works_of(night)
    return ingest.judge(ingest.read_all(night, works), {})[0]


def test_the_same_delivery_published_twice_in_a_row_is_there_once(desk: Desk) -> None:
    desk.send("plain_avl", [1, 2])
    night = desk.night()
    ingest.publish(night, loaded(desk))
    version = night.lake.version("raw_every")
    ingest.publish(night, loaded(desk))  # its files are other files with the same rows
    assert desk.numbers("plain_avl") == [1, 2]
    assert night.lake.version("raw_every") == version
    assert len(list(night.lake.path("raw_every").rglob("*.parquet"))) == 1


def test_published_by_several_at_the_same_time_it_is_there_once(desk: Desk) -> None:
    desk.send("plain_avl", [1, 2])
    desk.send("gzip_avl", [3])
    attempts = [loaded(desk) for _ in range(4)]
    lake = desk.night().lake
    lake.delta("raw_every")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda group: ingest.publish_table(lake, "every", group), attempts))
    assert desk.numbers("plain_avl") == [1, 2]
    assert desk.numbers("gzip_avl") == [3]


def test_other_content_with_the_ordinal_of_a_lost_load_is_not_skipped(desk: Desk) -> None:
    # killed after the table's commit and before the ledger; meanwhile a resend has come
    desk.send("plain_avl", [1, 2])
    ingest.publish(desk.night(), loaded(desk))
    desk.send("plain_avl", [7], resend=1)
    desk.load()
    assert desk.numbers("plain_avl") == [7]


STEPS = ["read_all", "judge", "publish_table", "_merge", "_keep_numbers", "keep_ledger", "report", "set_aside"]
KILL = """
import datetime as dt, os, signal, sys
from jobs import ingest, scan
from conf.settings import load_settings
from tests.jobs.ingest.conftest import SmallNight
settings = load_settings("local")
night = SmallNight(dt.date(2026, 1, 9), settings, settings.landing)
step, when = sys.argv[1:]
real = getattr(ingest, step)
def die(*given, **named):
    if when == "after":
        real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(ingest, step, die)
scan.run(night)
ingest.run(night)
"""


def fill(desk: Desk) -> None:
    desk.send("plain_avl", [1, 2])
    desk.load()
    desk.send("plain_avl", [2, 3], resend=1)
    desk.send("strict_vgop", list(range(60)), raw={7: b"\xff"})
    desk.send("day_json", [9])
    desk.send("fixed_verf", [])


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_and_run_again_it_ends_as_undisturbed(desks: Any, step: str, when: str) -> None:
    calm = desks("calm")
    fill(calm)
    calm.load()
    killed = desks("killed")
    fill(killed)
    environment = {**os.environ, "CPC_HOME": str(killed.settings.home), "CPC_PSEUDONYM_KEY": "00" * 32}
    done = subprocess.run([sys.executable, "-c", KILL, step, when], env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-800:]
    killed.load()
    assert killed.state() == calm.state()
    outbox = {p.name: p.read_bytes() for p in (killed.settings.home / "outbox").iterdir()}
    assert outbox == {p.name: p.read_bytes() for p in (calm.settings.home / "outbox").iterdir()}


def test_spans_end_in_the_same_table_as_one_read(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    desk.send("strict_vgop", [*range(400), 5], raw={300: b"\xff"})
    night = desk.night()
    scan.run(night)
    [work] = works_of(night)
    loader = Loader(night.landing, tmp_path / "lake", tmp_path / "spool", b"k" * 32)
    whole = loader.load(work)
    monkeypatch.setattr("jobs.ingest.deliveries.SPAN", 3_000)
    monkeypatch.setattr("jobs.ingest.deliveries._BLOCK", 1_000)
    monkeypatch.setattr("dialects.streams.PIECE", 700)
    looked = survey(work, night.landing)
    assert len(looked.spans) > 5
    name = identify(work, looked.sha256)
    parts = [loader.read(span, name, spooled=True) for span in looked.spans]
    cut = loader.settle(work, looked, parts)
    assert (cut.rows, cut.aside, cut.measures) == (whole.rows, whole.aside, whole.measures)
    assert cut.refused == whole.refused
    assert [one.code for _, one in cut.refused] == [6, 5]  # the key of the sixth line, four hundred lines on
    assert not list((tmp_path / "spool").iterdir())
