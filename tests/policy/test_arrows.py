"""The import rules hold, know every room, and each of them fails when what it forbids is there."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter import Contract
from importlinter.configuration import configure
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract

HOUSE = Path(__file__).resolve().parents[2]
RULES = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
TYPES = {
    "layers": LayersContract,
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "protected": ProtectedContract,
}
#: An import that each rule forbids, by the beginning of its name.
PLANTED = {
    "arrows go one way": ("runtime.lake", "planning.scoring"),
    "features on tables": ("features.fold", "features.store.tiles"),
    "jobs never call": ("jobs.score", "jobs.assign"),
    "kernels never touch": ("models.assignment.repair", "runtime.lake"),
    "the optimizer and the learners": ("models.affinity.trees", "conf.catalogue"),
    "certify shares nothing": ("certify.check", "models.assignment.problem"),
    "Spark where": ("planning.plan.churn", "pyspark"),
    "a room is entered by what it offers: planning.limits": ("jobs.assign", "planning.limits.keys"),
    "a room is entered by what it offers: planning.plan": ("jobs.assign", "planning.plan.exploration"),
    "a room is entered by what it offers: planning.whatif": ("cli.limits", "planning.whatif.active_sets"),
    "a room is entered by what it offers: reporting": ("jobs.publish", "reporting.night_report.view"),
    "a room is entered by what it offers: models.lifecycle.experiments": (
        "cli.experiments",
        "models.lifecycle.experiments.tabular",
    ),
    "a room is entered by what it offers: models.lifecycle": ("jobs.train", "models.lifecycle.mlflow_run"),
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """The imports of the house as they are."""
    return grimp.build_graph(*RULES["root_packages"], include_external_packages=True, cache_dir=None)


def contract_of(rule: dict[str, Any]) -> Contract:
    """A rule as import-linter has it."""
    configure()
    session = {key: value for key, value in RULES.items() if key != "contracts"}
    given = {key: str(value).lower() if isinstance(value, bool) else value for key, value in rule.items()}
    del given["name"], given["type"]
    return TYPES[rule["type"]](name=rule["name"], session_options=session, contract_options=given)


def test_every_room_has_its_layer() -> None:
    rooms = {path.parent.name for path in HOUSE.glob("*/__init__.py")} - {"benchmarks"}
    assert set(RULES["root_packages"]) == rooms
    (layers,) = (rule["layers"] for rule in RULES["contracts"] if rule["type"] == "layers")
    named = {name.strip().split(".")[0] for layer in layers for name in layer.split("|")}
    assert named == rooms


def test_every_rule_is_planted_against() -> None:
    names = [rule["name"] for rule in RULES["contracts"]]
    assert [name for name in names if not any(name.startswith(begin) for begin in PLANTED)] == []


@pytest.mark.parametrize("rule", RULES["contracts"], ids=lambda rule: rule["name"][:30])
def test_a_rule_holds_and_would_be_seen_to_fail(rule: dict[str, Any], graph: grimp.ImportGraph) -> None:
    contract = contract_of(rule)
    assert contract.check(deepcopy(graph), verbose=False).kept
    broken = deepcopy(graph)
    (importer, imported) = next(pair for begin, pair in PLANTED.items() if rule["name"].startswith(begin))
    if imported not in broken.modules:
        broken.add_module(imported, is_squashed=True)
    broken.add_import(importer=importer, imported=imported, line_number=1, line_contents=f"import {imported}")
    assert not contract.check(broken, verbose=False).kept
