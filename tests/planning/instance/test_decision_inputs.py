"""The frozen inputs of a decision: typed, with a version, and those of earlier releases are read."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from conf.errors import UserError
from planning.instance.decision_inputs import VERSION, DecisionInputs, read_inputs, write_inputs
from planning.limits.arc_units import ArcUnits, ChannelUnits, ShareUnits

INPUTS = DecisionInputs(
    version=VERSION,
    run_id="2026-01-09-0123456789ab",
    date=dt.date(2026, 1, 9),
    code="1b8e2ece2063",
    seed=20260109,
    explore=0.05,
    slate_temperature=20_000,
    gap=5e-4,
    switch_cost=0,
    start={"calls": 7, "floor": -3},
    notes=("calls: calendar of 2026-01-02",),
    arcs=ArcUnits(
        products=(0, 3),
        channels=(
            ChannelUnits(id=0, direction="outbound", units={"seconds": 180, "cost_micro": 5}),
            ChannelUnits(id=1, direction="inbound", units={"seconds": 0, "cost_micro": 0}),
        ),
        shares={"share_low": ShareUnits(of={"s_low": [1]}, percent=20)},
    ),
    amounts=(9, -4),
    capped=(True, False),
    draws=False,
)
#: What release 0.1 froze, as this one reads it.
READ_0_1 = INPUTS.model_copy(update={"version": 2, "draws": True, "reserves": (1, 0)})
#: The same as release 0.1 wrote it.
OF_0_1 = {
    "run_id": "2026-01-09-0123456789ab",
    "date": "2026-01-09",
    "code": "1b8e2ece2063",
    "seed": 20260109,
    "explore": 0.05,
    "slate_temperature": 20000,
    "gap": 0.0005,
    "switch_cost": 0,
    "start": {"calls": 7, "floor": -3},
    "notes": ["calls: calendar of 2026-01-02"],
    "products": [0, 3],
    "channels": [
        {"id": 0, "direction": "outbound", "seconds": 180, "cost_micro": 5},
        {"id": 1, "direction": "inbound", "seconds": 0, "cost_micro": 0},
    ],
    "shares_of": {"share_low": {"of": {"s_low": [1]}, "percent": 20}},
    "amounts": [9, -4],
    "reserves": [1, 0],
    "capped": [True, False],
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_inputs(tmp_path / "inputs.json", INPUTS)
    assert json.loads((tmp_path / "inputs.json").read_text())["version"] == VERSION
    assert read_inputs(tmp_path / "inputs.json") == INPUTS


def test_a_folder_of_release_0_1_is_read(tmp_path: Path) -> None:
    path = tmp_path / "inputs.json"
    path.write_text(json.dumps(OF_0_1))
    assert read_inputs(path) == READ_0_1
    assert (READ_0_1.labels_first, INPUTS.labels_first) == (False, True)
    later = ("code", "slate_temperature", "switch_cost", "notes")  # what came during 0.1
    path.write_text(json.dumps({key: value for key, value in OF_0_1.items() if key not in later}))
    assert read_inputs(path) == READ_0_1.model_copy(update={"code": "", "slate_temperature": 0, "notes": ()})


@pytest.mark.parametrize(
    ("change", "told"),
    [({"version": 4}, "version"), ({"sead": 1}, "sead"), ({"gap": "small"}, "gap"), ({"channels": [{}]}, "arcs")],
)
def test_another_form_is_refused_with_what_is_wrong(tmp_path: Path, change: dict[str, object], told: str) -> None:
    path = tmp_path / "inputs.json"
    path.write_text(json.dumps(OF_0_1 | change))
    with pytest.raises(UserError, match=told) as error:
        read_inputs(path)
    assert str(path) in "\n".join(error.value.lines())


def test_a_misspelt_key_is_no_input() -> None:
    with pytest.raises(ValidationError):
        DecisionInputs.model_validate({**INPUTS.model_dump(), "reserve": [1]})
    with pytest.raises(AttributeError):
        INPUTS.reserve  # type: ignore[attr-defined]  # noqa: B018 - mypy refuses it too: an unused ignore is an error
