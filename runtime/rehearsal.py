"""What a night would refuse, found before it begins: the whole catalogue is read, and all that is written as SQL compiled.

Each job of the night that compiles what people wrote offers ``rehearse(catalogue, date)``: its mistakes, and the
expressions that Spark is to compile. `cpc check`, ``cpc nightly --dry-run`` and the night itself, before its scan, ask
the same function, so that what a night would refuse at 4 a.m. is refused by day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from conf.catalogue import ROOT, Catalogue
from conf.errors import UserError
from conf.preset import FOLDER, load_preset
from conf.settings import read_settings
from runtime import night_order
from runtime.clauses import Clause, compile_clauses
from runtime.night import Night

#: What the home remembers of the expressions that were understood last.
KEPT = "understood.txt"


def rehearse(night: Night, catalogue: Catalogue | None = None) -> list[UserError]:
    """Every mistake in what people wrote, each once, in the order in which it was found.

    Args:
        night: the night: its date, home and Spark session.
        catalogue: what is read; the night's own by default. Its ``report`` is not used: all mistakes are collected.
    """
    mistakes: list[UserError] = []
    read = Catalogue((catalogue or night.catalogue).root, mistakes.append)
    sound = _load(read, mistakes)
    clauses: list[Clause] = []
    for name in night_order.RUNS["nightly"]:
        for item in _rehearse_job(name, read, night.date, mistakes):
            if isinstance(item, Clause):
                clauses.append(item)
            else:
                mistakes.append(item)
    mistakes += compile_clauses(lambda: night.spark, clauses, night.settings.home / KEPT, sound=sound)
    return list({(error.what, error.where): error for mistake in mistakes for error in mistake.each}.values())


def _load(catalogue: Catalogue, mistakes: list[UserError]) -> bool:
    """Read everything; returns whether all that declares columns of the snapshot is sound."""
    _ = catalogue.written_tables, catalogue.schemas
    before = len(mistakes)
    try:
        _ = catalogue.features
    except (UserError, KeyError) as error:
        mistakes += [error] if isinstance(error, UserError) else []
    sound = not before and len(mistakes) == before
    for read in (lambda: catalogue.geography, lambda: catalogue.phones):
        try:
            read()
        except UserError as error:
            mistakes.append(error)
    for name in ("feeds", "groups", "products", "channels", "segments", "rules", "limits", "figures"):
        try:
            getattr(catalogue, name)
        except UserError as error:  # what it refers to could not be read, and is told already
            mistakes.append(error)
    mistakes += _settings(catalogue)
    return sound


def _settings(catalogue: Catalogue) -> Iterator[UserError]:
    """The mistakes of environments and presets (an overlay has conf's own)."""
    for path in sorted((catalogue.whole / "env").glob("*.yml")):
        try:
            read_settings(path)
        except UserError as error:
            yield error
    folder = FOLDER if catalogue.whole == ROOT else catalogue.whole / "presets"
    for path in sorted(folder.glob("*.yml")):
        try:
            load_preset(path.stem, folder)
        except UserError as error:
            yield error


def _rehearse_job(
    name: str, catalogue: Catalogue, date: dt.date, mistakes: list[UserError]
) -> Iterator[UserError | Clause]:
    """What a job says, as far as what it reads is sound."""
    rehearsal = getattr(night_order.load(name), "rehearse", None)
    try:
        yield from rehearsal(catalogue, date) if rehearsal else ()
    except (UserError, KeyError) as error:
        if isinstance(error, UserError):
            mistakes.append(error)
        elif not mistakes:  # a table that is missing with nothing wrong before is a fault of ours
            raise
