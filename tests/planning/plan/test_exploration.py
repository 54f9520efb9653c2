"""Logged propensities are what happens: over many nights the mean of 1{A = j} / pscore is 1 for every customer and arc.

Roles and draws are new every night. Nights are independent, draws within a night are not (quotas tie customers
together), so everything is tested across nights, with Bonferroni's correction over customers and arcs.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import norm

from models.arrays import Ints
from models.assignment.roles import CONTROL, EXPLOIT, EXPLORE, roles
from models.assignment.sample import join, pick
from models.assignment.solve import SolveOptions
from planning.instance.decision_inputs import DecisionInputs
from planning.instance.reader import Instance, read_instance
from planning.instance.run_folder import RunFolder, freeze
from planning.instance.solve import solve_instance
from planning.limits.arc_units import ArcUnits, ChannelUnits
from planning.limits.evaluator import Evaluator
from planning.limits.in_force import LimitsInForce
from planning.plan import exploration
from planning.plan.decide import decide
from planning.plan.decision import Decision
from planning.plan.exploration import explore

CUSTOMERS, PRODUCTS, CONTROL_SHARE, EXPLORE_SHARE = 36, 3, 0.1, 0.35
CHANNELS = tuple(ChannelUnits(id=c, direction="outbound", units={"seconds": 1, "cost_micro": 0}) for c in (0, 1))
#: name, at most, reserve, where
LIMITS = [("calls", 9, 3, {"channel": [0]}), ("messages", 14, 4, {"channel": [1]}), ("stock", 7, 3, {"product": [2]})]
ARCS = [(p, c) for p in range(PRODUCTS) for c in (0, 1)]
PLACES = [(c, p) for c in (0, 1) for p in range(PRODUCTS)]  # the order of `Evaluator.arcs`
IN_FORCE = LimitsInForce.model_validate(
    {"limits": [{"name": n, "at_most": a - r, "counts": 1, "where": w} for n, a, r, w in LIMITS]}
)


def inputs_of(date: dt.date, seed: int) -> DecisionInputs:
    """What a night rests on beside its tables."""
    return DecisionInputs(
        version=2,
        run_id="r",
        date=date,
        seed=seed,
        explore=EXPLORE_SHARE,
        gap=0.02,
        start={"calls": 300_000_000_000},
        arcs=ArcUnits(products=tuple(range(PRODUCTS)), channels=CHANNELS, shares={}),
        amounts=tuple(a for _, a, _, _ in LIMITS),
        reserves=tuple(r for _, _, r, _ in LIMITS),
        capped=(True,) * len(LIMITS),
    )


def province(seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, masks [n, 2] and values [n, products, channels]: some customers have few arcs, some none."""
    random = np.random.default_rng(seed)
    masks = (random.random((CUSTOMERS, 2, PRODUCTS)) < 0.75) @ (1 << np.arange(PRODUCTS))
    masks[::12] = 0
    return np.arange(1, CUSTOMERS + 1) * 5, masks, random.integers(-200_000, 2_000_000, (CUSTOMERS, PRODUCTS, 2))


def night(folder: Path, number: int) -> RunFolder:
    """The frozen inputs of one night."""
    ids, masks, value = province()
    date = dt.date(2026, 1, 1) + dt.timedelta(days=number)
    role = roles(ids, date, 11 + number, CONTROL_SHARE, EXPLORE_SHARE)  # controls too are drawn anew
    rows = [(i, p, c) for i in range(CUSTOMERS) for p, c in ARCS if masks[i, c] >> p & 1]
    arcs = pa.table(
        {
            "customer": pa.array([int(ids[i]) for i, _, _ in rows]),
            "product": pa.array([p for _, p, _ in rows], pa.int16()),
            "channel": pa.array([c for _, _, c in rows], pa.int16()),
            "value": pa.array([int(value[i, p, c]) for i, p, c in rows]),
        }
    )
    mine = pa.array([bool(role[i] == EXPLOIT) for i, _, _ in rows])
    population = pa.table(
        {
            "customer_id": ids,
            "role": role,
            "masks": pa.array(masks.tolist(), pa.list_(pa.int64())),
            "outbound_reason": pa.array([None if m.any() else "rule" for m in masks], pa.string()),
            "eligible_hash": [str(m) for m in masks],
        }
    )
    others = arcs.filter(pa.array([not m for m in mine.to_pylist()]))
    tables = {"population": population, "others": others, "inbound": arcs.slice(0, 0)}
    return freeze(folder, inputs_of(date, 11 + number), IN_FORCE, arcs.filter(mine), tables)


