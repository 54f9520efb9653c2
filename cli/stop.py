"""``cpc stop``: leave a customer alone from this moment: no offer, no acceptance, no contact in the next pull."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from cli.output import (
    EnvOption,
    JsonOption,
    WhyOption,
    open_night,
    print_figures,
    print_json,
    print_table,
    require_purpose,
)
from conf.bounds import CUSTOMER, OptionReader
from conf.dates import SHANGHAI
from conf.errors import UserError
from runtime import audit
from runtime.night import Night
from serving import stop as stopping
from serving import store as serving
from serving.schema import Connection

stop = typer.Typer(help="Stop customers at once: add, remove, list.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(stop, name="stop")
Who = Annotated[int | None, typer.Argument(parser=OptionReader("WHO", CUSTOMER), help="Customer id; or give --number.")]
Number = Annotated[str, typer.Option("--number", help="Instead of the id: the number, as written; kept nowhere.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept with your name.")]


@stop.command()
def add(
    why: Why,
    who: Who = None,
    number: Number = "",
    channel: Annotated[str, typer.Option("--channel", help="Code of a channel; else every one.")] = stopping.ALL,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a customer now. Example: cpc stop add 12 --why 'called 10086'; cpc stop add --number 13800000000 --why …."""
    night = _today(env)
    with _changing(night, f"{_tell_who(who)} stopped on {channel}", why) as store:
        customer = _find(night, who, number)
        codes = [stopping.ALL, *(each.code for each in night.catalogue.channels)]
        if channel not in codes:
            raise UserError(f"no channel {channel!r}", where="--channel", remedy=f"choose: {', '.join(codes)}")
        withdrawn = stopping.add(store, customer, channel, reason=why.strip(), who=audit.name_user())
    facts = {"customer": customer, "channel": channel, "contacts withdrawn": withdrawn}
    print_json(facts) if as_json else print_figures(f"customer {customer} is stopped", facts)


@stop.command()
def remove(
    why: Why,
    who: Who = None,
    number: Number = "",
    channel: Annotated[str | None, typer.Option("--channel", help="Only the stop of this code.")] = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lift stops of a customer. Example: cpc stop remove 12 --why 'a slip of the pen'."""
    night = _today(env)
    with _changing(night, f"stops of {_tell_who(who)} lifted on {channel or stopping.ALL}", why) as store:
        customer = _find(night, who, number)
        lifted = stopping.remove(store, customer, channel)
        if not lifted:
            remedy = "`cpc stop list` shows who is stopped"
            raise UserError(f"customer {customer} is not stopped there", where="cpc stop remove", remedy=remedy)
    facts = {"customer": customer, "stops lifted": lifted, "contacts come back": "when the night is published again"}
    print_json(facts) if as_json else print_figures(f"customer {customer} is not stopped any more", facts)


@stop.command("list")
def list_(
    who: Who = None, number: Number = "", why: WhyOption = None, env: EnvOption = None, as_json: JsonOption = False
) -> None:
    """Who is stopped, since when, why, by whom. Example: cpc stop list --why 'weekly review'."""
    purpose, night = require_purpose(why), _today(env)
    everyone = who is None and not number
    what = "stops of everyone" if everyone else f"stops of {_tell_who(who)}"
    with audit.log_look(night.lake, what, purpose) as look:
        customer = None if everyone else _find(night, who, number)
        with serving.connect(night.settings, alone=False) as store:
            rows = stopping.list_stops(store, customer)
        look.rows = len(rows)
    if as_json:
        print_json(rows)
        return
    columns = ("customer", "channel", "since", "reason", "by")
    shown = [(r["customer_id"], r["channel"], f"{r['stopped_at']:%Y-%m-%d %H:%M}", r["reason"], r["who"]) for r in rows]
    print_table(f"stopped: {len(rows)}", columns, shown)


def _today(env: str | None) -> Night:
    return open_night(str(dt.datetime.now(SHANGHAI).date()), env)


def _tell_who(who: int | None) -> str:
    """The person as the audit names him; a number is kept nowhere."""
    return "the holder of a number" if who is None else f"customer {who}"


def _find(night: Night, who: int | None, number: str) -> int:
    if (who is None) == (not number.strip()):
        raise UserError("name one customer", where="cpc stop", remedy="give the id, or --number, and not both")
    return stopping.find_customer(night, number) if who is None else who


@contextmanager
def _changing(night: Night, what: str, why: str) -> Iterator[Connection]:
    """A transaction on the stops; who changed what, and why, is in the audit."""
    if not why.strip():
        raise UserError("a stop, or its end, needs a reason", where="--why", remedy="say what for")
    with audit.log_look(night.lake, what, why.strip()) as look:
        with serving.connect(night.settings, alone=False) as store:
            yield store
        look.rows = 1
