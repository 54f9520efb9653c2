"""Formulas of derived features: arithmetic over other features, a missing value or a division by zero gives none."""

from __future__ import annotations

import ast

#: Functions a formula may call, with their number of arguments (least, greatest: at least two).
FUNCTIONS = {"abs": 1, "log1p": 1, "nullif": 2, "coalesce": 2, "least": 2, "greatest": 2}
_ALLOWED = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Call,
    ast.Name,
    ast.Constant,
    ast.Load,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.USub,
)


def parse(formula: str) -> ast.expr:
    """The tree of a formula.

    Raises:
        ValueError: it is no arithmetic over names and numbers, in words.
    """
    try:
        tree = ast.parse(formula.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"not a formula: {error.msg}") from error
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise ValueError(f"a formula has names, numbers, + - * / and {', '.join(FUNCTIONS)} only")
        if isinstance(node, ast.Constant) and (isinstance(node.value, bool) or not isinstance(node.value, int | float)):
            raise ValueError(f"{node.value!r} is no number")
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name not in FUNCTIONS or node.keywords or len(node.args) < FUNCTIONS[name]:
                raise ValueError(f"functions of a formula: {', '.join(FUNCTIONS)}")
    return tree.body


def names(formula: str) -> set[str]:
    """The features that a formula uses."""
    tree = parse(formula)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}
