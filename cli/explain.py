"""``cpc explain``, ``cpc funnel``, ``cpc kpi``: why, for one; why, for all; figures of the operation."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args

import pyarrow.compute as pc
import typer

from cli.output import (
    EnvOption,
    JsonOption,
    SetOption,
    WhyOption,
    console,
    open_night,
    print_json,
    print_table,
    require_purpose,
)
from conf.bounds import CUSTOMER, OptionReader
from conf.dates import parse_date
from conf.errors import UserError, suggest
from conf.figure import Figure, Reader
from reporting import explanation
from reporting.explanation_text import yuan
from reporting.figure_text import hide_few, say
from reporting.kpi import PLANNED, describe
from runtime import audit
from runtime.night import Night

app = typer.Typer()
RunOption = Annotated[str | None, typer.Option("--run", help="Run id (the last night if not given).")]
MadeOn = Annotated[str | None, typer.Option("--date", help="Decision date (the last night if not given).")]


def night_of(run: str | None, date: str | None, table: str, env: str | None, set_: Sequence[str] | None) -> Night:
    """The night of a run, of a date, or the last one that ``table`` holds.

    Raises:
        UserError: the table holds no night, or not that one.
    """
    wanted = explanation.date_of_run(run) if run else parse_date(date) if date else None
    night = open_night((wanted or dt.date.today()).isoformat(), env, set_)
    nights = pc.unique(night.lake.arrow(table, columns=["business_date"])["business_date"]).to_pylist()
    if not nights or (wanted and wanted not in nights):
        which = f"no night of {wanted}" if wanted else "no night"
        raise UserError(
            f"{table} holds {which}",
            where=str(night.lake.path(table)),
            remedy=f"run it: cpc nightly --date {wanted or 'YYYY-MM-DD'}"
            + (f"; it holds {', '.join(str(day) for day in sorted(nights)[-5:])}" if nights else ""),
        )
    made = open_night((wanted or max(nights)).isoformat(), env, set_)
    if run:
        require_known_run(made, run)
    return made


def require_known_run(night: Night, run: str) -> None:
    """Refuse a run that there is not, or one whose night was decided by another since.

    Raises:
        UserError: the lake has nothing of this run.
    """
    recorded = night.lake.arrow("ops_run", partition=night.partition, columns=["run_id"])["run_id"].to_pylist()
    planned = pc.unique(night.lake.arrow("assignment", partition=night.partition, columns=["run_id"])["run_id"])
    runs = sorted({*recorded, *planned.to_pylist()} - {f"{night.date}-unpinned"})
    if run not in runs:
        remedy = f"of that night there is {', '.join(runs) or 'none'}; `cpc runs` lists all"
        raise UserError(f"there is no run {run!r}", where="--run", remedy=remedy)
    if len(planned) and run not in planned.to_pylist():
        raise UserError(
            f"the tables of {night.date} are those of another run than {run}",
            where="--run",
            remedy=f"they are of {planned[0].as_py()}; `cpc replay {run}` rebuilds the plan of the one you named",
        )


@app.command()
def explain(
    customer: Annotated[int, typer.Argument(parser=OptionReader("CUSTOMER", CUSTOMER), help="customer_id.")],
    run: RunOption = None,
    date: MadeOn = None,
    every: Annotated[bool, typer.Option("--all", help="Every arc, also those that rules removed.")] = False,
    chances: Annotated[
        bool, typer.Option("--propensities", help="How probable each kept arc was on that night, and none.")
    ] = False,
    why: WhyOption = None,
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why one customer gets what they get: every arc, rule, value and price. Example: cpc explain 4711 --why 'call 12'."""
    purpose, lake = require_purpose(why), open_night(dt.date.today().isoformat(), env, set_).lake
    with audit.log_look(lake, f"explain customer {customer}", purpose) as look:
        night = night_of(run, date, "eligible", env, set_)
        facts = explanation.read(night, customer, run)
        answer = explanation.explain(facts, night.catalogue)
        if chances:
            answer["propensities"] = explanation.tell_propensities(night, facts)
        look.rows = 1
    if as_json:
        print_json(answer)
        return
    if chances:
        show_propensities(customer, answer["propensities"])
        return
    console.print(f"customer {customer}, night of {night.date}, run {answer['run_id'] or '–'}")
    console.print(answer["sentence"]["en"])
    console.print(answer["sentence"]["zh"])
    passed = [arc for arc in answer["arcs"] if arc["state"] != "removed" and arc["value_micro"] is not None]
    show_arcs(passed if every else [arc for arc in passed if arc["state"] != "pruned"])
    show_removed(answer["arcs"], every=every)
    if answer["note"]:
        console.print(f"arcs that pruning dropped are not scored again: {answer['note']}")
    if answer["offers"]:
        offers = [
            (o["channel"], o["rank"], o["product"], yuan(o["value_micro"]), o["slate_probability"])
            for o in answer["offers"]
        ]
        columns = ("channel", "place", "product", "value 元", "P(slate)")
        print_table("offers when the customer comes", columns, offers)
    if answer["alternates"]:
        rows = [(o["rank"], o["product"], o["channel"], yuan(o["value_micro"])) for o in answer["alternates"]]
        print_table("instead, if the contact cannot be made", ("rank", "product", "channel", "value 元"), rows)


