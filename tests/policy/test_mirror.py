"""tests/ mirrors the rooms: a module has a test file of its name in the folder of its name, or is on a list."""

from __future__ import annotations

import subprocess
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("without_test_file.txt")
#: How many modules were on the list when it was last shortened: it only shrinks.
MOST = 181
NOT_PRODUCT = {"tests", "benchmarks", "docs", "dags"}


def modules() -> set[str]:
    """Modules of the rooms, ``__init__`` and ``__main__`` aside: ``planning/plan/churn.py``."""
    listing = subprocess.run(["git", "ls-files", "*.py"], cwd=HOUSE, capture_output=True, text=True, check=True).stdout
    rooms = {path.parent.name for path in HOUSE.glob("*/__init__.py")} - NOT_PRODUCT
    paths = [Path(line) for line in listing.splitlines() if (HOUSE / line).is_file()]
    return {str(path) for path in paths if path.parts[0] in rooms and not path.stem.startswith("__")}


def has_test(module: str) -> bool:
    """Whether ``tests/<folder>/test_<name>.py`` is there."""
    path = Path(module)
    return (HOUSE / "tests" / path.parent / f"test_{path.stem}.py").is_file()


def test_every_module_has_a_test_file_of_its_name_or_is_listed() -> None:
    listed = set(LIST.read_text(encoding="utf-8").split())
    without = {module for module in modules() if not has_test(module)}
    assert sorted(without - listed) == [], "new modules come with tests/<folder>/test_<name>.py"
    assert sorted(listed - without) == [], "these have a test file now, or are gone: take them off the list"


def test_the_list_only_shrinks() -> None:
    assert len(LIST.read_text(encoding="utf-8").split()) <= MOST
