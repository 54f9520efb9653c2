"""A job's test is a folder: `input*/TABLE.yaml` written to the lake, the job run, `expect*.yaml` compared.

Times are Shanghai's. A phone is a name that stands for its pseudonym; a delivery a name that stands for itself.
Phases run in the order of their names (`input`, `input2` …). Adding a case needs no Python.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import yaml

from conf.catalogue import Catalogue, load_catalogue
from conf.settings import Settings
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

HERE = Path(__file__).parent
SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True)
class CaseNight(Night):
    """A night over the cases' own catalogue."""

    @property
    def catalogue(self) -> Catalogue:
        return load_catalogue(HERE / "conf")


def pseudonym(name: str) -> bytes:
    """In the order of names, so that a case may tell the ids that are allotted."""
    return name.encode().ljust(8, b"\0") + hashlib.sha256(name.encode()).digest()[8:]


def value(cell: Any, kind: pa.DataType) -> Any:
    if cell is None:
        return None
    if pa.types.is_binary(kind):
        return pseudonym(cell)
    if pa.types.is_timestamp(kind):
        moment = dt.datetime.fromisoformat(str(cell))
        return moment.replace(tzinfo=SHANGHAI)
    if pa.types.is_decimal(kind):
        return pa.scalar(str(cell)).cast(kind).as_py()
    return cell


def shown(cell: Any, kind: pa.DataType) -> Any:
    if cell is None:
        return None
    if pa.types.is_timestamp(kind):
        return cell.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
    return cell


def write(night: Night, table: str, rows: list[dict]) -> None:
    schema = nullable(arrow_schema(night.lake.table(table)))
    filler = {"hour": -1, "file": "f", "resend": 0, "code": "00"} | (
        {"state": "accepted"} if table == "ops_delivery" else {}
    )
    whole = []
    for number, row in enumerate(rows, 1):
        row = {"line": number, **filler, **row}
        whole.append({field.name: value(row.get(field.name), field.type) for field in schema})
    night.lake.replace_arrow(table, pa.Table.from_pylist(whole, schema=schema))


def read(night: Night, table: str, columns: list[str]) -> list[list[Any]]:
    rows = night.lake.arrow(table, columns=columns)
    names = {pseudonym(name): name for name in "abcdefgh"}
    found = []
    for row in rows.to_pylist():
        found.append(
            [
                names.get(cell, shown(cell, rows.schema.field(k).type))
                if isinstance(cell, bytes)
                else shown(cell, rows.schema.field(k).type)
                for k, cell in row.items()
            ]
        )
    return found


def key(row: list[Any]) -> list[str]:
    return [str(cell) for cell in row]


@pytest.fixture
def play(settings: Settings, spark: Any):
    """Plays a case: `play(folder, job)`."""

    def run(folder: Path, job: ModuleType) -> None:
        night = CaseNight(dt.date(2026, 1, 9), settings, settings.landing)
        inputs = sorted(path for path in folder.iterdir() if path.is_dir())
        assert inputs, f"{folder} has no input"
        for phase in inputs:
            for path in sorted(phase.glob("*.yaml")):
                write(night, path.stem, yaml.safe_load(path.read_text(encoding="utf-8")) or [])
            figures = job.run(night)
            expect = yaml.safe_load((folder / f"{phase.name.replace('input', 'expect')}.yaml").read_text("utf-8"))
            for name, wanted in expect.get("figures", {}).items():
                assert getattr(figures, name) == wanted, f"{phase.name}: figure {name}"
            for table, wanted in expect.get("tables", {}).items():
                got = sorted(read(night, table, wanted["columns"]), key=key)
                assert got == sorted(wanted["rows"], key=key), f"{phase.name}: {table}"
        before = {t: night.lake.version(t) for t in job.WRITES if night.lake.exists(t)}
        if hasattr(job, "remember"):  # nothing new: nothing is written
            job.run(night)
            assert before == {t: night.lake.version(t) for t in before}

    return run
