"""A channel's list is pulled again before its wave: without who was stopped since, and it is kept who took it."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import campaigns
from jobs import publish
from runtime.night import Night
from serving import store as serving
from serving.publication import publication_folder

pytestmark = pytest.mark.whole


def test_a_wave_leaves_out_who_was_stopped_since_and_keeps_who_took_it(
    planned: Callable[..., Night], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    night = planned(verdict={"accepted": True, "gap": 1e-5})
    monkeypatch.setattr(campaigns, "open_night", lambda date, env: night)
    publish.publish(night, ["files", "store"])
    others = {path.name: path.read_bytes() for path in publication_folder(night).glob("*.csv")}
    with serving.connect(night.settings) as store:
        store.execute("INSERT INTO cpc.stop (customer_id) VALUES (4)")
    out = tmp_path / "sms.csv"

    def call(*words: str) -> str:
        result = CliRunner().invoke(campaigns.app, ["campaigns", *words, "--date", str(night.date), "--json"])
        assert result.exit_code == 0, result.exception
        return result.output

    facts = json.loads(call("fetch", "sms_hall", "--out", str(out), "--why", "wave of 10:00"))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with out.open(encoding="utf-8-sig", newline="") as file:
        people = {row["decision_id"].rsplit("-", 1)[1] for row in csv.DictReader(file)}
    assert len(people) == facts["rows"] > 0
    assert "4" not in people
    now = {path.name: path.read_bytes() for path in publication_folder(night).glob("*.csv")}
    assert now.keys() == others.keys()
    assert {name for name in now if now[name] != others[name]} == {"contacts-sms_hall.csv"}
    state = json.loads(call("list"))
    [taken] = state["fetched"]
    assert (taken["release"], taken["why"], taken["sha256"]) == (2, "wave of 10:00", facts["sha256"])
    assert taken["who"]
    assert [wave["release"] for wave in state["releases"]] == [1, 2]
    assert len({file["campaign_id"] for wave in state["releases"] for file in wave["files"]}) == len(now)

    for wrong, words in (
        (("fetch", "fax", "--out", str(out), "--why", "x"), "no channel 'fax'"),
        (("fetch", "sms_hall", "--out", str(out), "--why", " "), "needs its purpose"),
    ):
        result = CliRunner().invoke(campaigns.app, ["campaigns", *wrong, "--date", str(night.date)])
        assert words in str(result.exception)
