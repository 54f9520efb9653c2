"""``cpc feeds``: the catalogue with its readers, a night's state of all 242 feeds, a draft from a sample."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.feeds import _words, app
from cli.output import console
from conf.dates import cut_off
from conf.errors import UserError
from conf.feed import Feed
from conf.schema import Schema
from features.anchor import feeds_of
from reporting import feed_status
from runtime.night import Night
from tests.dialects.conftest import feed_of, rows_of, schema_of
from tests.fixtures.catalogue import frozen
from tests.nights.published import put

D = dt.date(2026, 1, 9)
DAY = D - dt.timedelta(1)


def call(*arguments: str) -> Any:
    """What a command prints as JSON."""
    done = CliRunner().invoke(app, ["feeds", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_list_tells_who_reads_each_feed(settings: Any) -> None:
    rows = call("list")
    assert len(rows) == 242
    unread = call("list", "--unread")
    assert unread == [row for row in rows if not row["reads_it"]]
    assert 0 < len(unread) <= 242 / 5


def test_most_feeds_reach_a_declared_feature() -> None:
    catalogue = frozen()
    declared = [family for family in catalogue.features.families if family.inputs]
    reached = {code for family in declared for code in feeds_of(family, catalogue)}
    assert len(reached) >= 120
    told = feed_status.readers(catalogue)
    assert all("→" in "".join(told[catalogue.feeds[code].schema_name]) for code in reached)


def test_check_counts_the_catalogue(settings: Any) -> None:
    told = call("check")
    assert (told["feeds"], told["hotline"], told["echannel"]) == (242, 204, 38)
    assert told["schemas"] >= 60
    assert told["unused"] == []


def delivery(feed: str, day: dt.date = DAY, **more: Any) -> dict[str, Any]:
    """A row of the ledger."""
    arrived = cut_off(day + dt.timedelta(1)) - dt.timedelta(hours=3)
    return {
        "delivery_id": feed,
        "feed": feed,
        "data_date": day,
        "hour": -1,
        "resend": 0,
        "ordinal": 1,
        "file": f"{feed}.dat",
        "loaded": 7,
        "quarantined": 1,
        "code": "00",
        "state": "accepted",
        "arrived_at": arrived,
        **more,
    }


def found(feed: str, **more: Any) -> dict[str, Any]:
    """A row of the landing table."""
    return {"feed": feed, "data_date": DAY, "hour": -1, "file": f"{feed}.dat", "path": "x", "state": "ready", **more}


@pytest.fixture
def daily() -> list[str]:
    """Daily feeds, due before the cut-off."""
    feeds = frozen().feeds.items()
    return sorted(code for code, feed in feeds if feed.granularity == "daily" and feed.stand_in_days >= 1)


def test_the_status_has_a_row_a_feed_whatever_became_of_it(
    night: Callable[..., Night], daily: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = night(D)
    good, refused, late, waiting, old, *_ = daily
    hourly = next(code for code, feed in made.catalogue.feeds.items() if feed.granularity == "hourly")
    put(
        made,
        "ops_delivery",
        [
            delivery(good),
            delivery(refused, code="11", state="refused", ordinal=0, loaded=0, reason="bytes"),
            delivery(refused, DAY - dt.timedelta(1), delivery_id="old"),
            delivery(old, DAY - dt.timedelta(1)),
            *(delivery(hourly, delivery_id=f"h{hour}", file=f"h{hour}", hour=hour) for hour in range(3)),
        ],
    )
    put(
        made,
        "landing",
        [
            found(late, arrived_at=cut_off(D) + dt.timedelta(minutes=1)),
            found(waiting, state="waiting", reason="no control file yet"),
            {**found("stray"), "feed": None, "state": "unknown", "file": "notes.txt"},
        ],
    )
    rows = {row["feed"]: row for row in call("status", "--date", str(D))}
    assert len(rows) == 242
    assert {rows[code]["state"] for code in (good, refused, late, waiting, old)} == {
        "loaded",
        "refused",
        "late",
        "waiting",
        "missing",
    }
    assert (rows[good]["rows"], rows[good]["quarantined"], rows[good]["code"]) == (7, 1, "00")
    assert (rows[refused]["code"], rows[refused]["stand_in"]) == ("11", str(DAY - dt.timedelta(1)))
    assert rows[waiting]["code"] == "01"
    assert rows[old]["stand_in"] == str(DAY - dt.timedelta(1))
    assert (rows[hourly]["state"], rows[hourly]["periods_loaded"], rows[hourly]["periods"]) == ("partly", 3, 24)
    monkeypatch.setattr(console, "width", 250)
    spoken = CliRunner().invoke(app, ["feeds", "status", "--date", str(D)])
    assert refused in spoken.output
    assert good not in spoken.output  # what is loaded is not news
    assert "notes.txt" in spoken.output


def test_the_status_of_several_nights(night: Callable[..., Night]) -> None:
    rows = call("status", "--date", str(D), "--days", "2")
    assert Counter(row["night"] for row in rows) == {"2026-01-08": 242, "2026-01-09": 242}


def test_show_tells_contract_readers_and_deliveries(night: Callable[..., Night]) -> None:
    put(night(D), "ops_delivery", [delivery("hotline_call_gz")])
    told = call("show", "hotline_call_gz")
    assert told["feed"]["schema"] == told["schema"]["name"] == "hotline_call"
    assert told["reads_it"]
    assert [row["loaded"] for row in told["deliveries"]] == [7]


def test_an_unknown_feed_is_mendable(settings: Any) -> None:
    done = CliRunner().invoke(app, ["feeds", "show", "hotline_nothing"])
    assert done.exit_code != 0
    assert "did you mean: consent_hotline, hotline_call_12580" in str(getattr(done.exception, "remedy", ""))


@pytest.mark.parametrize("form", ["avl_gz", "avl_z", "verf", "verf_fixed", "vgop", "jsonl_zst"])
def test_a_draft_from_a_sample_is_a_valid_feed_that_reads_it(settings: Any, tmp_path: Path, form: str) -> None:
    from dialects import pieces, read, write_delivery

    feed, count = feed_of(form), 40
    rows = rows_of(
        no=list(range(1, count + 1)),
        phone=[f"100{n:08d}" for n in range(count)],
        word=["東個"] * count,
        kind=["a", "b"] * (count // 2),
        day=[DAY] * count,
        whole=list(range(count)),
        share=[0.5] * count,
        small=[1] * count,
        at=[dt.datetime(2026, 1, 8, tzinfo=dt.UTC)] * count,
        flag=[True] * count,
    )
    [sample, *_] = write_delivery(feed, schema_of(), rows, tmp_path / "sent", DAY)
    out = tmp_path / "drafts"
    done = CliRunner().invoke(app, ["feeds", "new", str(sample), "--out", str(out), "--name", "drafted"])
    assert done.exit_code == 0, done.output
    drafted = Feed.model_validate(yaml.safe_load((out / "feeds/hotline/drafted.yml").read_text()))
    schema = Schema.model_validate(yaml.safe_load((out / "schemas/drafted.yml").read_text()))
    assert (drafted.dialect, drafted.layout, drafted.compression) == (feed.dialect, feed.layout, feed.compression)
    kept = [read(drafted, schema, piece, lambda numbers: numbers.cast("binary")) for piece in pieces(sample)]
    assert sum(part.table.num_rows for part in kept) == count, [part.refused[:1] for part in kept]
    again = CliRunner().invoke(app, ["feeds", "new", str(sample), "--out", str(out), "--name", "drafted"])
    assert again.exit_code != 0  # never overwritten


def attempt(*arguments: object) -> Any:
    """``cpc feeds new``: its result."""
    return CliRunner().invoke(app, ["feeds", "new", *map(str, arguments)])


def test_a_draft_is_read_back_before_it_is_written(settings: Any, tmp_path: Path) -> None:
    sample, out = tmp_path / "tickets.csv", tmp_path / "conf"
    label, word = next(iter(_words(frozen()).items()))  # as the catalogue calls it
    sample.write_text(f"{label},手机牌子,at\n" + "".join(f"T{n},B{n % 3},2026/1/{n}\n" for n in range(1, 31)))
    told = json.loads(attempt(sample, "--out", out, "--json").stdout)
    assert (told["records read"], told["records set aside"], told["drafted"]) == (30, 0, True)
    assert (out / "feeds/hotline/tickets.yml").read_text() == told["feed_yaml"]
    schema = yaml.safe_load(told["schema_yaml"])
    assert [one["name"] for one in schema["fields"]] == [word, "field_2", "at"]
    assert [one.get("alias") for one in schema["fields"]] == [label, "手机牌子", None]


def test_a_sample_that_cannot_be_declared_is_told_and_nothing_is_written(settings: Any, tmp_path: Path) -> None:
    sample, out = tmp_path / "notes.csv", tmp_path / "conf"
    sample.write_text("".join(f'{n},"two\nlines"\n' if n % 5 == 0 else f'{n},"a,b"\n' for n in range(1, 41)))
    done = attempt(sample, "--out", out)
    assert isinstance(done.exception, UserError)
    assert done.exception.what.startswith("the draft reads 32 of 48 records: quotes do not enclose one field")
    assert done.exception.where == f"{sample}, line 5, byte 32"
    assert "one whole record a line" in done.exception.remedy
    assert "set aside: 8 records" in done.output
    assert not out.exists()


@pytest.mark.parametrize("there", ["feeds/hotline/x.yml", "schemas/x.yml"])
def test_what_is_there_is_not_overwritten_and_nothing_else_is_written(
    settings: Any, tmp_path: Path, there: str
) -> None:
    (tmp_path / "x.dat").write_text("1|a\n2|b\n")
    (tmp_path / "conf" / there).parent.mkdir(parents=True)
    (tmp_path / "conf" / there).write_text("mine")
    done = attempt(tmp_path / "x.dat", "--out", tmp_path / "conf")
    assert isinstance(done.exception, UserError)
    assert "already" in done.exception.what
    assert [path.read_text() for path in (tmp_path / "conf").rglob("*.yml")] == ["mine"]


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("x.dat", ["--name", "hotline_call"], "there is schema hotline_call already"),
        ("x.dat", ["--name", "hotline_call_gz"], "there is feed hotline_call_gz already"),
        ("x.dat", ["--name", "No Good"], "cannot be a code"),
        ("i_10000_20260108_90001_00.verf", [], "no data file"),
    ],
)
def test_a_name_is_checked_first(settings: Any, tmp_path: Path, name: str, options: list[str], says: str) -> None:
    (tmp_path / name).write_text("1|a\n2|b\n")
    done = attempt(tmp_path / name, *options, "--out", tmp_path / "conf")
    assert isinstance(done.exception, UserError)
    assert says in done.exception.what
    assert not (tmp_path / "conf").exists()
