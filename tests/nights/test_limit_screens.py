"""One convention of amounts: every screen tells the same amount, use, price and cost of a limit, explorers included."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.limits import app
from conf.bounds import LARGEST_AMOUNT
from conf.catalogue import ROOT
from conf.errors import UserError
from planning.instance.run_folder import certify_run, open_run
from planning.whatif.whatif import base_of
from reporting.night_report.facts import limit_rows
from runtime.night import Night
from runtime.run_id import run_id

pytestmark = pytest.mark.whole

#: One of each kind: money, messages, a product group, people's seconds, a floor, two shares.
SEEN = ("budget_day", "wechat_day", "cap_message", "callbacks_sz_0", "floor_family_data", "share_rural")


@pytest.fixture
def ask(decided: Night, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("CPC_HOME", str(decided.settings.home))

    def ask(*words: str) -> dict[str, Any]:
        spoken = CliRunner().invoke(app, [*words, "--json"])
        assert spoken.exit_code == 0, (words, spoken.output, spoken.exception)
        return dict(json.loads(spoken.stdout))

    return ask


@pytest.fixture
def told(decided: Night) -> dict[str, dict[str, Any]]:
    rows = decided.lake.arrow("limit_price", partition=decided.partition).to_pylist()
    return {row["limit"]: row for row in rows}


def test_explorers_take_part_of_every_kind(told: dict[str, dict[str, Any]]) -> None:
    assert {told[name]["shown_unit"] for name in SEEN} == {"元", "contacts", "s"}
    assert sum(bool(told[name]["used_explore"]) for name in SEEN) >= 4


def test_what_if_tells_what_the_table_says(ask: Any, told: dict[str, dict[str, Any]]) -> None:
    """All limits: whole amount, use and price as in the table, before and after no change."""
    figures = ask("whatif")
    assert figures["same_bytes"]
    rows = {row["limit"]: row for row in figures["limits"]}
    assert set(rows) == set(told)
    for name, row in rows.items():
        table = told[name]
        assert row["unit"] == table["shown_unit"], name
        assert row["amount"] == row["amount_was"] == pytest.approx(table["shown_amount"]), name
        assert row["used"] == row["used_was"] == pytest.approx(table["shown_used"]), name
        assert row["price_yuan_was"] == row["price_yuan"] == pytest.approx(table["shown_price_yuan"]), name


def test_prices_and_costs_tell_what_the_table_says(ask: Any, told: dict[str, dict[str, Any]]) -> None:
    words = [word for name in SEEN for word in ("--limit", name)]
    for row in ask("prices", "--costs", *words)["limits"]:
        table = told[row["limit"]]
        percent = row["unit"] == "%"
        assert percent is row["limit"].startswith("share_")
        assert row["amount"] == (12 if percent else pytest.approx(table["shown_amount"]))
        assert row["used"] == pytest.approx(table["shown_used"])
        assert row["price_yuan"] == pytest.approx(table["shown_price_yuan"])
        for shown, column in (("cost", "cost_micro"), ("least", "cost_least_micro"), ("most", "cost_most_micro")):
            assert row[f"{shown}_yuan"] == pytest.approx(table[column] * 1e-6), (row["limit"], shown)
    for row in ask("prices", "--limit", "budget_day", "--limit", "wechat_day")["limits"]:
        table = told[row["limit"]]
        assert row["amount"] == pytest.approx(table["shown_amount"])
        assert row["used"] == pytest.approx(table["shown_used"])
        assert row["price_yuan"] == pytest.approx(table["shown_price_yuan"])
        assert row["left"]["tried"] < row["amount"] < row["right"]["tried"]


@pytest.mark.parametrize("name", SEEN)
def test_a_curve_and_a_goal_start_where_the_table_is(
    name: str, ask: Any, told: dict[str, dict[str, Any]], decided: Night
) -> None:
    """Tonight's point of the curve is the table's row; an amount given back to what-if finds the same plan."""
    table, share = told[name], name.startswith("share_")
    amount = 12 if share else table["shown_amount"]
    low, high = ("10", "12") if share else (f"{amount:f}", f"{amount + 1:f}")
    curve = ask("sensitivity", "--limit", name, "--from", low, "--to", high, "--points", "2")
    tonight = curve["tonight"]
    assert curve["unit"] == ("%" if share else table["shown_unit"])
    assert tonight["amount"] == pytest.approx(amount)
    assert tonight["used"] == pytest.approx(table["shown_used"])
    assert tonight["price_yuan"] == pytest.approx(table["shown_price_yuan"])
    assert any(point["amount"] == pytest.approx(amount) for point in curve["points"])
    value = tonight["value_yuan"] - 1e-6
    goal = ask("goal", "--limit", name, "--value", f"{value:.6f}")
    if share:
        return  # a percent that is missed by one contact is not tonight's
    again = ask("whatif", "--set", f"limits.{name}.amount={goal['least_amount']:f}")
    assert again["value_yuan"] >= value * (1 - again["gap"] - decided.settings.solve.gap)
    row = next(row for row in again["limits"] if row["limit"] == name)
    assert row["amount"] == pytest.approx(goal["least_amount"])
    assert row["amount_was"] == pytest.approx(table["shown_amount"])
    assert goal["least_amount"] >= amount if table["kind"] == "at_least" else goal["least_amount"] <= amount


def test_the_report_and_the_checker_count_what_the_table_says(decided: Night, told: dict[str, dict[str, Any]]) -> None:
    used = certify_run(decided.settings, run_id(decided)).used
    for row in limit_rows(decided):
        table = told[row["limit"]]
        assert used[row["limit"]] == table["used"] + table["used_explore"]
        for name in ("shown_amount", "shown_used", "shown_price_yuan", "cost_micro"):
            assert row[name] == table[name]


def test_a_limit_that_no_plan_can_break_has_no_price(decided: Night, told: dict[str, dict[str, Any]]) -> None:
    """Floors that explorers keep alone: nothing is left of them for the others, and nothing is charged."""
    base = base_of(open_run(decided.settings, run_id(decided)))
    free = [x for x in base.instance.limits.limits if x.sign < 0 and x.counts == 1 and x.amount == 0]
    assert free
    assert {told[limit.name]["price_pico"] for limit in free} == {0}


#: Numbers that options take as text, since their unit is the limit's: what goes before them, and where they were given.
TEXTS = {
    "an amount": ("whatif --set limits.budget_day.amount=", "--set"),
    "a percent": ("whatif --set limits.share_rural.percent=", "--set"),
    "a value": ("goal --limit wechat_day --value=", "--value"),
    "an end": ("sensitivity --limit wechat_day --to 5000 --from=", "--from"),
    "the other": ("sensitivity --limit budget_day --from 100000 --to=", "--to"),
    "of a share": ("sensitivity --limit share_rural --to 50 --from=", "--from"),
}
#: Text that is no amount, or none that can be.
IMPOSSIBLE = ("nan", "inf", "-inf", "1e400", "1" * 23, "9" * 5_000, "x", "", str(LARGEST_AMOUNT), "0x10", "１２ｘ")


@pytest.mark.parametrize("text", [*IMPOSSIBLE, "-1"], ids=lambda text: text[:8] or "empty")
@pytest.mark.parametrize("kind", TEXTS)
def test_a_number_that_cannot_be_is_refused_with_place_and_remedy(
    kind: str, text: str, decided: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPC_HOME", str(decided.settings.home))
    words, where = TEXTS[kind]
    if (kind, text) == ("a value", "-1"):
        return  # a plan may be worth less than nothing
    result = CliRunner().invoke(app, [*words.split(" ")[:-1], words.split(" ")[-1] + text])
    assert isinstance(result.exception, UserError), (result.exception, result.output)
    assert where in result.exception.where
    assert result.exception.remedy


HOUSE = ROOT.parent
#: Examples of these commands in pages and in their own help, without those that name no limit.
EXAMPLE = re.compile(r"cpc (?:whatif|goal|prices|sensitivity) --[^`\n#|.;,)]*(?:\.[a-z_]+)*[^`\n#|;,)]*")


def examples() -> list[str]:
    pages = [HOUSE / "README.md", *(HOUSE / "docs").rglob("*.md"), HOUSE / "cli" / "limits.py"]
    found = {match.strip().rstrip('."') for page in pages for match in EXAMPLE.findall(page.read_text("utf-8"))}
    return sorted(text for text in found if not re.search(r"NAME|SHARE|\.X\.|=V|=P\b", text))


def test_there_are_examples() -> None:
    assert len(examples()) >= 7
    assert {text.split()[1] for text in examples()} == {"whatif", "goal", "prices", "sensitivity"}


@pytest.mark.parametrize("text", examples())
def test_examples_of_the_pages_run_in_the_units_shown(
    text: str, decided: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a small night a value may be out of reach; whatever else is refused is an example that is not so."""
    monkeypatch.setenv("CPC_HOME", str(decided.settings.home))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, shlex.split(text)[1:])
    if isinstance(result.exception, UserError):
        assert re.match(r"no amount of \w+ reaches", result.exception.what), result.exception
    else:
        assert result.exit_code == 0, (result.output, result.exception)
