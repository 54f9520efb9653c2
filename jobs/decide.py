"""From a night's frozen inputs to who gets what: a pure function of the folder, so a replay gives the same bytes.

Exploiters by the optimizer on the limits less the reserve; explorers by their logged draw; controls get none. Every
active customer gets a row with a reason and the probability of what it was given.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.frozen import Frozen
from jobs.instance import Instance, read_instance
from jobs.menu_arcs import Arcs, eligible_arcs, hold_within, menu_arcs
from jobs.plan_files import chosen
from jobs.solving import solved, with_start
from models.assignment import explore as ex
from models.assignment.kernels import choose
from models.assignment.passes import choices
from models.assignment.problem import PICO, Floats, Ints
from models.assignment.roles import CONTROL, EXPLOIT, EXPLORE, NAMES, key, uniform
from models.assignment.sample import hashes
from models.assignment.solve import Goal, Solution

#: A choice whose best alternative is closer than this, pico-yuan, is marked marginal.
MARGINAL = 1_000_000_000
BATCH = 1 << 16


@dataclass
class Night:
    """The decision of a night, row by row of the population.

    Attributes:
        population: the frozen population, customers ascending.
        arcs: outbound arcs and classes.
        solution: of the exploiters' problem.
        instance: that problem.
        given: arc given (place in ``arcs``; -1 none), int64 [n].
        greedy: arc that the customer gets as an exploiter.
        value: micro-yuan of the arc given; ``known`` says where it was scored.
        marginal, reason, pscore: columns of ``assignment``.
        withdrawn: explorers who got none because a limit was full.
    """

    population: pa.Table
    arcs: Arcs
    solution: Solution
    instance: Instance
    given: Ints
    greedy: Ints
    value: Ints
    known: np.ndarray
    marginal: np.ndarray
    reason: np.ndarray
    pscore: Floats
    withdrawn: int

    @property
    def customer(self) -> Ints:
        """Ids of the population."""
        return self.population["customer_id"].to_numpy()

    @property
    def role(self) -> np.ndarray:
        """Roles of the population."""
        return self.population["role"].to_numpy()


def decide(frozen: Frozen, told: Callable[[str, float, int, int | None], None] | None = None) -> Night:
    """Solve for the exploiters, draw for the explorers, and say of every row why and how probable."""
    inputs = frozen.inputs()
    instance = read_instance(frozen.instance)
    goal = Goal(gap=inputs["gap"])
    if told is not None:
        goal = replace(goal, told=told)
    solution = solved(instance, with_start(goal, instance, inputs["start"]), str(frozen.instance))
    population = frozen.table("population")
    arcs = menu_arcs(population, inputs, instance.limits)
    night = _empty(population, arcs, solution, instance)
    best = _best_arcs(frozen, night, inputs)
    _exploit(night)
    _others(frozen, night)
    _explore(night, best, inputs)
    _reasons(night)
    return night


def _empty(population: pa.Table, arcs: Arcs, solution: Solution, instance: Instance) -> Night:
    n = population.num_rows
    return Night(
        population, arcs, solution, instance, np.full(n, -1, np.int64), np.full(n, -1, np.int64), np.zeros(n, np.int64),
        np.zeros(n, bool), np.zeros(n, bool), np.full(n, "", object), np.ones(n), 0,
    )  # fmt: skip


def _exploit(night: Night) -> None:
    """The optimizer's plan."""
    problem, prices = night.instance.problem, night.solution.dual.prices
    customer = night.customer
    for block, arc, (at_price, _, margin) in zip(
        problem.blocks, night.solution.plan.arcs, choices(problem, prices), strict=True
    ):
        row = np.searchsorted(customer, block.customer)
        product, channel, value = chosen(block, arc, problem.kinds)
        has = arc >= 0
        night.given[row[has]] = night.arcs.of(product[has], channel[has])
        night.value[row], night.known[row] = value, has
        night.greedy[row] = night.given[row]
        night.marginal[row] = (margin < MARGINAL) | (arc != at_price)
        most = np.maximum.reduceat(block.value, block.first[:-1])
        night.reason[row] = np.where(
            has, np.where(arc == at_price, "best", "moved"),
            np.where(most <= 0, "no_value", np.where(at_price >= 0, "capacity", "priced_out")),
        )  # fmt: skip


def _arc_rows(table: pa.Table, night: Night) -> tuple[Ints, Ints, Ints]:
    """Row in the population, place of the arc and value of each arc of a table, sorted by row and arc label."""
    row = np.searchsorted(night.customer, table["customer"].to_numpy())
    product, channel = (table[name].to_numpy().astype(np.int64) for name in ("product", "channel"))
    order = np.lexsort((channel, product, row))
    return row[order], night.arcs.of(product, channel)[order], table["value"].to_numpy()[order]


