"""``cpc train``, ``cpc models list|promote|rollback``, ``cpc design``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from cli.output import (
    DateOption,
    EnvOption,
    JsonOption,
    SetOption,
    console,
    open_night,
    print_figures,
    print_json,
    print_table,
)
from conf.bounds import PEOPLE, SHARE, OptionReader, RealRange, WholeRange
from conf.errors import UserError
from conf.settings import load_settings

app = typer.Typer()
models = typer.Typer(help="The registry: versions, aliases, the gate.", no_args_is_help=True)
app.add_typer(models, name="models")


@app.command()
def train(
    date: DateOption,
    trials: Annotated[
        int,
        typer.Option(
            parser=OptionReader("--trials", WholeRange(0, 10_000)),
            help="Search for better trees with so many trials first.",
        ),
    ] = 0,
    env: EnvOption = None,
    sets: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train on matured decisions, log the run in MLflow, register the version.

    Example: cpc train --date 2026-01-09 --set affinity.trees=200 --set affinity.leaves=31
    """
    from jobs import train
    from models.lifecycle import tuning

    night = open_night(date, env, sets)
    figures = (tuning.run(night, trials) if trials else train.run(night)).as_json()
    if as_json:
        print_json(figures)
    else:
        print_figures(f"Trained for {date}", figures)


@models.command("list")
def list_(env: EnvOption = None, as_json: JsonOption = False) -> None:
    """Every version with its aliases and figures.

    Example: cpc models list
    """
    from models.lifecycle.registry import versions

    rows = versions(load_settings(env))
    if as_json:
        print_json(rows)
        return
    shown = [
        (
            r["version"],
            ", ".join(r["aliases"]),
            r["date"],
            r["auc"],
            r["ratio"],
            r["sha256"][:12],
            dt.datetime.fromtimestamp(r["made_at"] / 1000, dt.UTC).isoformat(timespec="minutes"),
        )
        for r in rows
    ]
    print_table("Models", ("version", "aliases", "date", "auc", "Σp/Σy", "sha256", "made at"), shown)


@models.command()
def promote(
    version: Annotated[str, typer.Argument(help="Version or alias to make champion.")],
    date: DateOption,
    env: EnvOption = None,
    sets: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version champion if it passes the gate on the same customer-nights.

    Example: cpc models promote challenger --date 2026-01-09
    """
    from models.lifecycle.promotion import evaluate
    from models.lifecycle.registry import promote as make_champion

    night = open_night(date, env, sets)
    verdict = evaluate(night, version)
    if as_json:
        print_json(verdict)
    else:
        print_table("Gate", ("check", "figure", "bound", "passed"), [tuple(c.values()) for c in verdict["checks"]])
    if not verdict["passed"]:
        failed = ", ".join(check["check"] for check in verdict["checks"] if not check["passed"])
        raise UserError(
            f"version {verdict['version']} does not pass the gate: {failed}",
            where=f"model {night.settings.mlflow.model!r}",
            remedy="collect more exploration, or train another; the champion stays",
        )
    champion = make_champion(night.settings, verdict["version"])
    if not as_json:
        console.print(f"champion is version {champion.version} ({champion.sha256[:12]})")


@models.command()
def rollback(env: EnvOption = None, as_json: JsonOption = False) -> None:
    """Make the champion before this one the champion again.

    Example: cpc models rollback
    """
    from models.lifecycle.registry import rollback as back

    champion = back(load_settings(env))
    if as_json:
        print_json({"champion": champion.version, "sha256": champion.sha256})
    else:
        console.print(f"champion is version {champion.version} ({champion.sha256[:12]})")


@app.command()
def design(
    customers: Annotated[
        int, typer.Option(parser=OptionReader("--customers", PEOPLE), help="Active customers.")
    ] = 20_000,
    base: Annotated[
        float,
        typer.Option(parser=OptionReader("--base", SHARE), help="Conversion rate without a contact over the window."),
    ] = 0.01,
    lift: Annotated[
        float,
        typer.Option(parser=OptionReader("--lift", RealRange(0, 1e6, inside=True)), help="Relative lift worth seeing."),
    ] = 0.5,
    contacted: Annotated[
        float,
        typer.Option(parser=OptionReader("--contacted", SHARE), help="Share of the others contacted in the window."),
    ] = 0.5,
    power: Annotated[
        float, typer.Option(parser=OptionReader("--power", SHARE), help="Probability to see the lift.")
    ] = 0.8,
    alpha: Annotated[
        float, typer.Option(parser=OptionReader("--alpha", SHARE), help="Error of the first kind, two-sided.")
    ] = 0.05,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sizes of control and exploration for a wanted power.

    Example: cpc design --customers 200000 --base 0.008 --lift 0.25
    """
    from models.affinity.design import design as sizes

    if base * (1 + lift) >= 1:
        raise UserError("these sizes make no experiment", where="--lift, --base", remedy="keep base·(1 + lift) below 1")
    shares = load_settings(env).shares
    size = sizes(customers, base, lift, contacted=contacted, control=shares.control, alpha=alpha, power=power)
    figures = {
        "control needed (customers)": size.per_arm,
        "control needed (share)": size.control_share,
        "control now (share)": shares.control,
        "least lift that control sees": size.detectable,
        "explorers a night": round(customers * shares.explore),
        "exploration now (share)": shares.explore,
        "nights until exploration has as many": round(size.per_arm / max(1.0, customers * shares.explore), 1),
    }
    if as_json:
        print_json(figures)
    else:
        print_figures("Design of the experiment", figures)
