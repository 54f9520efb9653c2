"""``cpc store``: the embedded serving store for other tools: psql, DBeaver, Excel, pandas, Polars."""

from __future__ import annotations

import subprocess
import tempfile
from typing import Annotated, Literal
from urllib.parse import quote, unquote, urlsplit

import typer

from cli.output import EnvOption, JsonOption, WhyOption, console, print_json, require_purpose
from conf.bounds import OptionReader, WholeRange
from conf.errors import UserError
from conf.settings import Settings, load_settings
from runtime import audit
from runtime.lake import Lake
from serving import embedded
from serving import store as serving

store = typer.Typer(help="The embedded store for other tools: up, url, psql, down.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(store, name="store")
As = Annotated[Literal["read", "write"], typer.Option("--as", help="read: all tables; write: publishes.")]
LOGIN = {"read": "cpc_reader", "write": "cpc_publisher"}


@store.command()
def up(
    port: Annotated[
        int,
        typer.Option(
            "--port", parser=OptionReader("--port", WholeRange(1024, 65535)), help="On the loopback interface."
        ),
    ] = 54329,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the embedded PostgreSQL for other tools, until `down`; prints its address. Example: cpc store up."""
    settings = _require_embedded(env)
    embedded.start_for_others(settings.home, port)
    with serving.connect(settings, alone=False) as connection:
        embedded.set_passwords(settings.home, connection)
    _tell(embedded.tell_address(settings.home, LOGIN["read"]), as_json)


@store.command()
def url(role: As = "read", env: EnvOption = None, as_json: JsonOption = False) -> None:
    """The address for other tools, with its password: who took it is kept. Example: psql "$(cpc store url)"."""
    settings = _require_embedded(env)
    address = embedded.tell_address(settings.home, LOGIN[role])
    event = audit.make_event(f"address of the store handed out, login {LOGIN[role]}", "other tools", 0)
    audit.append(Lake(settings.lake, settings.catalogue), [event])
    _tell(address, as_json)


@store.command(context_settings={"ignore_unknown_options": True})
def psql(
    words: Annotated[list[str] | None, typer.Argument(help="Passed on to psql, after --.")] = None,
    role: As = "read",
    why: WhyOption = None,
    env: EnvOption = None,
) -> None:
    """Psql on the store; it comes with the product. Example: cpc store psql --why 'count nights' -- -c 'SELECT * FROM cpc.night'."""
    purpose, settings = require_purpose(why), load_settings(env)
    address = serving.plain_address(settings) or embedded.tell_address(settings.home, LOGIN[role])
    parts = urlsplit(address)
    password = unquote(parts.password or "").replace("\\", "\\\\").replace(":", "\\:")
    where = address.replace(f":{parts.password}@", "@", 1) if parts.password else address
    with tempfile.NamedTemporaryFile("w", suffix=".pgpass") as file:  # mode 600; not on the command line, which all see
        file.write(f"*:*:*:*:{password}\n")
        file.flush()
        where += f"{'&' if parts.query else '?'}passfile={quote(file.name, safe='')}"
        with audit.log_look(Lake(settings.lake, settings.catalogue), f"psql on the store as {parts.username}", purpose):
            code = subprocess.run([embedded.find_psql(), where, *(words or [])]).returncode
    raise typer.Exit(code)


@store.command()
def down(env: EnvOption = None, as_json: JsonOption = False) -> None:
    """Stop the embedded PostgreSQL. Example: cpc store down."""
    stopped = embedded.stop_embedded(_require_embedded(env).home)
    if as_json:
        print_json({"stopped": stopped})
    else:
        console.print("stopped" if stopped else "it was not up")


def _require_embedded(env: str | None) -> Settings:
    settings = load_settings(env)
    if address := serving.plain_address(settings):
        raise UserError(
            "the store is a PostgreSQL of your own, which this does not start or stop",
            where=serving.hide_password(address),
            remedy="connect with that address; its logins are your DBA's (roles cpc_read, cpc_api, cpc_write)",
        )
    return settings


def _tell(address: str, as_json: bool) -> None:
    print_json({"url": address}) if as_json else console.print(address)