def rejected(weight: np.ndarray, counts: np.ndarray, greedy: np.ndarray, level: float = 0.001) -> list[tuple[int, ...]]:
    """Pairs whose mean of 1{A = j} / pscore over the nights that count is not 1, after Bonferroni; arcs pooled too.

    Nights on which j is what the customer gets as an exploiter are a stratum of their own: there pscore is near 1,
    elsewhere it is small, and one mean over both would have a tail that no normal distribution has.

    Args:
        weight: [nights, customers, choices].
        counts: [nights, customers].
        greedy: what the customer gets as an exploiter, [nights, customers], -1 none.
    """
    of = np.where(greedy >= 0, greedy, len(ARCS))[:, :, None] == np.arange(len(ARCS) + 1)
    _, masks, _ = province()
    able = np.array([[bool(masks[i, c] >> p & 1) for c, p in PLACES] + [True] for i in range(CUSTOMERS)])
    tests: list[tuple[Any, ...]] = []
    for kind, stratum in enumerate((of, ~of)):
        mine = counts[:, :, None] & stratum & able
        n = np.maximum(mine.sum(0), 1)
        mean = np.where(mine, weight, 0.0).sum(0) / n
        spread = np.sqrt((np.where(mine, weight - mean, 0.0) ** 2).sum(0)) / n
        often = (mine & (weight > 0)).sum(0) >= 25  # where the normal approximation holds
        z = np.where(often & (spread > 0), np.abs(mean - 1.0) / np.maximum(spread, 1e-12), 0.0)
        pooled = np.where(mine, weight - 1.0, 0.0).sum(1)
        z_pooled = np.abs(pooled.mean(0)) / np.maximum(pooled.std(0) / len(pooled) ** 0.5, 1e-12)
        tests += [(kind, *map(int, pair), float(z[tuple(pair)])) for pair in np.argwhere(often)]
        tests += [(kind, -1, j, float(z_pooled[j])) for j in range(len(z_pooled))]
    assert len(tests) > 50
    worst = norm.isf(level / 2 / len(tests))
    return [test[:-1] for test in tests if test[-1] > worst]


