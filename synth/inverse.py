"""Reading ``conform`` backwards: which field carries which column of an entity, and how.

A schema says ``column: expression over its fields``; a province knows the columns and must write the fields. The
expressions of the catalogue are plain: a field, a cast of it, a field times a constant, a literal, a comparison with
a code, a CASE of codes. What is none of these is left to the generic filler.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_CAST = re.compile(r"^(?:try_)?cast\((.+) as [a-z]+(?:\(\d+,\s*\d+\))?\)$", re.I | re.S)
_WRAP = re.compile(r"^(?:coalesce|nullif|lower|upper|trim|round|floor|bigint|int)\((\w+)(?:,[^()]*)?\)$", re.I)
_TIMES = re.compile(r"^(.+?)\s*\*\s*(\d+)$", re.S)
_OVER = re.compile(r"^(.+?)\s*/\s*(\d+)$", re.S)
_EQUAL = re.compile(r"^(\w+)\s*=\s*'([^']*)'$")
_UNEQUAL = re.compile(r"^(\w+)\s*(?:<>|!=)\s*'([^']*)'$")
_AMONG = re.compile(r"^(\w+)\s+in\s*\(([^()]*)\)$", re.I)
_CASE = re.compile(r"^case\s+(\w+)\s+(when\s+.+?)(?:\s+else\s+(?:'([^']*)'|null))?\s+end$", re.I | re.S)
_WHEN = re.compile(r"when\s+'([^']*)'\s+then\s+'([^']*)'", re.I)
_DATE_END = re.compile(r"to_utc_timestamp\(date_add\((\w+),\s*1\)", re.I)
_AS_TIME = re.compile(r"^(?:to_utc_timestamp|timestamp|to_timestamp)\((?:cast\()?(\w+)", re.I)
_IF_SELF = re.compile(r"^if\((\w+)\s*=\s*'[^']*',\s*'[^']*',\s*\1\)$", re.I)


@dataclass(frozen=True)
class InverseSource:
    """Where a column comes from.

    Attributes:
        kind: ``literal`` (value), ``field`` (column = field × times / over), ``codes`` (field value by column
            value), ``member`` (column is whether the field is one of ``values``), ``day`` (a date field, the event
            is at its end), ``unknown``.
    """

    kind: Literal["literal", "field", "codes", "member", "day", "unknown"]
    field: str = ""
    value: str | bool | float | None = None
    times: int = 1
    over: int = 1
    codes: tuple[tuple[str, str], ...] = ()  # (field value, column value)
    values: tuple[str, ...] = ()
    negated: bool = False


def invert(expression: str, fields: frozenset[str]) -> InverseSource:
    """What ``expression`` says about the schema's ``fields``."""
    text = _bare(expression)
    if (literal := _literal(text)) is not None:
        return literal
    if text in fields:
        return InverseSource("field", text)
    if (match := _DATE_END.search(text)) and match[1] in fields:
        return InverseSource("day", match[1])
    for pattern, negated in ((_EQUAL, False), (_UNEQUAL, True)):
        if (match := pattern.match(text)) and match[1] in fields:
            return InverseSource("member", match[1], values=(match[2],), negated=negated)
    if (match := _AMONG.match(text)) and match[1] in fields:
        return InverseSource("member", match[1], values=tuple(re.findall(r"'([^']*)'", match[2])))
    if (match := _CASE.match(text)) and match[1] in fields:
        return InverseSource("codes", match[1], codes=tuple(_WHEN.findall(match[2])), value=match[3])
    for pattern in (_TIMES, _OVER):
        if match := pattern.match(text):
            inner = invert(match[1], fields)
            if inner.kind == "field":
                times, over = (int(match[2]), 1) if pattern is _TIMES else (1, int(match[2]))
                return InverseSource("field", inner.field, times=inner.times * times, over=inner.over * over)
    if (match := _AS_TIME.match(text)) and match[1] in fields:
        return InverseSource("field", match[1])
    for pattern in (_WRAP, _IF_SELF):
        if (match := pattern.match(text)) and match[1] in fields:
            return InverseSource("field", match[1])
    return InverseSource("unknown")


def find_required_values(where: str, fields: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Field values that a ``where`` of equalities joined by AND asks for."""
    values: dict[str, tuple[str, ...]] = {}
    for part in re.split(r"\s+and\s+", where, flags=re.I):
        source = invert(part, fields)
        if source.kind == "member" and not source.negated:
            values[source.field] = source.values
    return values


def _bare(expression: str) -> str:
    text = expression.strip()
    while True:
        if match := _CAST.match(text):
            if not _is_balanced(match[1]):
                return text
            text = match[1].strip()
        elif text.startswith("(") and text.endswith(")") and _is_balanced(text[1:-1]):
            text = text[1:-1].strip()
        else:
            return text


def _is_balanced(text: str) -> bool:
    depth = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return False
    return depth == 0


def _literal(text: str) -> InverseSource | None:
    if re.fullmatch(r"'[^']*'", text):
        return InverseSource("literal", value=text[1:-1])
    if text.lower() in ("true", "false"):
        return InverseSource("literal", value=text.lower() == "true")
    if text.lower() == "null":
        return InverseSource("literal", value=None)
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return InverseSource("literal", value=float(text))
    return None
