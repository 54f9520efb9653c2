"""``cpc upgrade``: what it tells, and that it waits for no night."""

from __future__ import annotations

import json
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cli import app
from conf.errors import UserError
from runtime.runner import lease


@pytest.fixture
def home(settings) -> Path:
    """A home with a table of an older release: fewer columns, and no word of its statistics."""
    table = settings.lake / "landing"
    table.mkdir(parents=True)
    deltalake.write_deltalake(str(table), pa.table({"feed": ["a", None]}))
    return settings.home


def test_it_tells_what_a_table_lacked_and_then_nothing(home: Path) -> None:
    told = json.loads(CliRunner().invoke(app, ["upgrade", "--json"], catch_exceptions=False).stdout)
    assert [(table["table"], table["files"]) for table in told] == [("landing", 1)]
    assert "data_date" in told[0]["columns"]
    assert json.loads(CliRunner().invoke(app, ["upgrade", "--json"], catch_exceptions=False).stdout) == []


def test_it_does_nothing_beside_a_night(home: Path, night) -> None:
    import multiprocessing

    with (
        lease(night()),
        multiprocessing.get_context("spawn").Pool(1) as pool,
        pytest.raises(UserError, match="another night"),
    ):
        pool.apply(_upgrade, (str(home),))


def _upgrade(home: str) -> None:
    import os

    from cli.upgrade import upgrade

    os.environ["CPC_HOME"] = home
    upgrade()
