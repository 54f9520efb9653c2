"""Runs a DAG through the real Airflow in a process of its own (``airflow dags test``), on SQLite below the home.

The package never imports Airflow; the process it starts does. Lines that jobs print for people are passed on;
the whole log goes to a file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conf.errors import UserError
from runtime.night import Night
from runtime.run_record import MARK
from runtime.telemetry import SILENT

DAGS = Path(__file__).resolve().parent.parent / "dags"


def environment(night: Night) -> dict[str, str]:
    """The process environment of Airflow: its home and database below the night's home."""
    home = night.settings.home / "airflow"
    return {
        **SILENT,
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "CPC_HOME": str(night.settings.home),
        "CPC_ENV": night.settings.name,
        "CPC_LANDING": str(night.landing),
        "PYTHONDONTWRITEBYTECODE": "",
    }


def _program() -> str:
    return str(Path(sys.executable).with_name("airflow"))


def migrate(night: Night) -> subprocess.Popen[bytes]:
    """Start making Airflow's database (some seconds); wait for it before the first DAG."""
    log = _log(night, "migrate")
    with log.open("wb") as out:
        return subprocess.Popen([_program(), "db", "migrate"], env=environment(night), stdout=out, stderr=out)


def run_dag(dag: str, night: Night, tell: Callable[[str], None]) -> None:
    """Run ``dag`` for the decision date of ``night``; ``tell`` gets the lines meant for people.

    Raises:
        UserError: a task failed; the log is named.
    """
    log = _log(night, dag)
    command = [_program(), "dags", "test", dag, night.date.isoformat()]
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            command,
            env=environment(night),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        assert process.stdout is not None
        trouble: list[str] = []
        for line in process.stdout:
            out.write(line)
            if MARK in line:
                tell(line.split(MARK, 1)[1].rstrip())
            if line.lstrip().startswith(("conf.errors.UserError", "  remedy", "  where")) or "state=failed" in line:
                trouble.append(line.strip())
        code = process.wait()
    if code or any("state=failed" in line for line in trouble):
        what = next((line for line in trouble if "UserError" in line), f"the DAG {dag} failed")
        raise UserError(what, where=str(log), remedy="mend what the log names, then run again: finished work is kept")


def _log(night: Night, name: str) -> Path:
    folder = night.settings.home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    (night.settings.home / "airflow").mkdir(parents=True, exist_ok=True)
    return folder / f"airflow-{name}-{night.date}.log"
