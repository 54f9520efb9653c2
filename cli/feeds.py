"""``cpc ingest``, ``cpc rebuild``, ``cpc feeds``: what lands, what became of it, what a restatement touches."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.nightly import tell
from cli.output import (
    DateOption,
    EnvOption,
    JsonOption,
    SetOption,
    WhyOption,
    console,
    open_night,
    print_figures,
    print_json,
    print_table,
    require_purpose,
)
from conf.bounds import NIGHTS, OptionReader, WholeRange
from conf.catalogue import Catalogue
from conf.dates import parse_date
from conf.errors import UserError
from conf.settings import Settings, load_settings
from reporting import feed_status
from reporting.feed_status import FeedState
from runtime import audit
from runtime.holds import read_holds
from runtime.night import Night

app = typer.Typer()
feeds = typer.Typer(help="The catalogue of feeds, its checks, a night's state, a draft from a sample.")
app.add_typer(feeds, name="feeds")
DAY = dt.timedelta(days=1)
#: Bytes of a sample that are looked at, packed as they are: a whole night's file will do as well.
SAMPLE = 32 << 20
#: Files of no feed that are listed.
STRANGE = 20


@app.command()
def ingest(
    date: DateOption,
    landing: Annotated[Path | None, typer.Option("--landing", help="Folder of interface files.")] = None,
    feed: Annotated[str, typer.Option("--feed", help="Only feeds whose code matches this glob.")] = "*",
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load what has landed for a night. Example: cpc ingest --date 2026-01-09 --feed 'hotline_*'."""
    from jobs import ingest as loader
    from jobs import scan
    from runtime.runner import lease, run_job

    night = open_night(date, env, set_)
    if landing is not None:
        night = replace(night, landing=landing.resolve())
    if feed == "*":
        records = [run_job("scan", night), run_job("ingest", night)]
        if not as_json:
            for record in records:
                tell(record.job, record)
        figures = records[-1].figures.as_json()
    else:  # a part of the night is no run of it: nothing is recorded but the deliveries
        with lease(night):
            scan.run(night)
            figures = loader.run(night, feed).as_json()
        if not as_json:
            print_figures(f"loaded for the night of {night.date}: {feed}", figures)
    if as_json:
        print_json(figures)


