"""A landing folder, feeds of every dialect over one schema, and a night that loads them without Spark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from conf.catalogue import Catalogue, load_catalogue
from conf.settings import Settings
from dialects import write_delivery
from jobs import ingest, scan
from runtime.keys import vault_opener
from runtime.night import Night

HERE = Path(__file__).parent
DAY = dt.date(2026, 1, 8)
#: 2026-01-09 01:30 in Shanghai.
CREATED = dt.datetime(2026, 1, 8, 17, 30, tzinfo=dt.UTC)


@dataclass(frozen=True)
class SmallNight(Night):
    """A night over the catalogue of these tests."""

    @property
    def catalogue(self) -> Catalogue:
        return load_catalogue(HERE / "conf")


@dataclass
class Desk:
    """Sends deliveries and loads nights."""

    settings: Settings

    def night(self, date: dt.date = DAY + dt.timedelta(1)) -> SmallNight:
        self.settings.landing.mkdir(parents=True, exist_ok=True)
        return SmallNight(date, self.settings, self.settings.landing)

    def send(self, feed: str, numbers: list[int], day: dt.date = DAY, **how: Any) -> list[Path]:
        """One delivery with a record a number; ``how`` goes to the writer."""
        night = self.night()
        how = {"created": CREATED + (day - DAY), **how}
        schema = night.catalogue.schemas["every"]
        return write_delivery(night.catalogue.feeds[feed], schema, rows_of(numbers), night.landing, day, **how)

    def load(self, date: dt.date = DAY + dt.timedelta(1)) -> dict[str, Any]:
        night = self.night(date)
        scan.run(night)
        return ingest.run(night).as_json()

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        """The table, sorted."""
        names = list(columns or ("feed", "data_date", "no"))
        found = self.night().lake.arrow("raw_every", columns=names).to_pylist()
        return sorted((tuple(row[name] for name in names) for row in found), key=str)

    def numbers(self, feed: str) -> list[int]:
        return sorted(no for name, no in self.rows("feed", "no") if name == feed)

    def ledger(self) -> dict[tuple[str, int], tuple[str, str]]:
        """(file, resend) → (code, state)."""
        rows = self.night().lake.arrow("ops_delivery").to_pylist()
        return {(row["file"], row["resend"]): (row["code"], row["state"]) for row in rows}

    def verdicts(self, name: str) -> list[tuple[str, str, int]]:
        """What became of a file, in order of its codes: code, state, rows loaded."""
        rows = self.night().lake.arrow("ops_delivery").to_pylist()
        return sorted((row["code"], row["state"], row["loaded"]) for row in rows if row["file"] == name)

    def aside(self) -> list[dict[str, Any]]:
        """The quarantine, by file and line."""
        rows = self.night().lake.arrow("ops_quarantine").to_pylist()
        opened = vault_opener(self.settings.home) if rows else bytes
        rows = [{**row, "raw": opened(row["raw"])} for row in rows]
        return sorted(rows, key=lambda row: (row["file"], row["line"]))

    def report(self, name: str) -> bytes:
        """A return report."""
        return (self.settings.home / "outbox" / name).read_bytes()

    def rejected(self, feed: str) -> dict[str, bytes]:
        """Refused files of a feed."""
        folder = self.settings.home / "rejected" / feed
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}

    def state(self) -> dict[str, Any]:
        """Everything that a rerun must leave the same, without operational columns."""
        lake, told = self.night().lake, {}
        for table in ("raw_every", "ops_load", "ops_quarantine", "ops_delivery"):
            rows = lake.arrow(table)
            rows = rows.drop_columns([name for name in ("received_at", "run_id") if name in rows.column_names])
            told[table] = sorted(map(str, self.aside() if table == "ops_quarantine" else rows.to_pylist()))
        return told


def rows_of(numbers: list[int]) -> pa.Table:
    """A record a number, with characters that hold separators as trailing bytes."""
    n = len(numbers)
    return pa.table(
        {
            "no": pa.array(numbers, pa.int64()),
            "phone": pa.array([f"100{no:08d}" for no in numbers], pa.string()),
            "word": pa.array(["東個"] * n, pa.string()),
            "kind": pa.array(["a"] * n, pa.string()),
            "whole": pa.array([7] * n, pa.int32()),
            "money": pa.array(["1.25"] * n, pa.string()).cast(pa.decimal128(18, 2)),
            "day": pa.array([DAY] * n, pa.date32()),
            "at": pa.array([CREATED] * n, pa.timestamp("us", "UTC")),
        }
    )


@pytest.fixture
def desk(settings: Settings) -> Desk:
    return Desk(settings)


@pytest.fixture
def desks(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Desk]:
    """Desks with homes of their own."""

    def make(name: str) -> Desk:
        from conf.settings import load_settings

        monkeypatch.setenv("CPC_HOME", str(tmp_path / name))
        made = load_settings("local")
        assert made.home == tmp_path / name
        assert made.landing
        return Desk(made)

    return make
