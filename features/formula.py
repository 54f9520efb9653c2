"""Evaluate formulas of derived features over columns of numbers; NaN stands for a missing value."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

import numpy as np

from conf.formula import parse
from features.arrays import F64


def evaluate(formula: str, column: Callable[[str], F64]) -> F64:
    """The value of ``formula``; what is missing, infinite or divided by zero is NaN."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = np.asarray(_value(parse(formula), column), np.float64)
    return np.where(np.isfinite(value), value, np.nan)


def _value(node: ast.expr, column: Callable[[str], F64]) -> F64:
    if isinstance(node, ast.Name):
        return column(node.id)
    if isinstance(node, ast.Constant):
        return np.float64(node.value)  # type: ignore[return-value,arg-type]
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, column)
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_value(node.left, column), _value(node.right, column))
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return _CALLS[node.func.id](*(_value(argument, column) for argument in node.args))


_BINARY: Mapping[type[ast.operator], Callable[[F64, F64], F64]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
_CALLS: Mapping[str, Callable[..., F64]] = {
    "abs": np.abs,
    "log1p": np.log1p,
    "nullif": lambda a, b: np.where(np.equal(a, b), np.nan, a),
    "coalesce": lambda *values: _first(values),
    "least": lambda *values: np.minimum.reduce(np.broadcast_arrays(*values)),
    "greatest": lambda *values: np.maximum.reduce(np.broadcast_arrays(*values)),
}


def _first(values: tuple[F64, ...]) -> F64:
    result = values[-1]
    for value in reversed(values[:-1]):
        result = np.where(np.isnan(value), result, value)
    return result
