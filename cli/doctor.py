"""``cpc doctor``: what is wrong here, and the remedy."""

from __future__ import annotations

from dataclasses import asdict

import typer

from cli.diagnosis import examine
from cli.output import EnvOption, JsonOption, print_json, print_table
from conf.settings import load_settings

app = typer.Typer()


@app.command()
def doctor(env: EnvOption = None, as_json: JsonOption = False) -> None:
    """What is wrong with Java, Spark, jars, disk, ports, keys, configuration. Example: cpc doctor."""
    findings = examine(load_settings(env))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = [(f.subject, "well" if f.well else "ILL", f.seen, "" if f.well else f.remedy) for f in findings]
        print_table("doctor", ("what", "state", "seen", "remedy"), rows)
    if not all(finding.well for finding in findings):
        raise typer.Exit(2)