def show_propensities(customer: int, vector: Mapping[str, Any]) -> None:
    """Every kept arc with its probability, the likeliest first, and none."""
    rows = [
        (
            "→" if arc["given"] else "",
            arc["product"] or "none",
            arc["channel"] or "–",
            f"{arc['p']:.6f}",
            "yes" if arc["greedy"] else "",
            "" if arc["supported"] else "not supported",
        )
        for arc in vector["arcs"]
    ]
    columns = ("", "product", "channel", "p", "by the plan", "explorers")
    print_table(f"p of customer {customer} ({vector['role']}), run {vector['run_id']}", columns, rows)
    logged = "null: no draw gave the row" if vector["pscore"] is None else f"{vector['pscore']:.6f}"
    console.print(f"sum {vector['sum']:.12f}; logged p of what was given: {logged}")


def fold_arcs(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without ``--all``: arcs that were considered one by one, the others counted by what put them out."""
    arcs = answer["arcs"]
    removed: dict[str, dict[str, Any]] = {}
    for arc in arcs:
        if arc["state"] == "removed":
            known = {name: arc[name] for name in ("rule", "reason", "reason_zh")}
            removed.setdefault(arc["rule"], known | {"arcs": 0})["arcs"] += 1
    limits = Counter(arc["limit"] for arc in arcs if arc["state"] == "closed")
    return answer | {
        "arcs": [arc for arc in arcs if arc["state"] in {"considered", "chosen"}],
        "removed": list(removed.values()),
        "closed": [{"limit": name, "arcs": count} for name, count in sorted(limits.items())],
        "pruned": sum(arc["state"] == "pruned" for arc in arcs),
    }


def show_arcs(arcs: Sequence[dict[str, Any]]) -> None:
    """Scored arcs with value, price and what is left, and why or why not."""
    rows = [
        (
            "→" if arc["state"] == "chosen" else "",
            arc["product"],
            arc["channel"],
            yuan(arc["value_micro"]),
            None if arc["price_micro"] is None else yuan(arc["price_micro"]),
            None if arc["reduced_micro"] is None else yuan(arc["reduced_micro"]),
            arc["p_convert"],
            arc["why"]["short"],
        )
        for arc in arcs
    ]
    print_table(
        "arcs that passed every rule", ("", "product", "channel", "value 元", "price 元", "left 元", "P", "why"), rows
    )


def show_removed(arcs: Sequence[dict[str, Any]], *, every: bool) -> None:
    """Arcs that rules removed: by rule, or one by one."""
    removed = [arc for arc in arcs if arc["state"] == "removed"]
    pruned = sum(arc["state"] == "pruned" for arc in arcs)
    if every:
        rows = [(arc["product"], arc["channel"], arc["rule"], arc["reason"], arc["reason_zh"]) for arc in removed]
        print_table("arcs removed", ("product", "channel", "rule", "reason", "原因"), rows)
    else:
        by_rule: dict[str, list[dict[str, Any]]] = {}
        for arc in removed:
            by_rule.setdefault(arc["rule"], []).append(arc)
        print_table(
            f"arcs removed by rules: {len(removed)} of {len(arcs)} (--all lists them)",
            ("rule", "arcs", "reason", "原因"),
            [(rule, len(group), group[0]["reason"], group[0]["reason_zh"]) for rule, group in by_rule.items()],
        )
    for limit in sorted({arc["limit"] for arc in arcs if arc["state"] == "closed"}):
        shut = sum(arc.get("limit") == limit for arc in arcs)
        console.print(f"{shut} more arcs passed every rule but are closed for everybody: {limit} is 0")
    if pruned:
        console.print(
            f"{pruned} more arcs passed every rule but were not among the best at last night's prices (--all)"
        )


@app.command()
def funnel(
    run: RunOption = None,
    date: MadeOn = None,
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """What every rule removed, in order, for all customers. Example: cpc funnel --date 2026-01-09."""
    night = night_of(run, date, "funnel", env, set_)
    rows = night.lake.arrow("funnel", partition=night.partition).sort_by("position").to_pylist()
    if as_json:
        print_json({"business_date": night.date, "rules": rows})
        return
    columns = ("rule", "reason", "原因", "arcs before", "removed", "share", "customers left", "with an outbound arc")
    shown = [
        (
            row["rule"],
            row["reason"],
            row["reason_zh"],
            row["arcs_before"],
            row["arcs_removed"],
            f"{row['arcs_removed'] / row['arcs_before']:.1%}" if row["arcs_before"] else "–",
            row["customers_left"],
            row["outbound_customers_left"],
        )
        for row in rows
    ]
    print_table(f"funnel of {night.date}", columns, shown)


@app.command()
def kpi(
    from_: Annotated[str | None, typer.Option("--from", help="First decision date.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last decision date.")] = None,
    slice_: Annotated[str, typer.Option("--slice", help="Slices whose name contains this; `*` for every one.")] = "all",
    run: Annotated[str | None, typer.Option("--run", help="One run: its plan, and what its contacts came to.")] = None,
    reader: Annotated[
        str | None, typer.Option("--for", help="Only what this reader may see: marketer, operator, scientist, auditor.")
    ] = None,
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Figures of the operation by night, or of one run. Example: cpc kpi --from 2026-01-08 --to 2026-01-09."""
    if reader is not None and reader not in get_args(Reader):
        raise UserError(f"no reader {reader!r}", where="--for", remedy=suggest(reader, get_args(Reader)))
    if run is not None:
        show_run(run, reader, env, set_, as_json=as_json)
        return
    last = night_of(None, to, "kpi", env, set_)
    first = parse_date(from_) if from_ else last.date
    if first > last.date:
        raise UserError(f"{first} is after {last.date}", where="--from", remedy="give the earlier date first")
    rows = [
        row
        for row in last.lake.arrow("kpi").to_pylist()
        if first <= row["business_date"] <= last.date and (slice_ == "*" or select_slice(row["slice"], slice_))
    ]
    if not rows:
        names = sorted({row["slice"].split(":")[0] for row in last.lake.arrow("kpi").to_pylist()})
        raise UserError(f"no slice {slice_!r}", where="--slice", remedy=f"slices begin with {', '.join(names)}")
    rows = declare(rows, last.catalogue.figures, reader)
    if as_json:
        print_json({"from": first, "to": last.date, "figures": rows})
    else:
        show_figures(f"figures from {first} to {last.date}", rows)


def show_run(run: str, reader: str | None, env: str | None, set_: Sequence[str] | None, *, as_json: bool) -> None:
    """What a run planned on its night, and what the latest night knows of what its decisions came to."""
    made = night_of(run, None, "kpi", env, set_)
    latest = night_of(None, None, "kpi", env, set_)
    planned = made.lake.arrow("kpi", partition=made.partition).to_pylist()
    rows = [row for row in planned if row["slice"] == "all" and row["kpi"] in kpi_names()]
    rows += [
        row
        for row in latest.lake.arrow("kpi", partition=latest.partition).to_pylist()
        if row["slice"].endswith(f"run:{run}")
    ]
    rows = declare(rows, made.catalogue.figures, reader)
    if as_json:
        print_json({"run_id": run, "figures": rows})
    else:
        show_figures(f"figures of run {run}", rows)


def declare(rows: list[dict[str, Any]], figures: Mapping[str, Figure], reader: str | None) -> list[dict[str, Any]]:
    """The rows that are declared and may be seen, with label, unit and formula as declared today, in order."""
    known = describe([row for row in rows if row["kpi"] in figures], figures)
    seen = known if reader is None else hide_few(known, figures, reader)
    return sorted(seen, key=lambda row: (row["slice"], figures[row["kpi"]].position, row["kpi"], row["business_date"]))


def show_figures(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Figures as a table: what it is, of what, when, how much, its interval, and what its reader must know."""
    shown = [
        (
            row["kpi"],
            f"{row['label']} {row['label_zh']}",
            row["slice"],
            row["business_date"],
            say(row["value"], row["unit"]),
            "" if row.get("low") is None else f"{say(row['low'], row['unit'])} … {say(row['high'], row['unit'])}",
            row.get("note") or "",
        )
        for row in rows
    ]
    print_table(title, ("kpi", "figure 指标", "slice", "night", "value", "95 %", "note"), shown)


def kpi_names() -> set[str]:
    """Figures that a night's plan has, whatever became of it."""
    return {*PLANNED} | {"contacts", "withdrawn"}


def select_slice(name: str, asked: str) -> bool:
    """Whether a slice is asked for: ``all`` is all of the operation and of each policy, with causes; else it is in the name."""
    if asked != "all":
        return asked in name
    return name == "all" or name.startswith("cause:") or (name.startswith("policy:") and "/" not in name)