def _others(frozen: Frozen, night: Night) -> None:
    """What explorers and controls would get as exploiters."""
    row, arc, value = _arc_rows(frozen.table("others"), night)
    if not len(row):
        return
    begin = np.concatenate(([0], np.flatnonzero(np.diff(row)) + 1, [len(row)]))
    who = row[begin[:-1]]
    width = len(night.arcs.product)
    price = night.arcs.price(night.solution.dual.prices).ravel()
    label = np.tile(night.arcs.product * (1 << 16) + night.arcs.channel, len(night.arcs.centre))
    kind = (night.arcs.classes[row] * width + arc).astype(np.uint32)
    best, reduced, margin = (np.empty(len(who), np.int64) for _ in range(3))
    choose(night.customer[who], begin, value, kind, price, label, False, best, reduced, margin)
    night.greedy[who] = np.where(best >= 0, arc[np.maximum(best, 0)], -1)
    night.marginal[who] = margin < MARGINAL


def _best_arcs(frozen: Frozen, night: Night, inputs: dict[str, Any]) -> Ints:
    """The five best outbound arcs of each customer at last night's prices, int64 [n, 5]; -1 where fewer."""
    start = inputs["start"]
    limits = night.instance.problem.limits
    prices = np.array([start.get(n, 0) * int(s) for n, s in zip(limits.names, limits.sign, strict=True)], np.int64)
    own = ["customer", "product", "channel", "value"]
    exploit = pq.read_table(frozen.instance / "arcs", columns=own)
    table = pa.concat_tables([exploit, frozen.table("others").select(own)])
    row, arc, value = _arc_rows(table, night)
    reduced = value * PICO - night.arcs.price(prices)[night.arcs.classes[row], arc]
    order = np.lexsort((arc, -reduced, row))
    row, arc = row[order], arc[order]
    first = np.searchsorted(row, row)
    rank = np.arange(len(row)) - first
    best = np.full((night.population.num_rows, ex.BEST_ARCS), -1, np.int64)
    top = rank < ex.BEST_ARCS
    best[row[top], rank[top]] = arc[top]
    return best


def _explore(night: Night, best: Ints, inputs: dict[str, Any]) -> None:
    """Draws of explorers and propensities of all who could have been one."""
    arcs, role = night.arcs, night.role
    epsilon = float(inputs["explore"])
    masks = np.stack(night.population["masks"].combine_chunks().flatten().to_numpy().reshape(len(role), -1))
    parts = [slice(lo, lo + BATCH) for lo in range(0, len(role), BATCH)]

    def weights(part: slice) -> Floats:
        marks = np.zeros((len(role[part]), len(arcs.product) + 1), bool)
        np.put_along_axis(marks, np.where(best[part] >= 0, best[part], len(arcs.product)), True, 1)
        found = ex.draw_weights(eligible_arcs(masks[part], arcs), marks[:, :-1])
        found[role[part] == CONTROL] = 0.0
        return found

    drawn = np.zeros(arcs.uses.shape[1:])
    for part in parts:
        np.add.at(drawn, arcs.classes[part], epsilon * weights(part))
    reserve = np.array(inputs["reserves"], np.int64)
    capped = np.array(inputs["capped"], bool)
    order = {c: i for i, c in enumerate(dict.fromkeys(arcs.channel.tolist()))}
    channels = np.array([order[c] for c in arcs.channel.tolist()], np.int64)
    held = hold_within(arcs, drawn, reserve, capped, channels)
    centre = arcs.centre[arcs.classes]
    chance = np.zeros((len(role), len(order)))
    for part in parts:
        kept = weights(part) * held.thin[arcs.classes[part]]
        for c in range(len(order)):
            chance[part, c] = epsilon * kept[:, channels == c].sum(1)
    passing = np.ones_like(chance)
    for c in range(len(order)):
        for z in range(held.quota.shape[1]):
            mine = centre == z
            passing[mine, c] = ex.pass_probability(chance[mine, c], int(held.quota[c, z]))
    night.withdrawn = _draw(night, weights, parts, held.thin, held.quota, channels, centre, inputs)
    for part in parts:
        thin = held.thin[arcs.classes[part]]
        chances = ex.propensity(weights(part), thin, channels, passing[part])
        score = ex.pscore(epsilon, night.greedy[part], night.given[part], chances)
        able = (role[part] != CONTROL) & eligible_arcs(masks[part], arcs).any(1)
        night.pscore[part] = np.where(able, score, 1.0)


