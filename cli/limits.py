"""``cpc whatif``, ``cpc goal``, ``cpc prices`` and ``cpc sensitivity``: what limits cost; nothing live is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import EnvOption, JsonOption, console, print_figures, print_json, print_table
from conf.errors import UserError

app = typer.Typer()
RunOption = Annotated[str | None, typer.Option("--run", help="A night's run; the last one by default.")]


@contextlib.contextmanager
def _tell_unknown() -> Iterator[None]:
    """What is not known ends with exit code 1: neither a plan nor a proof that there is none."""
    from models.assignment.solve import NoPlan

    try:
        yield
    except NoPlan as error:
        console.print(f"no plan: {error}")
        raise typer.Exit(1) from error


def _base(env: str | None, run: str | None) -> Any:
    from conf.settings import load_settings
    from planning.instance.run_folder import open_run
    from planning.whatif.whatif import base_of

    settings = load_settings(env)
    return base_of(open_run(settings, run or last_run(settings.home)))


def last_run(home: Path) -> str:
    """The run of the latest decision date that was decided here."""
    runs = [path.parent for path in (home / "runs").glob("*/plan/certificate.json") if path.parent.name == "plan"]
    names = sorted(path.parent.name for path in runs)
    if not names:
        raise UserError("no night was decided here", where=str(home / "runs"), remedy="run `cpc nightly` first")
    return max(names, key=lambda name: (name[:10], (home / "runs" / name / "plan").stat().st_mtime))


@app.command()
def whatif(
    set_: Annotated[list[str] | None, typer.Option("--set", help="limits.NAME.amount=V")] = None,
    run: RunOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reassign everyone under changed limits; writes nothing live. Example: cpc whatif --set limits.sms_day.amount=5000."""
    from planning.whatif.whatif import parse_changes, what_if

    base = _base(env, run)
    with _tell_unknown():
        answer = what_if(base, parse_changes(set_ or [], base))
    _show(answer.figures, as_json, {})


@app.command()
def goal(
    limit: Annotated[str, typer.Option("--limit", help="the limit whose amount is sought")],
    value: Annotated[float, typer.Option("--value", help="value of the plan to reach, 元")],
    run: RunOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """The least amount of a limit that reaches a value. Example: cpc goal --limit sms_day --value 12000."""
    from planning.whatif.sensitivity import least_amount

    base = _base(env, run)
    with _tell_unknown():
        search = least_amount(base, limit, round(value * 1e6))
    figures = {
        "limit": limit,
        "least_amount": search.reached.amount,
        "value_yuan": (search.reached.primal or 0) * 1e-6,
        "not_reached_by": None if search.missed is None else search.missed.amount,
        "proved": search.proved,
        "solves": search.solves,
    }
    if search.reached.answer is not None:
        _show(search.reached.answer.figures, as_json, figures)
    elif as_json:
        print_json(figures)
    else:
        print_figures("tonight's plan reaches it", figures)


@app.command()
def prices(
    limit: Annotated[list[str] | None, typer.Option("--limit", help="a limit; all that bind by default")] = None,
    run: RunOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a unit less and a unit more of each binding limit is worth, solved again. Example: cpc prices --limit sms_day."""
    from planning.whatif.sensitivity import binding, limit_named, price_row

    base = _base(env, run)
    names = limit or binding(base)
    for name in names:
        limit_named(base, name)  # an unknown name is refused before an hour is spent on the others
    rows = []
    for name in names:
        with _tell_unknown():
            rows.append(price_row(base, name))
        if not as_json:
            console.print(f"{name}: solved on both sides")
    if as_json:
        print_json({"run_id": base.run.path.name, "gap": base.certificate.gap, "limits": rows})
        return

    columns = ("limit", "amount", "dual 元", "side", "solved at", "元 a unit", "proved from", "to", "sides differ")
    print_table(
        "what a unit is worth",
        columns,
        [
            (
                r["limit"],
                r["amount"],
                r["price_yuan"],
                word,
                f"{r[key]['tried']:,}" + (" no plan" if r[key]["conflict"] else ""),
                r[key]["price_yuan"],
                r[key]["low"],
                r[key]["high"],
                "yes" if r["differ"] else "",
            )
            for r in rows
            for key, word in (("left", "less"), ("right", "more"))
        ],
    )


@app.command()
def sensitivity(
    limit: Annotated[str, typer.Option("--limit", help="the limit whose amount varies")],
    low: Annotated[int | None, typer.Option("--from", help="least amount; half of tonight's by default")] = None,
    high: Annotated[int | None, typer.Option("--to", help="largest amount; twice tonight's by default")] = None,
    points: Annotated[int, typer.Option("--points", min=2, help="amounts between them")] = 9,
    out: Annotated[Path | None, typer.Option("--out", help="folder for NAME.svg, NAME.png and NAME.html")] = None,
    run: RunOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Value over amounts of a limit, a plan solved for each. Example: cpc sensitivity --limit budget_day --out CURVES."""
    from planning.whatif.sensitivity import around, curve, limit_named, tonight
    from reporting import sensitivity_page

    base = _base(env, run)
    now = limit_named(base, limit).amount
    least, most = around(base, limit)
    with _tell_unknown():
        series = curve(base, limit, least if low is None else low, most if high is None else high, points)
    files: dict[str, str] = {}
    if out is not None:
        from conf.settings import load_settings

        units = {each.name: each.unit for each in load_settings(env).catalogue.limits}
        files = dict(sensitivity_page.write(out, base.run.path.name, limit, units.get(limit, "units"), now, series))
    if as_json:
        print_json(
            {"limit": limit, "tonight": tonight(base, limit).row(), "points": [at.row() for at in series], **files}
        )
        return
    columns = ("amount", "used", "contacts", "value 元", "bound 元", "price 元 a unit", "")
    print_table(
        f"what {limit} is worth",
        columns,
        [
            (
                at.amount,
                at.used,
                at.contacts,
                row["value_yuan"],
                row["bound_yuan"],
                at.price_yuan,
                "no plan" if at.conflict else "tonight" if at.amount == now else "",
            )
            for at, row in ((at, at.row()) for at in series)
        ],
    )
    for path in files.values():
        console.print(path)


def _show(figures: dict[str, Any], as_json: bool, first: dict[str, Any]) -> None:
    if as_json:
        print_json({**first, **figures})
        return
    print_figures("what if", {**first, **{k: v for k, v in figures.items() if k != "limits"}})
    rows = [r for r in figures["limits"] if r["price_yuan"] or r["price_yuan_was"] or r["amount"] != r["amount_was"]]
    print_table(
        "limits that bind, or were changed",
        ("limit", "amount was", "amount", "used", "price was 元", "price 元"),
        [(r["limit"], r["amount_was"], r["amount"], r["used"], r["price_yuan_was"], r["price_yuan"]) for r in rows],
    )
