"""``cpc offers``: what inbound channels may show now, what is accepted, and what is left of it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli.output import (
    DateOption,
    EnvOption,
    JsonOption,
    WhyOption,
    console,
    open_night,
    print_figures,
    print_json,
    print_table,
    require_purpose,
)
from conf.bounds import CUSTOMER, OptionReader
from conf.dates import SHANGHAI
from conf.errors import UserError
from conf.money import MICRO
from conf.offer import Channel, Product
from reporting.absence import explain_absence
from runtime import audit
from runtime.night import Night
from serving import stock
from serving import stop as stopping
from serving import store as serving
from serving.schema import Connection

offers = typer.Typer(help="Inbound offers of the day: show, accept, stock, hourly refresh.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(offers, name="offers")
Who = Annotated[int, typer.Argument(parser=OptionReader("WHO", CUSTOMER), help="Customer id.")]


@offers.command()
def show(
    who: Who,
    date: DateOption,
    channel: Annotated[str | None, typer.Option("--channel", help="Code.")] = None,
    why: WhyOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a customer may be shown now. Example: cpc offers show 12 --date 2026-01-09 --why 'call 12'."""
    purpose, night = require_purpose(why), open_night(date, env)
    with audit.log_look(night.lake, f"offers of customer {who} on {night.date}", purpose) as look:
        number = None if channel is None else _channel(night, channel).id
        with _open_store(night) as store:
            rows = stock.offers(store, night.date, who, number)
        look.rows = len(rows)
    codes = {c.id: c.code for c in night.catalogue.channels}, {p.id: p.code for p in night.catalogue.products}
    shown = [{**row, "channel": codes[0][row["channel"]], "product": codes[1][row["product"]]} for row in rows]
    reason = "" if shown else _say_why_nothing(night, who)
    if as_json:
        print_json(shown)
        return
    if not shown:
        console.print(reason)
        return
    print_table(
        f"offers for customer {who}",
        ("channel", "rank", "product", "value 元", "P(accept)", "P(slate)"),
        [
            (
                row["channel"],
                row["rank"],
                row["product"],
                f"{row['value_micro'] / MICRO:.2f}",
                row["p_accept"],
                row["slate_probability"],
            )
            for row in shown
        ],
    )


@offers.command()
def accept(
    who: Who,
    product: Annotated[str, typer.Argument(help="Code of the product.")],
    channel: Annotated[str, typer.Argument(help="Code of the channel where it was accepted.")],
    date: DateOption,
    why: WhyOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an offer: stock at once, outbound contacts withdrawn. Example: cpc offers accept 12 data_pack_10g website --date 2026-01-09 --why 'call 12'."""
    purpose, night = require_purpose(why), open_night(date, env)
    what = f"offer of {product} on {channel} accepted for customer {who} on {night.date}"
    with audit.log_look(night.lake, what, purpose) as look:
        wanted, place = _product(night, product), _channel(night, channel)
        outbound = [c.id for c in night.catalogue.channels if c.direction == "outbound"]
        with _open_store(night) as store:
            outcome = stock.accept(store, night.date, who, wanted.id, place.id, outbound)
        look.rows = int(outcome.taken)
    if as_json:
        print_json(vars(outcome))
        return
    status = "accepted before" if outcome.again else "accepted" if outcome.taken else "sold out: nothing was taken"
    print_figures(f"{product} for customer {who}: {status}", {"outbound contacts withdrawn": outcome.withdrawn})


@offers.command("stock")
def stock_(date: DateOption, env: EnvOption = None, as_json: JsonOption = False) -> None:
    """What is left of each stock. Example: cpc offers stock --date 2026-01-09."""
    night = open_night(date, env)
    with _open_store(night) as store:
        rows = stock.stocks(store, night.date)
    _tell(f"stock of {night.date}", rows, as_json)


@offers.command()
def refresh(
    date: DateOption,
    at: Annotated[str | None, typer.Option("--at", help="Time of day, HH:MM; else now.")] = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Charge what would not last the day; for every hour. Example: cpc offers refresh --date 2026-01-09 --at 14:00."""
    night = open_night(date, env)
    passed = share_passed(night, at or f"{dt.datetime.now(SHANGHAI):%H:%M}")
    with _open_store(night) as store:
        rows = stock.refresh(store, night.date, passed)
    _tell(f"stock of {night.date}, {passed:.0%} of the day's visits passed", rows, as_json)


def _say_why_nothing(night: Night, customer: int) -> str:
    """Why a customer is shown nothing.

    Raises:
        UserError: there is no such customer.
    """
    with serving.connect(night.settings, alone=False) as store:
        stops = stopping.list_stops(store, customer)
    reason = explain_absence(night, customer)
    return f"customer {customer} is stopped: {stops[0]['reason']} (`cpc stop list {customer}`)" if stops else reason


@contextlib.contextmanager
def _open_store(night: Night) -> Iterator[Connection]:
    """A transaction on the store beside all others.

    Raises:
        UserError: the night is not published there.
    """
    with serving.connect(night.settings, alone=False) as store:
        if not stock.is_open(store, night.date):
            raise UserError(
                f"no night of {night.date} is published",
                where="serving store",
                remedy=f"cpc runs lists the runs; cpc publish --run {night.date}-…",
            )
        yield store


def share_passed(night: Night, at: str) -> float:
    """The share of the day's visits before a time of day, even between the hours of the settings.

    Raises:
        UserError: no time of day.
    """
    begin, end = (_minutes(text) for text in night.settings.slates.hours)
    return min(1.0, max(0.0, (_minutes(at) - begin) / (end - begin)))


def _minutes(text: str) -> int:
    try:
        time = dt.time.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"{text!r} is no time of day", where="--at", remedy="write HH:MM") from error
    return time.hour * 60 + time.minute


def _channel(night: Night, code: str) -> Channel:
    inbound = {c.code: c for c in night.catalogue.channels if c.direction == "inbound"}
    if code not in inbound:
        raise UserError(f"no inbound channel {code!r}", where="channel", remedy=f"choose: {', '.join(inbound)}")
    return inbound[code]


def _product(night: Night, code: str) -> Product:
    known = {p.code: p for p in night.catalogue.products}
    if code not in known:
        raise UserError(f"no product {code!r}", where="product", remedy=f"choose: {', '.join(known)}")
    return known[code]


def _tell(title: str, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    columns = list(rows[0]) if rows else ["nothing"]
    print_table(title, columns, [list(row.values()) for row in rows])
