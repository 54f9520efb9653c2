"""``cpc uplift``, ``cpc ope``: any experiment, any logged policy, from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import JsonOption, console, print_json, print_table
from conf.bounds import REPEATS, OptionReader, RealRange, WholeRange

app = typer.Typer()


@app.command()
def ope(
    log: Annotated[Path, typer.Argument(help="Log: round, action, reward, pscore (+ position, eligible, context).")],
    policy: Annotated[Path, typer.Option(help="Policy: round, action, probability; absent = 0.")],
    reward_model: Annotated[Path | None, typer.Option(help="Reward model: round, action, value.")] = None,
    tau: Annotated[
        float, typer.Option(parser=OptionReader("--tau", RealRange(0, 1e12)), help="Switch-DR keeps weights up to tau.")
    ] = 5.0,
    lam: Annotated[
        float,
        typer.Option(
            "--lambda", parser=OptionReader("--lambda", RealRange(0, 1e12)), help="DRos shrinks weights by lambda."
        ),
    ] = 1.0,
    repeats: Annotated[int, typer.Option(parser=OptionReader("--repeats", REPEATS), help="Bootstrap repeats.")] = 500,
    as_json: JsonOption = False,
) -> None:
    """What another policy would have earned, from the log of the one that ran.

    Example: cpc ope log.csv.gz --policy policy.csv --json
    """
    from models.lifecycle.experiments.off_policy import as_json as to_json
    from models.lifecycle.experiments.off_policy import off_policy

    result = off_policy(log, policy, reward_model, tau=tau, lam=lam, repeats=repeats)
    if as_json:
        print_json(to_json(result))
        return
    rows = [(name, value, *result.intervals[name]) for name, value in result.values.items()]
    print_table("Value a round", ("estimator", "value", "low", "high"), rows)
    console.print(
        f"rounds {result.rounds:,} ({result.without_pscore:,} without pscore left out); effective sample {result.ess:,.0f}; unsupported mass {result.unsupported_mass:.2%}; "
        f"largest weight {result.max_weight:,.1f}"
    )


@app.command()
def uplift(
    file: Annotated[Path, typer.Argument(help="Experiment: CSV (also .gz) or Parquet, a row a customer.")],
    treatment: Annotated[str, typer.Option(help="Column that says who got what.")],
    outcome: Annotated[str, typer.Option(help="Column of the outcome.")],
    control: Annotated[str | None, typer.Option(help="Value of the control arm.")] = None,
    arm: Annotated[str | None, typer.Option(help="Only this arm against the control.")] = None,
    drop: Annotated[str, typer.Option(help="Columns to leave out, separated by commas.")] = "",
    cost: Annotated[str | None, typer.Option(help="Column with the cost of treating a row.")] = None,
    folds: Annotated[
        int, typer.Option(parser=OptionReader("--folds", WholeRange(2, 100)), help="Folds of the cross-fitting.")
    ] = 5,
    repeats: Annotated[int, typer.Option(parser=OptionReader("--repeats", REPEATS), help="Bootstrap repeats.")] = 200,
    plot: Annotated[Path | None, typer.Option(help="Write the Qini curves to this PNG.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Whom a treatment helps: learners cross-fitted on any experiment, ranked by Qini.

    Example: cpc uplift hillstrom.csv --treatment segment --outcome visit --drop conversion,spend
    """
    from models.lifecycle.experiments.uplift import analyse, load
    from models.lifecycle.experiments.uplift import plot as draw

    dropped = [name.strip() for name in drop.split(",") if name.strip()]
    experiment = load(file, treatment, outcome, control=control, arm=arm, drop=dropped, cost=cost)
    result = analyse(experiment, folds=folds, repeats=repeats)
    if plot is not None:
        draw(experiment, plot, folds=folds)
    if as_json:
        print_json(result)
        return
    for warning in result["warnings"]:
        console.print(f"warning: {warning}")
    console.print(
        f"effect {result['ate']:.5f} ({result['ate_ci'][0]:.5f} … {result['ate_ci'][1]:.5f}), best {result['best']}"
    )
    rows = [(n, q["qini_sklift"], *q["qini_ci"], q["qini_area"], q["auuc"]) for n, q in result["learners"].items()]
    print_table("Learners", ("learner", "Qini (sklift)", "low", "high", "Qini area", "AUUC"), rows)
    print_table(
        "Deciles", ("decile", "rows", "predicted", "effect", "low", "high"), [d.values() for d in result["deciles"]]
    )
