"""``cpc whatif``, ``cpc goal``, ``cpc prices`` and ``cpc sensitivity``: what limits cost; nothing live is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import EnvOption, JsonOption, console, open_night, print_figures, print_json, print_table
from conf.bounds import OptionReader, WholeRange
from conf.errors import UserError
from runtime.night import Night

app = typer.Typer()
REPORTED = "limits that are reported only: counted, not kept"
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
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="limits.NAME.amount=V, whole and in the unit shown; limits.SHARE.percent=P"),
    ] = None,
    run: RunOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reassign everyone under changed limits; writes nothing live. Example: cpc whatif --set limits.sms_day.amount=5000."""
    from planning.whatif.whatif import parse_changes, what_if

    base = _base(env, run)
    with _tell_unknown():
        changes = parse_changes(set_ or [], base)
        answer = what_if(base, changes.amounts, percents=changes.percents)
    _show(base, answer.figures, as_json, {})


@app.command()
def goal(
    limit: Annotated[str, typer.Option("--limit", help="the limit whose amount is sought")],
    value: Annotated[str, typer.Option("--value", help="value of the plan to reach, 元")],
    run: RunOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """The least amount of a limit, or percent of a share, that reaches a value. Example: cpc goal --limit sms_day --value 12000."""
    from planning.whatif.displayed import YUAN_UNIT
    from planning.whatif.sensitivity import least_amount, show_amount, unit_shown

    base = _base(env, run)
    with _tell_unknown():
        search = least_amount(base, limit, YUAN_UNIT.read(value, "--value", fine=False))
    figures = {
        "limit": limit,
        "unit": unit_shown(base, limit),
        "least_amount": show_amount(base, limit, search.reached.amount),
        "value_yuan": (search.reached.primal or 0) * 1e-6,
        "not_reached_by": None if search.missed is None else show_amount(base, limit, search.missed.amount),
        "proved": search.proved,
        "solves": search.solves,
    }
    if search.reached.answer is not None:
        _show(base, search.reached.answer.figures, as_json, figures)
    elif as_json:
        print_json(figures)
    else:
        print_figures("tonight's plan reaches it", figures)


@app.command()
def prices(
    limit: Annotated[list[str] | None, typer.Option("--limit", help="a limit; all that bind by default")] = None,
    costs: Annotated[bool, typer.Option("--costs", help="what every limit costs tonight instead")] = False,
    run: RunOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a unit less and a unit more of each binding limit is worth, solved again. Example: cpc prices --limit sms_day."""
    from planning.whatif.sensitivity import binding, limit_named, price_row

    base = _base(env, run)
    if costs:
        names = limit or [*(each.name for each in base.instance.limits.limits), *base.reported]
        night = open_night(base.run.inputs().date.isoformat(), env)
        _show_costs(base, night, names, as_json)
        return
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

    columns = (
        "limit",
        "unit",
        "amount",
        "dual 元",
        "side",
        "solved at",
        "元 a unit",
        "proved from",
        "to",
        "sides differ",
    )
    print_table(
        "what a unit is worth",
        columns,
        [
            (
                r["limit"],
                r["unit"],
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
    low: Annotated[
        str | None,
        typer.Option("--from", help="least amount, whole and in the unit shown; half of tonight's by default"),
    ] = None,
    high: Annotated[str | None, typer.Option("--to", help="largest amount; twice tonight's by default")] = None,
    points: Annotated[
        int,
        typer.Option("--points", parser=OptionReader("--points", WholeRange(2, 1_000)), help="amounts between them"),
    ] = 9,
    out: Annotated[Path | None, typer.Option("--out", help="folder for NAME.svg, NAME.png and NAME.html")] = None,
    run: RunOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Value over amounts of a limit, a plan solved for each. Example: cpc sensitivity --limit budget_day --out CURVES."""
    from planning.whatif.sensitivity import around, curve, read_amount, show_amount, show_row, tonight, unit_shown
    from reporting import sensitivity_page

    base = _base(env, run)
    now = show_amount(base, limit, tonight(base, limit).amount)
    least, most = around(base, limit)
    ends = (
        least if low is None else read_amount(base, limit, low, "--from"),
        most if high is None else read_amount(base, limit, high, "--to"),
    )
    with _tell_unknown():
        series = [show_row(base, limit, at.row()) for at in curve(base, limit, *ends, points)]
    files: dict[str, str] = {}
    unit = unit_shown(base, limit)
    if out is not None:
        files = dict(sensitivity_page.write(out, base.run.path.name, limit, unit, now, series))
    if as_json:
        here = show_row(base, limit, tonight(base, limit).row())
        print_json({"limit": limit, "unit": unit, "tonight": here, "points": series, **files})
        return
    columns = (f"amount {unit}", "used", "contacts", "value 元", "bound 元", "price 元 a unit", "")
    print_table(
        f"what {limit} is worth",
        columns,
        [
            (
                *(row[name] for name in ("amount", "used", "contacts", "value_yuan", "bound_yuan", "price_yuan")),
                "no plan" if row.get("conflict") else "tonight" if row["amount"] == now else "",
            )
            for row in series
        ],
    )
    for path in files.values():
        console.print(path)


def _show(base: Any, figures: dict[str, Any], as_json: bool, first: dict[str, Any]) -> None:
    from planning.whatif.displayed import show_limits, show_reported

    limits = {limit.name: limit for limit in base.instance.limits.limits}
    reported = show_reported(base.reported, figures["reported"])
    figures = {**figures, "limits": show_limits(limits, figures["limits"]), "reported": reported}
    if as_json:
        print_json({**first, **figures})
        return
    print_figures("what if", {**first, **{k: v for k, v in figures.items() if k not in {"limits", "reported"}}})
    rows = [r for r in figures["limits"] if r["price_yuan"] or r["price_yuan_was"] or _differ(r)]
    print_table(
        "limits that bind, or were changed",
        ("limit", "unit", "amount was", "amount", "used", "price was 元", "price 元"),
        [(r["limit"], r["unit"], *_amounts(r), r["used"], r["price_yuan_was"], r["price_yuan"]) for r in rows],
    )
    if reported:
        counts = [(r["limit"], r["unit"], r["amount"], r["used_was"], r["used"]) for r in reported]
        print_table(REPORTED, ("limit", "unit", "amount", "used was", "used"), counts)


def _show_costs(base: Any, night: Night, names: list[str], as_json: bool) -> None:
    """Whole amount, use and price of limits, and the value that the plan would have more without each."""
    from planning.whatif.displayed import unit_of
    from planning.whatif.limit_cost import ask_over_all, costs_tonight
    from planning.whatif.sensitivity import limit_named, show_row, tonight

    asked = [limit_named(base, name).name for name in names if name not in base.reported]
    costs = costs_tonight(base, ask_over_all(night, base), asked)
    rows, counted = [], base.count_reported(base.arcs)
    for name in names:
        if name in base.reported:
            rows.append(_costless(base.reported[name], counted[name]))
            continue
        here, unit = show_row(base, name, tonight(base, name).row()), unit_of(base.limit(name)).name
        cost = costs.get(name)
        money = {f"{key}_yuan": cost and getattr(cost, key) * 1e-6 for key in ("cost", "least", "most")}
        money["all_arcs"] = cost and cost.over_all
        amounts = {key: here[key] for key in ("amount", "used", "price_yuan")}
        rows.append({"limit": name, "unit": "%" if base.is_share(base.limit(name)) else unit, **amounts, **money})
    if as_json:
        print_json({"run_id": base.run.path.name, "limits": rows})
        return
    columns = ("limit", "unit", "amount", "used", "元 a unit", "cost 元", "proved from", "to", "over all arcs")
    shown = [tuple(value for key, value in row.items() if key != "reported_only") for row in rows]
    print_table("what each limit costs tonight", columns, shown)


def _costless(limit: Any, used: int) -> dict[str, Any]:
    """The row of a limit that is reported only: what is used of it; it charges nothing and costs nothing."""
    from planning.whatif.displayed import unit_of

    unit = unit_of(limit)
    money = dict.fromkeys(("price_yuan", "cost_yuan", "least_yuan", "most_yuan"), 0.0)
    amounts = {"amount": unit.show(limit.amount), "used": unit.show(used)}
    return {"limit": limit.name, "unit": unit.name, **amounts, **money, "all_arcs": True, "reported_only": True}


def _differ(row: dict[str, Any]) -> bool:
    """Whether a limit's amount, or a share's percent, was changed."""
    return bool(row["amount"] != row["amount_was"] or row.get("percent") != row.get("percent_was"))


def _amounts(row: dict[str, Any]) -> tuple[Any, Any]:
    """Amount before and now; of a share its percent."""
    if "percent" in row and row["amount"] == row["amount_was"] == 0:
        return f"{row['percent_was']} %", f"{row['percent']} %"
    return row["amount_was"], row["amount"]
