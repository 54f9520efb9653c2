"""Checks that the limits hold for all that is published: what was solved and what explorers drew, together.

The plan's certificate (`certify.check`) is of those who are solved, on what the others leave of the limits. Here every
contact of the published table is looked up among the frozen arcs, what each limit is used is counted anew, part by part,
and held against the **whole** amounts; and what was left for the solve must be just that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from certify.check import pack_key, read_key, record_type
from certify.limits import KEY_PARTS, CheckedLimit, InstanceRefused, integer, read_limits

#: Labels of who may be contacted; those of the first are solved.
LABELS = ("exploit", "explore", "usual")
_BATCH = 1 << 19
_KEYS = {"contacts", "value", "bound", "limits", "sha256"}


def check_published(run: Path, contacts: pa.Table, bound: int) -> dict[str, Any]:
    """Accept the published contacts of a run: returns what was counted.

    Args:
        run: its folder: ``whole.yml``, ``instance``, ``others.parquet``, ``plan``, ``published.json``; ``reported.yml``
            where some limits are counted and not kept.
        contacts: ``customer, product, channel, value, role`` of every contact, customers ascending; ``slot`` and
            ``variant`` may be there, null where the run's arcs have none.
        bound: of the solved part, as `certify.check` re-derived it.

    Raises:
        InstanceRefused: a limit is broken, a contact is nobody's, or the file says otherwise.
    """
    _, limits = read_limits(run / "whole.yml")
    _, left = read_limits(run / "instance" / "limits.yml")
    _, told_of = read_limits(run / "reported.yml") if (run / "reported.yml").exists() else (False, [])
    key = read_key(run / "instance" / "arcs")
    rows = _contacts(contacts, key)
    every = _count(run, [*limits, *told_of], rows, key)
    used, counted = every[:, : len(limits)], every[:, len(limits) :]
    total = used.sum(axis=0)
    for m, limit in enumerate(limits):
        if limit.side * int(total[m]) > limit.side * limit.amount:
            parts = ", ".join(f"{label} {int(used[k, m])}" for k, label in enumerate(LABELS) if used[k, m])
            what = (
                f"limit {limit.name} is broken by what is published: {int(total[m])} ({parts}) against {limit.amount}"
            )
            raise InstanceRefused(what, "assignment")
    _compare_left(limits, left, used)
    _compare_solved(run / "plan" / "assignment", rows, key)
    value = [_sum(rows["value"][rows["label"] == k]) for k in range(len(LABELS))]
    derived = {
        "contacts": {label: int((rows["label"] == k).sum()) for k, label in enumerate(LABELS)},
        "value": dict(zip(LABELS, value, strict=True)),
        "bound": bound + sum(value[1:]),
        "limits": _uses(limits, used),
        "sha256": _digest(rows, key),
    }
    if told_of:
        derived["reported"] = _uses(told_of, counted)
    _compare(run / "published.json", derived)
    return derived


def _uses(limits: list[CheckedLimit], used: np.ndarray) -> list[dict[str, Any]]:
    """Amount and use by label of each limit."""
    return [
        {
            "name": limit.name,
            "amount": limit.amount,
            "used": {label: int(used[k, m]) for k, label in enumerate(LABELS)},
        }
        for m, limit in enumerate(limits)
    ]


def _contacts(table: pa.Table, key: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The contacts as arrays, each customer once."""
    rows: dict[str, np.ndarray] = {}
    for name in set(KEY_PARTS) & set(table.column_names) - set(key):
        if table[name].null_count != table.num_rows:
            raise InstanceRefused(f"a contact has a {name}, the run's arcs have none", "assignment")
    for name in ("customer", *key, "value"):
        if name not in table.column_names or table[name].null_count:
            raise InstanceRefused(f"a contact without {name}", "assignment")
        rows[name] = table[name].to_numpy().astype(np.int64)
    if (rows["customer"][1:] <= rows["customer"][:-1]).any():
        raise InstanceRefused("a customer is contacted twice, or they are out of order", "assignment")
    roles = table["role"].to_pylist()
    if strange := sorted(set(roles) - set(LABELS)):
        raise InstanceRefused(f"a customer of label {strange[0]} is contacted", "assignment")
    rows["label"] = np.array([LABELS.index(role) for role in roles], np.int64)
    return rows


