"""What the documents say is true: links lead somewhere, commands exist with the options shown, and run."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import COMMANDS, app

HOUSE = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [HOUSE / "README.md", HOUSE / "CONTRIBUTING.md", *(HOUSE / "docs").rglob("*.md"), HOUSE / "conf" / "README.md"]
)
#: Commands of a page: lines of console blocks.
BLOCK = re.compile(r"^```console\n(.*?)^```", re.M | re.S)


def commands() -> list[tuple[str, str]]:
    """(page, command) of every ``cpc`` or ``make`` line in a console block."""
    found = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.splitlines():
                line = line.removeprefix("$ ").strip()
                if line.split(" ")[0] in {"cpc", "make"}:
                    found.append((str(page.relative_to(HOUSE)), line.split("#")[0].strip()))
    return sorted(set(found))


def test_there_are_pages_and_commands() -> None:
    assert len(PAGES) > 10
    assert len(commands()) > 15


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOUSE)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize(("page", "command"), commands(), ids=lambda value: value)
def test_a_command_in_a_page_exists_with_its_options(page: str, command: str) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        told = subprocess.run(["make", "-n", *words[1:]], cwd=HOUSE, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        return
    name = words[1]
    assert name in COMMANDS, f"{page}: no command {name}"
    told = help_of(name, words[2] if len(words) > 2 else "")
    for option in (word.split("=")[0] for word in words[2:] if word.startswith("--")):
        assert option in told, f"{page}: {command}: no option {option}"


_HELP: dict[tuple[str, str], str] = {}


def help_of(name: str, second: str) -> str:
    """The help of a command and, where it is a group, of its command."""
    key = (name, second)
    if key not in _HELP:
        calls = [[name, "--help"]] + ([[name, second, "--help"]] if re.fullmatch(r"[a-z]+", second) else [])
        plain = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
        _HELP[key] = "\n".join(CliRunner().invoke(app, call, env=plain).output for call in calls)
    return _HELP[key]
