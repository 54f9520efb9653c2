"""Tonight's plan against all arcs: the bound over those that pruning dropped too, and which of them would win.

One pass streams every eligible arc from the scorer at the final prices; nothing is stored. A dropped arc may win as
long as the bound over all arcs stays near the plan: that figure is what pruning is judged by. Where it does not, the
dropped arcs that win are taken back (`planning.plan.column_generation`).

Another pass takes many prices at once: the bound without each limit, which its cost tonight is proved by
(`planning.whatif.limit_cost`). Scoring is what such a pass costs; prices add little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from conf.catalogue import Catalogue, load_catalogue
from models.affinity.scorer import Menu
from models.arrays import Ints
from models.assignment.problem import PICO
from models.assignment.roles import EXPLOIT
from models.cores import cores
from models.lifecycle.arcs import menu
from planning.instance.run_folder import RunFolder
from planning.limits.arc_classes import Arcs
from planning.limits.declared import DeclaredLimits
from planning.limits.evaluator import Evaluator
from planning.limits.in_force import LimitInForce
from planning.plan.switching_cost import mark_favoured
from planning.scoring import ScoredBlock, ScoringTask, blocks, plan
from runtime.night import Night

_ALONE = 64 << 20  # bytes of `eligible` up to which this process does it
#: Dropped arcs of a customer that are taken back at once.
TAKEN_BACK = 2
WINNERS = pa.schema([("customer", pa.int64()), ("product", pa.int16()), ("channel", pa.int16()), ("value", pa.int64())])


Found = TypeVar("Found")


@dataclass(frozen=True)
class BoundAsked:
    """Prices at which the bound over all arcs is asked for.

    Attributes:
        prices: ``price_pico`` by limit, signed as in certificates.
        without: a limit that is taken away, whatever its price: the arcs that it alone put out are back; none if empty.
    """

    prices: Mapping[str, int]
    without: str = ""


@dataclass(frozen=True)
class Seen:
    """What a pass over some customers finds.

    Attributes:
        total: sum of exploiters' best reduced values, each rounded up, micro-yuan.
        arcs: eligible outbound arcs of exploiters.
        winners: dropped arcs, of any role, better than the best kept one of their customer; at most two a customer.
    """

    total: int
    arcs: int
    winners: pa.Table


def bound_of_all_arcs(night: Night, run: RunFolder, prices: Mapping[str, int]) -> dict[str, Any]:
    """``bound_all_arcs`` (micro-yuan, exact) and ``arcs_all``; why not, where tonight's scorer is not there any more.

    Args:
        night: tonight.
        run: the run's inputs.
        prices: ``price_pico`` by limit, signed as in certificates.
    """
    seen = evaluate_all_arcs(night, run, prices)
    if isinstance(seen, str):
        return {"all_arcs": f"not verified: {seen}"}
    return {"bound_all_arcs": bound_at(run, prices, seen), "arcs_all": seen.arcs}


def evaluate_all_arcs(night: Night, run: RunFolder, prices: Mapping[str, int]) -> Seen | str:
    """One pass over all eligible arcs at given prices; or why there can be none."""
    parts = _pass_over(night, partial(evaluate_file, folder=str(run.path), prices=tuple(sorted(prices.items()))))
    if isinstance(parts, str):
        return parts
    winners = pa.concat_tables([WINNERS.empty_table(), *(part.winners for part in parts)])
    return Seen(sum(part.total for part in parts), sum(part.arcs for part in parts), winners)


def bounds_over_all_arcs(night: Night, run: RunFolder, asked: Sequence[BoundAsked]) -> list[int] | str:
    """The bound over all eligible arcs at each of several prices, micro-yuan, by one pass; or why there can be none."""
    parts = _pass_over(night, partial(sum_file, folder=str(run.path), asked=tuple(asked)))
    if isinstance(parts, str):
        return parts
    amounts = {limit.name: limit.amount for limit in run.limits().limits}
    bounds = []
    for k, each in enumerate(asked):
        charged = sum(price * amounts[name] for name, price in each.prices.items() if name != each.without)
        bounds.append(-((-charged) // PICO) + sum(part[k] for part in parts))
    return bounds


def _pass_over(night: Night, see: Callable[[ScoringTask, str], Found]) -> list[Found] | str:
    """What a task finds in each file of ``eligible``; or why there can be no pass."""
    if not night.lake.files("customer_features", night.partition):
        return "the snapshot of this night is not there"
    scored = night.lake.arrow("candidate", partition=night.partition, columns=["model_version"])
    task, files, _ = plan(night)
    if set(scored["model_version"].unique().to_pylist()) - {task.model_version}:
        return "another model has become champion since these arcs were scored"
    if sum(Path(path).stat().st_size for path in files) <= _ALONE:
        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(partial(see, task), files))
    return list(night.spark.sparkContext.parallelize(files, len(files)).map(partial(see, task)).collect())


def bound_at(run: RunFolder, prices: Mapping[str, int], seen: Seen) -> int:
    """The bound over all arcs, micro-yuan: what limits charge for their amounts and what customers' best arcs leave."""
    charged = sum(prices[limit.name] * limit.amount for limit in run.limits().limits)
    return -((-charged) // PICO) + seen.total


def evaluate_file(task: ScoringTask, path: str, *, folder: str, prices: tuple[tuple[str, int], ...]) -> Seen:
    """A task: what a pass finds of the customers of a file of ``eligible``."""
    run = RunFolder(Path(folder))
    population, inputs = run.table("population"), run.inputs()
    limits = run.limits().limits
    arcs = Evaluator(inputs.arcs, limits).arcs(population)
    signed = dict(prices)
    charge = arcs.price(np.array([signed[limit.name] * limit.sign for limit in limits], np.int64))
    catalogue = load_catalogue(Path(task.catalogue))
    places = outbound_places(catalogue, arcs)
    arcs_out = find_impossible(arcs, limits) | find_closed_places(catalogue, places, arcs)
    stored = read_kept_arcs(run, path)
    total = count = 0
    winners = [WINNERS.empty_table()]
    for scored, row, exploit in value_blocks(task, path, run):
        block = replace(scored, eligible=scored.eligible & ~spread(arcs_out[arcs.classes[row]], places))
        best, able = best_reduced(block, arcs.classes[row], charge, places, exploit)
        total += int((-((-best) // PICO)).sum())
        count += able
        winners.append(find_dropped_winners(block, arcs, charge[arcs.classes[row]], places, marks(stored, block, arcs)))
    return Seen(total, count, pa.concat_tables(winners))


def sum_file(task: ScoringTask, path: str, *, folder: str, asked: tuple[BoundAsked, ...]) -> list[int]:
    """A task: the sum of exploiters' best reduced values at each of several prices, each rounded up, micro-yuan."""
    run = RunFolder(Path(folder))
    limits = run.limits().limits
    arcs = Evaluator(run.inputs().arcs, limits).arcs(run.table("population"))
    catalogue = load_catalogue(Path(task.catalogue))
    places = outbound_places(catalogue, arcs)
    distinct: dict[bytes, tuple[Ints, np.ndarray]] = {}
    keys = []
    for each in asked:
        price = [0 if x.name == each.without else each.prices[x.name] * x.sign for x in limits]
        charge = arcs.price(np.array(price, np.int64))
        others = [m for m, limit in enumerate(limits) if limit.name != each.without]
        rest = replace(arcs, uses=arcs.uses[others])
        out = find_impossible(rest, [limits[m] for m in others])
        out |= find_closed_places(catalogue, places, arcs, each.without)
        keys.append(charge.tobytes() + out.tobytes())
        distinct[keys[-1]] = charge, out
    totals = dict.fromkeys(distinct, 0)
    for block, row, exploit in value_blocks(task, path, run):
        for key, (charge, out) in distinct.items():
            able = replace(block, eligible=block.eligible & ~spread(out[arcs.classes[row]], places))
            best, _ = best_reduced(able, arcs.classes[row], charge, places, exploit)
            totals[key] += int((-((-best) // PICO)).sum())
    return [totals[key] for key in keys]


def value_blocks(task: ScoringTask, path: str, run: RunFolder) -> Iterator[tuple[ScoredBlock, Ints, np.ndarray]]:
    """Blocks with the values that are decided on, their customers' rows in the population, and who of them exploits."""
    population, stays, cost = run.table("population"), run.table("stays"), run.inputs().switch_cost
    customer, role = population["customer_id"].to_numpy(), population["role"].to_numpy()
    all_ = menu(load_catalogue(Path(task.catalogue)))
    for scored in blocks(task, path):
        row = np.searchsorted(customer, scored.customers)
        yield staying(scored, all_, stays, cost), row, role[row] == EXPLOIT


def find_closed_places(catalogue: Catalogue, places: Ints, arcs: Arcs, without: str = "") -> np.ndarray:
    """Outbound arcs that a limit of 0 closes for everybody, one that is taken away aside, bool [A]."""
    declared = DeclaredLimits.from_catalogue(catalogue)
    rest = replace(declared, limits=tuple(limit for limit in declared.limits if limit.name != without))
    closed = np.zeros(len(arcs.product), bool)
    closed[places[(places >= 0) & rest.find_closed()]] = True
    return closed


def find_impossible(arcs: Arcs, limits: Sequence[LimitInForce]) -> np.ndarray:
    """Outbound arcs that use more of an at-most limit than there is, bool [classes, A]: out of the bound, as in `solve`.

    Of a limit with negative uses nothing is said: a bound over more arcs is one too.
    """
    out = np.zeros(arcs.uses.shape[1:], bool)
    for limit, use in zip(limits, arcs.uses, strict=True):
        if limit.sign > 0 and int(use.min(initial=0)) >= 0:
            out |= use > limit.amount
    return out


def spread(flags: np.ndarray, places: Ints) -> np.ndarray:
    """Flags of outbound arcs [n, A] onto the arcs of the menu, False where these are inbound."""
    onto = np.zeros((len(flags), len(places)), bool)
    out = np.flatnonzero(places >= 0)
    onto[:, out] = flags[:, places[out]]
    return onto


def staying(block: ScoredBlock, menu_: Menu, stays: pa.Table, cost: int) -> ScoredBlock:
    """The block with the values that are decided on: those of favoured arcs are ``cost`` higher."""
    if not stays.num_rows:
        return block
    shape = block.eligible.shape
    customer, product, channel = (
        np.broadcast_to(x, shape).ravel() for x in (block.customers[:, None], menu_.product(), menu_.channel())
    )
    value = block.scores.value + cost * mark_favoured(stays, customer, product, channel).reshape(shape)
    return replace(block, scores=replace(block.scores, value=value))


def read_kept_arcs(run: RunFolder, path: str) -> pa.Table:
    """``customer, product, channel`` of the run's outbound arcs, of the customers of a file of ``eligible``, ascending."""
    customers = pq.read_table(path, columns=["customer_id"], partitioning=None)["customer_id"]
    span = pc.min_max(customers).as_py()
    key = ds.field("customer")
    near = (key >= (span["min"] or 0)) & (key <= (span["max"] or 0))
    columns = ["customer", "product", "channel"]
    sources = (run.instance / "arcs", run.path / "others.parquet")
    return pa.concat_tables([ds.dataset(source).to_table(columns=columns, filter=near) for source in sources]).sort_by(
        "customer"
    )


def marks(stored: pa.Table, block: ScoredBlock, arcs: Arcs) -> np.ndarray:
    """Which outbound arcs of a block's customers the run's problem holds, bool [n, A]."""
    mask = np.zeros((len(block.customers), len(arcs.product)), bool)
    customer = stored["customer"].to_numpy()
    low = int(np.searchsorted(customer, block.customers[0], "left"))
    high = int(np.searchsorted(customer, block.customers[-1], "right"))
    rows = stored.slice(low, high - low)
    who = np.searchsorted(block.customers, rows["customer"].to_numpy())
    match = block.customers[who] == rows["customer"].to_numpy()
    place = arcs.of(rows["product"].to_numpy(), rows["channel"].to_numpy())
    mask[who[match], place[match]] = True
    return mask


def find_dropped_winners(block: ScoredBlock, arcs: Arcs, charge: Ints, places: Ints, mask: np.ndarray) -> pa.Table:
    """Dropped arcs whose reduced value is above 0 and above every kept arc's of their customer, the best of each.

    Args:
        block: customers with all arcs of the menu scored.
        arcs: outbound arcs.
        charge: of each customer's class, pico-yuan [n, A].
        places: of each arc of the menu its place among outbound arcs; -1 where it is inbound.
        mask: which outbound arcs the problem holds, bool [n, A].
    """
    out = np.flatnonzero(places >= 0)
    place = places[out]
    able, value = block.eligible[:, out], block.scores.value[:, out]
    reduced = np.where(able, value * PICO - charge[:, place], 0)
    best = np.where(mask[:, place], reduced, 0).max(axis=1, initial=0)
    wins = able & ~mask[:, place] & (reduced > best[:, None])
    order = np.argsort(np.where(wins, -reduced, 1), axis=1, kind="stable")[:, :TAKEN_BACK]
    row, rank = np.nonzero(np.take_along_axis(wins, order, 1))
    arc = order[row, rank]
    return pa.table(
        [
            pa.array(block.customers[row]),
            pa.array(arcs.product[place[arc]], pa.int16()),
            pa.array(arcs.channel[place[arc]], pa.int16()),
            pa.array(value[row, arc]),
        ],
        schema=WINNERS,
    )


def outbound_places(catalogue: Any, arcs: Arcs) -> Ints:
    """Of each arc of the menu its place among outbound arcs; -1 where it is inbound."""
    menu_ = menu(catalogue)
    return np.where(menu_.outbound(), arcs.of(menu_.product(), menu_.channel()), -1)


def best_reduced(
    block: ScoredBlock, classes: Ints, charge: Ints, places: Ints, exploit: np.ndarray
) -> tuple[Ints, int]:
    """Best reduced value (pico-yuan, at least 0: none) of the customers that ``exploit``, and how many arcs they have."""
    out = np.flatnonzero(places >= 0)
    able = block.eligible[exploit][:, out]
    reduced = block.scores.value[exploit][:, out] * PICO - charge[classes[exploit]][:, places[out]]
    return np.maximum(np.where(able, reduced, 0).max(axis=1, initial=0), 0), int(able.sum())
