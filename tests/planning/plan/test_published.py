"""The certificate of all that is published: the checker accepts it, and refuses one explorer too many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conf.errors import UserError
from jobs import prove
from models.assignment.roles import EXPLOIT, EXPLORE
from planning.instance.run_folder import certify_run, open_run
from planning.plan.decide import decide, fill_known_values
from planning.plan.published import certify_parts
from planning.plan.reasons import AT_A_LOSS, tell_losses
from runtime.night import Night
from runtime.run_id import run_id

pytestmark = pytest.mark.whole


def rows_of(night: Night) -> list[dict[str, Any]]:
    return night.lake.arrow("assignment", partition=night.partition).sort_by("customer_id").to_pylist()


def write(night: Night, rows: list[dict[str, Any]]) -> None:
    schema = night.lake.arrow("assignment").schema
    night.lake.replace_arrow("assignment", pa.Table.from_pylist(rows, schema=schema), partition=night.partition)


def test_all_parts_are_named_and_their_sum_is_checked(decided: Night) -> None:
    run = open_run(decided.settings, run_id(decided))
    said = json.loads((run.path / "published.json").read_text())
    verdict = certify_run(decided.settings, run_id(decided))
    assert verdict.published == "accepted"
    assert verdict.contacts == sum(said["contacts"].values()) == sum(r["product"] is not None for r in rows_of(decided))
    assert said["contacts"]["explore"] > 10
    assert verdict.published_bound == said["bound"] == verdict.bound + said["value"]["explore"]
    assert said["value"]["exploit"] == verdict.primal
    assert sum(r["decision_value"] or 0 for r in rows_of(decided)) == sum(said["value"].values())
    again = decide(run)
    fill_known_values(again, run)
    assert certify_parts(again, run) == said


def test_one_explorer_too_many_is_refused(decided: Night) -> None:
    """An explorer who drew nothing is given an arc of a limit that is used up."""
    run = open_run(decided.settings, run_id(decided))
    said = json.loads((run.path / "published.json").read_text())
    limits = {limit.name: limit for limit in run.whole_limits().limits}
    full = {row["name"] for row in said["limits"] if row["amount"] == sum(row["used"].values()) and row["amount"] > 0}
    full = {name for name in full if limits[name].sign > 0 and limits[name].counts == 1}
    assert full
    rows = {row["customer_id"]: row for row in rows_of(decided)}
    for arc in run.table("others").to_pylist():
        row = rows[arc["customer"]]
        narrow = [n for n in sorted(full) if all(arc[key] in values for key, values in limits[n].where.items())]
        if row["role"] == "explore" and row["product"] is None and narrow:
            row |= {"product": arc["product"], "channel": arc["channel"], "decision_value": arc["value"]}
            break
    write(decided, list(rows.values()))
    with pytest.raises(UserError, match=r"limit \w+ is broken by what is published: .*explore"):
        certify_run(decided.settings, run_id(decided))
    with pytest.raises(UserError, match="is broken by what is published"):
        prove.run(decided)


def plant_control(rows: list[dict[str, Any]], run: Any) -> None:
    arc = next(
        a
        for a in run.table("others").to_pylist()
        if next(r for r in rows if r["customer_id"] == a["customer"])["role"] == "control"
    )
    row = next(r for r in rows if r["customer_id"] == arc["customer"])
    row |= {"product": arc["product"], "channel": arc["channel"], "decision_value": arc["value"]}


def plant_value(rows: list[dict[str, Any]], run: Any) -> None:
    next(r for r in rows if r["product"] is not None)["decision_value"] += 1


def plant_label(rows: list[dict[str, Any]], run: Any) -> None:
    next(r for r in rows if r["product"] is not None and r["role"] == "explore")["role"] = "exploit"


def plant_none(rows: list[dict[str, Any]], run: Any) -> None:
    """One contact less keeps every cap: it is not what was proved all the same."""
    row = next(r for r in rows if r["product"] is not None and r["role"] == "explore")
    row |= {"product": None, "channel": None, "decision_value": None}


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (plant_control, "label control is contacted"),
        (plant_value, "is not the arc's"),
        (plant_label, "not the one that the solve saw"),
        (plant_none, "is left, not|contacts is|is broken"),
    ],
)
def test_what_was_not_decided_is_refused(decided: Night, plant: Any, told: str) -> None:
    rows = rows_of(decided)
    plant(rows, open_run(decided.settings, run_id(decided)))
    write(decided, rows)
    with pytest.raises(UserError, match=told):
        certify_run(decided.settings, run_id(decided))


def test_a_night_decided_again_and_a_run_of_release_0_2_are_told_apart(decided: Night, tmp_path: Path) -> None:
    run = run_id(decided)
    write(decided, [row | {"run_id": "2026-01-09-other"} for row in rows_of(decided)])
    verdict = certify_run(decided.settings, run)
    assert verdict.published == "not checked: the night was decided again by run 2026-01-09-other"
    path = open_run(decided.settings, run).path / "inputs.json"
    inputs = json.loads(path.read_text())
    path.write_text(json.dumps(inputs | {"version": 2, "reserves": [0] * len(inputs["amounts"])}))
    assert "reserved limits" in (certify_run(decided.settings, run).published or "")


def test_every_contact_at_a_loss_says_why(decided: Night) -> None:
    """On the night as it is, and were every contact worth a thousand yuan less."""
    run = open_run(decided.settings, run_id(decided))
    again = decide(run)
    fill_known_values(again, run)
    given = again.given >= 0
    assert (np.isin(again.reason, AT_A_LOSS) == (given & (again.value < 0))).all()
    for values in (again.value, again.decision_value):
        values -= 10**9
    tell_losses(again, run.inputs().arcs.shares)
    assert (np.isin(again.reason, AT_A_LOSS) == given).all()
    assert set(again.reason[given & (again.role == EXPLORE)]) == {"learn"}
    assert set(again.reason[given & (again.role == EXPLOIT)]) <= {"share", "floor"}
