"""No room of the pipeline names the truth."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("jobs", "features", "models", "certify", "expectations", "dialects", "dags", "console", "conf")


def named_truths(source: str) -> list[str]:
    """String constants (docstrings apart) that look like a path of the truth, and imports of its writer."""
    tree = ast.parse(source)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            if "truth" in Path(node.value.strip()).parts or "truth/" in node.value:
                found.append(node.value)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("synth.truth"):
            found.append(str(node.module))
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_no_job_opens_the_truth(room: str) -> None:
    named = {
        str(path.relative_to(ROOT)): names
        for path in sorted((ROOT / room).rglob("*.py"))
        if (names := named_truths(path.read_text(encoding="utf-8")))
    }
    assert named == {}


def test_the_scan_sees_a_job_that_does() -> None:
    assert named_truths('"""truth/ in words"""\npath = out / "truth" / "x"') == ["truth"]
    assert named_truths('open("var/landing/truth/response.parquet")') == ["var/landing/truth/response.parquet"]
    assert named_truths("from synth.truth import write_truth") == ["synth.truth"]