def drawn(nights: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, which rows count, and what exploiters get, where what everybody gets as an exploiter is the same every night."""
    ids, masks, value = province()
    table = np.array(
        [[value[i, p, c] if masks[i, c] >> p & 1 else -(1 << 40) for c, p in PLACES] for i in range(CUSTOMERS)]
    )
    order = np.argsort(-table, axis=1)
    best = np.where(np.take_along_axis(table, order, 1) > -(1 << 40), order, -1)[:, :3]
    greedy = np.where(best[:, 0] % 3 == 0, -1, best[:, 0])
    weight, counts = np.zeros((nights, CUSTOMERS, len(ARCS) + 1)), np.zeros((nights, CUSTOMERS), bool)
    for number in range(nights):
        date = dt.date(2026, 1, 1) + dt.timedelta(days=number)
        role = roles(ids, date, number, CONTROL_SHARE, EXPLORE_SHARE)
        population = pa.table(
            {"customer_id": ids, "role": role, "masks": pa.array(masks.tolist(), pa.list_(pa.int64()))}
        )
        inputs = inputs_of(date, number)
        arcs = Evaluator(inputs.arcs, IN_FORCE.limits).arcs(population)
        n = CUSTOMERS
        tonight = Decision(
            population,
            arcs,
            SimpleNamespace(plan=SimpleNamespace(used=[0, 0, 0])),
            None,  # type: ignore[arg-type]
            np.where(role == EXPLOIT, greedy, -1),
            greedy,
            np.zeros(n, np.int64),
            np.zeros(n, bool),
            np.zeros(n, bool),
            np.full(n, "", object),
            np.ones(n),
            0,
            np.zeros(n, np.int64),
        )
        explore(tonight, best, inputs)
        weight[number, np.arange(n), tonight.given] = 1.0 / tonight.pscore
        counts[number] = (role != CONTROL) & ~tonight.marginal
    return weight, counts, np.broadcast_to(greedy, counts.shape)


@pytest.mark.whole
def test_what_is_logged_is_how_probable_it_was() -> None:
    weight, counts, greedy = drawn(1500)
    assert counts.mean() > 0.85
    assert not rejected(weight, counts, greedy)


@pytest.mark.whole
def test_a_propensity_that_forgets_the_quota_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploration, "_pass_probability", lambda night, drew, held, channels: np.ones((len(drew), 2)))
    assert rejected(*drawn(800))


def resolved(decision: Decision, whole: Instance, inputs: DecisionInputs) -> Ints:
    """What each explorer would get as an exploiter: the exploiters' problem solved again with this one among them."""
    greedy = decision.greedy.copy()
    (block,) = join(list(whole.problem.blocks))
    for row in np.flatnonzero(decision.role == EXPLORE):
        with_this = decision.role == EXPLOIT
        with_this[row] = True
        part = pick(block, np.flatnonzero(with_this[np.searchsorted(decision.customer, block.customer)]))
        problem = replace(whole.problem, blocks=[part])
        goal = SolveOptions(gap=inputs.gap, start=np.array([inputs.start.get(n, 0) for n, *_ in LIMITS], np.int64))
        plan = solve_instance(replace(whole, problem=problem), goal, "").plan.arcs[0]
        at = np.searchsorted(part.customer, decision.customer[row])
        arc = plan[at] if at < len(part) and part.customer[at] == decision.customer[row] else -1
        kind = part.kind[arc]
        kinds = problem.kinds
        greedy[row] = decision.arcs.of(kinds.product[kind], kinds.channel[kind]) if arc >= 0 else -1
    return greedy


@pytest.mark.slow
def test_over_nights_of_the_whole_decision_with_what_an_exploiter_gets_by_solving_again(tmp_path: Path) -> None:
    nights = 400
    weight, counts = np.zeros((nights, CUSTOMERS, len(ARCS) + 1)), np.zeros((nights, CUSTOMERS), bool)
    best = np.zeros((nights, CUSTOMERS), np.int64)
    same = explorers_seen = 0
    for number in range(nights):
        run = night(tmp_path / "night", number)
        decision, inputs = decide(run), run.inputs()
        whole = everybody(tmp_path / "whole", run)
        greedy = resolved(decision, whole, inputs)
        who = decision.role == EXPLORE
        same, explorers_seen = same + int((greedy == decision.greedy)[who].sum()), explorers_seen + int(who.sum())
        # the logged score with g_i by solving again in the place of the argmax at tonight's prices
        change = (1.0 - EXPLORE_SHARE) * ((decision.given == greedy) * 1.0 - (decision.given == decision.greedy))
        score = decision.pscore + np.where(decision.role == CONTROL, 0.0, change)
        weight[number, np.arange(CUSTOMERS), decision.given] = 1.0 / score
        best[number] = greedy
        counts[number] = (decision.role != CONTROL) & (decision.reason != "explore_withdrawn")
    assert not rejected(weight, counts, best)
    assert same > 0.9 * explorers_seen  # prices say it of nine explorers in ten even here; `marginal` marks the rest


def everybody(folder: Path, run: RunFolder) -> Instance:
    """The instance with the arcs of all customers."""
    (folder / "arcs").mkdir(parents=True, exist_ok=True)
    own = pq.read_table(run.instance / "arcs")
    rows = pa.concat_tables([own, run.table("others").select(own.column_names)])
    rows = rows.sort_by([("customer", "ascending"), ("product", "ascending"), ("channel", "ascending")])
    pq.write_table(rows, folder / "arcs" / "part.parquet")
    (folder / "limits.yml").write_bytes((run.instance / "limits.yml").read_bytes())
    return read_instance(folder)
