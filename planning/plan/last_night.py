"""What last night's plan is compared with: its run, and tonight's arcs at last night's model and prices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.catalogue import Catalogue, load_catalogue
from conf.errors import UserError
from conf.money import MICRO
from models.affinity.encode import ChangedFeatureError, MissingFeatureError
from models.arrays import Ints
from models.lifecycle.arcs import menu
from planning.instance.run_folder import RunFolder, open_run
from planning.plan.value_change import KEY, Revalue, ValueChange, explain_change
from planning.scoring import ScoringTask, blocks, plan
from runtime.figures import AssignFigures, ScoreFigures
from runtime.night import Night
from runtime.run_record import night_record

#: Table of a run's folder: margins of products and costs of attempts that its values rest on.
PRICES = "prices"


def list_prices(catalogue: Catalogue) -> pa.Table:
    """Net margin of every product and cost of an attempt on every channel, micro-元: what is frozen with a run."""
    rows = [("product", product.id, product.margin_micro) for product in catalogue.products]
    rows += [("channel", channel.id, channel.cost_micro) for channel in catalogue.channels]
    kinds, ids, micro = zip(*rows, strict=True)
    return pa.table({"kind": pa.array(kinds), "id": pa.array(ids, pa.int16()), "micro": pa.array(micro, pa.int64())})


def tell_change(night: Night, run: RunFolder, value: int) -> ValueChange | str:
    """The change of the predicted value against the last night, by cause; or why there is nothing to compare.

    Args:
        night: tonight.
        run: its run, decided.
        value: of its plan, micro-元.
    """
    last = night.before("limit_price")
    if last is None:
        return "first night: there is nothing to compare 首夜，无可比较"
    runs = night.lake.arrow("assignment", partition={"business_date": last}, columns=["run_id"])["run_id"]
    name = runs[0].as_py() if len(runs) else ""
    was = night_record(night, last, name).read(AssignFigures).value_yuan
    try:
        before = open_run(night.settings, name)
    except UserError:
        return f"the frozen inputs of {last} are not there any more 前夜的决策输入已不在"
    if was is None or not before.inputs().labels_first:
        return f"the run of {last} is of a release that kept no such value 前夜由旧版本运行"
    models = [night_record(night, date).read(ScoreFigures).model_sha256 for date in (last, night.date)]
    model, note = find_last_model(night, *models)
    prices = find_last_prices(night, before)
    worth = (round(was * MICRO), value)
    return explain_change(before, run, worth, last_model=model, last_prices=prices, note=note)


def find_last_model(night: Night, was: str | None, now: str | None) -> tuple[Revalue, str]:
    """How last night's model values tonight's arcs, and what cannot be told where it is not there any more.

    Args:
        night: tonight.
        was, now: first digits of the models' digests; None where none was recorded.
    """
    if was is None or was == now:
        return _keep, ""
    folder = night.settings.home / "models" / f"kept-{was}"
    try:
        task, files, _ = plan(night)
    except UserError as fault:
        return _keep, f"last night's model cannot score: {fault.what}"
    if not folder.is_dir():
        return _keep, "last night's model is not there any more: its part is told under population 前夜模型已不在"
    other = replace(task, model=str(folder), sha256=was)
    return lambda arcs: rescore(other, files, arcs), ""


def _keep(arcs: pa.Table) -> pa.Table:
    return arcs


def rescore(task: ScoringTask, files: list[str], arcs: pa.Table) -> pa.Table:
    """Arcs, customers ascending, with the values that a task's model gives; those it does not score keep theirs.

    One pass over the eligible arcs of tonight, as costly as scoring.
    """
    value = arcs["value"].to_numpy().copy()
    offers = menu(load_catalogue(Path(task.catalogue)))
    known = {pair: at for at, pair in enumerate(zip(offers.product().tolist(), offers.channel().tolist(), strict=True))}
    label = [known.get(pair, -1) for pair in zip(arcs["product"].to_pylist(), arcs["channel"].to_pylist(), strict=True)]
    customer, column = arcs["customer"].to_numpy(), np.array(label, np.int64)
    try:
        for place, row, values in _score(task, files, customer):
            at = column[place]
            value[place[at >= 0]] = values[row[at >= 0], at[at >= 0]]
    except (MissingFeatureError, ChangedFeatureError):
        return arcs
    return arcs.set_column(arcs.column_names.index("value"), "value", pa.array(value))


def _score(task: ScoringTask, files: list[str], customer: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """By block of scored customers: places of their arcs, their rows in the block, and the block's values."""
    for path in files:
        for block in blocks(task, path):
            if not len(block.customers):
                continue
            first = np.searchsorted(customer, block.customers[0])
            last = np.searchsorted(customer, block.customers[-1], side="right")
            place = np.arange(first, last)
            row = np.minimum(np.searchsorted(block.customers, customer[place]), len(block.customers) - 1)
            own = block.customers[row] == customer[place]
            yield place[own], row[own], block.scores.value


def find_last_prices(night: Night, before: RunFolder) -> Revalue:
    """How last night's margins and costs value arcs; as they are where that run froze none (releases up to 0.2)."""
    path = before.path / f"{PRICES}.parquet"
    now = list_prices(night.catalogue)
    was = pq.read_table(path) if path.exists() else now
    return _keep if was.equals(now) else lambda arcs: reprice(arcs, was, now)


def reprice(arcs: pa.Table, was: pa.Table, now: pa.Table) -> pa.Table:
    """Arcs at other margins and costs: what a contact brings goes with the product's margin, what it costs is exchanged.

    What a contact costs later (opt-outs, nights blocked) is taken to go with the margin too.

    Args:
        arcs: ``customer, product, channel, value`` at the prices ``now``.
        was, now: as of `list_prices`; a product or channel that ``was`` lacks keeps its own.
    """

    def of(prices: pa.Table, kind: str) -> dict[int, int]:
        rows = prices.filter(pc.equal(prices["kind"], kind))
        return dict(zip(rows["id"].to_pylist(), rows["micro"].to_pylist(), strict=True))

    margin, margin_was = of(now, "product"), of(was, "product")
    cost, cost_was = of(now, "channel"), of(was, "channel")
    size = max([*margin, *cost], default=0) + 1
    factor, before, after = np.ones(size), np.zeros(size, np.int64), np.zeros(size, np.int64)
    for product, micro in margin.items():
        factor[product] = margin_was.get(product, micro) / micro if micro else 1.0
    for channel, micro in cost.items():
        after[channel], before[channel] = micro, cost_was.get(channel, micro)
    product, channel = (arcs[name].to_numpy().astype(np.int64) for name in KEY[1:])
    brought = np.rint((arcs["value"].to_numpy() + after[channel]) * factor[product]).astype(np.int64)
    return arcs.set_column(arcs.column_names.index("value"), "value", pa.array(brought - before[channel]))
