"""Two lists: what the product needs at run time, and what only set-up, tests and benchmarks need besides."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
NOT_THE_PRODUCT = {"tests", "benchmarks", "docs", "setup.py"}
SOURCES = [
    Path(name)
    for name in subprocess.run(
        ["git", "ls-files", "*.py"], cwd=HOUSE, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if Path(name).parts[0] not in NOT_THE_PRODUCT and (HOUSE / name).is_file()
]
OWN = {path.parts[0] for path in SOURCES}


def listed(name: str) -> set[str]:
    """Distributions that a list names itself, normalised."""
    lines = (HOUSE / name).read_text(encoding="utf-8").splitlines()
    return {normalise(line) for line in lines if line and line[0] not in "#-"}


def normalise(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[=<>; ]", requirement)[0]).lower()


def pins(name: str) -> set[str]:
    """Every pin of a lock with its marker, as written."""
    text = (HOUSE / name).read_text(encoding="utf-8")
    return {line.removesuffix(" \\") for line in re.findall(r"^[a-z0-9].*==.*$", text, re.M)}


def imported(path: Path) -> set[str]:
    """Names of all modules that a file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((HOUSE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_the_product_imports_only_what_its_own_list_names() -> None:
    makers = packages_distributions()
    declared = listed("requirements.in")
    known = OWN | sys.stdlib_module_names
    strangers = {
        f"{path}: {name} (of {', '.join(sorted(set(makers.get(name, ['?']))))})"
        for path in SOURCES
        for name in imported(path) - known
        if not declared & {normalise(maker) for maker in makers.get(name, [])}
    }
    assert len(SOURCES) > 200
    assert strangers == set()


def test_no_package_stands_in_both_lists() -> None:
    assert listed("requirements.in") & listed("requirements-dev.in") == set()


def test_both_locks_pin_the_same() -> None:
    # what a tool asks for on more platforms than the product does has fewer markers there
    product, development = (
        {pin.split(" ;")[0] for pin in pins(name)} for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert product < development
    names = {pin.split("==")[0] for pin in product}
    assert names >= listed("requirements.in")
    assert names.isdisjoint({"pytest", "ruff", "mypy", "polars", "ortools", "scikit-uplift", "playwright"})
    assert {pin for pin in development if pin.split("==")[0] in names} == product


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_locks_are_made_by_make_lock_for_all_pythons(name: str) -> None:
    head = (HOUSE / name).read_text(encoding="utf-8").splitlines()[1]
    assert "--universal" in head
    assert "--generate-hashes" in head
    assert "--python-version 3.11" in head
