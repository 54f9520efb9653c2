"""``cpc features list|preview|check|drift|training-set`` and ``cpc data dictionary``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.output import (
    EnvOption,
    JsonOption,
    SetOption,
    WhyOption,
    open_night,
    print_figures,
    print_json,
    print_table,
    require_purpose,
)
from conf.dates import parse_date
from conf.errors import UserError
from features.listing import rows, write
from runtime import audit

app = typer.Typer(no_args_is_help=True)
features = typer.Typer(help="Declared features.", no_args_is_help=True)
data = typer.Typer(help="Generated documentation of the data.", no_args_is_help=True)
app.add_typer(features, name="features")
app.add_typer(data, name="data")
Known = Literal["then", "now"]
_DEFAULT_DATE = "2026-01-09"
DateOption = Annotated[str, typer.Option("--date", help="Decision date, YYYY-MM-DD.")]


@features.command("list")
def list_features(
    family: Annotated[str, typer.Option(help="Only this family.")] = "",
    save: Annotated[bool, typer.Option("--write", help="Write conf/generated/features.yml.")] = False,
    env: EnvOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every column of a snapshot. Example: cpc features list --family visit."""
    declared = open_night(_DEFAULT_DATE, env, overrides).catalogue.features
    if family and family != "attributes":
        declared.family(family)
    listed = [row for row in rows(declared) if not family or row["family"] == family]
    if save:
        write(declared)
    if as_json:
        print_json({"features": listed})
        return
    print_table(
        f"{len(listed)} features",
        ("name", "family", "type", "unit", "meaning"),
        [(row["name"], row["family"], row["type"], row["unit"], row["doc"]) for row in listed],
    )


@features.command("preview")
def preview(
    name: Annotated[str, typer.Argument(help="A feature, for example data_mb_sum_30d.")],
    date: DateOption = _DEFAULT_DATE,
    why: WhyOption = None,
    env: EnvOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Values, distribution, cost and leakage test of one feature. Example: cpc features preview data_mb_sum_30d --why 'new feature'."""
    from features.store.preview import preview_feature

    purpose, night = require_purpose(why), open_night(date, env, overrides)
    with audit.log_look(night.lake, f"values of {name} on {night.date}", purpose) as look:
        figures = preview_feature(night, name)
        look.rows = int(figures.get("customers") or 0)
    print_json(figures) if as_json else print_figures(f"{name} on {date}", figures)


@features.command("check")
def check(
    family: Annotated[str, typer.Option(help="Only this family.")] = "",
    date: DateOption = _DEFAULT_DATE,
    env: EnvOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run every boundary example, and the leakage probe on what the lake holds. Example: cpc features check.

    Features of the night's snapshot that are the same for everyone, or the same as another, are told too.
    """
    from features.store.preview import check_features, silent_features

    night = open_night(date, env, overrides)
    results = check_features(night, family)
    faults = [fault for result in results for fault in result["faults"]]
    silent = silent_features(night)
    if as_json:
        print_json({"ok": not faults, "families": results, "silent": silent})
    else:
        columns = ("family", "features", "examples", "probed customers", "faults")
        print_table(
            "point in time",
            columns,
            [(r["family"], r["features"], r["examples"], r["probed"], len(r["faults"])) for r in results],
        )
        for fault in faults[:20]:
            typer.echo(f"  {fault}")
        print_figures(f"what says nothing on {date}", silent)
    if faults:
        raise UserError(
            f"{len(faults)} boundary or leakage faults: {faults[0]}",
            where="features/declared",
            remedy="mend the input's value, where or example; docs/howto/feature.md shows how",
        )


@features.command("drift")
def drift(
    date: DateOption = _DEFAULT_DATE,
    out: Annotated[Path | None, typer.Option(help="Write the page here; default: $CPC_HOME/docs/features.")] = None,
    env: EnvOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Distribution, missing values and PSI of a snapshot, with a page of plots. Example: cpc features drift."""
    from features.store.profile_page import drift_of, write_page

    night = open_night(date, env, overrides)
    figures = drift_of(night)
    path = write_page(night, out)
    if as_json:
        print_json(figures | {"page": str(path)})
        return
    print_table(
        f"features of {date} that moved most",
        ("feature", "family", "PSI", "missing", "missing before"),
        [(r["feature"], r["family"], r["psi"], r["missing_share"], r["missing_before"]) for r in figures["moved"][:20]],
    )
    print_figures("snapshot", {"columns": figures["columns"], "customers": figures["customers"], "page": str(path)})


@features.command("training-set")
def training_set(
    first: Annotated[str, typer.Option("--from", help="First decision date of the labels.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last decision date of the labels.")] = "",
    feature: Annotated[list[str] | None, typer.Option(help="Only these columns of the snapshot.")] = None,
    known: Annotated[Known, typer.Option(help="then: as each night knew it. now: with all that came later.")] = "then",
    again: Annotated[Path | None, typer.Option(help="Make a set again from its recipe.json.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default: $CPC_HOME/training-set.")] = None,
    why: WhyOption = None,
    date: DateOption = _DEFAULT_DATE,
    env: EnvOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write matured decisions with the snapshot of their time. Example: cpc features training-set --from 2025-11-20 --why audit."""
    from models.lifecycle.training_set import read_recipe, recipe, write

    purpose, night = require_purpose(why), open_night(date, env, overrides)
    folder = out or night.settings.home / "training-set"
    with audit.log_look(night.lake, f"training set to {folder}", purpose) as look:
        if again is not None:
            made = read_recipe(again)
        else:
            days = (parse_date(first or "2000-01-01"), parse_date(last) if last else night.date - dt.timedelta(days=1))
            made = recipe(night, *days, feature or [], known)
        figures = write(night, made, folder)
        look.rows = figures["rows"]
    print_json(figures) if as_json else print_figures(f"training set as of {made.night}", figures)


@data.command("dictionary")
def dictionary(
    out: Annotated[Path | None, typer.Option(help="Write Markdown here instead of printing it.")] = None,
    env: EnvOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every table, column, unit and meaning, from the catalogue. Example: cpc data dictionary --out dictionary.md."""
    from features.dictionary import markdown, tables

    catalogue = open_night(_DEFAULT_DATE, env, overrides).catalogue
    if as_json:
        print_json(tables(catalogue))
    elif out:
        out.write_text(markdown(catalogue), encoding="utf-8")
        print_figures("data dictionary", {"tables": len(catalogue.tables), "written": str(out)})
    else:
        typer.echo(markdown(catalogue))
