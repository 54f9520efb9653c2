"""The command line ``cpc``: one module a group of commands, imported only when that command is asked for."""

from __future__ import annotations

import importlib
import sys

import typer

from conf.errors import MendableError
from jobs.cli.output import complain

#: Which module holds a command: importing Spark, MLflow or Airflow for `cpc --help` would cost seconds.
COMMANDS: dict[str, str] = {
    "demo": "demo", "synth": "demo",
    "scan": "nightly", "ingest": "feeds", "rebuild": "feeds", "feeds": "feeds",
    "nightly": "nightly", "job": "nightly", "runs": "nightly", "doctor": "doctor",
    "features": "features", "data": "features",
    "train": "models", "models": "models", "design": "models", "uplift": "experiments", "ope": "experiments",
    "explain": "explain", "funnel": "explain", "kpi": "explain",
    "whatif": "assignment", "goal": "assignment", "replay": "assignment", "solve": "assignment",
    "certify": "assignment",
    "publish": "publish", "export": "publish",
}  # fmt: skip


class _Lazy(typer.core.TyperGroup):
    """A group whose commands live in modules that are imported when one of them is used."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str):  # type: ignore[no-untyped-def,override]  # noqa: ANN202
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        app: typer.Typer = importlib.import_module(f"jobs.cli.{module}").app
        group = typer.main.get_group(app)
        return group.commands.get(cmd_name)


app = typer.Typer(cls=_Lazy, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def root() -> None:
    """Customer-product-channel matching: every night, for everyone, with a proof."""


def main() -> None:
    """Run ``cpc``: exit 0 done, 2 the user can mend it, 1 otherwise."""
    try:
        app(standalone_mode=True)
    except MendableError as error:
        complain(error)
        sys.exit(2)
