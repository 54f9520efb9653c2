"""One meaning a word: names that gave way stay away, class names are unique, functions are imperative verbs."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
ROOMS = sorted(path.parent for path in HOUSE.glob("*/__init__.py") if path.parent.name != "benchmarks")
FILES = [path for room in ROOMS for path in sorted(room.rglob("*.py"))]
#: Modules that have another name now (docs/glossary.md).
OLD_MODULES = frozenset(
    [
        "widen",
        "all_arcs",
        "every_arc",
        "brief",
        "aside",
        "frozen",
        "compact",
        "menu_arcs",
        "sentences",
        "numbers",
        "due",
        "model_watch",
        "feature_watch",
        "gate",
        "logs",
        "written",
        "box",
        "again",
        "active",
        "kinds",
        "passes",
        "small",
        "chains",
        "exact",
        "classes",
        "learners",
        "learn",
        "wearout",
        "told",
        "identity",
        "secrets",
        "summary",
        "solving",
        "decided",
        "staging",
    ]
)
#: Names of things that are called otherwise now.
OLD_NAMES = frozenset(
    ["MendableError", "Goal", "Aim", "Knobs", "Frozen", "wearout", "tired", "every_arc", "menu_arcs", "frozen_run"]
)
#: Names that say nothing of the thing. Fields and properties may have them: homes, models and other files hold some.
EMPTY_NAMES = frozenset(["told", "said", "found", "mine", "held", "kept", "one", "whole"])
#: Participles without -ed.
IRREGULAR = {
    "told",
    "said",
    "found",
    "held",
    "kept",
    "done",
    "taken",
    "given",
    "drawn",
    "known",
    "seen",
    "written",
    "chosen",
}
NO_PARTICIPLE = {"feed", "need", "seed", "embed", "exceed", "read", "speed"}


def is_property(made: ast.FunctionDef) -> bool:
    """Whether a definition is a property, of whatever kind."""
    return any("property" in ast.unparse(mark) for mark in made.decorator_list)


def fields(made: ast.ClassDef) -> Iterator[ast.AST]:
    """The names that a class gives to its fields, and its properties."""
    for part in made.body:
        if isinstance(part, ast.AnnAssign):
            yield part.target
        elif isinstance(part, ast.FunctionDef) and is_property(part):
            yield part


@dataclass(frozen=True)
class Named:
    """What a file gives names to: variables and parameters; classes; functions that are no property."""

    variables: tuple[tuple[str, int], ...]
    classes: tuple[tuple[str, int], ...]
    functions: tuple[tuple[str, int], ...]


@cache
def named(path: Path) -> Named:
    """The names of a module with their lines; a class's fields and properties aside. No syntax tree is kept."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    aside = {id(part) for node in nodes if isinstance(node, ast.ClassDef) for part in fields(node)}
    own = [node for node in nodes if id(node) not in aside]
    return Named(
        tuple((node.id, node.lineno) for node in own if isinstance(node, ast.Name))
        + tuple((node.arg, node.lineno) for node in own if isinstance(node, ast.arg)),
        tuple((node.name, node.lineno) for node in own if isinstance(node, ast.ClassDef)),
        tuple((node.name, node.lineno) for node in own if isinstance(node, ast.FunctionDef)),
    )


@cache
def index() -> dict[str, list[str]]:
    """Where each name of the product stands: ``file:line: name``."""
    places: dict[str, list[str]] = {}
    for path in FILES:
        found = named(path)
        for name, line in (*found.variables, *found.classes, *found.functions):
            places.setdefault(name, []).append(f"{path.relative_to(HOUSE)}:{line}: {name}")
    return places


def places(words: frozenset[str]) -> list[str]:
    """Where one of the words is a name."""
    return [place for word in sorted(words) for place in index().get(word, [])]


def test_old_modules_and_names_are_gone() -> None:
    assert [str(path.relative_to(HOUSE)) for path in FILES if path.stem in OLD_MODULES] == []
    assert places(OLD_NAMES) == []


def test_class_names_are_unique() -> None:
    classes = Counter(name for path in FILES for name, _ in named(path).classes)
    assert [name for name, count in classes.items() if count > 1] == []


@pytest.mark.parametrize("word", sorted(EMPTY_NAMES))
def test_a_name_says_what_the_thing_is(word: str) -> None:
    assert places(frozenset({word})) == []


def test_functions_are_imperative() -> None:
    participles = [
        f"{path.relative_to(HOUSE)}:{line}: {name}"
        for path in FILES
        for name, line in named(path).functions
        for first in [name.strip("_").split("_")[0]]
        if (first.endswith("ed") and first not in NO_PARTICIPLE) or first in IRREGULAR
    ]
    assert participles == []
