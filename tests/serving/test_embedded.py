"""The embedded server is one process's, or up for others; never both at once, and never open without a password."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest

from conf.errors import UserError
from serving import embedded


def test_a_server_in_use_is_not_taken_away_and_one_that_is_not_up_has_no_address(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(UserError, match="is not up"):
        embedded.tell_address(home, "cpc_reader")
    assert not embedded.stop_embedded(home)
    embedded.start_embedded(home)  # a night
    with pytest.raises(UserError, match="is using the embedded PostgreSQL"):
        embedded.start_for_others(home, 20000 + os.getpid() % 10000)
    assert not embedded.stop_embedded(home)
    with pytest.raises(UserError, match="is not up"):
        embedded.tell_address(home, "cpc_reader")


def test_the_network_asks_for_a_password_also_where_the_folder_was_made_by_a_night(tmp_path: Path) -> None:
    home, port = tmp_path / "home", 30000 + os.getpid() % 10000
    embedded.start_for_others(home, port)
    try:
        assert embedded.start_embedded(home).endswith(f"port={port}")
        with psycopg.connect(embedded.start_embedded(home)) as owner:
            assert owner.execute("SHOW listen_addresses").fetchone() == (embedded.HOST,)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://postgres@{embedded.HOST}:{port}/postgres")
    finally:
        assert embedded.stop_embedded(home)
