"""Why tonight's predicted value is another than last night's: five causes, each by deciding again with it alone changed.

From last night's frozen inputs to tonight's one cause after another takes tonight's form, and each time the whole plan is
decided and priced anew, explorers included, at mean values. The parts add up to the change exactly:

- *population*: who is there and in which role, what is known of them, who explores tonight and what they draw;
- *eligibility*: what rules allow them;
- *prices*: margins of products and costs of attempts;
- *model*: which one scores; last night's scores tonight's customers again, where it is still there;
- *limits*: their amounts, conditions, percents and units.

What does not differ has no part and costs nothing: the order of causes matters to the size of the others alone. Each value
is known to within the gap that plans are solved to. *Cost*: a solve, as costly as tonight's, for each cause but the last
that differs; of a new model or new prices one pass over the arcs as well.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.errors import UserError
from models.assignment.roles import EXPLOIT
from models.assignment.solve import NoPlan
from planning.instance.decision_inputs import DecisionInputs
from planning.instance.run_folder import RunFolder, freeze
from planning.limits.arc_units import ArcUnits
from planning.limits.evaluator import Evaluator, list_columns
from planning.limits.in_force import LimitsInForce
from planning.plan.decide import decide, fill_known_values, leave
from planning.plan.decision import Decision
from planning.plan.switching_cost import mark_favoured, with_cost

CAUSES = ("population", "eligibility", "prices", "model", "limits")
KEY = ("customer", "product", "channel")
#: What of the population a plan hangs on, beside the columns that limits look at.
PEOPLE = ("customer_id", "draw_key", "role", "masks")
#: Another valuation of arcs ``customer, product, channel, value``: the same rows with other values.
Revalue = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True)
class ValueChange:
    """The change against the night before, micro-元.

    Attributes:
        before, now: predicted value of both published plans.
        parts: by cause, in the order of ``CAUSES``; they add up to the change.
        note: what could not be told apart, in words; empty where all could.
    """

    before: int
    now: int
    parts: dict[str, int]
    note: str = ""


@dataclass(frozen=True)
class Setting:
    """All that a plan is decided on; arcs are outbound, of every role, ascending, at mean values."""

    population: pa.Table
    arcs: pa.Table
    limits: LimitsInForce
    inputs: DecisionInputs
    stays: pa.Table

    def is_same(self, other: Setting) -> bool:
        """Whether another setting gives the same plan."""
        return (
            self.population.equals(other.population)
            and self.arcs.equals(other.arcs)
            and self.limits == other.limits
            and self._list_draws() == other._list_draws()
            and self.stays.equals(other.stays)
        )

    def _list_draws(self) -> tuple[Any, ...]:
        known = self.inputs
        drawn = (known.date, known.seed, known.explore, known.draws) if known.explore else ()
        return (*drawn, known.switch_cost, known.arcs, known.amounts, known.capped)


def sum_value(decision: Decision, lever: int) -> int:
    """What the whole published plan is worth at mean values, explorers included, micro-元.

    Args:
        decision: with known values filled in.
        lever: what the solved part's value holds of the cost of switching.
    """
    drawn = int(decision.value[(decision.role != EXPLOIT) & (decision.given >= 0)].sum())
    return decision.solution.plan.primal - lever + drawn


def read_setting(run: RunFolder) -> Setting:
    """What a run was decided on."""
    inputs, stays = run.inputs(), run.table("stays")
    tables = [pq.read_table(run.instance / "arcs"), run.table("others")]
    arcs = pa.concat_tables([table.select([*KEY, "value"]) for table in tables]).sort_by(
        [(n, "ascending") for n in KEY]
    )
    arcs = arcs.combine_chunks()
    if inputs.switch_cost and stays.num_rows:
        lever = inputs.switch_cost * mark_favoured(stays, *(arcs[name].to_numpy() for name in KEY))
        arcs = arcs.set_column(3, "value", pa.array(arcs["value"].to_numpy() - lever))
    population = run.table("population")
    names = [name for name in PEOPLE if name in population.column_names]
    names += sorted(list_columns(population))
    return Setting(population.select(names).combine_chunks(), arcs, run.whole_limits(), inputs, stays)


def explain_change(
    before: RunFolder,
    now: RunFolder,
    worth: tuple[int, int],
    *,
    last_model: Revalue,
    last_prices: Revalue,
    note: str = "",
) -> ValueChange:
    """The change from one run's published plan to another's, by cause.

    Args:
        before: last night's run.
        now: tonight's.
        worth: predicted value of both, micro-元.
        last_model: tonight's arcs as last night's model values them.
        last_prices: arcs at last night's margins and costs.
        note: what the two cannot tell apart.
    """
    chain = list(make_chain(read_setting(before), read_setting(now), last_model, last_prices))
    values, notes = [worth[0]], [note] if note else []
    for k in range(1, len(CAUSES)):
        if all(chain[k].is_same(later) for later in chain[k + 1 :]):
            values.append(worth[1])
        elif chain[k].is_same(chain[k - 1]):
            values.append(values[-1])
        else:
            try:
                values.append(decide_setting(chain[k], now.path.parent))
            except (NoPlan, UserError) as fault:
                values.append(values[-1])
                notes.append(f"{CAUSES[k - 1]} not told apart from what follows: {fault}")
    values.append(worth[1])
    parts = {cause: int(values[k + 1] - values[k]) for k, cause in enumerate(CAUSES)}
    return ValueChange(*worth, parts, "; ".join(notes))


def make_chain(before: Setting, now: Setting, last_model: Revalue, last_prices: Revalue) -> list[Setting]:
    """Last night's setting, then tonight's with ever fewer causes as they were: one more than there are causes."""
    modelled = now.arcs if now.arcs.equals(before.arcs) else last_model(now.arcs)
    priced = modelled if now.arcs.equals(before.arcs) else last_prices(modelled)
    old_costs = _mix_units(before.inputs.arcs, now.inputs.arcs, costs_of=before.inputs.arcs)
    new_costs = _mix_units(before.inputs.arcs, now.inputs.arcs, costs_of=now.inputs.arcs)

    def set_limits(units: ArcUnits) -> DecisionInputs:
        was = before.inputs
        return now.inputs.model_copy(update={"arcs": units, "amounts": was.amounts, "capped": was.capped})

    population = _add_columns(now.population, before.population)
    eligible = replace(now, population=population, limits=before.limits)
    arcs = _select_allowed(priced, before, now)
    place = population.column_names.index("masks")
    masked = population.set_column(place, population.schema.field(place), _take_masks_before(before, now))
    return [
        before,
        replace(eligible, population=masked, arcs=arcs, inputs=set_limits(old_costs)),
        replace(eligible, arcs=priced, inputs=set_limits(old_costs)),
        replace(eligible, arcs=modelled, inputs=set_limits(new_costs)),
        replace(eligible, arcs=now.arcs, inputs=set_limits(new_costs)),
        now,
    ]


def _mix_units(before: ArcUnits, now: ArcUnits, *, costs_of: ArcUnits) -> ArcUnits:
    """Tonight's products and channels with last night's units and shares, and the costs of one of both."""
    units = {channel.id: channel.units for channel in before.channels}
    cost = {channel.id: channel.units.get("cost_micro") for channel in costs_of.channels}
    channels = []
    for channel in now.channels:
        known = dict(units.get(channel.id, channel.units))
        if cost.get(channel.id) is not None:
            known["cost_micro"] = int(cost[channel.id] or 0)
        channels.append(channel.model_copy(update={"units": known}))
    return ArcUnits(products=now.products, channels=tuple(channels), shares=before.shares)


def _add_columns(population: pa.Table, before: pa.Table) -> pa.Table:
    """A population with the columns that only the other night's limits look at; 0 for who was not there."""
    place = pc.index_in(population["customer_id"], value_set=before["customer_id"].combine_chunks())
    for name in list_columns(before):
        if name not in population.column_names:
            column = pc.fill_null(before[name].take(place), 0).cast(before.schema.field(name).type)
            population = population.append_column(name, column)
    return population


