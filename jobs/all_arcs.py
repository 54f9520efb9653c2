"""The bound of tonight's plan over all arcs, those that pruning dropped among them.

One pass streams every eligible arc from the scorer at the final prices; nothing is stored. A dropped arc may win as
long as the bound over all arcs stays near the plan: that figure is what pruning is judged by.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from conf.catalogue import load_catalogue
from jobs.frozen import Frozen
from jobs.instance import read_limits
from jobs.menu import menu
from jobs.menu_arcs import Arcs, menu_arcs
from jobs.night import Night
from jobs.score import Block, Task, blocks, plan
from models.assignment.passes import threads
from models.assignment.problem import PICO, Ints
from models.assignment.roles import EXPLOIT

_ALONE = 64 << 20  # bytes of `eligible` up to which this process does it


@dataclass(frozen=True)
class Seen:
    """What a pass over some customers adds up.

    Attributes:
        total: sum of exploiters' best reduced values, each rounded up, micro-yuan.
        arcs: eligible outbound arcs of exploiters.
    """

    total: int
    arcs: int


def bound_of_all_arcs(night: Night, frozen: Frozen, prices: dict[str, int]) -> dict[str, Any]:
    """``bound_all_arcs`` (micro-yuan, exact) and ``arcs_all``; empty where tonight's scorer is not there any more.

    Args:
        night: tonight.
        frozen: the run's inputs.
        prices: ``price_pico`` by limit, signed as in certificates.
    """
    if not night.lake.files("customer_features", night.partition):
        return {"all_arcs": "not verified: the snapshot of this night is not there"}
    scored = night.lake.arrow("candidate", partition=night.partition, columns=["model_version"])
    task, files, _ = plan(night)
    if set(scored["model_version"].unique().to_pylist()) - {task.model_version}:
        return {"all_arcs": "not verified: another model has become champion since these arcs were scored"}
    see = partial(seen_in_file, task, folder=str(frozen.folder), prices=tuple(sorted(prices.items())))
    if sum(Path(path).stat().st_size for path in files) <= _ALONE:
        with ThreadPoolExecutor(threads()) as pool:
            parts = list(pool.map(see, files))
    else:
        parts = night.spark.sparkContext.parallelize(files, len(files)).map(see).collect()
    charged = sum(prices[limit.name] * limit.amount for limit in read_limits(frozen.instance / "limits.yml").limits)
    total = -((-charged) // PICO) + sum(part.total for part in parts)
    return {"bound_all_arcs": total, "arcs_all": sum(part.arcs for part in parts)}


def seen_in_file(task: Task, path: str, *, folder: str, prices: tuple[tuple[str, int], ...]) -> Seen:
    """A task: the part of the bound of the customers of a file of ``eligible``."""
    frozen = Frozen(Path(folder))
    population = frozen.table("population")
    limits = read_limits(frozen.instance / "limits.yml")
    arcs = menu_arcs(population, frozen.inputs(), limits)
    signed = dict(prices)
    charge = arcs.price(np.array([signed[limit.name] * limit.sign for limit in limits.limits], np.int64))
    customer, role = population["customer_id"].to_numpy(), population["role"].to_numpy()
    places = outbound_places(load_catalogue(Path(task.catalogue)), arcs)
    total = count = 0
    for block in blocks(task, path):
        row = np.searchsorted(customer, block.customers)
        mine = role[row] == EXPLOIT
        best, able = best_reduced(block, arcs.classes[row], charge, places, mine)
        total += int((-((-best) // PICO)).sum())
        count += able
    return Seen(total, count)


def outbound_places(catalogue: Any, arcs: Arcs) -> Ints:
    """Of each arc of the menu its place among outbound arcs; -1 where it is inbound."""
    menu_ = menu(catalogue)
    return np.where(menu_.outbound(), arcs.of(menu_.product(), menu_.channel()), -1)


def best_reduced(block: Block, classes: Ints, charge: Ints, places: Ints, mine: np.ndarray) -> tuple[Ints, int]:
    """Best reduced value (pico-yuan, at least 0: none) of the customers that are ``mine``, and how many arcs they have."""
    out = np.flatnonzero(places >= 0)
    able = block.eligible[mine][:, out]
    reduced = block.scores.value[mine][:, out] * PICO - charge[classes[mine]][:, places[out]]
    return np.maximum(np.where(able, reduced, 0).max(axis=1, initial=0), 0), int(able.sum())
