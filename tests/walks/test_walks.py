"""All walks of docs/howto at once, in one copy of the repository: how many places each touches, and tests stay green."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.whole
HOUSE = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".venv", "var", ".git", "jars", "build", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"
)
QUICK = "not spark and not slow and not browser and not demo and not whole"


def edit(path: Path, old: str, new: str) -> None:
    """Edit what a draft left, as its page shows."""
    text = path.read_text(encoding="utf-8")
    head, found, tail = text.rpartition(old)
    assert found, f"{path}: no {old!r}"
    path.write_text(head + new + tail, encoding="utf-8")


def sell(conf: Path) -> None:
    """A product on sale, of the new group."""
    edit(conf / "products.yml", "group: data, price: 20", "group: cloud, price: 20")
    edit(conf / "products.yml", "launch_date: 2099-01-01", "launch_date: 2026-01-05")


def forbid(conf: Path) -> None:
    """A rule that removes something."""
    edit(
        conf / "rules.yml", 'removes: "false"', "scope: product, removes: \"product.group = 'cloud' and plan_fee < 20\""
    )


def cap(conf: Path) -> None:
    """A limit of the new group that can bind."""
    edit(conf / "limits.yml", "at_most: 1000000, where: {channel: agent_out}", "at_most: 900, where: {group: cloud}")


def open_channel(conf: Path) -> None:
    """A channel that is open to all, with a capacity."""
    edit(conf / "channels.yml", ', eligible: "false"', "")
    edit(conf / "limits.yml", "at_most: 1000000", "at_most: 700")


def leave(conf: Path) -> None:
    """The draft as it is."""


#: Walk → what is drafted, how it is edited, and how many places it may touch.
WALKS: dict[str, tuple[str, Callable[[Path], None], int]] = {
    "feed": ("drone_visit", leave, 2),  # the contract, and the schema of an interface that is new
    "feature": ("weather", leave, 1),
    "group": ("cloud", leave, 1),
    "product": ("cloud_disk", sell, 1),
    "rule": ("cloud_fee", forbid, 1),
    "limit": ("cap_cloud", cap, 1),
    "channel": ("drone", open_channel, 3),  # itself, its capacity, the feed of its results
}


def state(copy: Path) -> dict[str, str]:
    """Every file with its hash."""
    files = (path for path in copy.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(copy)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def call(copy: Path, *arguments: str, seconds: int = 120) -> subprocess.CompletedProcess[str]:
    """A module of the copy, with the copy's own packages and facts."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CPC_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=copy,
        env=environment | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.mark.timeout(1800)
def test_all_walks_touch_few_places_and_turn_no_test_red(tmp_path: Path) -> None:
    copy = tmp_path / "house"
    shutil.copytree(HOUSE, copy, ignore=LEFT_OUT)
    touched = {}
    for kind, (name, finish, _) in WALKS.items():
        before = state(copy)
        drafted = call(copy, "conf.scaffold", kind, name)
        assert drafted.returncode == 0, drafted.stderr
        finish(copy / "conf")
        after = state(copy)
        touched[kind] = sorted(path for path in after if after[path] != before.get(path))
    assert {kind: len(paths) for kind, paths in touched.items()} == {kind: most for kind, (*_, most) in WALKS.items()}
    made = call(copy, "cli.generate")
    assert made.returncode == 0, made.stderr
    assert "conf/generated/features.yml" in made.stdout
    for command in (("init", "-q"), ("add", "-A")):  # what the policy tests look at is what git knows
        subprocess.run(["git", *command], cwd=copy, check=True)
    quick = call(
        copy, "pytest", "-q", "-n", "2", "--dist", "loadscope", "-p", "no:cacheprovider", "-m", QUICK, seconds=1700
    )
    assert quick.returncode == 0, quick.stdout[-6000:]
