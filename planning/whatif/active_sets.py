"""Active sets of a run, in ``runs/<run_id>/active/``: made by the first what-if that needs one, read by the others.

A set is of the limits that change, which way, and how far in round figures (10, 20, 40, 80 %). `cpc goal`, `cpc prices`
and `cpc sensitivity` ask for the same ones. Whoever deletes the folder loses nothing but the time to make them again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import Ints
from models.assignment.active_set import FEW, Active
from models.assignment.problem import Apart, Block, Limits, Problem
from models.assignment.sample import draw_customers
from planning.instance.certificate import Certificate
from runtime.atomic_files import file_draft
from runtime.run_id import sources

#: Changes that sets are made for, over the amount (or the use, where the amount is 0).
STEPS = (0.1, 0.2, 0.4, 0.8)
#: Sets that are kept of a run, the last ones used.
KEPT = 16
#: Arrays of a block, and those that there is one of for each block of the problem.
OF_BLOCK, OF_ALL = ("customer", "first", "value", "kind", "group"), ("place", "arc", "moved", "was")


def round_change(before: Limits, after: Limits, used: Sequence[int]) -> Limits | None:
    """``before`` with those limits that change moved the same way by the least step that is enough; None where none is."""
    change = after.amount - before.amount
    size = np.maximum(np.abs(before.amount), np.abs(np.array(used, np.int64)))
    some = change != 0
    if not some.any() or (size[some] == 0).any():
        return None
    most = float((np.abs(change[some]) / size[some]).max())
    step = next((step for step in STEPS if step >= most - 1e-9), None)
    if step is None:
        return None
    return replace(before, amount=before.amount + np.sign(change) * np.ceil(step * size).astype(np.int64))


def key_of(certificate: Certificate, limits: Limits, room: float) -> str:
    """The name of the set of a run's plan for other limits, as this code makes it."""
    changed = [
        [name, int(b * s)]
        for name, b, s, row in zip(limits.names, limits.amount, limits.sign, certificate.limits, strict=True)
        if int(b * s) != row.amount
    ]
    prices = [*certificate.prices.values()]
    text = json.dumps([sources(), certificate.assignment_sha256, prices, changed, room])
    return hashlib.sha256(text.encode()).hexdigest()[:16] + ".npz"


def write_active(path: Path, active: Active, plan: Sequence[Ints]) -> None:
    """Write a set, whole or not at all; what everybody holds is written as the difference from the plan."""
    moved = [np.flatnonzero(arcs != own) for arcs, own in zip(active.choices, plan, strict=True)]
    arrays: dict[str, Any] = {name: [getattr(block, name) for block in active.blocks] for name in OF_BLOCK}
    was = [arcs[places] for arcs, places in zip(active.choices, moved, strict=True)]
    arrays |= {"place": active.place, "arc": active.arc, "moved": moved, "was": was}
    joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in arrays.items() if parts}
    sizes: dict[str, Any] = {f"{name}_size": [len(part) for part in parts] for name, parts in arrays.items()}
    apart = active.apart
    numbers = np.array([apart.customers, apart.value], np.int64)
    with file_draft(path) as draft, draft.open("wb") as file:
        np.savez(
            file,
            **joined,
            **sizes,
            numbers=numbers,
            counts=apart.counts,
            low=apart.low,
            high=apart.high,
            middle=active.middle,
        )
    for old in sorted(path.parent.glob("*.npz"), key=lambda each: each.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)


def read_active(path: Path, problem: Problem, plan: Sequence[Ints]) -> Active | None:
    """A set of the run whose problem and plan these are; None where it was not made."""
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        return None
    os.utime(path)
    parts: dict[str, Any] = {
        name: np.split(arrays[name], np.cumsum(arrays[f"{name}_size"])[:-1]) if name in arrays else []
        for name in OF_BLOCK + OF_ALL
    }
    width = problem.blocks[0].width
    columns = [parts[name] for name in OF_BLOCK]
    blocks = [Block(a, b, c, d, e, width) for a, b, c, d, e in zip(*columns, strict=True)]
    arcs: list[Any] = []
    for own, moved, was in zip(plan, parts["moved"], parts["was"], strict=True):
        arcs.append(own.astype(np.int32))
        arcs[-1][moved] = was
    customers, value = (int(number) for number in arrays["numbers"])
    apart = Apart(customers, value, arrays["counts"], arrays["low"], arrays["high"])
    few = draw_customers(blocks, FEW)
    return Active(blocks, parts["place"], parts["arc"], arcs, apart, arrays["middle"], few)
