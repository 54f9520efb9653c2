"""A cluster gets one wheel: everything that a job needs is in it, and it works without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conf.catalogue import load_catalogue

pytestmark = pytest.mark.whole
HOUSE = Path(__file__).resolve().parents[2]
LEFT_OUT = {"var", ".git", "jars", "tests", "docs", "build", ".mypy_cache", ".ruff_cache", ".hypothesis"}
PROBE = """
import conf, reporting.night_report.view
from conf.catalogue import load_catalogue
from runtime.night_order import RUNS, load, read_compiled
from pathlib import Path
place = Path(conf.__file__).resolve().parents[1]
catalogue = load_catalogue()
for run in RUNS:
    for step in read_compiled(run):
        assert Path(load(step.job).__file__).is_relative_to(place), step.job
assert (Path(reporting.__file__).parent / "night_report" / "page.html.j2").is_file()
print(place, len(catalogue.feeds), len(catalogue.schemas), len(catalogue.products))
"""
#: The command as a wheel's user has it: without the rooms that this environment lends from the checkout.
COMMAND = """
import os, sys
sys.meta_path = [finder for finder in sys.meta_path if "__editable__" not in getattr(finder, "__module__", "")]
sys.path = [place for place in sys.path if place != os.environ["CPC_CHECKOUT"]]
from cli import main
main()
"""
EDITABLE = "import sys; from setuptools import build_meta; build_meta.build_editable(sys.argv[1])"


def copy_house(source: Path) -> None:
    """A copy to build in, so that the checkout stays clean."""
    shutil.copytree(
        HOUSE,
        source,
        ignore=lambda folder, names: {name for name in names if name in LEFT_OUT or name.startswith(".venv")},
        symlinks=True,
    )


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder of its own."""
    source, out = tmp_path_factory.mktemp("source") / "cpc", tmp_path_factory.mktemp("wheel")
    copy_house(source)
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
    assert {path.parent.name for path in HOUSE.glob("*/__init__.py")} - {"synth", "benchmarks"} <= rooms
    assert not rooms & {"tests", "dags", "docs", "synth", "benchmarks"}


@pytest.mark.parametrize("command", [["synth", "--out", "landing"], ["demo"], ["demo", "--data", "bank"]])
def test_what_makes_data_is_run_from_a_checkout(unpacked: Path, tmp_path: Path, command: list[str]) -> None:
    told = subprocess.run(
        [sys.executable, "-c", COMMAND, *command],
        timeout=60,  # refused at once, or the demo runs
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked), "CPC_HOME": str(tmp_path / "home"), "CPC_CHECKOUT": str(HOUSE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2, told.stderr[-3000:]
    assert told.stderr.startswith("error: there is no room `synth` here")
    assert f"where:  {unpacked}\n" in told.stderr
    assert "remedy: run it from a checkout" in told.stderr
    assert "Traceback" not in told.stderr
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_a_checkout_has_every_room_wherever_cpc_is_called(tmp_path: Path) -> None:
    """What setup.py tells an editable install, which the wheel's shorter list must not reach."""
    source = tmp_path / "cpc"
    copy_house(source)
    made = subprocess.run(
        [sys.executable, "-c", EDITABLE, str(tmp_path)], cwd=source, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr[-2000:]
    (wheel,) = tmp_path.glob("cpc-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        finder = next(name for name in archive.namelist() if name.endswith("_finder.py"))
        text = archive.read(finder).decode()
    for room in ("cli", "synth", "benchmarks"):
        assert f"'{room}': '{source / room}'" in text


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
    live = load_catalogue()
    assert [int(count) for count in counts] == [len(live.feeds), len(live.schemas), len(live.products)]
