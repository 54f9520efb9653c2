"""What commands print: rich tables on a terminal, plain lines elsewhere, JSON with ``--json``."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conf.dates import parse_date
from conf.errors import UserError
from conf.settings import load_settings
from runtime.night import Night
from runtime.run_record import show

EnvOption = Annotated[str | None, typer.Option("--env", help="Environment: conf/env/NAME.yml.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override one setting, path.to.key=value.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WhyOption = Annotated[str | None, typer.Option("--why", help="Purpose of the look at people's data; it is kept.")]
DateOption = Annotated[str, typer.Option("--date", help="Decision date, YYYY-MM-DD.")]

console = Console(highlight=False, soft_wrap=True)
#: Text longer than this that has several words is a sentence: it may be folded between them.
_SENTENCE = 16


def open_night(date: str, env: str | None = None, overrides: Sequence[str] | None = None) -> Night:
    """The night of ``date`` in an environment."""
    settings = load_settings(env, tuple(overrides or ()))
    return Night(parse_date(date), settings, settings.landing)


def require_purpose(why: str | None) -> str:
    """The purpose of a look at people's data, as it is kept in the access log.

    Raises:
        UserError: none is given.
    """
    if why is None or not why.strip():
        remedy = "say it: --why 'complaint 4711'; with who looked and when it stays in the access log"
        raise UserError("a look at people's data needs its purpose", where="--why", remedy=remedy)
    return " ".join(why.split())


def print_json(data: Any) -> None:
    """One JSON document on standard output; dates as ISO text."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, default=_plain, indent=2) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; numbers are right-aligned, and no key and no digit is ever cut.

    A table that is wider than the terminal has its sentences folded between words; one that is wider still is told row
    by row, a line each column. Where no terminal reads (a pipe, a file) lines are as long as they have to be.
    """
    cells = [list(row) for row in rows]
    texts = [[show(value) for value in row] for row in cells]
    table = Table(title=title, title_justify="left")
    least = 1
    for position, name in enumerate(columns):
        numeric = all(isinstance(row[position], int | float | None) for row in cells) and bool(cells)
        wide = max((cell_len(text) for row in texts for text in row[position].splitlines()), default=0)
        longest = max((cell_len(word) for row in texts for word in row[position].split()), default=0)
        folds = longest < wide > _SENTENCE and not numeric
        width = max(cell_len(word) for word in (name.split() or [""]))
        table.add_column(
            name,
            justify="right" if numeric else "left",
            no_wrap=not folds,
            min_width=max(width, longest if folds else wide),
        )
        least += 3 + max(width, longest if folds else wide)
    for row in texts:
        table.add_row(*(escape(text) for text in row))
    if not console.is_terminal:
        wide_console(table).print(table)
    elif least <= console.width:
        console.print(table)
    else:
        print_rows(title, columns, texts)


def wide_console(table: Table) -> Console:
    """The same output, as wide as a table is where nothing is folded (rich prints no wider than its console)."""
    natural = console.measure(table, options=console.options.update(max_width=1 << 16)).maximum
    wide = max(console.width, natural)
    return Console(file=console.file, width=wide, highlight=False, soft_wrap=True, color_system=None)


def print_rows(title: str, columns: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
    """Rows one below another, a line each value: for tables that no terminal of this width holds."""
    console.print(title, style="italic", markup=False)
    if not texts:
        console.print(f"no row: {', '.join(name for name in columns if name)}", markup=False)
    wide = max((cell_len(name) for name in columns), default=0)
    for number, row in enumerate(texts, start=1):
        console.print(f"-- {number} of {len(texts)}", markup=False)
        for name, text in zip(columns, row, strict=True):
            console.print(f"{name}{' ' * (wide - cell_len(name))}  {text}", markup=False, soft_wrap=True)


def print_figures(title: str, figures: Mapping[str, Any]) -> None:
    """Name and value, a line each."""
    print_table(title, ("what", "figure"), figures.items())


def complain(error: UserError) -> None:
    """Print a mendable error to standard error: what, where, how."""
    sys.stderr.write("error: " + "\n".join(error.lines()) + "\n")
