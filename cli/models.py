"""``cpc train``, ``cpc models list|promote|rollback``, ``cpc design``."""

from __future__ import annotations

import datetime as dt
from math import ceil
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
        typer.Option(parser=OptionReader("--base", SHARE), help="Share of control with an order over the period."),
    ] = 0.12,
    lift: Annotated[
        float,
        typer.Option(
            parser=OptionReader("--lift", RealRange(0, 1e6, inside=True)),
            help="Relative lift of that share among contacted customers.",
        ),
    ] = 0.5,
    contacted: Annotated[
        float,
        typer.Option(parser=OptionReader("--contacted", SHARE), help="Share of the others contacted in the period."),
    ] = 0.5,
    margin: Annotated[
        float,
        typer.Option(
            parser=OptionReader("--margin", RealRange(0, 1e6, inside=True)), help="Mean margin of an order, 元."
        ),
    ] = 30.0,
    tail: Annotated[
        float,
        typer.Option(
            parser=OptionReader("--tail", RealRange(0, 1e3)),
            help="Standard deviation of an order's margin over its mean.",
        ),
    ] = 1.5,
    power: Annotated[
        float, typer.Option(parser=OptionReader("--power", SHARE), help="Probability to see the effect.")
    ] = 0.8,
    alpha: Annotated[
        float, typer.Option(parser=OptionReader("--alpha", SHARE), help="Error of the first kind, two-sided.")
    ] = 0.05,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """The least control that shows what contacts earn: margin a customer, all who may be contacted against control.

    Example: cpc design --customers 200000 --base 0.1 --lift 0.25
    """
    from models.affinity.design import Behaviour
    from models.affinity.design import design as size_control

    if base * (1 + lift) >= 1:
        raise UserError("these sizes make no experiment", where="--lift, --base", remedy="keep base·(1 + lift) below 1")
    shares = load_settings(env).shares
    if not shares.control:
        raise UserError("nobody is held out", where="settings: shares.control", remedy="give control a share above 0")
    size = size_control(
        Behaviour(base, lift, contacted, margin, tail), customers, shares.control, alpha=alpha, power=power
    )
    figures = {
        "effect to be seen (元 a customer)": round(size.effect, 4),
        "control needed (share)": size.control_share,
        "control needed (customers)": None if size.control_share is None else ceil(size.control_share * customers),
        "control now (share)": shares.control,
        "power of control now": round(size.power_now, 3),
        "least effect that control sees (元 a customer)": round(size.detectable, 4),
        "customers that control now would need": size.customers_needed,
        "explorers a night": round(customers * shares.explore),
    }
    if as_json:
        print_json(figures)
    else:
        print_figures("Design of the experiment", figures)
