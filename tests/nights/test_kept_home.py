"""The home of release 0.1 lives on: it is upgraded, lives its next night, is published, and trains.

Its operator has meanwhile declared a feature, and a rule that names it. No process of the night looks up a name outside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from serving import embedded
from tests.fixtures import readers
from tests.fixtures.catalogue import FIXTURE
from tests.fixtures.kept_home import make_kept_home, needs_kept_home
from tests.fixtures.look_ups import read_java, read_looked_up, watch

pytestmark = [pytest.mark.demo, pytest.mark.timeout(1500), needs_kept_home]
DATE = "2026-01-10"
FEATURE = """
  - {name: high_star, value: "star >= 4", type: boolean, label_zh: 高星级, doc: star level of four or more}
"""
RULE = """
  - {name: spare_high_star, removes: high_star, direction: outbound,
     reason: customers of many stars are called by nobody, reason_zh: 高星级客户不外呼}
"""
Cpc = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def cpc(place: Path) -> Cpc:
    """Calls ``cpc … --json`` on the home in a watched process of its own; returns what it printed."""
    home = make_kept_home(place / "cpc")
    conf = Path(shutil.copytree(FIXTURE, place / "conf"))
    for file, text in (("features/attributes.yml", FEATURE), ("rules.yml", RULE)):
        with (conf / file).open("a", encoding="utf-8") as lines:
            lines.write(text)
    alone = {k: v for k, v in os.environ.items() if k not in {"CPC_LANDING", "CPC_DEMO", "CPC_PSEUDONYM_KEY"}}
    environment = watch({**alone, "CPC_HOME": str(home), "CPC_CONF": str(conf)}, place / "looked_up.log")

    def call(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words, "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"cpc {' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return json.loads(done.stdout)

    return call


@pytest.fixture(scope="module")
def night(cpc: Cpc) -> dict[str, dict[str, Any]]:
    """Records of its next night's jobs, by name."""
    return {record["job"]: record for record in cpc("nightly", "--date", DATE)}


def rows(place: Path, table: str) -> Any:
    found = DeltaTable(str(place / "cpc" / "lake" / table)).to_pyarrow_table()
    return found.filter(pc.equal(pc.cast(found["business_date"], "string"), DATE))


def test_its_next_night_is_decided_proved_and_published(night: dict[str, dict[str, Any]], place: Path) -> None:
    assert {record["state"] for record in night.values()} == {"done"}
    assert night["prove"]["figures"]["verdict"] == "accepted"
    assert rows(place, "assignment").num_rows > 450
    assert (place / "cpc" / "published" / DATE / "SHA256SUMS").is_file()


def test_the_night_is_published_again_in_its_old_store(night: dict[str, dict[str, Any]], cpc: Cpc, place: Path) -> None:
    first = night["publish"]["figures"]
    again = cpc("publish", "--run", first["run_id"])
    assert (again["contacts"], again["store_rows"]) == (first["contacts"], first["store_rows"])
    with psycopg.connect(embedded.start_embedded(place / "cpc")) as store:
        runs = store.execute("SELECT business_date, count(*) FROM cpc.recommendation GROUP BY 1 ORDER BY 1").fetchall()
    assert [str(date) for date, _ in runs][-1] == DATE
    assert all(count > 450 for _, count in runs)


def test_a_rule_that_names_a_new_feature_holds(night: dict[str, dict[str, Any]], place: Path) -> None:
    features = rows(place, "customer_features")
    spared = set(features.filter(features["high_star"])["customer_id"].to_pylist())
    assert len(spared) > 10
    plan = rows(place, "assignment")
    assert spared.isdisjoint(plan.filter(pc.is_valid(plan["product"]))["customer_id"].to_pylist())
    funnel = {row["rule"]: row for row in rows(place, "funnel").to_pylist()}
    assert funnel["spare_high_star"]["reason_zh"] == "高星级客户不外呼"


def test_every_reader_reads_its_tables_right(night: dict[str, dict[str, Any]], place: Path) -> None:
    old = DeltaTable(str(place / "cpc" / "lake" / "customer_features")).to_pyarrow_table()
    assert old["high_star"].null_count > 2_000  # the snapshots before know nothing of it
    tables = ("customer_features", "assignment", "candidate", "consent", "funnel", "kpi", "raw_topup", "subscriber")
    assert readers.ask_lake(place / "cpc" / "lake", tables) == {}  # all of them: tests/runtime/test_table_upgrade.py


def test_a_training_names_what_its_snapshots_do_not_know_yet(night: dict[str, dict[str, Any]], cpc: Cpc) -> None:
    figures = cpc("train", "--date", DATE)
    assert "high_star" in figures["not_yet"]
    assert figures["features"] > 50


def test_no_process_of_the_night_looks_up_an_outside_name(night: dict[str, dict[str, Any]], place: Path) -> None:
    log = place / "looked_up.log"
    assert read_java(log), "the JVM was not watched"
    assert read_looked_up(log) == ""
