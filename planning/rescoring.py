"""Every eligible arc of one customer scored again by the model of that night: also those that pruning dropped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conf.catalogue import load_catalogue
from conf.errors import UserError
from models.affinity.bundle import load
from models.affinity.scorer import BASES, prepare
from models.lifecycle.arcs import menu
from planning.scoring import blocks, plan
from runtime.night import Night

#: Columns of ``candidate`` that a scored arc has too.
COLUMNS = ("value_micro", "effect_micro", "cost_micro", "p_convert", "p_base", "basis")
Scored = Mapping[tuple[int, int], Mapping[str, Any]]


def score_all_arcs(night: Night, customer: int, version: str | None) -> tuple[Scored, str]:
    """The customer's eligible arcs by (product, channel), and why there are none where they cannot be scored again.

    Args:
        night: the night of the decision.
        customer: id.
        version: the model version of that night's candidates; None where it kept none.
    """
    try:
        task, files, _ = plan(night)
    except UserError as error:
        return {}, error.what
    if version is not None and task.model_version != version:
        return {}, f"model version {task.model_version} has become champion since version {version} scored this night"
    catalogue = load_catalogue(Path(task.catalogue))
    scorer = prepare(load(Path(task.model)), menu(catalogue), task.money)
    product, channel = scorer.menu.product(), scorer.menu.channel()
    for path in files:
        for block in blocks(task, path, only=[customer]):
            (row,) = np.flatnonzero(block.customers == customer)
            scores = block.scores
            return {
                (int(product[arc]), int(channel[arc])): {
                    "value_micro": int(scores.value[row, arc]),
                    "effect_micro": int(scores.effect[row, arc]),
                    "cost_micro": int(scorer.money.cost[arc]),
                    "p_convert": float(scores.p_convert[row, arc]),
                    "p_base": float(scores.p_base[row, arc]),
                    "basis": BASES[scorer.basis[arc]],
                }
                for arc in np.flatnonzero(block.eligible[row]).tolist()
            }, ""
    return {}, "the snapshot of that night does not have the customer, or no arc passed the rules"
