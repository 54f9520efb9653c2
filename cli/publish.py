"""``cpc publish`` and ``cpc export``: a run to the serving store and files; any table of a night to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer

from cli.output import (
    EnvOption,
    JsonOption,
    SetOption,
    WhyOption,
    open_night,
    print_figures,
    print_json,
    require_purpose,
)
from conf.errors import UserError
from jobs import publish as publishing
from runtime import audit
from runtime.night import Night
from runtime.run_id import run_id
from runtime.runner import lease
from serving import campaign_files

app = typer.Typer()
#: What may leave as a file: tables of decisions and figures, none of which holds a number.
EXPORTED = ("assignment", "recommendation", "limit_price", "funnel", "kpi")
#: Those of them that are a row a customer.
OF_PEOPLE = ("assignment", "recommendation")
RunOption = Annotated[str, typer.Option("--run", help="Run id; `cpc runs` lists them.")]


@app.command()
def publish(
    run: RunOption,
    to: Annotated[
        str, typer.Option("--to", help="Any of store, files, report, separated by commas.")
    ] = "store,files,report",
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a run again, consent looked up anew. Example: cpc publish --run 2026-01-09-0123456789ab --to files."""
    targets = [target.strip() for target in to.split(",")]
    if unknown := sorted(set(targets) - set(publishing.TARGETS)):
        raise UserError(
            f"no target {', '.join(unknown)}", where="--to", remedy=f"choose of: {', '.join(publishing.TARGETS)}"
        )
    night = night_of(run, env, set_)
    with lease(night):
        figures = publishing.publish(night, targets).as_json()
    if as_json:
        print_json(figures)
    else:
        print_figures(f"published {run}", figures)


@app.command()
def export(
    run: RunOption,
    out: Annotated[Path, typer.Option("--out", help="File to write: .csv or .parquet.")],
    what: Annotated[
        str, typer.Option("--what", help="assignment, recommendation, limit_price, funnel or kpi.")
    ] = "assignment",
    channel: Annotated[str | None, typer.Option("--channel", help="Only this channel, by code.")] = None,
    product: Annotated[str | None, typer.Option("--product", help="Only this product, by code.")] = None,
    why: WhyOption = None,
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """A table of a run as a file, with codes for ids. Example: cpc export --run R --what funnel --out f.csv.

    What holds people (assignment, recommendation) needs a purpose: --why 'check of the campaign'.
    """
    if what not in EXPORTED:
        raise UserError(f"{what!r} is not exported", where="--what", remedy=f"choose one of: {', '.join(EXPORTED)}")
    if what in OF_PEOPLE:
        purpose, lake = require_purpose(why), open_night(run[:10], env, set_).lake
        with audit.log_look(lake, f"export {what} of {run} to {out}", purpose) as look:
            rows = write_export(night_of(run, env, set_), what, channel, product, out)
            look.rows = rows.num_rows
    else:
        rows = write_export(night_of(run, env, set_), what, channel, product, out)
    facts = {"rows": rows.num_rows, "file": str(out)}
    if as_json:
        print_json(facts)
    else:
        print_figures(f"{what} of {run}", facts)


def write_export(night: Night, what: str, channel: str | None, product: str | None, out: Path) -> pa.Table:
    """Write rows of a table of the night to a file, and return them.

    Raises:
        UserError: an unknown channel or product, or no form of file.
    """
    rows = select_rows(night, what, channel, product)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".csv":
        campaign_files.write_csv(out, rows, 0o640)
    elif out.suffix == ".parquet":
        pq.write_table(rows, out, compression="zstd")
    else:
        raise UserError(f"cannot write {out.suffix or out.name!r}", where="--out", remedy="end it in .csv or .parquet")
    return rows


def night_of(run: str, env: str | None, set_: list[str] | None) -> Night:
    """The night of a run id.

    Raises:
        UserError: it is not the run that the night's plan is of.
    """
    night = open_night(run[:10], env, set_)
    current = run_id(night)
    if run != current:
        raise UserError(
            f"the night of {night.date} is run {current} now",
            where=f"--run {run}",
            remedy="`cpc runs` lists the runs; only the newest plan of a night can be published or exported",
        )
    return night


def select_rows(night: Night, what: str, channel: str | None, product: str | None) -> pa.Table:
    """Rows of a table of the night, ids replaced by codes, sorted by the table's key."""
    rows = night.lake.arrow(what, partition=night.partition)
    for name, asked, listed in (
        ("channel", channel, night.catalogue.channels),
        ("product", product, night.catalogue.products),
    ):
        codes = {row.id: row.code for row in listed}
        if asked is not None and asked not in codes.values():
            raise UserError(
                f"no {name} {asked!r}", where=f"--{name}", remedy=f"choose one of: {', '.join(codes.values())}"
            )
        if name not in rows.column_names:
            if asked is not None:
                raise UserError(f"{what} has no {name}", where=f"--{name}", remedy="leave that option out")
            continue
        names = pa.array(list(codes.values()), pa.string())
        position = pc.index_in(rows[name].cast(pa.int64()), value_set=pa.array(list(codes), pa.int64()))
        rows = rows.set_column(rows.column_names.index(name), name, names.take(position.combine_chunks()))
        if asked is not None:
            rows = rows.filter(pc.equal(rows[name], asked))
    return rows.sort_by([(key, "ascending") for key in night.lake.table(what).key])
