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
TOP = [HOUSE / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "conf/README.md")]
PAGES = sorted([*TOP, *(HOUSE / "docs").rglob("*.md")])
DECISIONS = HOUSE / "docs" / "decisions"
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
        calls = [[name, "--help"]] + ([[name, second, "--help"]] if re.fullmatch(r"[a-z][a-z-]*", second) else [])
        plain = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
        _HELP[key] = "\n".join(CliRunner().invoke(app, call, env=plain).output for call in calls)
    return _HELP[key]


def long_lines(text: str, most: int = 120) -> list[int]:
    """Numbers of the lines over ``most`` characters, but for tables and what a program printed (``text`` blocks)."""
    long, block = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        if fence := re.match(r"\s*```(\w*)", line):
            block = "" if block else fence[1] or "plain"
        elif len(line) > most and block != "text" and not line.lstrip().startswith("|"):
            long.append(number)
    return long


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOUSE)))
def test_lines_fit_a_screen(page: Path) -> None:
    assert long_lines(page.read_text(encoding="utf-8")) == []


def test_long_lines_are_seen_where_they_count() -> None:
    long = "x" * 121
    assert long_lines(f"{long}\n| {long} |\n```text\n{long}\n```\n```yaml\n{long}\n```\n{long}") == [1, 7, 9]


def test_decisions_are_numbered_and_in_their_index() -> None:
    pages = sorted(path for path in DECISIONS.glob("*.md") if path.name != "README.md")
    rows = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \|", (DECISIONS / "README.md").read_text(encoding="utf-8"), re.M)
    expected = []
    for number, page in enumerate(pages, 1):
        assert re.fullmatch(rf"{number:04}-[a-z0-9-]+\.md", page.name), f"{page.name}: number {number} is due"
        title = page.read_text(encoding="utf-8").splitlines()[0]
        assert title.startswith(f"# {number}. "), f"{page.name}: {title}"
        expected.append((str(number), title.split(". ", 1)[1], page.name))
    assert rows == expected


@pytest.mark.parametrize("page", sorted(DECISIONS.glob("*.md")), ids=lambda page: page.name)
def test_a_decision_is_a_page(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) <= 60


def test_the_list_of_pages_is_complete() -> None:
    listed = {
        (HOUSE / "docs" / target).resolve()
        for target in re.findall(r"\]\(([^)#\s]+)", (HOUSE / "docs" / "README.md").read_text(encoding="utf-8"))
    }
    pages = {path.resolve() for path in (HOUSE / "docs").rglob("*.md") if path.parent != DECISIONS}
    assert (
        sorted(str(path.relative_to(HOUSE)) for path in pages - listed - {(HOUSE / "docs" / "README.md").resolve()})
        == []
    )


def test_pages_and_headings_that_the_sources_name_exist() -> None:
    rooms = [path for path in HOUSE.glob("*/__init__.py") if path.parent.name not in {"tests", "docs"}]
    missing = []
    for source in (path for room in rooms for path in room.parent.rglob("*.py")):
        for page, heading in re.findall(r"(docs/[a-z/-]+\.md)(?:, \"([^\"]+)\")?", source.read_text(encoding="utf-8")):
            place = HOUSE / page
            if not place.exists() or (heading and f"# {heading}\n" not in place.read_text(encoding="utf-8")):
                missing.append(f"{source.relative_to(HOUSE)}: {page} {heading}")
    assert missing == []


def test_where_modules_went_is_where_they_are() -> None:
    _, _, table = (HOUSE / "docs" / "glossary.md").read_text(encoding="utf-8").partition("## Where modules went")
    places = [
        place for row in re.findall(r"^\| `[^|]+\| (.+) \|$", table, re.M) for place in re.findall(r"`([^`]+)`", row)
    ]
    assert len(places) > 100
    assert [place for place in places if not list(HOUSE.glob(place))] == []