def _count(run: Path, limits: list[CheckedLimit], rows: dict[str, np.ndarray], key: tuple[str, ...]) -> np.ndarray:
    """What each label uses of each limit, int64 [labels, limits]; every contact must be an arc with its value."""
    used = np.zeros((len(LABELS), len(limits)), np.int64)
    seen = np.zeros(len(rows["customer"]), np.int64)
    named = {key for limit in limits for key in limit.where} | {
        limit.counts for limit in limits if limit.counts is not None
    }
    columns = list(dict.fromkeys(["customer", *key, "value", *sorted(named)]))
    label = pack_key(rows, key)
    for solved, arcs in _arcs(run, columns):
        at = np.searchsorted(rows["customer"], arcs["customer"])
        at[at == len(seen)] = 0
        hit = np.zeros(len(at), bool)
        if len(seen):
            hit = (rows["customer"][at] == arcs["customer"]) & (label[at] == pack_key(arcs, key))
        who = at[hit]
        chosen = {name: values[hit] for name, values in arcs.items()}
        if (chosen["value"] != rows["value"][who]).any():
            raise InstanceRefused("a value in the published plan is not the arc's", "assignment")
        if ((rows["label"][who] == 0) != solved).any():
            raise InstanceRefused("a label is not the one that the solve saw", "assignment")
        np.add.at(seen, who, 1)
        for m, limit in enumerate(limits):
            np.add.at(used[:, m], rows["label"][who], limit.use(chosen, len(who)))
    if (wrong := np.flatnonzero(seen != 1)).size:
        raise InstanceRefused(f"customer {int(rows['customer'][wrong[0]])} has no such arc", "assignment")
    return used


def _arcs(run: Path, columns: list[str]) -> Iterator[tuple[bool, dict[str, np.ndarray]]]:
    """The frozen arcs, some at a time, and whether they are of the solved part."""
    sources = [(True, path) for path in sorted((run / "instance" / "arcs").glob("*.parquet"))]
    for solved, path in [*sources, (False, run / "others.parquet")]:
        with pq.ParquetFile(path) as file:
            if lost := [name for name in columns if name not in file.schema_arrow.names]:
                raise InstanceRefused(f"no column {lost[0]!r}", path.name)
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                yield solved, {name: batch.column(name).to_numpy().astype(np.int64) for name in columns}


def _compare_left(declared: list[CheckedLimit], left: list[CheckedLimit], used: np.ndarray) -> None:
    """The solve must have had what the others leave, and the same limits otherwise."""
    if [(x.name, x.side, x.counts, x.where) for x in declared] != [(x.name, x.side, x.counts, x.where) for x in left]:
        raise InstanceRefused("the solve had other limits than the night", "instance/limits.yml")
    for m, (limit, rest) in enumerate(zip(declared, left, strict=True)):
        leaves = limit.amount - int(used[1:, m].sum())
        if rest.amount != (leaves if limit.counts is not None else max(0, leaves)):
            raise InstanceRefused(f"limit {limit.name}: {leaves} is left, not {rest.amount}", "instance/limits.yml")


def _compare_solved(folder: Path, rows: dict[str, np.ndarray], key: tuple[str, ...]) -> None:
    """Contacts of the solved part must be those of the plan that was proved."""
    plan = pq.read_table(folder).to_pandas()
    plan = plan[plan["product"].notna()].sort_values("customer")
    solved = rows["label"] == 0
    for name in ("customer", *key, "value"):
        if not np.array_equal(rows[name][solved], plan[name].to_numpy().astype(np.int64)):
            raise InstanceRefused(f"exploiters' {name} differs from the proved plan's", "assignment")


def _compare(path: Path, derived: dict[str, Any]) -> None:
    try:
        claims = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InstanceRefused("published.json cannot be read", str(path)) from error
    if not isinstance(claims, dict) or set(claims) != _KEYS | set(derived):
        raise InstanceRefused("published.json has unknown keys or lacks some", path.name)
    integer(claims["bound"], "bound", path.name)
    for key, value in derived.items():
        if claims[key] != value:
            raise InstanceRefused(f"{key} is {value}, not {claims[key]}", path.name)


def _digest(rows: dict[str, np.ndarray], key: tuple[str, ...]) -> str:
    records = np.empty(len(rows["customer"]), record_type(key))
    for name in records.dtype.names or ():
        records[name] = rows[name]
    return hashlib.sha256(records.tobytes()).hexdigest()


def _sum(values: np.ndarray) -> int:
    """The sum as an integer of any size: high and low halves apart."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())
