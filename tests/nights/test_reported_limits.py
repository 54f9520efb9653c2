"""Limits that are reported only: counted over all that is published, told everywhere, kept nowhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from typer.testing import CliRunner

from cli.limits import app
from conf.catalogue import ROOT, Catalogue
from conf.errors import UserError
from conf.offer import Limit
from jobs import assign, prove
from planning.instance.run_folder import certify_run, open_run
from planning.whatif.displayed import show_reported
from planning.whatif.replay import replay
from planning.whatif.whatif import base_of, parse_changes, what_if
from runtime.night import Night
from runtime.run_id import run_id
from tests.nights.decided import tonight_of

pytestmark = pytest.mark.whole

#: One that the plan would break by far, one of money, a share of a segment that no other limit names.
COUNTED = (
    Limit(name="sms_few", at_most=3, where={"channel": "sms_hall"}, reported_only=True),
    Limit(name="spent", at_most=1, counts="cost_micro", unit="micro-yuan", reported_only=True),
    Limit(name="share_seniors", at_least=0, share={"of": {"segment": "senior"}, "percent": 99}, reported_only=True),
)


def declare(monkeypatch: pytest.MonkeyPatch, night: Night, *more: Limit) -> None:
    changed = Catalogue(night.catalogue.root)
    changed.__dict__["limits"] = (*more[:1], *night.catalogue.limits, *more[1:])
    monkeypatch.setattr(Night, "catalogue", property(lambda self: changed))


def plan_of(night: Night) -> pa.Table:
    names = ["customer_id", "product", "channel", "role", "reason", "pscore"]
    return night.lake.arrow("assignment", partition=night.partition, columns=names).sort_by("customer_id")


@pytest.fixture
def counted(filled: Night, monkeypatch: pytest.MonkeyPatch) -> Night:
    declare(monkeypatch, filled, *COUNTED)
    assign.run(filled)
    return filled


def test_a_reported_limit_changes_nothing_of_the_plan(decided_home: Path, counted: Night) -> None:
    decided = tonight_of(decided_home)
    assert plan_of(counted).equals(plan_of(decided))
    run = open_run(counted.settings, run_id(counted))
    assert [limit.name for limit in run.read_reported().limits] == [limit.name for limit in COUNTED]
    without = open_run(decided.settings, run_id(decided))
    assert run.limits() == without.limits()
    assert run.whole_limits() == without.whole_limits()
    assert not (without.path / "reported.yml").exists()
    assert replay(counted.settings, run_id(counted)).identical


def test_all_that_is_published_is_counted_and_told(counted: Night) -> None:
    rows = plan_of(counted)
    rows = rows.filter(pc.is_valid(rows["product"]))
    hall = next(c.id for c in counted.catalogue.channels if c.code == "sms_hall")
    cost = {c.id: c.cost_micro for c in counted.catalogue.channels}
    messages = sum(channel == hall for channel in rows["channel"].to_pylist())
    spent = sum(cost[channel] for channel in rows["channel"].to_pylist())
    told = {row["limit"]: row for row in counted.lake.arrow("limit_price", partition=counted.partition).to_pylist()}
    assert {name for name, row in told.items() if row["reported_only"]} == {limit.name for limit in COUNTED}
    assert told["sms_few"]["used"] + told["sms_few"]["used_explore"] == messages > 3 == told["sms_few"]["amount"]
    assert told["sms_few"]["used_explore"] > 0
    assert (told["spent"]["shown_used"], told["spent"]["shown_unit"]) == (pytest.approx(spent / 1e6), "元")
    for limit in COUNTED:
        assert (told[limit.name]["price_pico"], told[limit.name]["cost_micro"]) == (0, 0)
    proof = prove.run(counted)
    assert (proof.verdict, proof.published) == ("accepted", "accepted")
    verdict = certify_run(counted.settings, run_id(counted))
    assert verdict.reported is not None
    assert verdict.reported["sms_few"] == messages
    assert verdict.reported["spent"] == spent
    assert "sms_few" not in verdict.used
    base = base_of(open_run(counted.settings, run_id(counted)))
    assert base.count_reported(base.arcs) == verdict.reported


def test_the_checker_refuses_another_count(counted: Night) -> None:
    run = open_run(counted.settings, run_id(counted))
    claims = json.loads((run.path / "published.json").read_text())
    claims["reported"][0]["used"]["explore"] += 1
    (run.path / "published.json").write_text(json.dumps(claims))
    with pytest.raises(UserError, match="reported is"):
        certify_run(counted.settings, run_id(counted))
    (run.path / "reported.yml").unlink()
    with pytest.raises(UserError, match="unknown keys"):
        certify_run(counted.settings, run_id(counted))


def test_what_if_tells_its_count_and_refuses_to_change_it(counted: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    base = base_of(open_run(counted.settings, run_id(counted)))
    was = base.count_reported(base.arcs)
    figures = what_if(base, parse_changes(["limits.budget_day.amount=5"], base).amounts).figures
    rows = {row["limit"]: row for row in show_reported(base.reported, figures["reported"])}
    assert rows["spent"]["used_was"] == pytest.approx(was["spent"] / 1e6)
    assert rows["spent"]["used"] <= 5
    with pytest.raises(UserError, match="sms_few is reported only"):
        parse_changes(["limits.sms_few.amount=5"], base)
    monkeypatch.setenv("CPC_HOME", str(counted.settings.home))
    for words in (["goal", "--limit", "spent", "--value", "5"], ["sensitivity", "--limit", "spent"]):
        spoken = CliRunner().invoke(app, words)
        assert isinstance(spoken.exception, UserError), words
        assert "spent is reported only" in str(spoken.exception)
        unknown = CliRunner().invoke(app, ["nosuch" if word == "spent" else word for word in words])
        assert "no limit 'nosuch'" in str(unknown.exception)
    spoken = CliRunner().invoke(app, ["prices", "--costs", "--limit", "spent", "--limit", "share_rural", "--json"])
    assert spoken.exit_code == 0, spoken.output
    rows = {row["limit"]: row for row in json.loads(spoken.stdout)["limits"]}
    assert rows["spent"] == {
        "limit": "spent",
        "unit": "元",
        "amount": 1e-6,
        "used": pytest.approx(was["spent"] / 1e6),
        **dict.fromkeys(("price_yuan", "cost_yuan", "least_yuan", "most_yuan"), 0),
        "all_arcs": True,
        "reported_only": True,
    }
    spoken = CliRunner().invoke(app, ["whatif", "--set", "limits.budget_day.amount=5"])
    assert "limits that are reported only" in spoken.output
    assert "sms_few" in spoken.output


def test_check_counts_a_new_reported_limit_against_the_last_plan(
    decided: Night, attributes: tuple[Path, pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assign, "read_limit_attributes", lambda night, eligible: attributes[1])
    declare(monkeypatch, decided, *COUNTED[:1])
    (told,) = assign.recount(decided)
    assert (told["limit"], told["amount_now"]) == ("sms_few", 3)
    assert told["beyond"] == told["used_now"] - 3 > 0


def test_it_is_one_line_of_the_file(tmp_path: Path) -> None:
    root = tmp_path / "conf"
    shutil.copytree(ROOT, root)
    rows = (
        (root / "limits.yml")
        .read_text()
        .replace(
            "at_most: 20000, where: {segment: newcomer}",
            "at_most: 20000, reported_only: true, where: {segment: newcomer}",
        )
    )
    (root / "limits.yml").write_text(rows)
    declared = {limit.name: limit for limit in Catalogue(root).limits}
    assert declared["cap_newcomer"].reported_only
    assert sum(limit.reported_only for limit in declared.values()) == 1
    assert yaml.safe_load(rows)
