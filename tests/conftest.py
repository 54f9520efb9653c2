"""Shared fixtures: one lazy Spark session for all tests, a home of one's own for each."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conf.settings import Settings, load_settings
from runtime.night import Night
from tests.fixtures.catalogue import FIXTURE

#: Nights that several rooms' tests look at: one as the assignment left it, one as the scores left it.
pytest_plugins = ("tests.nights.published", "tests.nights.decided")

#: The facts are frozen: an operator's own turn no test red.
os.environ["CPC_CONF"] = str(FIXTURE)
#: A fixed key: pseudonyms in tests are the same on every machine.
os.environ.setdefault("CPC_PSEUDONYM_KEY", "00" * 32)
os.environ.setdefault("CPC_DATA", str(Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The local environment with a home below the test's own folder."""
    monkeypatch.setenv("CPC_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CPC_DEMO", raising=False)
    monkeypatch.delenv("CPC_LANDING", raising=False)
    settings = load_settings("local")
    assert settings.home == tmp_path / "home"  # computed now, before the variable is restored
    return settings


@pytest.fixture
def night(settings: Settings) -> Callable[..., Night]:
    """Makes nights: ``night()`` is 2026-01-09, ``night(dt.date(…))`` another."""

    def make(date: dt.date = dt.date(2026, 1, 9)) -> Night:
        return Night(date, settings, settings.landing)

    return make


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The session every Spark test shares: made when the first one asks for it."""
    os.environ["CPC_HOME"] = str(tmp_path_factory.mktemp("spark"))  # the warehouse only
    try:
        from runtime.spark import session

        local = load_settings(
            "local", ("spark.driver_memory=2g", "spark.shuffle_partitions=2", "spark.master=local[2]")
        )
        made = session(local)
    finally:
        del os.environ["CPC_HOME"]
    yield made
    made.stop()


_SKIPPED: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped (with workers: in the process that hears from all of them)."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _SKIPPED.add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail where a test was skipped that CI does not expect to: ``CPC_MAY_SKIP`` lists the files that may."""
    if "CPC_MAY_SKIP" not in os.environ or hasattr(session.config, "workerinput"):
        return
    may = tuple(os.environ["CPC_MAY_SKIP"].split())
    wrong = sorted(test for test in _SKIPPED if not (may and test.startswith(may)))
    if wrong:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        sys.stderr.write("\nskipped, though CI does not expect it: " + ", ".join(wrong) + "\n")
