"""A table tells every key and every digit, on eighty columns, on any terminal, and in a pipe."""

from __future__ import annotations

import ast
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from cli import output

CLI = Path(output.__file__).parent
KEYS = ("agents_gz_late_of_the_evening_shift", "budget_day", "[bold]x[/bold]")
AMOUNT, TINY = 123_456_789_012_345, 1.25e-9
COLUMNS = ("limit", "what it is", "amount", "dual 元", "side", "solved at", "元 a unit", "sides differ")
ROWS = [
    (
        key,
        "a sentence of many words, folded between them where it is too long",
        AMOUNT,
        TINY,
        "less",
        f"{AMOUNT:,}",
        TINY,
        "",
    )
    for key in KEYS
]


def printed(monkeypatch: pytest.MonkeyPatch, width: int, *, terminal: bool, columns=COLUMNS, rows=ROWS) -> str:
    file = io.StringIO()
    shown = Console(file=file, width=width, force_terminal=terminal, highlight=False, soft_wrap=True, color_system=None)
    monkeypatch.setattr(output, "console", shown)
    output.print_table("what a unit is worth", columns, rows)
    return file.getvalue()


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize("width", [20, 40, 80, 100, 120, 160, 200])
def test_no_key_and_no_digit_is_cut(monkeypatch: pytest.MonkeyPatch, width: int, terminal: bool) -> None:
    text = printed(monkeypatch, width, terminal=terminal)
    assert "…" not in text
    for part in (*KEYS, *COLUMNS[:1], *COLUMNS[2:]):
        assert part in text, part
    assert text.count("123,456,789,012,345") == 2 * len(KEYS)
    assert text.count("1.25e-09") == 2 * len(KEYS)
    assert len(re.findall("sentence", text)) == len(KEYS)


def test_a_pipe_reads_a_row_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, 80, terminal=False).splitlines()
    for key in KEYS:
        (line,) = [line for line in lines if key in line]
        assert "123,456,789,012,345" in line
        assert "folded between them where it is too long" in line


def test_a_terminal_folds_sentences_before_it_leaves_the_form_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    columns, rows = COLUMNS[:3], [row[:3] for row in ROWS]
    text = printed(monkeypatch, 100, terminal=True, columns=columns, rows=rows)
    assert max(map(len, text.splitlines())) <= 100
    assert "│" in text
    assert "│" not in printed(monkeypatch, 60, terminal=True, columns=columns, rows=rows)


def test_tables_without_rows_or_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (10, 80):
        for terminal in (True, False):
            text = printed(monkeypatch, width, terminal=terminal, columns=("", "nothing"), rows=[])
            assert "nothing" in text


def test_every_table_of_a_command_is_printed_here() -> None:
    """A table of rich's own would be cut at the width of the terminal."""
    for path in sorted(CLI.glob("*.py")):
        names = {
            node.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)
        }
        assert path.name == "output.py" or "Table" not in names, path
