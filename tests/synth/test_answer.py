"""Answers to a published plan: files that are taken in whole, the same bytes again, decisions that come back."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from conf.errors import UserError
from jobs import ingest, scan
from runtime.night import Night
from synth.answer import answer, feeds_of, main
from tests.synth.answered import DAY, Box, make_box, read_bytes

pytestmark = pytest.mark.whole
NEXT = DAY + dt.timedelta(1)


def take_in(box: Box, landing: Path, date: dt.date = NEXT) -> Night:
    """Load what has landed."""
    night = Night(date, box.home.settings, landing)
    scan.run(night)
    ingest.run(night)
    return night


def test_every_delivery_is_accepted_and_carries_its_decision_back(box: Box, tmp_path: Path) -> None:
    run_id = box.publish()
    summary = answer(box.night(), run_id, tmp_path / "out")
    night = take_in(box, tmp_path / "out")
    rows = night.lake.arrow("ops_delivery").to_pylist()
    assert {row["code"] for row in rows} == {"00"}
    assert {row["feed"] for row in rows} == set(feeds_of(box.world.plan, every_feed=False))
    assert {row["data_date"] for row in rows} == {DAY}
    assert sum(row["quarantined"] for row in rows) == 0
    contacted = {f"{run_id}:{box.customer_id(p)}" for p in range(0, box.world.size, 2)}
    told = night.lake.arrow("raw_contact_result").to_pylist()
    assert len(told) == summary["contacts"] > 300
    assert {row["decision_ref"] for row in told} <= contacted
    assert sum(row["is_reached"] for row in told) == summary["reached"]
    assert sum(row["attempt_result"] == "accepted" for row in told) == summary["converted"] > 0
    orders = night.lake.arrow("raw_product_order").to_pylist()
    assert len(orders) == summary["orders"] + summary["cancellations"]
    named = {row["answers_decision"] for row in orders} - {None}
    assert named
    assert named <= contacted
    replies = [
        row[name]
        for table, name in (("raw_sms_reply", "replied_decision"), ("raw_campaign_answer", "answer_decision"))
        for row in night.lake.arrow(table, columns=[name]).to_pylist()
        if row[name]
    ]
    assert len(replies) == summary["replies"] > 0
    assert set(replies) <= contacted


def test_the_same_command_gives_the_same_bytes_and_another_seed_others(box: Box, tmp_path: Path) -> None:
    run_id = box.publish()
    answer(box.night(), run_id, tmp_path / "one")
    first = read_bytes(tmp_path / "one")
    answer(box.night(), run_id, tmp_path / "two")
    assert read_bytes(tmp_path / "two") == first
    answer(box.night(), run_id, tmp_path / "one")
    assert read_bytes(tmp_path / "one") == first
    shutil.rmtree(box.home.landing / "truth")
    other = make_box(box.home, seed=8)
    other.publish()
    answer(other.night(), run_id, tmp_path / "three")
    again = read_bytes(tmp_path / "three")
    changed = [name for name, content in first.items() if again.get(name) != content]
    assert any(name.endswith(".AVL.gz") or name.endswith(".dat") or ".AVL" in name for name in changed)
    assert len(changed) > 20


def test_what_a_contact_causes_later_comes_on_its_day(box: Box, tmp_path: Path) -> None:
    first, second = box.publish(), box.publish(NEXT, "ba9876543210", step=3)
    answer(box.night(), first, tmp_path / "out")
    answer(box.night(NEXT), second, tmp_path / "out")
    night = take_in(box, tmp_path / "out", NEXT + dt.timedelta(1))
    rows = night.lake.arrow("raw_product_order").to_pylist()
    late = [row for row in rows if row["data_date"] == NEXT and (row["answers_decision"] or "").startswith(first)]
    assert late
    assert {row["data_date"] for row in night.lake.arrow("raw_contact_result").to_pylist()} == {DAY, NEXT}
    runs = json.loads((tmp_path / "out" / "truth" / "answers" / str(NEXT) / "runs.json").read_text())
    assert runs == {str(DAY): first, str(NEXT): second}


def test_the_truth_tells_what_each_decision_caused(box: Box, tmp_path: Path) -> None:
    run_id = box.publish()
    summary = answer(box.night(), run_id, tmp_path / "out")
    truth = tmp_path / "out" / "truth" / "answers" / str(DAY)
    caused = pq.read_table(truth / "decision.parquet").to_pandas()
    assert caused["decision_id"].str.startswith(run_id).all()
    assert caused["margin_micro"].sum() / 1e6 == pytest.approx(summary["caused_margin_yuan"], abs=0.01)
    assert caused["orders"].sum() > 0
    orders = pq.read_table(truth / "order.parquet").to_pandas()
    assert set(orders["decision_id"].dropna()) >= set(caused.loc[caused["orders"] > 0, "decision_id"])
    assert {"lapsed", "twin_lapsed"} <= set(orders)


def test_every_feed_may_be_written(box: Box, tmp_path: Path) -> None:
    answer(box.night(), box.publish(), tmp_path / "out", every_feed=True)
    night = take_in(box, tmp_path / "out")
    rows = night.lake.arrow("ops_delivery").to_pylist()
    assert {row["code"] for row in rows} == {"00"}
    daily = {code for code, feed in box.world.plan.catalogue.feeds.items() if feed.granularity != "monthly"}
    assert {row["feed"] for row in rows} == daily
    assert sum(row["quarantined"] for row in rows) == 0


def test_what_cannot_be_answered_is_said(box: Box, tmp_path: Path) -> None:
    run_id, out = box.publish(), tmp_path / "out"
    with pytest.raises(UserError, match="told by the province's own files"):
        answer(box.night(DAY - dt.timedelta(1)), run_id, out)
    answer(box.night(), run_id, out)
    path = next(p for p in sorted(out.iterdir()) if p.suffix == ".dat")
    path.write_bytes(b"another")
    with pytest.raises(UserError, match="answered otherwise"):
        answer(box.night(), run_id, out)
    landing = box.home.landing / "truth"
    orders = pq.read_table(landing / "order.parquet")
    pq.write_table(orders.slice(1), landing / "order.parquet")
    with pytest.raises(UserError, match="cannot be lived again"):
        answer(box.night(), run_id, tmp_path / "other")
    (landing / "province.json").unlink()
    with pytest.raises(UserError, match="is not known"):
        answer(box.night(), run_id, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_command_line_answers_and_tells_what_is_wrong(
    box: Box, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = box.publish()
    monkeypatch.delenv("CPC_HOME")
    home = str(box.home.settings.home)
    assert main(["--run", run_id, "--out", str(tmp_path / "out"), "--home", home, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == run_id
    assert main(["--run", run_id, "--out", str(tmp_path / "out"), "--home", home, "--days", "0"]) == 2
    assert "--days" in capsys.readouterr().err
    assert main(["--run", "nosuch", "--out", str(tmp_path / "out"), "--home", home]) == 2
    assert "is no run" in capsys.readouterr().err
