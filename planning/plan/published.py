"""The certificate of all that is published: what each part of the plan uses of the whole limits, ``published.json``.

The plan's own certificate is of those who are solved, on what explorers leave. This one names the parts and holds for
their sum; `certify.published` counts all of it again from the published table. Limits that are reported only are counted
beside, and nothing is held to them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.arrays import Ints
from models.assignment.roles import EXPLOIT, EXPLORE, NAMES, USUAL
from planning.instance.decision_inputs import DecisionInputs
from planning.instance.plan_files import Chosen, records
from planning.instance.run_folder import RunFolder
from planning.limits.evaluator import Evaluator
from planning.limits.in_force import LimitInForce
from planning.plan.decision import Decision
from runtime.atomic_files import file_draft

#: The parts of a plan that may be contacted.
PARTS = (EXPLOIT, EXPLORE, USUAL)


def certify_parts(night: Decision, run: RunFolder) -> dict[str, Any]:
    """Contacts, values and uses by part, the sum's bound, and the hash of all contacts.

    The bound is that of the solved part and the value of the others, who are what they were drawn to be: no plan with
    these draws is worth more.
    """
    limits, reported = run.whole_limits().limits, run.read_reported().limits
    has = {NAMES[part]: np.flatnonzero((night.role == part) & (night.given >= 0)) for part in PARTS}
    value = {name: int(night.decision_value[rows].sum()) for name, rows in has.items()}
    use = {name: night.arcs.uses[:, night.arcs.classes[rows], night.given[rows]].sum(1) for name, rows in has.items()}
    rows = np.flatnonzero(night.given >= 0)
    product, channel = (column[night.given[rows]] for column in (night.arcs.product, night.arcs.channel))
    extra = {}
    if reported:
        counted = count_uses(night, run.inputs(), reported)
        extra["reported"] = _tell_uses(reported, {name: counted[:, rows].sum(1) for name, rows in has.items()})
    return {
        "contacts": {name: len(rows) for name, rows in has.items()},
        "value": value,
        "bound": night.solution.dual.bound + sum(v for name, v in value.items() if name != NAMES[EXPLOIT]),
        "limits": _tell_uses(limits, use),
        **extra,
        "sha256": hashlib.sha256(
            records(night.customer[rows], Chosen(product, channel, night.decision_value[rows]))
        ).hexdigest(),
    }


def count_uses(night: Decision, inputs: DecisionInputs, limits: Sequence[LimitInForce]) -> Ints:
    """What limits that are not kept count of each customer's contact, in the at-most form, int64 [limits, n]."""
    arcs = Evaluator(inputs.arcs, tuple(limits)).arcs(night.population)
    uses = arcs.uses[:, arcs.classes, np.maximum(night.given, 0)]
    return np.where(night.given >= 0, uses, 0)


def _tell_uses(limits: Sequence[LimitInForce], use: Mapping[str, Ints]) -> list[dict[str, Any]]:
    """Amount and use by part of each limit, signed as written."""
    return [
        {
            "name": limit.name,
            "amount": limit.amount,
            "used": {name: int(used[m]) * limit.sign for name, used in use.items()},
        }
        for m, limit in enumerate(limits)
    ]


def write_published(night: Decision, run: RunFolder) -> dict[str, Any]:
    """Write ``published.json`` of a run; returns what it says."""
    claims = certify_parts(night, run)
    with file_draft(run.path / "published.json") as draft:
        draft.write_text(json.dumps(claims, indent=1) + "\n", encoding="utf-8")
    return claims
