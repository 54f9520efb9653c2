"""``cpc demo`` and ``cpc synth``: a province in a box (or real data), its night, and a summary."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.nightly import tell
from cli.output import EnvOption, JsonOption, SetOption, console, print_json
from cli.report import print_summary, summary
from conf.bounds import NIGHTS, PEOPLE, OptionReader, WholeRange
from conf.dates import parse_date
from conf.errors import UserError
from conf.settings import load_settings, operator_root
from features.store.backfill import missing_snapshots, snapshot_dates
from runtime.airflow import migrate, run_dag
from runtime.night import Night
from runtime.runner import pin, plan, run_night

app = typer.Typer()
#: The last decision date of the demo; the eight days before it have all feeds.
LAST = dt.date(2026, 1, 9)
DAY = dt.timedelta(days=1)


@app.command()
def synth(
    out: Annotated[Path, typer.Option("--out", help="Landing folder to write; the truth goes to OUT/truth.")],
    start: Annotated[str, typer.Option("--start", help="First data date.")] = "2026-01-01",
    customers: Annotated[int, typer.Option("--customers", parser=OptionReader("--customers", PEOPLE))] = 20_000,
    days: Annotated[int, typer.Option("--days", parser=OptionReader("--days", NIGHTS))] = 8,
    seed: Annotated[
        int, typer.Option("--seed", parser=OptionReader("--seed", WholeRange(0, (1 << 63) - 1)))
    ] = 20260109,
    preset: Annotated[str, typer.Option("--preset", help="easy, real, large or null.")] = "real",
    bytes_per_day: Annotated[
        int | None,
        typer.Option(
            "--bytes-per-day",
            parser=OptionReader("--bytes-per-day", WholeRange(1, 10**15)),
            help="Source bytes a day, about, of all feeds.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Landing files of all feeds in their dialects. Example: cpc synth --out /tmp/landing --customers 2000 --days 2."""
    require_synth()
    from synth import write_province

    figures = write_province(
        out, customers, parse_date(start), days, seed, preset, bytes_per_day, catalogue_root=operator_root()
    )
    if as_json:
        print_json(figures)
    else:
        console.print(f"province: {out}: {json.dumps(figures, default=str)}")


def require_synth() -> None:
    """Make sure that data can be made here.

    Raises:
        UserError: this is a wheel, which leaves out the room ``synth``.
    """
    if find_spec("synth") is None:
        raise UserError(
            "there is no room `synth` here, which makes the data: the wheel leaves it out",
            where=str(Path(__file__).resolve().parents[1]),
            remedy="run it from a checkout: `make demo`, or `.venv/bin/cpc` there",
        )


@app.command()
def demo(
    customers: Annotated[
        int, typer.Option("--customers", parser=OptionReader("--customers", WholeRange(500, PEOPLE.most)))
    ] = 20_000,
    days: Annotated[
        int,
        typer.Option("--days", parser=OptionReader("--days", WholeRange(2, NIGHTS.most)), help="Days with all feeds."),
    ] = 8,
    preset: Annotated[str, typer.Option("--preset", help="easy, real, large or null.")] = "real",
    data: Annotated[str | None, typer.Option("--data", help="Real data instead: bank, pega, starbucks, …")] = None,
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """The product on one machine, end to end. Example: cpc demo; cpc demo --data bank."""
    require_synth()
    if data is not None:
        from cli.real_data import demo_real

        demo_real(data, env, set_, as_json=as_json)
        return
    settings = load_settings(env, tuple(set_ or ()))
    night = Night(LAST, settings, settings.landing)
    box = {"customers": customers, "days": days, "preset": preset, "seed": settings.seed}
    log: Callable[[str], None] = (lambda text: None) if as_json else console.print
    started = time.perf_counter()
    database = None if (settings.home / "airflow" / "airflow.db").exists() else migrate(night)
    make_province(night, box, log)
    learn(night, box, log)
    if database is not None and database.wait() != 0:
        raise UserError(
            "Airflow could not make its database",
            where=str(settings.home / "logs"),
            remedy="read the log; `make setup`",
        )
    log(f"the night of {LAST}, through Airflow")
    run_dag("nightly", night, log)
    if as_json:
        print_json(summary(night))
    else:
        print_summary(night)
        log(f"done in {time.perf_counter() - started:.0f} s")


def make_province(night: Night, box: dict[str, Any], log: Callable[[str], None]) -> None:
    """Write the landing files unless this very province is there.

    Raises:
        UserError: the home holds another one.
    """
    mark = night.settings.home / "province.json"
    if mark.exists():
        previous = json.loads(mark.read_text(encoding="utf-8"))
        if previous != box:
            raise UserError(
                f"this home holds another province: {previous}",
                where=str(night.settings.home),
                remedy="run `make clean`, or set CPC_HOME to another folder",
            )
        log("province: the one that is here")
        return
    from synth import write_province

    log(
        f"province: {box['customers']:,} customers, {box['days']} days of {len(night.catalogue.feeds)} feeds, 180 days before"
    )
    start, root = LAST - box["days"] * DAY, night.catalogue.root
    figures = write_province(
        night.landing, box["customers"], start, box["days"], box["seed"], box["preset"], catalogue_root=root
    )
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps(box), encoding="utf-8")
    log(f"  {json.dumps(figures, default=str)}"[:200])


def learn(night: Night, box: dict[str, Any], log: Callable[[str], None]) -> None:
    """Load the earlier dates in one batch, train the first model, and run the day before to publish; once."""
    mark = night.settings.home / "history.json"
    if mark.exists():
        log("history and champion: the ones that are here")
        return
    before = Night(LAST - DAY, night.settings, night.landing)
    history(before, log)
    mark.write_text(json.dumps(box), encoding="utf-8")


def history(before: Night, log: Callable[[str], None]) -> None:
    """Everything up to and with the night of ``before``: earlier dates, weekly snapshots, champion, publication."""

    def show(job: str, record: Any) -> None:
        tell(job, record, log)

    log(f"history: all data before {before.date}, in one batch")
    run_night(before, plan("nightly", None, "partials"), show)
    dates = missing_snapshots(before)
    if dates:
        log(f"  {len(dates)} weekly snapshots, {dates[0]} … {dates[-1]}")
        snapshot_dates(before, dates)
    log("training: outcomes, first model")
    run_night(before, plan("training"), show)
    log(f"the night of {before.date}, to be compared with")
    pin(before)  # a champion has come in: another run than the one that loaded
    run_night(before, plan("nightly", "snapshot"), show)
