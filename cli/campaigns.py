"""``cpc campaigns``: what lies in a night's campaign folder, and a channel's list just before its wave."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import (
    DateOption,
    EnvOption,
    JsonOption,
    WhyOption,
    open_night,
    print_figures,
    print_json,
    print_table,
    require_purpose,
)
from conf.errors import UserError
from runtime import audit
from runtime.atomic_files import write_atomic
from runtime.runner import lease
from serving import manifest
from serving.publication import Publication, name_file, publication_folder, stop_keys, write_files
from serving.release import require_accepted_run

campaigns = typer.Typer(help="Campaign files of a night: list, fetch for a wave.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(campaigns, name="campaigns")


@campaigns.command("list")
def list_(date: DateOption, env: EnvOption = None, as_json: JsonOption = False) -> None:
    """The files of a night, their releases, who fetched them. Example: cpc campaigns list --date 2026-01-09."""
    state = manifest.read(publication_folder(open_night(date, env)))
    if as_json:
        print_json(state)
        return
    fetched = {(row["file"], row["release"]): row for row in state["fetched"]}
    rows = []
    for wave in state["releases"]:
        for file in wave["files"]:
            taken = fetched.get((file["file"], wave["release"]), {})
            rows.append(
                (
                    wave["release"],
                    wave["at"],
                    file["campaign_id"],
                    file["file"],
                    file["rows"],
                    file["sha256"][:16],
                    taken.get("who", ""),
                )
            )
    columns = ("release", "at", "campaign", "file", "rows", "sha256", "fetched by")
    print_table(f"campaign files of {date}, run {state['run_id'] or 'none'}", columns, rows)


@campaigns.command()
def fetch(
    channel: Annotated[str, typer.Argument(help="Code of the channel.")],
    date: DateOption,
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    why: WhyOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pull a channel's list anew before its wave, without who was stopped since. Example: cpc campaigns fetch sms_hall --date 2026-01-09 --out sms.csv --why 'wave of 10:00'."""
    purpose, night = require_purpose(why), open_night(date, env)
    known = {each.code: each for each in night.catalogue.channels}
    with (
        audit.log_look(night.lake, f"campaign file of {channel} of {night.date} to {out}", purpose) as look,
        lease(night),
    ):
        if channel not in known:
            raise UserError(f"no channel {channel!r}", where="channel", remedy=f"choose: {', '.join(known)}")
        folder, name = publication_folder(night), name_file(known[channel])
        plan = Publication(night, require_accepted_run(night), stop_keys(night))
        files, _ = write_files(night, plan, folder, only=known[channel])
        if f"file:{name}" not in files:
            raise UserError(
                f"{channel} has nothing to offer on {night.date}", where="channel", remedy="cpc campaigns list"
            )
        write_atomic(out, (folder / name).read_bytes(), 0o600)
        manifest.note_fetched(folder, name, who=audit.name_user(), why=purpose, to=str(out))
        rows, digest = files[f"file:{name}"]
        look.rows = rows
    facts = {"file": str(out), "rows": rows, "sha256": digest, "withdrawn": plan.tally.withdrawn}
    if as_json:
        print_json(facts)
    else:
        print_figures(f"{channel} of {night.date}", facts)
