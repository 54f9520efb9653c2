"""What the checker reads besides arcs: ``limits.yml`` and ``certificate.json``, refused unless exactly as agreed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

_LIMIT_KEYS = {"name", "at_most", "at_least", "counts", "where"}
_CERTIFICATE_KEYS = {
    "primal",
    "bound",
    "gap",
    "customers",
    "arcs",
    "limits",
    "assignment_sha256",
    "seconds",
    "passes",
    "method",
    "bound_claimed",
    "gap_claimed",
}
#: Parts of an arc's key behind product and channel that an instance may have, in the key's order.
KEY_PARTS = ("slot", "variant")
_NEEDED = _CERTIFICATE_KEYS - {"bound_claimed", "gap_claimed"}


class InstanceRefused(Exception):  # noqa: N818 - the word of the contract
    """The checker does not accept something: what, and where."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} ({where})")
        self.what, self.where = what, where


@dataclass(frozen=True)
class CheckedLimit:
    """A limit of the instance with its price: at most (side +1) or at least (side -1) ``amount``."""

    name: str
    side: int
    amount: int
    counts: str | None  # column; None: 1 an arc
    where: dict[str, tuple[int, ...]]
    price: int = 0
    used_said: int = 0

    def use(self, rows: dict[str, np.ndarray], count: int) -> np.ndarray:
        """What it takes of each of ``count`` arcs, int64."""
        mask = np.ones(count, bool)
        for name, values in self.where.items():
            mask &= np.isin(rows[name], np.array([v for v in values if -(1 << 63) <= v < 1 << 63], np.int64))
        return np.where(mask, 1 if self.counts is None else rows[self.counts], 0)


def integer(value: Any, what: str, where: str) -> int:
    """``value`` if it is an integer (a float or a boolean is not)."""
    if type(value) is not int:
        raise InstanceRefused(f"{what} is {value!r}, not an integer", where)
    return value


class _NoRepeats(yaml.SafeLoader):
    """Refuses a key given twice, which YAML's loader would overlook."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(keys) != len({str(key) for key in keys}):
            raise InstanceRefused(f"a key is given twice among {keys}", f"limits.yml:{node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


def read_limits(path: Path) -> tuple[bool, list[CheckedLimit]]:
    """Whether everybody must take an arc, and the limits (without prices)."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _NoRepeats)  # noqa: S506 - a safe loader
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InstanceRefused("limits.yml cannot be read", str(path)) from error
    data = {} if data is None else data
    if not isinstance(data, dict) or set(data) - {"choose", "limits"}:
        raise InstanceRefused("limits.yml has unknown keys", str(path))
    choose = data.get("choose", "at_most_one")
    if choose not in {"at_most_one", "exactly_one"}:
        raise InstanceRefused(f"choose is {choose!r}", str(path))
    rows = data.get("limits") or []
    if not isinstance(rows, list):
        raise InstanceRefused("limits is not a list", str(path))
    limits = [_limit(row, f"{path.name}, limit {i + 1}") for i, row in enumerate(rows)]
    names = [limit.name for limit in limits]
    if len(set(names)) != len(names):
        raise InstanceRefused(f"two limits of one name: {sorted({n for n in names if names.count(n) > 1})}", str(path))
    return choose == "exactly_one", limits


def _limit(row: Any, where: str) -> CheckedLimit:
    if not isinstance(row, dict) or set(row) - _LIMIT_KEYS or not isinstance(row.get("name"), str):
        raise InstanceRefused("a limit with unknown keys or no name", where)
    sides = [(side, row[key]) for side, key in ((1, "at_most"), (-1, "at_least")) if row.get(key) is not None]
    if len(sides) != 1:
        raise InstanceRefused(f"limit {row['name']} needs exactly one of at_most and at_least", where)
    counts = row.get("counts", 1)
    if not (isinstance(counts, str) or (type(counts) is int and counts == 1)):
        raise InstanceRefused(f"limit {row['name']} counts {counts!r}", where)
    columns = row.get("where") or {}
    if not isinstance(columns, dict) or not all(isinstance(v, list) for v in columns.values()):
        raise InstanceRefused(f"limit {row['name']}: where is not columns with lists", where)
    chosen = {str(k): tuple(integer(x, f"where.{k}", where) for x in v) for k, v in columns.items()}
    amount = integer(sides[0][1], f"the amount of {row['name']}", where)
    return CheckedLimit(row["name"], sides[0][0], amount, counts if isinstance(counts, str) else None, chosen)


def read_certificate(path: Path, limits: list[CheckedLimit]) -> tuple[dict[str, Any], list[CheckedLimit]]:
    """The certificate, and the limits with the prices and uses that it states."""
    try:
        certificate = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except (OSError, ValueError, RecursionError) as error:
        raise InstanceRefused("certificate.json cannot be read", str(path)) from error
    where = path.name
    if not isinstance(certificate, dict) or set(certificate) - _CERTIFICATE_KEYS or _NEEDED - set(certificate):
        raise InstanceRefused("certificate.json has unknown keys or lacks some", where)
    for key in ("primal", "bound", "customers", "arcs"):
        integer(certificate[key], key, where)
    rows = certificate["limits"]
    names = [row.get("name") if isinstance(row, dict) else None for row in rows] if isinstance(rows, list) else None
    if names != [limit.name for limit in limits]:
        raise InstanceRefused("the certificate's limits are not those of limits.yml, in their order", where)
    priced = []
    for row, limit in zip(rows, limits, strict=True):
        if set(row) != {"name", "used", "amount", "price_pico"}:
            raise InstanceRefused(f"limit {limit.name}: unknown or missing keys", where)
        price = integer(row["price_pico"], f"price_pico of {limit.name}", where)
        if integer(row["amount"], f"amount of {limit.name}", where) != limit.amount:
            raise InstanceRefused(f"limit {limit.name}: the amount is {limit.amount}, not {row['amount']}", where)
        if price * limit.side < 0 or not -(1 << 63) <= price < 1 << 63:
            raise InstanceRefused(f"limit {limit.name}: a price of {price} has the wrong sign or leaves 64 bits", where)
        used = integer(row["used"], f"used of {limit.name}", where)
        priced.append(CheckedLimit(limit.name, limit.side, limit.amount, limit.counts, limit.where, price, used))
    return certificate, priced


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)
