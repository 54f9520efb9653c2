"""Nothing calls home: switches are set before libraries are imported, and a process looks up no outside name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import airflow
from runtime.night import Night
from runtime.telemetry import SILENT, silence_telemetry
from tests.fixtures.look_ups import read_java, read_looked_up, watch

HOUSE = Path(airflow.__file__).resolve().parents[1]
#: A registry made and used as trainings use it, tables judged as loads are, data docs, DuckDB with a time zone.
WORK = """
import sys, time
from pathlib import Path
home = Path(sys.argv[1])
if sys.argv[2] == "silent":
    from runtime.telemetry import silence_telemetry
    silence_telemetry()
import mlflow
mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
with mlflow.start_run():
    mlflow.log_metric("auc", 0.7)
client = mlflow.MlflowClient()
client.create_registered_model("affinity")
from expectations.verdict import quiet_context
import great_expectations as gx
context = quiet_context()
context.suites.add(gx.ExpectationSuite(name="s", expectations=[]))
import pyarrow as pa
from runtime.duckdb_sql import over_rows
over_rows("select date_trunc('day', now()) as day from source", pa.table({"x": [1]}))
time.sleep(3)
"""


def looked_up(tmp_path: Path, how: str) -> str:
    """What a process that does all that looks up outside."""
    log = tmp_path / f"{how}.log"
    plain = {name: value for name, value in os.environ.items() if name not in SILENT}
    environment = watch({**plain, "PYTHONPATH": str(HOUSE)}, log)
    home = tmp_path / how
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(home), how],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return read_looked_up(log)


@pytest.mark.whole
def test_registry_checks_and_queries_look_up_no_outside_name(tmp_path: Path) -> None:
    assert looked_up(tmp_path, "silent") == ""


def test_the_guard_sees_and_refuses_a_look_up(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import socket\ntry:\n  socket.getaddrinfo('telemetry.example', 443)\nexcept OSError as e: print(e)\nsocket.getaddrinfo('127.0.0.1', 80)"
    environment = watch(os.environ, log)
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "is outside" in told.stdout
    assert log.read_text(encoding="utf-8").startswith("getaddrinfo 'telemetry.example'")


#: A session as nights make it, with a query; then a look-up, if asked for.
IN_JAVA = """
import sys
from conf.settings import load_settings
from runtime.spark import session
spark = session(load_settings("local", ("spark.driver_memory=1g", "spark.master=local[1]")))
assert spark.range(3).count() == 3
try:
    sys.argv[1:] and spark._jvm.java.net.InetAddress.getByName(sys.argv[1])
except Exception as error:
    print("UnknownHostException" in str(error))
"""


@pytest.mark.whole
@pytest.mark.parametrize("asked", ["", "telemetry.example"])
def test_the_guard_sees_and_refuses_what_a_jvm_looks_up(tmp_path: Path, asked: str) -> None:
    log = tmp_path / "log"
    environment = watch({**os.environ, "PYTHONPATH": str(HOUSE), "CPC_HOME": str(tmp_path / "home")}, log)
    words = [sys.executable, "-c", IN_JAVA, *filter(None, [asked])]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == ("True" if asked else "")
    assert read_java(log)
    assert read_looked_up(log).startswith(f"java '{asked}'" if asked else "")
    assert bool(read_looked_up(log)) == bool(asked)


def test_switches_are_off_and_what_an_operator_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SILENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    silence_telemetry()
    assert os.environ["DO_NOT_TRACK"] == "true"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"


def test_airflow_starts_with_them_off(night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SILENT:
        monkeypatch.delenv(name, raising=False)
    started = airflow.environment(night())
    assert {name: started[name] for name in SILENT} == SILENT
