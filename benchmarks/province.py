"""What the trained values are worth on provinces whose truth is known: regret, calibration, realised over predicted.

For each home made by ``benchmarks.province_home`` (folders ``<preset>-<seed>`` below ``CPC_PROVINCES``): train on its
log, decide its night by the same optimizer on five tables of values, and count what the truth pays:

- *rates*: the response's product × channel means, the same for everyone;
- *model*: the champion's;
- *observable*: the true effect as far as the features tell it (trees of the true log-effect, cross-fitted);
- *full*: the true effect itself;
- learners of effects on the same log (``benchmarks.province_learners``): ``V_x``, ``share_x`` and so on.

Normalised regret here is (V_model − V_rates) / (V_oracle − V_rates). V counts the true effect on net margin less the
cost of the attempt. Everybody plays with the same costs and limits; fatigue and blocked nights are left out.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from benchmarks.homes import homes, night_of
from benchmarks.province_learners import learned
from benchmarks.province_truth import ProvinceBox, expected_auc, open_box
from benchmarks.result import Result
from models.affinity.encode import encode, learn
from models.affinity.scorer import Scorer, Scores, prepare
from models.affinity.training import Learnt
from models.arrays import Floats
from models.cores import cores
from models.lifecycle import fit as fitting
from models.lifecycle import training_data
from models.lifecycle.arcs import money

SIZES = ("20k",)
_ROUGH = 5e-3  # gap of the learners' plans, which are told apart by tenths


def run(size: str) -> Result:
    """One row a home, then means over the seeds of each preset with intervals."""
    rows = [measured(home) for home in homes("population.parquet")]
    ratio: dict[str, float] = {}
    for preset in sorted({row["preset"] for row in rows}):
        mine = [row for row in rows if row["preset"] == preset]
        names = [name for name in mine[0] if name.startswith("share_")]
        for name in ("regret_observable", "regret_full", "realised_over_predicted", "auc_within", "lift", *names):
            values = np.array([row[name] for row in mine if row[name] is not None], float)
            if len(values):
                ratio[f"{preset}: {name}, mean of {len(values)}"] = float(values.mean())
            if len(values) > 1:
                half = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values))
                ratio[f"{preset}: {name}, half width of its 95 % interval"] = half
    return Result(rows, ratio, ("Money in 元 for one night of the home's exploiters; see the module's docstring.",))


def measured(home: Path) -> dict[str, Any]:
    """Train on a home's log and measure against its truth."""
    preset, seed = home.name.rsplit("-", 1)
    night = night_of(home)
    clock = time.perf_counter()
    data = training_data.read(night)
    read = time.perf_counter() - clock
    learnt, _ = fitting.fit(night, data)
    fitted = time.perf_counter() - clock - read
    box = open_box(night)
    bundle = learnt.bundle
    scorer = prepare(bundle, box.menu, money(night.settings))
    nothing = np.zeros(len(box.eligible), np.int64)
    scores = scorer.score(encode(box.snapshot, bundle.features), box.eligible, nothing)
    row = {"preset": preset, "seed": int(seed), "read_s": read, "fit_s": fitted}
    return row | _learnt(learnt) | _probabilities(box, scores) | _values(box, scorer, scores, data)


def _learnt(learnt: Learnt) -> dict[str, Any]:
    lift, metrics = learnt.bundle.lifts.whole, learnt.response.metrics
    deciles = [r for r in learnt.response.tables["contact"] if r["positives"] >= 20]
    worst = max((abs(r["predicted"] / r["observed"] - 1) for r in deciles), default=None)
    return {
        "conversions_late": int(metrics["conversions_contact"]),
        "log_ratio": metrics["ratio_contact"],
        "log_slope": metrics["slope_contact"],
        "log_worst_decile": worst,
        "lift": lift.value,
        "lift_low": lift.value - 1.96 * lift.deviation,
        "lift_high": lift.value + 1.96 * lift.deviation,
        "chosen_factor": metrics["chosen_factor"],
        "effect_explorers": metrics["effect_explorers"],
        "effect_error": metrics["effect_explorers_error"],
        "fatigue": learnt.bundle.fatigue,
        "channel_slopes": dict(learnt.bundle.channels.slope),
    }


def _probabilities(box: ProvinceBox, scores: Scores) -> dict[str, Any]:
    arcs = np.flatnonzero(box.menu.outbound()).tolist()
    return {
        "auc_within": expected_auc(box, scores.p_convert, arcs),
        "auc_truth": expected_auc(box, box.true_p1, arcs),
        "p_over_truth": float(scores.p_convert[box.eligible].sum() / box.true_p1[box.eligible].sum()),
    }


