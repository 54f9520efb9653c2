"""What-if, goal seek and replay on a decided night."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cli import limits
from cli.assignment import app
from conf.errors import UserError
from planning.instance.plan_files import write_plan
from planning.instance.run_folder import open_run
from planning.instance.solve import check_plan
from planning.limits.in_force import write_limits
from planning.whatif.replay import replay
from planning.whatif.whatif import Base, base_of, change_amounts, change_percents, parse_changes, what_if
from runtime.night import Night
from runtime.run_id import run_id, sources

pytestmark = pytest.mark.whole


@pytest.fixture
def base(decided: Night) -> Base:
    return base_of(open_run(decided.settings, run_id(decided)))


def test_no_change_returns_the_same_bytes_and_more_is_never_worth_less(base: Base) -> None:
    same = what_if(base, {})
    assert same.figures["same_bytes"]
    assert same.figures["customers_who_change"] == 0
    amount = {limit.name: limit.amount for limit in base.instance.limits.limits}
    wider = what_if(base, {"sms_day": amount["sms_day"] * 2, "wechat_day": amount["wechat_day"] * 2})
    assert wider.figures["value_yuan"] >= base.certificate.primal * 1e-6
    assert wider.figures["change_at_least"] <= wider.figures["change_yuan"] <= wider.figures["change_at_most"]
    narrower = what_if(base, {"wechat_day": amount["wechat_day"] // 2})
    assert narrower.figures["value_yuan"] < base.certificate.primal * 1e-6
    row = next(r for r in narrower.figures["limits"] if r["limit"] == "wechat_day")
    assert row["used"] <= amount["wechat_day"] // 2 + base.apart["wechat_day"]
    assert row["amount"] - base.apart["wechat_day"] == amount["wechat_day"] // 2


def test_a_what_if_looks_at_those_who_may_change_their_mind_and_the_checker_accepts_it(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planning.whatif.whatif.FEWEST", 0)
    amount = next(limit.amount for limit in base.instance.limits.limits if limit.name == "wechat_day")
    asked = {"wechat_day": amount * 92 // 100}
    first = what_if(base, asked)
    assert first.figures["customers_looked_at"] < base.certificate.customers
    kept = list((base.run.path / "active").iterdir())
    assert len(kept) == 1
    what_if(base, {"wechat_day": amount * 95 // 100})
    assert list((base.run.path / "active").iterdir()) == kept
    assert what_if(base, asked).figures["assignment_sha256"] == first.figures["assignment_sha256"]
    assert what_if(base, {}).figures["same_bytes"]
    instance = change_amounts(base.instance, asked)
    shutil.copytree(base.run.instance, tmp_path / "instance")
    write_limits(tmp_path / "instance" / "limits.yml", instance.limits)
    proof = write_plan(tmp_path / "plan", instance.problem, first.solution)
    found = check_plan(tmp_path / "instance", tmp_path / "plan")
    assert found.bound == proof.bound == first.solution.dual.bound


def test_changes_are_read_strictly(base: Base) -> None:
    taken = base.apart["sms_day"]
    assert taken > 0
    now = next(x.amount for x in base.run.whole_limits().limits if x.name == "sms_day")
    assert parse_changes([f"limits.sms_day.amount={now}"], base).amounts == {"sms_day": now - taken}
    with pytest.raises(UserError, match=f"explorers take {taken} contacts of sms_day already"):
        parse_changes([f"limits.sms_day.amount={taken - 1}"], base)
    micro = next(x.amount for x in base.run.whole_limits().limits if x.name == "budget_day")
    left = next(x.amount for x in base.instance.limits.limits if x.name == "budget_day")
    assert parse_changes([f"limits.budget_day.amount={micro / 1e6}"], base).amounts == {"budget_day": left}
    assert parse_changes(["limits.share_low_arpu.percent=25"], base).percents == {"share_low_arpu": 25}
    wrong = ["sms_day=4", "limits.nothing.amount=4", "limits.sms_day.amount=four", "limits.sms_day.amount=-5"]
    wrong += ["limits.sms_day.amount=" + "9" * 23, "limits.sms_day.percent=20", "limits.budget_day.amount=nan"]
    wrong += [f"limits.share_low_arpu.percent={p}" for p in ("0", "100", "2.5", "x", "-3")]
    for text in wrong:
        with pytest.raises(UserError):
            parse_changes([text], base)


def test_a_replay_is_identical_until_a_byte_is_changed(decided: Night, base: Base) -> None:
    run = run_id(decided)
    found = replay(decided.settings, run)
    assert found.identical
    assert found.difference == ""
    rows = decided.lake.arrow("assignment", partition=decided.partition).to_pylist()
    next(row for row in rows if row["pscore"] is not None)["pscore"] += 1e-12
    schema = decided.lake.arrow("assignment").schema
    decided.lake.replace_arrow("assignment", pa.Table.from_pylist(rows, schema=schema), partition=decided.partition)
    changed = replay(decided.settings, run)
    assert not changed.identical
    assert "pscore" in changed.difference
    assert changed.verdict().startswith("different: ")


def test_another_code_is_named_before_a_difference_is_called_a_fault(decided: Night, base: Base) -> None:
    run, path = run_id(decided), base.run.path / "inputs.json"
    found = replay(decided.settings, run)
    assert found.decided_by == found.replayed_by == sources()[:12]
    inputs = json.loads(path.read_text())
    path.write_text(json.dumps({**inputs, "code": "0123456789ab"}))
    assert replay(decided.settings, run).verdict() == "identical"  # another code that decides the same
    path.write_text(json.dumps({**inputs, "code": "0123456789ab", "seed": inputs["seed"] + 1}))
    said = replay(decided.settings, run).verdict()
    assert said.startswith(
        f"decided by code 0123456789ab, replayed by code {found.replayed_by}, which decides otherwise: "
    )
    path.write_text(json.dumps({k: v for k, v in inputs.items() if k != "code"} | {"seed": inputs["seed"] + 1}))
    assert replay(decided.settings, run).verdict().startswith("decided by a code that was not recorded")


def test_the_commands_speak(decided: Night, base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPC_HOME", str(decided.settings.home))
    runner = CliRunner()
    told = runner.invoke(limits.app, ["whatif", "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["same_bytes"] is True
    told = runner.invoke(app, ["replay", run_id(decided)])
    assert told.exit_code == 0
    assert "identical" in told.stdout
    told = runner.invoke(app, ["certify", "--run", run_id(decided), "--json"])
    assert json.loads(told.stdout)["verdict"] == "accepted"


def test_a_share_under_another_percent_is_the_instance_with_other_uses(base: Base) -> None:
    """As if the limit had been declared so: every arc counted anew from its words, what explorers leave too."""
    name, now = "share_low_arpu", base.percent("share_low_arpu")
    assert change_percents(base, {}) is base.instance
    other = change_percents(base, {name: now + 7})
    m = other.problem.limits.names.index(name)
    was, use = (each.problem.kinds.tabulate_uses(len(other.problem.limits)) for each in (base.instance, other))
    assert (
        use[:, [k for k in range(use.shape[1]) if k != m]] == was[:, [k for k in range(use.shape[1]) if k != m]]
    ).all()
    assert sorted(set(use[:, m].tolist())) == [-(100 - now - 7), now + 7]  # at most form of an at-least limit
    contacts = [
        row for row in json.loads((base.run.path / "published.json").read_text())["limits"] if row["name"] == name
    ]
    before = base.apart[name]
    drawn = json.loads((base.run.path / "published.json").read_text())["contacts"]["explore"]
    assert base.limit(name).amount - next(x.amount for x in other.limits.limits if x.name == name) == -7 * drawn
    assert contacts[0]["used"]["explore"] == before


def test_a_dearer_share_costs_and_its_own_percent_changes_nothing(base: Base) -> None:
    now = base.percent("share_low_arpu")
    assert what_if(base, {}, percents={"share_low_arpu": now}).figures["same_bytes"]
    dearer = what_if(base, {}, percents={"share_low_arpu": now + 10}).figures
    looser = what_if(base, {}, percents={"share_low_arpu": now - 10}).figures
    assert dearer["value_yuan"] <= base.certificate.primal * 1e-6 <= looser["value_yuan"]
    row = next(r for r in dearer["limits"] if r["limit"] == "share_low_arpu")
    assert (row["percent_was"], row["percent"]) == (now, now + 10)
    assert row["used"] >= row["amount"] == 0  # explorers included


def test_a_percent_that_no_plan_keeps_is_told_in_percent(base: Base) -> None:
    share = next(limit for limit in base.instance.limits.limits if base.is_share(limit) and limit.sign < 0)
    with pytest.raises(UserError, match=share.name) as caught:
        what_if(base, {}, percents={share.name: 99})
    assert f"lower {share.name} from 99 % towards {base.percent(share.name)} %" in str(caught.value.remedy)
    assert "contacts" not in str(caught.value.remedy)
