"""Commands that show people: every command says whether it does, and those that do leave a row, refused or not."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli import app
from conf.errors import UserError
from jobs import publish
from runtime import audit
from runtime.night import Night

#: Command → what is given to it besides --why, of people that there are and of people (or things) that there are not.
SHOWS_PEOPLE: dict[str, tuple[str, str]] = {
    "explain": ("4 --date 2026-01-09", "99999999 --date 2026-01-09"),
    "export": ("--run 2026-01-09-feed00c0ffee --out {tmp}/a.csv", "--run 2026-01-09-000000000000 --out {tmp}/b.csv"),
    "offers show": ("4 --date 2026-01-09", "4 --date 2026-02-01"),
    "offers accept": ("4 {product} website --date 2026-01-09", "4 nonsense website --date 2026-01-09"),
    "stop add": ("4", "--number 13911111111"),
    "stop remove": ("4", "99999999"),
    "stop list": ("", "--number 13911111111"),
    "campaigns fetch": ("website --date 2026-01-09 --out {tmp}/c.csv", "fax --date 2026-01-09 --out {tmp}/c.csv"),
    "feeds quarantine": ("topup_bank --date 2026-01-09", ""),
    "features preview": ("", "data_mb_sum_30d --date 2026-01-09"),
    "features training-set": ("", "--from 2026-01-01 --to 2026-01-02 --date 2026-01-09 --out {tmp}/set"),
    "store psql": ("-- -c 'SELECT 1'", ""),
}
#: What the others show instead.
SHOWS_NOBODY = {
    "runs a job, which audits what it opens": "demo synth nightly job scan ingest rebuild publish train",
    "what people wrote in conf": "check list feeds:list feeds:check feeds:show features:list data:dictionary",
    "states, counts and figures": "runs feeds:status funnel kpi design models:list offers:stock offers:refresh doctor upgrade",
    "counts by what would change": "whatif goal prices sensitivity",
    "faults of declarations, found on examples": "features:check features:drift",
    "a release of deliveries, by their ids": "feeds:release",
    "an alias of a model": "models:promote models:rollback",
    "files of one's own": "uplift ope feeds:new",
    "a frozen run, as hashes and a verdict": "replay solve certify",
    "names of files": "campaigns:list",
    "a server and the login to it, of which a row is left": "store:up store:url store:down",
}


def commands() -> dict[str, Any]:
    """Every command that is not hidden, by its words."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        if not hasattr(command, "list_commands"):
            yield " ".join(words), command
            return
        for name in command.list_commands(None):
            below = command.get_command(None, name)
            if not below.hidden:
                yield from walk(below, (*words, name))

    return dict(walk(typer.main.get_command(app), ()))


def test_every_command_says_whether_it_shows_people() -> None:
    nobody = [word.replace(":", " ") for words in SHOWS_NOBODY.values() for word in words.split()]
    assert sorted([*SHOWS_PEOPLE, *nobody]) == sorted(commands())


@pytest.mark.parametrize("name", SHOWS_PEOPLE)
def test_a_purpose_is_an_option_without_a_default(name: str) -> None:
    [why] = [parameter for parameter in commands()[name].params if parameter.name == "why"]
    assert why.default is None or why.required


@pytest.fixture
def call(
    planned: Callable[..., Night], store_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], Any]:
    """``call(words)`` runs a command on a published night."""
    night = planned(verdict={"accepted": True, "gap": 1e-5})
    publish.publish(night, ["store"])
    monkeypatch.setenv("CPC_HOME", str(night.settings.home))
    monkeypatch.setenv("CPC_SERVING_URL", store_address)
    product = {each.id: each.code for each in night.catalogue.products}[5]

    def run(name: str, words: str, *why: str) -> Any:
        given = words.format(tmp=tmp_path, product=product)
        before, _, after = given.partition("-- ")
        arguments = [*name.split(), *before.split(), *why]
        if after:
            arguments += ["--", *after.split(" ", 1)]
        return CliRunner().invoke(app, arguments)

    def log() -> list[tuple[str, str, str]]:
        rows = audit.in_order(night.lake.arrow("ops_audit").to_pylist())
        return [(row["who"], row["what"], row["why"]) for row in rows]

    vars(run)["log"] = log
    return run


@pytest.mark.whole
@pytest.mark.parametrize("name", SHOWS_PEOPLE)
def test_a_look_leaves_a_row_whatever_comes_of_it_and_none_is_had_without_a_purpose(
    name: str, call: Callable[..., Any]
) -> None:
    there, absent = SHOWS_PEOPLE[name]
    for words, works in ((there, True), (absent, False)):
        if not words and name != "stop list":
            continue
        rows = len(vars(call)["log"]())
        without = call(name, words)
        assert without.exit_code != 0
        assert isinstance(without.exception, UserError | SystemExit)
        assert "--why" in str(getattr(without.exception, "where", "")) + without.output
        assert len(vars(call)["log"]()) == rows
        done = call(name, words, "--why", "ticket 4711")
        written = vars(call)["log"]()[rows:]
        assert written, f"cpc {name} {words} left no row"
        assert {(who, why) for who, _, why in written} == {(getpass.getuser(), "ticket 4711")}
        refused = done.exit_code != 0 and name != "store psql"  # whose code is psql's
        assert any("refused" in what for _, what, _ in written) == refused
        assert refused or works
