"""One meaning a word: names that gave way stay away, class names are unique, functions are imperative verbs."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
ROOMS = sorted(path.parent for path in HOUSE.glob("*/__init__.py") if path.parent.name != "benchmarks")
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for room in ROOMS for path in sorted(room.rglob("*.py"))}
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


def fields(made: ast.ClassDef) -> Iterator[ast.AST]:
    """The names that a class gives to its fields, and its properties."""
    for part in made.body:
        if isinstance(part, ast.AnnAssign):
            yield part.target
        elif isinstance(part, ast.FunctionDef) and any("property" in ast.dump(mark) for mark in part.decorator_list):
            yield part


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Variables, parameters and definitions of a module, with their lines; a class's fields and properties aside."""
    aside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for part in fields(node)}
    for node in ast.walk(tree):
        if id(node) in aside:
            continue
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node.lineno


def places(words: frozenset[str]) -> list[str]:
    """Where one of the words is a name: ``file:line: name``."""
    return [
        f"{path.relative_to(HOUSE)}:{line}: {name}"
        for path, tree in TREES.items()
        for name, line in names(tree)
        if name in words
    ]


def test_old_modules_and_names_are_gone() -> None:
    assert [str(path.relative_to(HOUSE)) for path in TREES if path.stem in OLD_MODULES] == []
    assert places(OLD_NAMES) == []


def test_class_names_are_unique() -> None:
    classes = Counter(node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert [name for name, count in classes.items() if count > 1] == []


@pytest.mark.parametrize("word", sorted(EMPTY_NAMES))
def test_a_name_says_what_the_thing_is(word: str) -> None:
    assert places(frozenset({word})) == []


def test_functions_are_imperative() -> None:
    participles = [
        f"{path.relative_to(HOUSE)}:{node.lineno}: {node.name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and not any("property" in ast.dump(d) for d in node.decorator_list)
        for first in [node.name.strip("_").split("_")[0]]
        if (first.endswith("ed") and first not in NO_PARTICIPLE) or first in IRREGULAR
    ]
    assert participles == []
