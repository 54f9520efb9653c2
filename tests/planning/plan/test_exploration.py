"""Logged propensities are what happens: over many redraws of labels the mean of 1{A = j} / pscore is 1 for every choice.

Everything is decided anew with each redraw: draws, what they leave of the limits, prices, plan. Redraws are independent,
customers of one are not (prices tie them together), so all is tested across redraws.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from models.assignment.explore import LEAST, PARTS
from models.assignment.roles import CONTROL, EXPLOIT, EXPLORE, roles
from planning.instance.decision_inputs import VERSION, DecisionInputs
from planning.instance.run_folder import RunFolder, freeze
from planning.limits.arc_units import ArcUnits, ChannelUnits
from planning.limits.in_force import LimitsInForce
from planning.plan.decide import decide, leave
from planning.plan.decision import Decision
from planning.plan.exploration import explore

CUSTOMERS, PRODUCTS, CONTROL_SHARE, EXPLORE_SHARE = 900, 4, 0.1, 0.05
CALL, SMS, WECHAT = 0, 1, 2
COST = {CALL: 2_800_000, SMS: 50_000, WECHAT: 10_000}
CHANNELS = tuple(
    ChannelUnits(id=c, direction="outbound", units={"seconds": 180 if c == CALL else 0, "cost_micro": cost})
    for c, cost in COST.items()
)
ARCS = [(p, c) for p in range(PRODUCTS) for c in COST]
#: Calls, messages and stock bind; the floor is of what nobody wants.
LIMITS = LimitsInForce.model_validate(
    {
        "limits": [
            {"name": "calls", "at_most": 5_400, "counts": "seconds", "where": {"channel": [CALL]}},
            {"name": "messages", "at_most": 240, "where": {"channel": [WECHAT]}},
            {"name": "stock", "at_most": 45, "where": {"product": [2]}},
            {"name": "budget", "at_most": 105_000_000, "counts": "cost_micro"},
            {"name": "floor", "at_least": 60, "where": {"product": [3]}},
        ]
    }
)
CAPPED = (True, True, True, True, False)


def inputs_of(seed: int, limits: LimitsInForce = LIMITS, *, draws: bool = True) -> DecisionInputs:
    """What a night rests on beside its tables."""
    return DecisionInputs(
        version=VERSION,
        run_id="r",
        date=dt.date(2026, 1, 9),
        seed=seed,
        explore=EXPLORE_SHARE,
        gap=5e-3,
        start={"calls": 4_000_000_000},
        arcs=ArcUnits(products=tuple(range(PRODUCTS)), channels=CHANNELS, shares={}),
        amounts=tuple(limit.amount * limit.sign for limit in limits.limits),
        capped=CAPPED,
        draws=draws,
    )


def people(seed: int = 3) -> tuple[np.ndarray, np.ndarray, pa.Table]:
    """Ids, masks [n, 3] and arcs: some customers have few, some none; calls are worth most, product 3 loses money."""
    random = np.random.default_rng(seed)
    ids = np.arange(1, CUSTOMERS + 1) * 5
    masks = (random.random((CUSTOMERS, len(COST), PRODUCTS)) < 0.6) @ (1 << np.arange(PRODUCTS))
    masks[::12] = 0
    base = np.array([8_000_000, 500_000, 300_000]) - np.array([*COST.values()])
    value = base + (random.exponential(1.0, (CUSTOMERS, PRODUCTS, len(COST))) * 900_000).astype(np.int64)
    value[:, 3] -= 2_000_000
    rows = [(i, p, c) for i in range(CUSTOMERS) for p, c in ARCS if masks[i, c] >> p & 1]
    arcs = pa.table(
        {
            "customer": pa.array([int(ids[i]) for i, _, _ in rows]),
            "product": pa.array([p for _, p, _ in rows], pa.int16()),
            "channel": pa.array([c for _, _, c in rows], pa.int16()),
            "value": pa.array([int(value[i, p, c]) for i, p, c in rows]),
            "seconds": pa.array([180 if c == CALL else 0 for _, _, c in rows]),
            "cost_micro": pa.array([COST[c] for _, _, c in rows]),
        }
    )
    return ids, masks, arcs


IDS, MASKS, KEPT = people()


def population_of(seed: int, control: float = CONTROL_SHARE) -> pa.Table:
    return pa.table(
        {
            "customer_id": IDS,
            "role": roles(IDS, dt.date(2026, 1, 9), seed, control, EXPLORE_SHARE),
            "masks": pa.array(MASKS.tolist(), pa.list_(pa.int64())),
            "outbound_reason": pa.array([None if m.any() else "rule" for m in MASKS], pa.string()),
            "eligible_hash": [str(m) for m in MASKS],
        }
    )


def frozen(folder: Path, seed: int, limits: LimitsInForce = LIMITS) -> RunFolder:
    """The night of a redraw of labels."""
    inputs, population = inputs_of(seed, limits), population_of(seed)
    exploit = population["role"].to_numpy()[np.searchsorted(IDS, KEPT["customer"].to_numpy())] == EXPLOIT
    tables = {"population": population, "others": KEPT.filter(pa.array(~exploit)), "inbound": KEPT.slice(0, 0)}
    left = leave(population, KEPT, limits, inputs)
    return freeze(folder, inputs, limits, left, KEPT.filter(pa.array(exploit)), tables)


def weighted(decision: Decision, *, marginal: bool) -> dict[str, float]:
    """Sum of 1{A = j} / pscore less the number of supported choices, by channel of j; what exploiting gives apart.

    Args:
        decision: a redraw.
        marginal: whether rows that hang on a tie or the repair count.
    """
    drawn = decision.exploration
    assert drawn is not None
    counts = ~np.isnan(decision.pscore) & (marginal | ~decision.marginal)
    given, greedy = decision.given, decision.greedy
    channel = np.append(decision.arcs.channel, -1)
    names = {CALL: "call", SMS: "sms", WECHAT: "wechat", -1: "none"}
    offered = drawn.offered
    some = (offered.parts > 0) & counts[offered.row] & (offered.place != greedy[offered.row])
    none = counts & (greedy >= 0)  # none is always supported
    sums = {}
    for c, name in names.items():
        choices = int((none if c < 0 else some & (channel[offered.place] == c)[: len(some)]).sum())
        mine = counts & (channel[given] == c) & (given != greedy)
        sums[name] = float((1 / decision.pscore[mine]).sum()) - choices
        sums[f"greedy {name}"] = float((1 / decision.pscore[counts & (given == greedy) & (channel[given] == c)]).sum())
        sums[f"greedy {name}"] -= int((counts & (channel[greedy] == c)).sum())
    return sums


@pytest.fixture(scope="module")
def redraws(tmp_path_factory: pytest.TempPathFactory) -> list[Decision]:
    folder = tmp_path_factory.mktemp("redraws")
    return [decide(frozen(folder / "night", seed)) for seed in range(60)]


@pytest.mark.parametrize("marginal", [True, False])
@pytest.mark.whole
def test_what_is_logged_is_how_probable_it_was(redraws: list[Decision], marginal: bool) -> None:
    rows = [weighted(decision, marginal=marginal) for decision in redraws]
    prices = np.mean([decision.solution.dual.prices for decision in redraws], axis=0)
    assert all(prices[1:4] > 0)  # messages, stock and budget bind; the budget leaves calls over
    for name in rows[0]:
        off = np.array([row[name] for row in rows])
        assert off.std() > 0, name
        assert abs(off.mean()) < 4 * off.std(ddof=1) / len(off) ** 0.5, name


@pytest.mark.whole
def test_a_propensity_that_forgets_the_thinning_is_found_out(redraws: list[Decision]) -> None:
    rows = []
    for decision in redraws:
        assert decision.exploration is not None
        offered = decision.exploration.offered
        kept = np.where(offered.parts > 0, int(0.8 * PARTS) // np.diff(offered.first)[offered.row], 0)
        calls = kept[(offered.parts > 0) & (decision.arcs.channel[offered.place] == CALL)]
        mine = (decision.role == EXPLORE) & (decision.given >= 0) & (decision.given != decision.greedy)
        mine &= decision.arcs.channel[decision.given] == CALL
        unthinned = EXPLORE_SHARE * int(0.8 * PARTS) / np.diff(offered.first)[mine] / PARTS
        rows.append((1 / unthinned).sum() - len(calls))
    off = np.array(rows)
    assert abs(off.mean()) > 6 * off.std(ddof=1) / len(off) ** 0.5


@pytest.mark.whole
def test_few_contacts_hang_on_a_tie_and_every_chance_is_one_that_can_be_learnt_from(redraws: list[Decision]) -> None:
    contacts = sum(int((decision.given >= 0).sum()) for decision in redraws)
    assert sum(int((decision.marginal & (decision.given >= 0)).sum()) for decision in redraws) <= 0.02 * contacts
    for decision in redraws:
        drawn = decision.role != CONTROL
        assert np.isnan(decision.pscore[~drawn]).all()
        assert (decision.pscore[drawn & ~np.isnan(decision.pscore)] >= LEAST * (1 - 1e-6)).all()


@pytest.mark.whole
def test_all_parts_keep_the_whole_limits_and_use_them_up(redraws: list[Decision]) -> None:
    whole = np.array([limit.amount * limit.sign for limit in LIMITS.limits])
    for decision in redraws:
        some = np.flatnonzero(decision.given >= 0)
        used = decision.arcs.uses[:, decision.arcs.classes[some], decision.given[some]].sum(1)
        assert (used <= whole).all()
        assert used[1] == whole[1]  # nothing is kept back
    assert any(int((decision.role == EXPLORE).sum()) for decision in redraws)


def test_a_limit_that_is_nothing_is_not_drawn_from_and_one_of_few_never_exceeded() -> None:
    narrow = LIMITS.limits[0].with_amount(0), LIMITS.limits[1].with_amount(3), *LIMITS.limits[2:]
    limits = LimitsInForce(limits=narrow)
    for seed in range(15):
        drawn = explore(population_of(seed), KEPT, limits, inputs_of(seed, limits))
        used = drawn.sum_uses()
        assert used[0] == 0
        assert used[1] <= 3
        assert not (drawn.offered.parts[drawn.arcs.channel[drawn.offered.place] == CALL]).any()


def test_draws_beyond_a_limit_are_withdrawn_and_have_no_propensity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planning.plan.exploration.thin", lambda parts, fair, most, epsilon: parts)
    limits = LimitsInForce(limits=(LIMITS.limits[0], LIMITS.limits[1].with_amount(2), *LIMITS.limits[2:]))
    drawn = explore(population_of(1), KEPT, limits, inputs_of(1, limits))
    assert drawn.sum_uses()[1] == 2
    assert drawn.withdrawn.sum() > 3
    none = np.full(CUSTOMERS, -1)
    score = drawn.pscore(EXPLORE_SHARE, none, drawn.given, population_of(1)["role"].to_numpy())
    assert np.isnan(score[drawn.withdrawn]).all()


def test_what_explorers_meet_of_a_floor_is_not_asked_for_again() -> None:
    population, inputs = population_of(2), inputs_of(2)
    used = explore(population, KEPT, LIMITS, inputs).sum_uses()
    left = leave(population, KEPT, LIMITS, inputs)
    assert used[-1] < 0
    assert [x.amount for x in left.limits] == [
        5_400 - used[0],
        240 - used[1],
        45 - used[2],
        105_000_000 - used[3],
        60 + used[4],
    ]
    met = LimitsInForce(limits=(*LIMITS.limits[:-1], LIMITS.limits[-1].with_amount(1)))
    assert leave(population, KEPT, met, inputs).limits[-1].amount == 0


def test_nobody_is_given_anything_by_chance_where_draws_are_off() -> None:
    drawn = explore(population_of(4), KEPT, LIMITS, inputs_of(4, draws=False))
    role = population_of(4)["role"].to_numpy()
    assert (drawn.given == -1).all()
    assert (drawn.withdrawn == (role == EXPLORE)).all()
    assert not drawn.sum_uses().any()


@pytest.mark.whole
def test_support_is_told_by_channel(redraws: list[Decision]) -> None:
    decision = redraws[0]
    assert decision.exploration is not None
    told = decision.exploration.support(decision.population)
    able = decision.role != CONTROL
    passed = sum(int(MASKS[able, CALL].astype(np.uint64).astype(int)[k]).bit_count() for k in range(int(able.sum())))
    assert told[CALL]["eligible"] == told[CALL]["kept"] == passed
    assert 0 < told[CALL]["supported"] <= passed
    assert told[SMS]["supported"] == told[SMS]["kept"]