def _take_masks_before(before: Setting, now: Setting) -> pa.ChunkedArray:
    """Tonight's customers with last night's masks; tonight's for who was not there."""
    was, own = before.population, now.population
    place = pc.index_in(own["customer_id"], value_set=was["customer_id"].combine_chunks())
    widths = {len(masks) for masks in (was["masks"][0], own["masks"][0])} if was.num_rows and own.num_rows else {0}
    if len(widths) > 1:  # another number of channels: masks cannot be told apart
        return own["masks"]
    masks = pc.if_else(pc.is_valid(place), was["masks"].take(place).cast(own["masks"].type), own["masks"])
    return masks if isinstance(masks, pa.ChunkedArray) else pa.chunked_array([masks])


def _select_allowed(arcs: pa.Table, before: Setting, now: Setting) -> pa.Table:
    """Tonight's arcs that last night's masks allow, and those of last night that only they allow; new customers keep theirs."""
    there = pc.is_in(arcs["customer"], value_set=before.population["customer_id"].combine_chunks())
    allowed = _is_allowed(arcs, before.population)
    own = arcs.filter(pc.or_(pc.invert(there), pa.array(allowed)))
    gone = before.arcs.filter(
        pc.is_in(before.arcs["customer"], value_set=now.population["customer_id"].combine_chunks())
    )
    gone = gone.filter(pa.array(~_is_allowed(gone, now.population)))
    gone = gone.filter(pc.is_in(gone["product"], value_set=pa.array(now.inputs.arcs.products, pa.int16())))
    channels = pa.array([channel.id for channel in now.inputs.arcs.channels], pa.int16())
    gone = gone.filter(pc.is_in(gone["channel"], value_set=channels))
    return pa.concat_tables([own, gone]).sort_by([(name, "ascending") for name in KEY]).combine_chunks()


