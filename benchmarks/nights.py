"""Sixty nights: arcs charged for the nights that they block (L_j g_i) against nightly greedy, on the same customers and luck.

A world of nights made from a seed: customers with tastes, needs that come and go, the channels' costs and the frequency
windows of ``channels.yml``, capacities a channel. Both sides solve every night by the same solver within the same limits; only the
value differs. *Ours* charges an arc ``block_days`` times the customer's trailing reduced value a night, as scoring does
(`models.affinity.value`, `jobs.score`); *greedy* charges nothing for tomorrow. What counts is the margin of what was contacted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from benchmarks.result import Result
from conf.catalogue import load_catalogue
from models.affinity.value import ArcMoney, values
from models.arrays import Ints
from models.assignment.arc_types import Use, reduce_kinds
from models.assignment.problem import Block, Limits, Problem
from models.assignment.solve import SolveOptions, solve
from planning.scoring import PRIOR_NIGHTS, TRAILING_NIGHTS

#: Customers, worlds (seeds) and the factors of capacity that are looked at.
AIMS = {"small": (1_000, 3, (1.0,)), "full": (3_000, 8, (0.5, 1.0, 2.0))}
SIZES = tuple(AIMS)
NIGHTS, PRODUCTS = 60, 6
#: Contacts a night by channel, of all customers, at factor 1.
DAILY = {"agent_out": 0.006, "sms_hall": 0.05, "wechat": 0.05, "ivr_out": 0.03}


@dataclass(frozen=True)
class ChannelMenu:
    """Outbound channels of the catalogue that the world has: cost micro-yuan, nights blocked, share of customers a night."""

    cost: Ints
    block: Ints
    daily: np.ndarray


def channels() -> ChannelMenu:
    """As the operator's catalogue has them."""
    found = {c.code: c for c in load_catalogue().channels if c.code in DAILY}
    return ChannelMenu(
        np.array([found[code].cost_micro for code in DAILY]),
        np.array([found[code].block_days for code in DAILY]),
        np.array(list(DAILY.values())),
    )


def run(size: str) -> Result:
    """Both sides in every world; the gain with a 95 % interval over worlds, paired."""
    customers, worlds, factors = AIMS[size]
    rows, ratio = [], {}
    for factor in factors:
        totals = np.array(
            [[lived(customers, seed, factor, charged=charged) for charged in (True, False)] for seed in range(worlds)]
        )
        gain = totals[:, 0, 0] / totals[:, 1, 0] - 1.0
        error = float(student.ppf(0.975, worlds - 1)) * float(gain.std(ddof=1)) / worlds**0.5
        for side, who in enumerate(("cpc: value less L g", "nightly greedy")):
            rows.append(
                {
                    "who": who,
                    "version": "",
                    "capacity_factor": factor,
                    "seconds": float(totals[:, side, 1].mean()),
                    "margin_yuan_a_customer": float(totals[:, side, 0].mean()) * 1e-6 / customers,
                    "contacts_a_customer": float(totals[:, side, 2].mean()) / customers,
                }
            )
        rows[-2] |= {
            "gain": float(gain.mean()),
            "gain_low": float(gain.mean()) - error,
            "gain_high": float(gain.mean()) + error,
        }
        ratio[f"margin, capacity x {factor:g}"] = float(gain.mean()) + 1.0
    return Result(
        rows, ratio, (f"{worlds} worlds of {NIGHTS} nights, {customers} customers; the last nights count too",)
    )


def lived(customers: int, seed: int, factor: float, *, charged: bool) -> tuple[float, float, float]:
    """Sixty nights of one side: margin of the contacts made, micro-yuan; seconds; contacts."""
    world, of = np.random.default_rng([seed, 1]), channels()
    width = PRODUCTS * len(of.cost)
    channel = np.tile(np.arange(len(of.cost)), PRODUCTS)
    taste = world.gamma(0.5, 2.0, (customers, PRODUCTS)) * world.gamma(2.0, 0.5, (customers, 1))
    lift = np.array([3.0, 0.5, 0.6, 0.4])
    none = np.zeros(width, np.int64)
    money = ArcMoney(none, none, none, cost=of.cost[channel], fatigue=none, block=of.block[channel])
    free_from = np.zeros(customers, np.int64)
    earned: list[Ints] = []
    start, total, contacts, begun = None, 0.0, 0, time.perf_counter()
    for night in range(NIGHTS):
        luck = np.random.default_rng([seed, 2, night])  # the same for both sides, whatever they did before
        need = np.where(luck.random((customers, PRODUCTS)) < 0.08, 5.0, 1.0) * luck.lognormal(
            0.0, 0.3, (customers, PRODUCTS)
        )
        effect = np.rint(np.repeat(taste * need, len(of.cost), axis=1) * lift[channel] * 1e6).astype(np.int64)
        g = trailing(earned, customers) if charged else np.zeros(customers, np.int64)
        value = values(effect, money, g, np.ones(effect.shape, bool))
        able = np.flatnonzero(free_from <= night)
        gained, taken, start = assigned(able, value[able], channel, of, customers, factor, start)
        has = taken >= 0
        who, arc = able[has], taken[has]
        total += float((effect[who, arc] - money.cost[arc]).sum())
        contacts += len(who)
        free_from[who] = night + 1 + of.block[channel[arc]]
        tonight = np.zeros(customers, np.int64)
        tonight[able] = np.maximum(gained, 0)
        earned = [*earned, tonight][-TRAILING_NIGHTS:]
    return total, time.perf_counter() - begun, contacts


def trailing(earned: list[Ints], customers: int) -> Ints:
    """Reduced value a night of late, shrunk to the mean of all: what `jobs.score` does with past nights of ``assignment``."""
    if not earned:
        return np.zeros(customers, np.int64)
    whole = float(np.mean(earned))
    return np.rint((np.sum(earned, axis=0) + PRIOR_NIGHTS * whole) / (len(earned) + PRIOR_NIGHTS)).astype(np.int64)


def assigned(
    able: Ints, value: Ints, channel: Ints, of: ChannelMenu, customers: int, factor: float, start: Ints | None
) -> tuple[Ints, Ints, Ints]:
    """One night: reduced value and arc (-1: none) of each customer who may be contacted, and the prices."""
    n, width = value.shape
    product = np.repeat(np.arange(PRODUCTS), len(of.cost))
    uses = [Use((channel == c).astype(np.int64), 1) for c in range(len(of.cost))]
    kinds, kind_of = reduce_kinds(product, channel.copy(), uses)
    amount = np.rint(of.daily * factor * customers).astype(np.int64)
    limits = Limits(tuple(DAILY), amount, np.ones(len(amount), np.int64))
    kind = np.tile(kind_of.astype(np.uint32), n)
    block = Block(able.astype(np.int64), np.arange(n + 1) * width, value.ravel(), kind)
    problem = Problem([block], kinds, limits, False, int(np.abs(value).max(initial=1)))
    found = solve(problem, SolveOptions(gap=5e-3, start=start))
    prices = found.dual.prices
    taken = found.plan.arcs[0]
    mine = taken >= 0
    kept = np.zeros(n, np.int64)
    kept[mine] = block.value[taken[mine]] - kinds.price(prices)[block.kind[taken[mine]]] // 1_000_000
    return kept, np.where(mine, taken - block.first[:-1], -1), prices
