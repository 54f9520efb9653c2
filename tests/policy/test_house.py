"""The rules of the house, held by tests: each says what it forbids and why."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from conf.catalogue import load_catalogue
from runtime.night_order import GENERATED, RUNS, load

HOUSE = Path(__file__).resolve().parents[2]
ROOMS = (*sorted(path.parent.name for path in HOUSE.glob("*/__init__.py")), "dags")
TRACKED = [
    HOUSE / name
    for name in subprocess.run(
        ["git", "ls-files"], cwd=HOUSE, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if (HOUSE / name).is_file()
]
SOURCES = [path for path in TRACKED if path.suffix == ".py" and path.relative_to(HOUSE).parts[0] in ROOMS]
TEXTS = [
    p
    for p in TRACKED
    if p.suffix in {".py", ".yml", ".toml", ".md", ".in", ".lock", ".sh", ""} and p.name != "test_house.py"
]
ALL_JOBS = sorted({job for jobs in RUNS.values() for job in jobs})


def test_the_house_was_found() -> None:
    assert len(SOURCES) > 30


def offenders(pattern: str, paths: list[Path], *, flags: int = 0) -> list[str]:
    """Places where a pattern stands: ``file:line``."""
    found = []
    for path in paths:
        for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if re.search(pattern, text, flags):
                found.append(f"{path.relative_to(HOUSE)}:{number}: {text.strip()[:100]}")
    return found


def test_no_package_index_address_or_machine_path() -> None:
    # lock files carry hashes; where packages come from is the machine's business
    pattern = r"https?://[^\s\"')]*(pypi|pythonhosted|maven|npmjs|debian\.org/debian)|(?<!no-emit-)index-url|/root/|/home/[a-z]+/|/work/"
    assert offenders(pattern, TEXTS) == []


def test_nothing_unfinished_and_nothing_swallowed() -> None:
    pattern = r"\b(TODO|FIXME|XXX)\b|NotImplementedError|except( Exception)?:\s*pass"
    assert offenders(pattern, SOURCES) == []


def test_no_room_for_odds_and_ends() -> None:
    piles = {"utils", "util", "common", "helpers", "helper", "base", "misc"}
    assert [
        str(path.relative_to(HOUSE)) for path in SOURCES if piles & {*path.relative_to(HOUSE).parts[:-1], path.stem}
    ] == []


def test_files_fit_a_reader() -> None:
    long = {
        str(p.relative_to(HOUSE)): n for p in SOURCES if (n := len(p.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert long == {}


def test_only_conf_reads_the_process_environment() -> None:
    allowed = {
        "conf/settings.py",
        "benchmarks/apart.py",  # gives each side a process with an environment of its own
        "benchmarks/night.py",  # likewise
        "benchmarks/homes.py",  # likewise: one home after the other
        "benchmarks/province_home.py",  # likewise
        "runtime/airflow.py",  # hands an environment to the process it starts
        "runtime/telemetry.py",  # libraries read their switches there, before they are imported
        "runtime/spark.py",  # PYSPARK_PYTHON must be set before the JVM starts
        "cli/diagnosis.py",  # looks at JAVA_HOME
    }
    places = offenders(r"os\.environ|os\.getenv", [p for p in SOURCES if str(p.relative_to(HOUSE)) not in allowed])
    # the pseudonym's key and the data folder of benchmarks are secrets or test inputs, named where they are used
    assert [
        place
        for place in places
        if not re.search(r"CPC_PSEUDONYM_KEY|CPC_VAULT_KEY|CPC_DATA|PSEUDONYM|NUMBA|OMP_", place)
    ] == []


def test_no_job_opens_the_truth() -> None:
    rooms = set(ROOMS) - {"synth", "benchmarks", "dags"}
    paths = [p for p in SOURCES if p.relative_to(HOUSE).parts[0] in rooms and p.name != "demo.py"]
    assert offenders(r"""["'/]truth["'/]""", paths) == []


@pytest.mark.parametrize("name", ALL_JOBS)
def test_a_job_says_what_it_reads_writes_and_costs(name: str) -> None:
    module = load(name)
    text = importlib.import_module(f"jobs.{name}").__doc__ or ""
    for word in ("Reads", "Writes", "Cost"):
        assert re.search(rf"\*?{word}\*?", text), f"jobs/{name}.py: the docstring lacks *{word}*"
    tables = load_catalogue().tables
    families = {"raw", "customer_day", "customer_features", "entities"}
    for table in (*module.READS, *module.WRITES, *getattr(module, "READS_PREVIOUS", ())):
        assert table in tables or table in families or table.split("_")[0] in families, f"{name}: no table {table!r}"


def test_one_writer_a_table() -> None:
    writers: dict[str, list[str]] = {}
    for name in ALL_JOBS:
        for table in load(name).WRITES:
            writers.setdefault(table, []).append(name)
    assert {table: names for table, names in writers.items() if len(names) > 1} == {}


def test_nobody_imports_a_private_name() -> None:
    """What a module keeps to itself (`_name`) may change with it; a test may look into the module it tests."""
    found = []
    for path in [*SOURCES, *sorted((HOUSE / "tests").rglob("*.py"))]:
        place = path.relative_to(HOUSE)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in set(ROOMS):
                private = [alias.name for alias in node.names if re.match(r"_(?!_)", alias.name)]
                if place.parts[0] == "tests" and path.stem == f"test_{(node.module or '').rsplit('.', 1)[-1]}":
                    continue
                found += [f"{place}:{node.lineno} {node.module}.{name}" for name in private]
    assert found == []


def test_dags_import_no_job_at_parse() -> None:
    for path in sorted((HOUSE / "dags").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = [alias.name for node in top for alias in node.names] + [
            getattr(node, "module", "") or "" for node in top
        ]
        assert not [name for name in names if name.split(".")[0] in set(ROOMS)], path.name


def test_dags_know_only_what_is_generated() -> None:
    steps = json.loads(GENERATED.read_text(encoding="utf-8"))
    for name in ("nightly", "training"):
        assert {step["job"] for step in steps[name]} == set(RUNS[name])


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_lock_line_has_a_hash(lock: str) -> None:
    text = (HOUSE / lock).read_text(encoding="utf-8")
    entries = re.findall(r"^([a-z0-9][^\s=]*==[^\s]+)[^\n]*\\\n((?:    --hash=[^\n]+\n)+)", text, re.M)
    pins = re.findall(r"^[a-z0-9][^\s]*==", text, re.M)
    assert len(entries) == len(pins) > 180


def test_the_makefile_lists_itself() -> None:
    told = subprocess.run(["make", "-s", "help"], cwd=HOUSE, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "check", "spark", "slow", "bench", "clean", "new-feed"):
        assert f"make {target}" in told
