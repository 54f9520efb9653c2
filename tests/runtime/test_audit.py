"""The access log: who, what, why, how many; what failed too; a chain that tells what was changed."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from conf.errors import UserError
from runtime import audit
from runtime.night import Night


def log_of(night: Night) -> list[dict]:
    return audit.in_order(night.lake.arrow("ops_audit").to_pylist())


def test_a_look_leaves_who_what_why_and_how_many(night: Callable[..., Night]) -> None:
    tonight = night()
    with audit.log_look(tonight.lake, "offers of customer 7", "call 12") as look:
        look.rows = 3
    (row,) = log_of(tonight)
    assert (row["who"], row["what"], row["why"], row["rows"]) == (
        getpass.getuser(),
        "offers of customer 7",
        "call 12",
        3,
    )


@pytest.mark.parametrize(
    "error", [UserError("nobody of that id", where="eligible"), KeyError("x"), KeyboardInterrupt()]
)
def test_a_look_that_fails_leaves_a_row_and_the_error(night: Callable[..., Night], error: BaseException) -> None:
    tonight = night()

    def look_in_vain() -> None:
        with audit.log_look(tonight.lake, "explain customer 7", "call 12") as look:
            look.rows = 1
            raise error

    with pytest.raises(type(error)):
        look_in_vain()
    (row,) = log_of(tonight)
    assert row["rows"] == 0
    assert row["what"].startswith("explain customer 7: refused, ")
    assert "\n" not in row["what"]


def test_rows_of_several_looks_are_one_chain(night: Callable[..., Night]) -> None:
    tonight = night()
    for number in range(3):
        with audit.log_look(tonight.lake, f"look {number}", "call 12"):
            pass
    log = log_of(tonight)
    assert [row["what"] for row in log] == ["look 0", "look 1", "look 2"]
    assert audit.broken(log) == ""
    assert audit.broken([log[0], log[2]]) != ""


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert audit.name_user() == f"uid {os.getuid()}"


LOOKS = """
import sys
import time
from conf.settings import load_settings
from runtime import audit
from runtime.night import Night
import datetime as dt
settings = load_settings("local")
lake = Night(dt.date(2026, 1, 9), settings, settings.landing).lake
write = audit.write_file
audit.write_file = lambda *args: (time.sleep(0.05), write(*args))[1]  # what was read may be out of date by now
print("ready", flush=True)
sys.stdin.readline()
for number in range(6):
    with audit.log_look(lake, f"look {sys.argv[1]}.{number}", "call 12"):
        pass
"""


def test_looks_of_processes_at_once_are_one_chain(night: Callable[..., Night]) -> None:
    tonight = night()
    with audit.log_look(tonight.lake, "first", "call 12"):
        pass
    home = {**os.environ, "CPC_HOME": str(tonight.settings.home)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", LOOKS, str(n)], env=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for n in range(2)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=120) and process.returncode for process in started] == [0, 0]
    rows = tonight.lake.arrow("ops_audit").to_pylist()
    assert len(rows) == 13
    assert audit.broken(rows) == ""


def test_a_chain_that_forks_is_told_and_loses_no_row(night: Callable[..., Night]) -> None:
    tonight = night()
    for number in range(2):
        with audit.log_look(tonight.lake, f"look {number}", "call 12"):
            pass
    first, second = log_of(tonight)
    [beside] = audit.chain_events([audit.make_event("beside", "call 12", 1)], first["hash"])
    rows = [first, beside, second]
    assert [row["what"] for row in audit.in_order(rows)] == ["look 0", "look 1", "beside"]
    assert "forks" in audit.broken(rows)
