"""The DAGs as Airflow sees them: they import, they are the compiled night, and D is the Shanghai date."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

pytestmark = pytest.mark.whole

HOUSE = Path(__file__).resolve().parents[2]
PROBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print("BAG" + json.dumps({
    "errors": {k: str(v) for k, v in bag.import_errors.items()},
    "dags": {d.dag_id: {"doc": d.doc_md, "tags": sorted(d.tags), "owner": ",".join(sorted({t.owner for t in d.tasks})),
                        "tasks": {t.task_id: sorted(t.upstream_task_ids) for t in d.tasks}} for d in bag.dags.values()},
}))
"""


def bag(folder: Path, home: Path) -> dict[str, object]:
    """What Airflow finds in a folder, asked in a process of its own (Airflow configures itself at import)."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
    told = subprocess.run(
        [sys.executable, "-c", PROBE, str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    lines = [line for line in told.stdout.splitlines() if line.startswith("BAG")]
    assert lines, told.stdout[-2000:] + told.stderr[-3000:]
    return json.loads(lines[0][3:])


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return bag(HOUSE / "dags", tmp_path_factory.mktemp("airflow"))


def test_they_import(dags: dict) -> None:
    assert dags["errors"] == {}
    assert {"nightly", "training"} <= set(dags["dags"])


def test_a_broken_dag_is_seen(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "broken.py").write_text(
        "from airflow.sdk import DAG\nraise RuntimeError('broken on purpose')\n"
    )
    assert "broken on purpose" in str(bag(tmp_path / "dags", tmp_path)["errors"])


def test_tasks_and_arrows_are_the_compiled_night(dags: dict) -> None:
    compiled = json.loads((HOUSE / "conf" / "generated" / "night.json").read_text(encoding="utf-8"))
    for run in ("nightly", "training"):
        wanted = {step["job"]: sorted(step["after"]) for step in compiled[run]}
        assert dags["dags"][run]["tasks"] == wanted


def test_every_dag_tells_a_stranger_what_to_do(dags: dict) -> None:
    for name, dag in dags["dags"].items():
        for word in ("Purpose", "Owner", "Tier", "Healthy", "Unhealthy"):
            assert f"**{word}" in dag["doc"], f"{name}: {word}"
        assert any(tag.startswith("tier-") for tag in dag["tags"])
        assert dag["owner"].startswith("cpc-")


@pytest.mark.parametrize(
    ("logical", "decision"),
    [
        (dt.datetime(2026, 1, 8, 20, 0, tzinfo=dt.UTC), "2026-01-09"),  # the cron at 04:00 Shanghai
        (dt.datetime(2026, 1, 9, 0, 0, tzinfo=dt.UTC), "2026-01-09"),  # `airflow dags test nightly 2026-01-09`
        (dt.datetime(2026, 1, 9, 15, 59, tzinfo=dt.UTC), "2026-01-09"),
        (dt.datetime(2026, 1, 9, 16, 0, tzinfo=dt.UTC), "2026-01-10"),  # midnight in Shanghai
    ],
)
def test_the_decision_date_is_the_logical_date_in_shanghai(logical: dt.datetime, decision: str, tmp_path: Path) -> None:
    assert told_date({"logical_date": logical.isoformat()}, "nightly", tmp_path) == decision


@pytest.mark.parametrize("dag", ["nightly", "training"])
@pytest.mark.parametrize("context", [{}, {"logical_date": None}], ids=["absent", "none"])
def test_a_run_triggered_without_a_logical_date_is_of_today(context: dict, dag: str, tmp_path: Path) -> None:
    def today() -> str:
        return dt.datetime.now(ZoneInfo("Asia/Shanghai")).date().isoformat()

    before = today()
    assert told_date(context, dag, tmp_path) in {before, today()}


def told_date(context: dict[str, str | None], dag: str, home: Path) -> str:
    """The date that a task of ``dag`` hands to the runner in a context of Airflow's."""
    code = f"""
import datetime, importlib.util
import runtime.runner, models.lifecycle.training_schedule
spec = importlib.util.spec_from_file_location("dag", {str(HOUSE / "dags" / f"{dag}.py")!r})
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
runtime.runner.run_task = lambda job, date: print("TOLD", job, date)
models.lifecycle.training_schedule.why = lambda date: "due"
context = {context!r}
if context.get("logical_date"):
    context["logical_date"] = datetime.datetime.fromisoformat(context["logical_date"])
module.get_current_context = lambda: context
module.run("scan")
"""
    environment = {**os.environ, "AIRFLOW_HOME": str(home)}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    found = [line.split()[2] for line in told.stdout.splitlines() if line.startswith("TOLD scan ")]
    assert found, told.stderr[-2000:]
    return found[0]