def _is_allowed(arcs: pa.Table, population: pa.Table) -> np.ndarray:
    """Whether the masks of each arc's customer have it; not where the population lacks the customer or the channel."""
    if not arcs.num_rows or not population.num_rows:
        return np.zeros(arcs.num_rows, bool)
    masks = population["masks"].combine_chunks()
    width = len(masks[0])
    flat = masks.flatten().to_numpy()
    row = pc.fill_null(
        pc.index_in(arcs["customer"], value_set=population["customer_id"].combine_chunks()), -1
    ).to_numpy()
    channel, product = (arcs[name].to_numpy().astype(np.int64) for name in ("channel", "product"))
    inside = (row >= 0) & (channel < width)
    mask = flat[np.where(inside, row * width + channel, 0)]
    return inside & ((mask >> product & 1) == 1)


def decide_setting(setting: Setting, scratch: Path) -> int:
    """What the plan that a setting gives is worth, micro-元; files lie below ``scratch`` meanwhile."""
    inputs, population = setting.inputs, setting.population
    every = Evaluator(inputs.arcs, setting.limits.limits)
    arcs = every.beside(with_cost(setting.arcs, setting.stays, inputs.switch_cost), population)
    row = np.searchsorted(population["customer_id"].to_numpy(), arcs["customer"].to_numpy())
    exploit = pa.array(population["role"].to_numpy()[row] == EXPLOIT)
    left = leave(population, arcs.select(list(KEY)), setting.limits, inputs)
    others = arcs.filter(pc.invert(exploit))
    tables = {"population": population, "others": others, "inbound": others.slice(0, 0), "stays": setting.stays}
    silent = pa.nulls(population.num_rows, pa.string())  # reasons are not asked for
    tables["population"] = population.append_column("outbound_reason", silent)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="change-") as folder:
        run = freeze(Path(folder) / "run", inputs, setting.limits, left, arcs.filter(exploit), tables)
        decision = decide(run)
        return sum_value(decision, fill_known_values(decision, run))
