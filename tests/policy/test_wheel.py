"""A cluster gets one wheel: everything that a job needs is in it, and it works without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.whole
HOUSE = Path(__file__).resolve().parents[2]
LEFT_OUT = {".venv", "var", ".git", "jars", "tests", "docs", "build", ".mypy_cache", ".ruff_cache", ".hypothesis"}
PROBE = """
import conf, reporting.night_report.view
from conf.catalogue import load_catalogue
from runtime.night_order import RUNS, compiled, load
from pathlib import Path
place = Path(conf.__file__).resolve().parents[1]
catalogue = load_catalogue()
for run in RUNS:
    for step in compiled(run):
        assert Path(load(step.job).__file__).is_relative_to(place), step.job
assert (Path(reporting.__file__).parent / "night_report" / "page.html.j2").is_file()
print(place, len(catalogue.feeds), len(catalogue.schemas), len(catalogue.products))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder of its own; built from a copy, so that the checkout stays clean."""
    source, out = tmp_path_factory.mktemp("source") / "cpc", tmp_path_factory.mktemp("wheel")
    shutil.copytree(HOUSE, source, ignore=lambda folder, names: LEFT_OUT & set(names), symlinks=True)
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(out), "."],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-2000:]
    (wheel,) = out.glob("cpc-*.whl")
    place = out / "site"
    zipfile.ZipFile(wheel).extractall(place)
    return place


def test_the_rooms_are_in_and_tests_and_dags_are_not(unpacked: Path) -> None:
    rooms = {path.name for path in unpacked.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
    assert {
        "cli",
        "jobs",
        "reporting",
        "serving",
        "planning",
        "runtime",
        "dialects",
        "features",
        "models",
        "certify",
        "expectations",
        "conf",
        "synth",
        "benchmarks",
    } <= rooms
    assert not rooms & {"tests", "dags", "docs"}


def test_every_job_loads_from_the_wheel_with_the_whole_catalogue(unpacked: Path, tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-3000:]
    place, *counts = told.stdout.split()
    assert Path(place) == unpacked
    assert int(counts[0]) == 242
    assert int(counts[1]) >= 60
