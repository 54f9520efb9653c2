"""``cpc uplift``, ``cpc ope``: any experiment, any logged policy, from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.output import JsonOption, console, print_json, print_table

app = typer.Typer()


@app.command()
def ope(
    log: Annotated[Path, typer.Argument(help="Log: round, action, reward, pscore (+ position, eligible, context).")],
    policy: Annotated[Path, typer.Option(help="Policy: round, action, probability; absent = 0.")],
    reward_model: Annotated[Path | None, typer.Option(help="Reward model: round, action, value.")] = None,
    tau: Annotated[float, typer.Option(help="Switch-DR keeps weights up to tau.")] = 5.0,
    lam: Annotated[float, typer.Option("--lambda", help="DRos shrinks weights by lambda.")] = 1.0,
    repeats: Annotated[int, typer.Option(help="Bootstrap repeats.")] = 500,
    as_json: JsonOption = False,
) -> None:
    """What another policy would have earned, from the log of the one that ran.

    Example: cpc ope log.csv.gz --policy policy.csv --json
    """
    from jobs.off_policy import as_json as to_json
    from jobs.off_policy import off_policy

    found = off_policy(log, policy, reward_model, tau=tau, lam=lam, repeats=repeats)
    if as_json:
        print_json(to_json(found))
        return
    rows = [(name, value, *found.intervals[name]) for name, value in found.values.items()]
    print_table("Value a round", ("estimator", "value", "low", "high"), rows)
    console.print(
        f"rounds {found.rounds:,}; effective sample {found.ess:,.0f}; unsupported mass {found.unsupported_mass:.2%}; "
        f"largest weight {found.max_weight:,.1f}"
    )
