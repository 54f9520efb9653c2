"""What a night's decision rests on beside its tables and limits: ``inputs.json`` of a run's folder."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, model_validator

from conf.documents import Strict
from conf.errors import UserError
from planning.limits.arc_units import ArcUnits

#: The form that is written now; those of releases before are read.
VERSION = 3
#: Since this form labels come first and one solve has what explorers leave; before, a part of limits was reserved for them.
LABELS_FIRST = 3
_FLAT = ("products", "channels", "shares_of")  # of version 1, which release 0.1 wrote without a number


class DecisionInputs(Strict):
    """The frozen inputs of a decision.

    Attributes:
        version: of this form.
        run_id, date: of the run.
        code: the sources that froze them; empty where that was not kept.
        seed: of every draw.
        explore: share of customers who explore.
        usual: share of customers who are served by the operator's rule, and of each limit that is for them.
        slate_temperature: of the noise in slates, micro-yuan.
        gap: what the solver aims at.
        switch_cost: what the arc of the night before counts for more, micro-yuan.
        start: prices to start from by limit, pico-yuan, signed as in certificates.
        notes: what is odd about tonight's amounts.
        arcs: products, channels and their units.
        amounts: of each limit, whole, in the at-most form.
        capped: whether explorers must stay within it: at most, and no share.
        draws: whether explorers were given what they drew; not where the limits conflicted with it.
        reserves: what of each limit was kept for explorers, in runs of releases up to 0.2.
    """

    version: Literal[2, 3]
    run_id: str
    date: dt.date
    code: str = ""
    seed: int
    explore: float
    usual: float = 0.0
    slate_temperature: int = 0
    gap: float
    switch_cost: int = 0
    start: dict[str, int]
    notes: tuple[str, ...] = ()
    arcs: ArcUnits
    amounts: tuple[int, ...]
    capped: tuple[bool, ...]
    draws: bool = True
    reserves: tuple[int, ...] = ()

    @property
    def labels_first(self) -> bool:
        """Whether one solve has what explorers leave; else the run is of a release that reserved a part of limits."""
        return self.version >= LABELS_FIRST

    @model_validator(mode="before")
    @classmethod
    def _read_version_1(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("version", 1) != 1 or not set(_FLAT) <= set(data):
            return data
        known = {"id", "direction"}
        channels = [
            {**{k: v for k, v in row.items() if k in known}, "units": {k: v for k, v in row.items() if k not in known}}
            for row in data["channels"]
        ]
        arcs = {"products": data["products"], "channels": channels, "shares": data["shares_of"]}
        return {**{k: v for k, v in data.items() if k not in _FLAT}, "version": 2, "arcs": arcs}


def read_inputs(path: Path) -> DecisionInputs:
    """Read ``inputs.json`` of this or an earlier form.

    Raises:
        UserError: it is of a later form, or was changed.
    """
    try:
        return DecisionInputs.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"no frozen inputs of a form up to {VERSION}: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            where=str(path),
            remedy="use the release that froze the run (its code stands in the file), or the folder's backup",
        ) from error


def write_inputs(path: Path, inputs: DecisionInputs) -> None:
    """Write ``inputs.json``."""
    path.write_text(inputs.model_dump_json(indent=1) + "\n", encoding="utf-8")
