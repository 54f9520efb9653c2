"""What commands print: rich tables on a terminal, plain lines elsewhere, JSON with ``--json``."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from conf.dates import parse_date
from conf.errors import UserError
from conf.settings import load_settings
from runtime.night import Night
from runtime.run_record import show

EnvOption = Annotated[str | None, typer.Option("--env", help="Environment: conf/env/NAME.yml.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override one setting, path.to.key=value.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DateOption = Annotated[str, typer.Option("--date", help="Decision date, YYYY-MM-DD.")]

console = Console(highlight=False, soft_wrap=True)


def open_night(date: str, env: str | None = None, overrides: Sequence[str] | None = None) -> Night:
    """The night of ``date`` in an environment."""
    settings = load_settings(env, tuple(overrides or ()))
    return Night(parse_date(date), settings, settings.landing)


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
    """A table; numbers are right-aligned."""
    rows = [list(row) for row in rows]
    table = Table(title=title, title_justify="left")
    for position, name in enumerate(columns):
        numeric = all(isinstance(row[position], int | float | None) for row in rows) and bool(rows)
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(show(value) for value in row))
    console.print(table)


def print_figures(title: str, figures: Mapping[str, Any]) -> None:
    """Name and value, a line each."""
    print_table(title, ("what", "figure"), figures.items())


def complain(error: UserError) -> None:
    """Print a mendable error to standard error: what, where, how."""
    sys.stderr.write("error: " + "\n".join(error.lines()) + "\n")
