"""The command line ``cpc``: one module a group of commands, imported only when that command is asked for."""

from __future__ import annotations

import atexit
import importlib
import os
import sys
from typing import Any

import typer

from cli.output import complain
from conf.errors import UserError
from runtime.telemetry import silence_telemetry

#: Command → (module, what it does). Importing Spark, MLflow or Airflow for `cpc --help` would cost seconds.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "a province (or real data) in a box, its night, and a summary"),
    "synth": ("demo", "landing files of all feeds in their dialects, and the truth beside"),
    "nightly": ("nightly", "the whole night of a decision date; resumes after a crash"),
    "check": ("check", "what a night would refuse: every mistake in YAML and SQL, with its line"),
    "job": ("nightly", "one job of the night"),
    "scan": ("nightly", "look at what has landed"),
    "runs": ("nightly", "what has run"),
    "ingest": ("feeds", "load what has landed"),
    "rebuild": ("feeds", "rebuild what a restatement touched"),
    "feeds": ("feeds", "the catalogue of feeds, its checks, a night's state, a draft from a sample"),
    "features": ("features", "declared features: list, preview, leakage check"),
    "data": ("features", "the data dictionary"),
    "train": ("models", "train a model into the registry"),
    "models": ("models", "list, promote, roll back"),
    "design": ("models", "sizes of control and exploration for a wanted power"),
    "uplift": ("experiments", "uplift of any experiment"),
    "ope": ("experiments", "off-policy evaluation of a logged policy"),
    "explain": ("explain", "why this, why not that, for one customer"),
    "funnel": ("explain", "what each rule removed, for all"),
    "kpi": ("explain", "figures of the operation"),
    "list": ("codes", "codes of products, channels, limits, rules, segments, figures"),
    "whatif": ("limits", "reassign everyone under changed limits; writes nothing live"),
    "goal": ("limits", "the least amount of a limit that reaches a value"),
    "prices": ("limits", "what a unit less and a unit more of each limit is worth"),
    "sensitivity": ("limits", "value over amounts of a limit, with a picture"),
    "replay": ("assignment", "rebuild the assignment of a run and compare the bytes"),
    "solve": ("assignment", "solve an assignment instance from files"),
    "certify": ("assignment", "check a plan and its bound, independently"),
    "publish": ("publish", "publish a run: serving store, campaign files, report"),
    "campaigns": ("campaigns", "campaign files of a night: list, fetch a channel before its wave"),
    "stop": ("stop", "leave a customer alone from this moment: add, remove, list"),
    "offers": ("offers", "inbound offers of the day: show, accept, stock, hourly refresh"),
    "store": ("store", "the embedded store for other tools: up, url, psql, down"),
    "export": ("publish", "export recommendations"),
    "upgrade": ("upgrade", "tables of an older release: columns declared since, statistics of every file"),
    "doctor": ("doctor", "what is wrong with Java, Spark, jars, disk, ports, keys, configuration"),
}


class _Lazy(typer.core.TyperGroup):
    """A group whose commands live in modules that are imported when one of them is used."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str):  # type: ignore[no-untyped-def,override]  # noqa: ANN202
        if cmd_name not in COMMANDS:
            return None
        module: typer.Typer = importlib.import_module(f"cli.{COMMANDS[cmd_name][0]}").app
        command = typer.main.get_command(module)
        return command.commands[cmd_name] if isinstance(command, typer.core.TyperGroup) else command

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        width = max(map(len, COMMANDS))
        lines = [f"  {name:<{width}}  {purpose}" for name, (_, purpose) in COMMANDS.items()]
        formatter.write(
            "\n".join(
                [
                    "Usage: cpc COMMAND [OPTIONS]   (cpc COMMAND --help shows an example)",
                    "",
                    __doc__.splitlines()[0],
                    "",
                    "Commands:",
                    *lines,
                ]
            )
            + "\n"
        )


app = typer.Typer(cls=_Lazy, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def root() -> None:
    """Customer-product-channel matching: every night, for everyone, with a proof."""


def main() -> None:
    """Run ``cpc``: exit 0 done, 2 the user can mend it, 1 otherwise."""
    code: Any = 0
    silence_telemetry()
    try:
        app(standalone_mode=True)
    except SystemExit as left:
        code = left.code
    except UserError as error:
        complain(error)
        code = 2
    leave(code if isinstance(code, int) else int(code is not None))


def leave(code: int) -> None:
    """End the process with ``code`` once everything registered to run at exit has run.

    Threads of Arrow's and delta-rs' pools may still stand when the interpreter takes its libraries down; now and then the
    process then aborts (SIGABRT) after its work is done, and the caller sees a failure that is none.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
