"""What a real data set is, once written: the night to run, what to reconcile, what was assumed, what it lacks."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from conf.catalogue import ROOT, Catalogue, load_catalogue
from conf.dates import SHANGHAI
from conf.documents import Strict, read_yaml, validate
from conf.errors import UserError
from dialects import write_delivery

DATA = Path(__file__).resolve().parent / "data"
#: First number of those made up for people in real sets: a range that no network has.
NUMBERS = 10000000000


@dataclass(frozen=True)
class DataSetFacts:
    """A set as written.

    Attributes:
        name: of the set and its overlay.
        date: decision date of the night to run.
        snapshots: decision dates of the past, for which features are built as they were known then.
        records: records of the set.
        written: rows written by feed.
        held_back: Parquet with what came of the population (``number, product, channel, converted``), if anything.
        until: the last job that the set can feed; after it there is nothing to learn from.
        expected: figures that the night must find, computed from the set alone: the feature's column → its sum over
            all customers, or ``reason:<rule>`` → customers whom that rule leaves nothing.
        assumptions: what the set does not say and had to be chosen.
        absent: what cannot be reported for want of data.
    """

    name: str
    date: dt.date
    snapshots: tuple[dt.date, ...]
    records: int
    written: dict[str, int]
    held_back: Path | None = None
    assumptions: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    until: str = "publish"
    expected: Mapping[str, float] = field(default_factory=dict)


class Assumptions(Strict):
    """``assumptions.yml`` of a set: where it is from, what we had to assume, what it lacks."""

    source: str
    assumptions: tuple[str, ...]
    absent: tuple[str, ...]


def read_assumptions(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Assumptions of a set, and what it lacks, as ``conf/demo/NAME/assumptions.yml`` says."""
    assumptions = validate(Assumptions, read_yaml(ROOT / "demo" / name / "assumptions.yml"))
    return (assumptions.source, *assumptions.assumptions), assumptions.absent


def catalogue(name: str) -> Catalogue:
    """The overlay of a set."""
    return load_catalogue(ROOT / "demo" / name)


def source(*parts: str) -> Path:
    """A file of the folder of public data (``CPC_DATA``, by default ``../shared/data`` beside the repository).

    Raises:
        UserError: it is not there.
    """
    folder = Path(os.environ.get("CPC_DATA", ROOT.parent.parent / "shared" / "data"))
    path = folder.joinpath(*parts)
    if not path.exists():
        raise UserError(
            f"the data set {parts[0]} is not here", where=str(path), remedy="point CPC_DATA at the folder that holds it"
        )
    return path


def numbers(rows: pa.Array | list[int]) -> pa.Array:
    """A made-up number for each row number."""
    return pa.array([str(NUMBERS + int(row)) for row in rows], pa.string())


def instant(date: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    """A time of day in Shanghai."""
    return dt.datetime.combine(date, dt.time(hour, minute), SHANGHAI)


def deliver(name: str, feed: str, rows: pa.Table, out: Path, data_date: dt.date) -> int:
    """Write one delivery that arrives an hour after its data date has ended; returns its rows."""
    facts = catalogue(name)
    contract = facts.feeds[feed]
    arrived = instant(data_date + dt.timedelta(days=1), 1)
    write_delivery(contract, facts.schemas[contract.schema_name], rows, out, data_date, created=arrived)
    return rows.num_rows