def _draw(
    night: Night, weights: Callable[[slice], Floats], parts: list[slice], thin: Floats, quota: Ints, channels: Ints,
    centre: Ints, inputs: dict[str, Any],
) -> int:  # fmt: skip
    """Give explorers what they draw, within quotas and the limits; returns how many were withdrawn for a limit."""
    arcs, role, customer = night.arcs, night.role, night.customer
    date, seed = inputs["date"], inputs["seed"]
    arc = np.full(len(role), -1, np.int64)
    for part in parts:
        u = uniform(customer[part], key(seed, "draw", date))
        arc[part] = ex.draw(weights(part) * thin[arcs.classes[part]], u)
    arc[role != EXPLORE] = -1
    night.reason[role == EXPLORE] = "explore_none"
    order = hashes(customer, key(seed, "quota", date))
    for c in range(quota.shape[0]):
        for z in range(quota.shape[1]):
            mine = np.flatnonzero((arc >= 0) & (channels[arc] == c) & (centre == z))
            out = mine[~ex.keep_smallest(order[mine], int(quota[c, z]))]
            arc[out] = -1
            night.reason[out] = "explore_quota"
    amount = np.array(inputs["amounts"], np.int64)
    capped, used = np.array(inputs["capped"], bool), np.array(night.solution.plan.used, np.int64)
    withdrawn = 0
    for m in np.flatnonzero(capped):
        who = np.flatnonzero(arc >= 0)
        who = who[np.argsort(order[who], kind="stable")]
        use = arcs.uses[m][arcs.classes[who], arc[who]]
        out = who[(np.cumsum(use) + used[m] > amount[m]) & (use > 0)]
        arc[out] = -1
        night.reason[out] = "explore_withdrawn"
        night.marginal[out] = True
        withdrawn += len(out)
    has = np.flatnonzero(arc >= 0)
    night.given[has] = arc[has]
    night.reason[has] = "explored"
    return withdrawn


def _reasons(night: Night) -> None:
    """Values of explored arcs, and the reason of those who get nothing."""
    role, population = night.role, night.population
    night.reason[role == CONTROL] = "control"
    night.given[role == CONTROL] = -1
    silent = np.flatnonzero((night.reason == "") & (role != CONTROL))
    rule = population["outbound_reason"].to_numpy(zero_copy_only=False)[silent]
    night.reason[silent] = np.where(pc.is_null(pa.array(rule, pa.string())), "not_scored", rule)


def known_values(night: Night, frozen: Frozen) -> None:
    """Fill in the scored value of what explorers were given, where the arc was kept by pruning."""
    row, arc, value = _arc_rows(frozen.table("others"), night)
    mine = (night.given[row] == arc) & (night.role[row] == EXPLORE)
    night.value[row[mine]], night.known[row[mine]] = value[mine], True


def assignment_table(night: Night, inputs: dict[str, Any]) -> pa.Table:
    """Rows of ``assignment``: every active customer, ascending."""
    given, greedy = night.given, night.greedy
    none, n = given < 0, len(given)
    price = night.arcs.price(night.solution.dual.prices)[night.arcs.classes, np.maximum(given, 0)]
    ghost = np.where(night.role == EXPLOIT, -1, greedy)
    run = inputs["run_id"]
    ids = pc.binary_join_element_wise(pa.scalar(run), pc.cast(pa.array(night.customer), pa.string()), ":")

    def of(values: Ints, place: Ints) -> pa.Array:
        return pa.array(values[np.maximum(place, 0)], pa.int16(), mask=place < 0)

    return pa.table({
        "business_date": pa.array([dt.date.fromisoformat(inputs["date"])] * n, pa.date32()),
        "run_id": pa.array([run] * n), "decision_id": ids, "customer_id": night.population["customer_id"],
        "product": of(night.arcs.product, given), "channel": of(night.arcs.channel, given),
        "value_micro": pa.array(night.value, mask=none | ~night.known),
        "price_micro": pa.array(-((-price) // PICO), mask=none),
        "role": pa.array([NAMES[r] for r in night.role.tolist()]), "reason": pa.array(night.reason, pa.string()),
        "pscore": pa.array(night.pscore), "marginal": pa.array(night.marginal),
        "eligible_hash": night.population["eligible_hash"],
        "ghost_product": of(night.arcs.product, ghost), "ghost_channel": of(night.arcs.channel, ghost),
    })  # fmt: skip


def table_hash(table: pa.Table) -> str:
    """SHA-256 of a table's content, column by column in the order of its schema."""
    digest = hashlib.sha256()
    for name in table.column_names:
        column = table[name].combine_chunks()
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(pc.is_null(column).to_numpy(zero_copy_only=False)).tobytes())
        if pa.types.is_string(column.type):
            digest.update("\0".join(pc.fill_null(column, "").to_pylist()).encode())
        else:
            filled = pc.cast(column, pa.int32()) if pa.types.is_date(column.type) else column
            filler = False if pa.types.is_boolean(filled.type) else 0
            digest.update(np.ascontiguousarray(pc.fill_null(filled, filler).to_numpy(zero_copy_only=False)).tobytes())
    return digest.hexdigest()
