"""``cpc check``: every mistake in what people wrote, each with its place and remedy, before a night meets it."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cli.output import EnvOption, JsonOption, SetOption, complain, open_night, print_figures, print_json
from cli.tonight import show, would_change
from conf.dates import local_date
from conf.errors import UserError
from runtime.night import Night

app = typer.Typer()


@app.command()
def check(
    tonight: Annotated[
        bool,
        typer.Option("--tonight/--fast", help="Count what changed rules and limits would remove, or do not."),
    ] = True,
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read and compile all that a night will: YAML, references, SQL, messages. Example: cpc check.

    What a night would refuse is refused here, by the same function. Then changed rules and limits are counted over the
    last night's snapshot. With --fast, Spark is started only if some SQL was changed since it was compiled last.
    """
    night = open_night(local_date(dt.datetime.now(dt.UTC)).isoformat(), env, set_)
    mistakes = examine(night)
    changes = would_change(night) if tonight and not mistakes else None
    if as_json:
        extra = {"tonight": changes} if changes is not None else {}
        print_json({"ok": not mistakes, "mistakes": [as_row(mistake) for mistake in mistakes], **extra})
    elif mistakes:
        tell(mistakes)
    else:
        print_figures("the configuration is sound", counts(night))
        if changes is not None:
            show(changes)
    if mistakes:
        raise typer.Exit(2)


def examine(night: Night) -> list[UserError]:
    """What a night would refuse."""
    from runtime.rehearsal import rehearse

    return rehearse(night)


def tell(mistakes: Sequence[UserError]) -> None:
    """Print mistakes to standard error, and how many there are."""
    for mistake in mistakes:
        complain(mistake)
    sys.stderr.write(f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''} to mend\n")


def as_row(mistake: UserError) -> dict[str, str]:
    """A mistake as JSON."""
    return {"what": mistake.what, "where": mistake.where, "remedy": mistake.remedy}


def counts(night: Night) -> dict[str, Any]:
    """How much of each kind was read."""
    catalogue = night.catalogue
    return {
        "feeds": len(catalogue.feeds),
        "schemas": len(catalogue.schemas),
        "mappings": sum(len(schema.conform) for schema in catalogue.schemas.values()),
        "features": len(catalogue.features.columns),
        "products": len(catalogue.products),
        "channels": len(catalogue.channels),
        "segments": len(catalogue.segments),
        "keys of the usual rule": len(catalogue.usual),
        "rules": len(catalogue.rules),
        "limits": len(catalogue.limits),
        "figures": len(catalogue.figures),
    }
