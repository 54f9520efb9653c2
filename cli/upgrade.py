"""``cpc upgrade``: tables of an older release, brought to what this one declares."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict

import typer

from cli.output import EnvOption, JsonOption, print_json, print_table
from conf.dates import local_date
from conf.settings import load_settings
from runtime.night import Night
from runtime.runner import lease
from runtime.table_upgrade import upgrade_tables

app = typer.Typer()


@app.command()
def upgrade(env: EnvOption = None, as_json: JsonOption = False) -> None:
    """Add columns declared since and tell every file's statistics anew, as the next night would. Example: cpc upgrade."""
    settings = load_settings(env)
    night = Night(local_date(dt.datetime.now(dt.UTC)), settings, settings.landing)
    with lease(night):
        upgraded = upgrade_tables(night.lake)
    if as_json:
        print_json([asdict(table) for table in upgraded])
    else:
        rows = [(table.table, ", ".join(table.columns), table.files) for table in upgraded]
        print_table("brought up to date", ("table", "columns added", "files described anew"), rows)