@app.command()
def rebuild(
    since: Annotated[str, typer.Option("--since", help="First night whose snapshot is looked at, YYYY-MM-DD.")],
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be rebuilt, rebuild nothing.")] = False,
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild what a restatement touched, nothing else. Example: cpc rebuild --plan --since 2026-01-02."""
    from jobs.rebuild import carry_out, plan_of
    from runtime.runner import lease

    settings = load_settings(env, tuple(set_ or ()))
    first = parse_date(since)
    night = Night(first, settings, settings.landing)
    made = plan_of(night, first)
    figures = {} if plan else _carry_out(carry_out, lease, night, made)
    if as_json:
        print_json({**made.as_json(), **figures})
        return
    print_table("to rebuild" if plan else "rebuilt", ("what", "which", "why"), made.lines())
    if not made.lines():
        console.print("nothing: every table is made of the deliveries in force")
    taken_in = figures.pop("taken_in", {})
    if figures:
        print_figures("done", figures)
    if taken_in:
        rows = [(entity, feed, count) for entity, by_feed in taken_in.items() for feed, count in by_feed.items()]
        print_table("taken in", ("entity", "feed", "rows"), rows)


def _carry_out(carry_out: Any, lease: Any, night: Night, made: Any) -> dict[str, Any]:
    with lease(night):
        return dict(carry_out(night, made))


@feeds.command("list")
def list_(
    env: EnvOption = None,
    unread: Annotated[bool, typer.Option("--unread", help="Only feeds that nothing reads.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Every feed with what reads it. Example: cpc feeds list --unread."""
    catalogue = load_settings(env).catalogue
    reach = feed_status.readers(catalogue)
    rows: list[dict[str, Any]] = [
        {
            "feed": code,
            "label": feed.label,
            "service": feed.service,
            "dialect": feed.dialect,
            "schema": feed.schema_name,
            "granularity": feed.granularity,
            "deadline": feed.deadline,
            "required": feed.required,
            "reads_it": list(reach[feed.schema_name]),
        }
        for code, feed in sorted(catalogue.feeds.items())
        if not (unread and reach[feed.schema_name])
    ]
    if as_json:
        print_json(rows)
        return
    columns = ("feed", "label", "dialect", "schema", "granularity")
    print_table(
        f"{len(rows)} feeds",
        (*columns, "what reads it"),
        [[*(row[name] for name in columns), "; ".join(row["reads_it"]) or "nothing"] for row in rows],
    )


@feeds.command()
def check(env: EnvOption = None, as_json: JsonOption = False) -> None:
    """Check every feed, schema and mapping; names file, line and remedy. Example: cpc feeds check."""
    from jobs.conform.work import sources_by_entity

    catalogue = load_settings(env).catalogue
    for code, feed in catalogue.feeds.items():
        narrow = [field.name for field in catalogue.schemas[feed.schema_name].fields if not field.width]
        if feed.layout == "fixed" and narrow:
            raise UserError(
                f"feed {code} is fixed-width, but {feed.schema_name}.{narrow[0]} has no width",
                where=f"conf/schemas/{feed.schema_name}.yml",
                remedy="give every field its `width` in bytes of GB18030",
            )
    sources = sources_by_entity(catalogue)
    counted = Counter(feed.service for feed in catalogue.feeds.values())
    unused = sorted(set(catalogue.schemas) - {feed.schema_name for feed in catalogue.feeds.values()})
    reach = feed_status.readers(catalogue)
    unread = sorted(code for code, feed in catalogue.feeds.items() if not reach[feed.schema_name])
    figures: dict[str, Any] = {
        "feeds": len(catalogue.feeds),
        **{name: counted[name] for name in sorted(counted)},
        "schemas": len(catalogue.schemas),
        "fields": sum(len(s.fields) for s in catalogue.schemas.values()),
        "mappings": sum(len(entries) for entries in sources.values()),
        "entities": len(sources),
        "feeds that nothing reads": len(unread),
        "schemas without a feed": len(unused),
    }
    if as_json:
        print_json({**figures, "unread": unread, "unused": unused})
    else:
        print_figures("the catalogue is sound", figures)


@feeds.command()
def status(
    date: DateOption,
    days: Annotated[
        int, typer.Option("--days", parser=OptionReader("--days", NIGHTS), help="So many nights up to this one.")
    ] = 1,
    everything: Annotated[bool, typer.Option("--all", help="On a terminal, also the feeds that are loaded.")] = False,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every feed on a night: loaded, late, refused or missing. Example: cpc feeds status --date 2026-01-09."""
    night = open_night(date, env)
    ledger, landing = feed_status.records(night)
    nights = [night.date - n * DAY for n in reversed(range(days))]
    holds = read_holds(night.lake, night.catalogue)
    states = {day: feed_status.states(night.catalogue, ledger, landing, day, holds) for day in nights}
    if as_json:
        print_json(
            [{**({"night": day} if days > 1 else {}), **state.as_row()} for day in nights for state in states[day]]
        )
        return
    counts = {day: feed_status.counts(states[day]) for day in nights}
    print_table(
        "feeds by state",
        ("night", *feed_status.STATES),
        [[str(day), *counts[day].values()] for day in nights],
    )
    shown = [state for state in states[night.date] if everything or state.odd]
    if shown:
        print_table(f"the night of {night.date}", COLUMNS, [_format_state(state) for state in shown])
    strange = sorted({row["file"] for row in landing if row["state"] == "unknown"})
    if strange:
        listed = [[name] for name in strange[:STRANGE]]
        print_table(f"{len(strange)} files in the landing folder belong to no feed", ("file",), listed)


COLUMNS = ("feed", "data date", "required", "state", "code", "files", "rows", "quarantined", "stands in", "why")


def _format_state(state: FeedState) -> tuple[Any, ...]:
    periods = f" {state.periods[0]}/{state.periods[1]}" if state.periods[1] > 1 and state.state == "partly" else ""
    return (
        state.feed.code,
        str(state.data_date),
        "yes" if state.feed.required else "no",
        state.state + periods,
        state.code,
        state.files,
        state.rows,
        state.quarantined,
        str(state.stand_in or ""),
        state.reason,
    )


@feeds.command()
def show(
    feed: Annotated[str, typer.Argument(help="Code of the feed.")], env: EnvOption = None, as_json: JsonOption = False
) -> None:
    """A feed's contract, fields, readers and last deliveries. Example: cpc feeds show hotline_call_gz."""
    settings = load_settings(env)
    catalogue = settings.catalogue
    if feed not in catalogue.feeds:
        near = sorted(code for code in catalogue.feeds if feed[:5] in code)[:8]
        raise UserError(
            f"no feed {feed!r}",
            where="cpc feeds show",
            remedy=f"did you mean: {', '.join(near)}" if near else "`cpc feeds list` lists them",
        )
    contract = catalogue.feeds[feed]
    schema = catalogue.schemas[contract.schema_name]
    last = deliveries_of(settings, feed)
    reach = list(feed_status.readers(catalogue)[schema.name])
    if as_json:
        print_json(
            {
                "feed": contract.model_dump(mode="json", by_alias=True),
                "reads_it": reach,
                "deliveries": last,
                "schema": schema.model_dump(mode="json"),
            }
        )
        return
    terms = {name: value for name, value in contract.model_dump(mode="json", by_alias=True).items() if value != ""}
    print_figures(f"{feed} · {contract.label}", {**terms, "what reads it": "; ".join(reach) or "nothing"})
    print_table(
        f"{schema.name} · {schema.doc}",
        ("field", "type", "中文", "unit", "needed", "personal"),
        [
            (f.name, f.type, f.label, f.unit, "" if f.nullable else "yes", f.personal.replace("none", ""))
            for f in schema.fields
        ],
    )
    columns = ("data_date", "hour", "resend", "file", "loaded", "quarantined", "code", "state", "arrived_at", "reason")
    print_table("last deliveries", columns, [[row[name] for name in columns] for row in last])


def deliveries_of(settings: Settings, feed: str) -> list[dict[str, Any]]:
    """The last ten rows of the ledger about a feed, the newest first."""
    night = Night(dt.date.max, settings, settings.landing)
    rows = [row for row in night.lake.arrow("ops_delivery").to_pylist() if row["feed"] == feed]
    return sorted(rows, key=lambda row: (row["data_date"], row["hour"], row["resend"], row["file"]), reverse=True)[:10]


@feeds.command()
def release(
    what: Annotated[str, typer.Argument(help="A delivery's id or a feed's code; none lists what is held back.")] = "",
    why: Annotated[str, typer.Option("--why", help="The reason, which is kept; without it nothing is released.")] = "",
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Release deliveries that a check holds back, or whose refusals stop all contacts. Example: cpc feeds release topup_bank --why 'codes agreed'."""
    from jobs.rebuild import release as lift
    from runtime.holds import read_unowned_refusals
    from runtime.runner import lease

    settings = load_settings(env)
    night = Night(dt.date.max, settings, settings.landing)
    unowned = read_unowned_refusals(night.lake, night.catalogue, night.date)
    holds = [*read_holds(night.lake, night.catalogue).values(), *unowned]
    chosen = [hold for hold in holds if not what or what in (hold.delivery_id, hold.feed)]
    if what and not chosen:
        remedy = "`cpc feeds release` lists what is"
        raise UserError(f"nothing of {what!r} is held back", where="cpc feeds release", remedy=remedy)
    if what and why.strip():
        with lease(night):
            lift(night, chosen, audit.name_user(), why.strip())
    elif what:
        remedy = f"say why: cpc feeds release {what} --why REASON"
        raise UserError("a release needs a reason", where="--why", remedy=remedy)
    if as_json:
        print_json({"released": bool(what), "deliveries": [asdict(hold) for hold in chosen]})
        return
    title = "released" if what else "held back"
    rows = [(hold.delivery_id, hold.feed, str(hold.night), "; ".join(hold.checks)) for hold in chosen]
    print_table(f"{title}: {len(rows)} deliveries", ("delivery", "feed", "judged by the night of", "checks"), rows)
    if what:
        console.print("the next night takes them in; now: cpc rebuild --since YYYY-MM-DD")


@feeds.command("aside", hidden=True, deprecated=True)  # its name in release 0.1
@feeds.command()
def quarantine(
    feed: Annotated[str, typer.Argument(help="Code of the feed.")],
    date: Annotated[str | None, typer.Option("--date", help="Data date; else every date that is kept.")] = None,
    most: Annotated[
        int, typer.Option("--most", parser=OptionReader("--most", WholeRange(1, 1_000_000)), help="So many records.")
    ] = 20,
    why: WhyOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Records that were set aside: place, reason and shape (0 a digit, a a letter). Example: cpc feeds quarantine hotline_call_gz --why 'ticket 4711'."""
    from reporting.quarantine import mask_bytes, read_quarantined

    purpose, settings = require_purpose(why), load_settings(env)
    day = parse_date(date) if date else None
    night = Night(day or dt.date.max, settings, settings.landing)
    with audit.log_look(night.lake, f"records of {feed} in quarantine, opened for their shape", purpose) as look:
        rows = mask_bytes(night, read_quarantined(night.lake, feed, day, most))
        look.rows = len(rows)
    if as_json:
        print_json(rows)
        return
    console.print(f"{feed}: {len(rows)} records in quarantine")
    for row in rows:
        place = f"{row['data_date']} {row['file']} line {row['line']:,} byte {row['byte_offset']:,}"
        console.print(f"{place}: {row['reason']} (error {row['code']})", markup=False)
        console.print(f"    {row['shape']}", markup=False)


@feeds.command()
def new(
    sample: Annotated[Path, typer.Argument(help="A data file of the new interface.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the drafts below this folder; else print them.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Code of the feed; else from the file.")] = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draft a feed and its schema that read a sample file. Example: cpc feeds new sample.dat --name topup_new."""
    from dialects.draft import draft, read_back
    from dialects.sniff import sniff

    if not sample.is_file() or sample.name.endswith((".CHK", ".verf", ".manifest.json")):
        raise UserError("no data file", where=str(sample), remedy="name a data file, not its control file")
    catalogue = load_settings(env).catalogue
    with sample.open("rb") as file:
        guess = sniff(sample.name, file.read(SAMPLE), _words(catalogue))
    code = name or guess.code
    places = _free_places(catalogue, out, code)
    texts = draft(guess, code, {feed.unit_code for feed in catalogue.feeds.values()})
    result = read_back(*texts, guess)
    figures = {**guess.as_row(), "records read": result.rows, "records set aside": result.records - result.rows}
    notes = guess.remarks()
    if as_json:
        outcome = {
            "obstacles": [asdict(obstacle) for obstacle in result.obstacles],
            "notes": notes,
            "drafted": result.good,
        }
        print_json({**figures, **outcome, **({"feed_yaml": texts[0], "schema_yaml": texts[1]} if result.good else {})})
    else:
        print_figures(f"what {sample.name} looks like", figures)
        for note in notes:
            console.print(f"note: {note}", markup=False)
        for obstacle in result.obstacles:
            console.print(f"set aside: {obstacle.count:,} records", markup=False)
            console.print(
                f"  what:   {obstacle.what}\n  where:  {obstacle.where}\n  remedy: {obstacle.remedy}", markup=False
            )
    if not result.good:
        worst = next(iter(result.obstacles), None)
        raise UserError(
            f"the draft reads {result.rows:,} of {result.records:,} records"
            + (f": {'; '.join(obstacle.what for obstacle in result.obstacles[:3])}" if worst else ""),
            where=f"{sample}, {worst.where}" if worst else str(sample),
            remedy=worst.remedy if worst else "take a file with records",
        )
    for text, path in zip(texts, places, strict=True):
        if path is None:
            if not as_json:
                console.print(text, markup=False)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if not as_json:
            console.print(f"written: {path}", markup=False)


def _words(catalogue: Catalogue) -> dict[str, str]:
    """What columns are called, by their 中文 labels: the name that most schemas give them."""
    counter = Counter((field.label, field.name) for schema in catalogue.schemas.values() for field in schema.fields)
    return {label: name for (label, name), _ in reversed(counter.most_common())}


def _free_places(catalogue: Catalogue, out: Path | None, code: str) -> tuple[Path | None, Path | None]:
    """Where the drafts go, if anywhere; nothing is overwritten, here or in the catalogue."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", code):
        raise UserError(f"{code!r} cannot be a code", where="--name", remedy="small letters, digits and _")
    if out is None:
        return None, None
    places = out / "feeds" / "hotline" / f"{code}.yml", out / "schemas" / f"{code}.yml"
    there = [str(path) for path in places if path.exists()]
    there += [f"feed {code}"] * (code in catalogue.feeds) + [f"schema {code}"] * (code in catalogue.schemas)
    if there:
        raise UserError(f"there is {there[0]} already", where=str(out), remedy="choose another --name")
    return places