def _values(box: ProvinceBox, scorer: Scorer, scores: Scores, data: training_data.Data) -> dict[str, Any]:
    cost = scorer.money.cost
    means = _means(box, scores.effect.astype(np.float64))
    tables = {
        "rates": np.repeat(means[None, :], len(box.eligible), axis=0),
        "model": scores.effect.astype(np.float64),
        "observable": _observable(box),
        "full": box.effect.astype(np.float64),
    }
    plans = {name: box.plan(np.rint(table - cost).astype(np.int64)) for name, table in tables.items()}
    paid = {name: box.worth(chosen, box.effect - cost) for name, chosen in plans.items()}
    mine = plans["model"]
    predicted, realised = box.worth(mine, scores.effect), box.worth(mine, box.effect)
    value = np.rint(tables["model"] - cost).astype(np.int64)
    unpruned = box.worth(box.plan(value, keep=0), box.effect - cost)
    found: dict[str, Any] = {f"V_{name}": paid[name] for name in tables}

    def share(worth: float, oracle: str) -> float | None:
        gain = paid[oracle] - paid["rates"]
        return (worth - paid["rates"]) / gain if gain > 1.0 else None

    found |= {f"regret_{oracle}": share(paid["model"], oracle) for oracle in ("observable", "full")}
    for name, table in learned(box, data, scorer, scores, means).items():
        plan = box.plan(np.rint(table - cost).astype(np.int64), gap=_ROUGH)
        worth = box.worth(plan, box.effect - cost)
        found |= {f"V_{name}": worth, f"share_{name}": share(worth, "observable")}
    return found | {
        "contacts": len(mine.row),
        "predicted": predicted,
        "realised": realised,
        "realised_over_predicted": realised / predicted if predicted > 1.0 else None,
        "lost_to_model": paid["observable"] - paid["model"],
        "lost_to_pruning": unpruned - paid["model"],
        "gap": mine.gap,
    }


def _means(box: ProvinceBox, table: Floats) -> Floats:
    """(arcs,) mean of a table over the customers for whom the arc is eligible."""
    count = box.eligible.sum(axis=0)
    total = np.where(box.eligible, table, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.zeros(len(count)), where=count > 0))


def _observable(box: ProvinceBox) -> Floats:
    """(customers, arcs) the true effect as far as features tell it: arc mean × exp(what trees know of the customer).

    The log of the true change in probability is additive in customer × group and customer × channel up to arcs, so
    trees are fitted to its mean by group, by channel and over all, each customer by the half that did not hold them.
    """
    if not (box.eligible & (box.delta > 1e-7)).any():  # a province without effects
        return np.zeros(box.delta.shape)
    features = learn(box.snapshot, box.snapshot.column_names[1:])
    X = encode(box.snapshot, features)
    half = np.arange(len(X)) % 2
    log = np.log(np.where(box.eligible & (box.delta > 1e-7), box.delta, np.nan))
    count = np.maximum(1, (~np.isnan(log)).sum(axis=0))
    log = log - np.nansum(log, axis=0) / count
    group = np.repeat(np.array(box.menu.groups), len(box.menu.ways))
    channel = box.menu.channel()
    outbound = box.menu.outbound()

    def known(arcs: NDArray[np.bool_]) -> Floats:
        seen = ~np.isnan(log[:, arcs])
        mean = np.where(seen, log[:, arcs], 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        out = np.zeros(len(X))
        for held in (0, 1):
            use = (half != held) & seen.any(axis=1)
            if not use.any():
                continue
            parameters = {
                "objective": "l2",
                "num_leaves": 15,
                "learning_rate": 0.1,
                "min_data_in_leaf": 100,
                "max_bin": 63,
                "feature_fraction": 0.3,
                "verbose": -1,
                "num_threads": min(2, cores()),
                "seed": 0,
            }
            booster = lgb.train(parameters, lgb.Dataset(X[use], mean[use], params={"verbose": -1}), 60)
            out[half == held] = booster.predict(X[half == held])
        return out

    whole = known(outbound)
    by_group = {name: known(outbound & (group == name)) for name in sorted(set(box.menu.groups))}
    by_channel = {int(c): known(outbound & (channel == c)) for c in np.unique(channel[outbound])}
    factor = np.ones(box.delta.shape)
    for arc in np.flatnonzero(outbound):
        raw = np.exp(by_group[group[arc]] + by_channel[int(channel[arc])] - whole)
        mine = box.eligible[:, arc]
        factor[:, arc] = raw / raw[mine].mean() if mine.any() else raw
    return np.asarray(_means(box, box.effect.astype(np.float64)) * factor)
