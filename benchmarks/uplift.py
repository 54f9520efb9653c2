"""``cpc uplift`` on Hillstrom (women's e-mail against none, visit) beside scikit-uplift's learners, in one run.

Settings of ours (which learner, which size of trees) are fixed first by inner validation: cross-fitted Qini inside the
training parts of one outer split. Then repeats of 5-fold cross-fitting, the same folds for everybody; differences are
paired by a bootstrap over rows that takes all repeats together. ``conversion`` and ``spend`` are post-treatment and
dropped. Set ``CPC_DATA`` to the folder that has ``hillstrom``.
"""

from __future__ import annotations

import importlib.metadata
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklift.models import ClassTransformation, SoloModel, TwoModels

from benchmarks.result import Result
from conf.errors import MendableError
from jobs.uplift_files import Experiment, load, policy_value
from models.affinity.learners import LEARNERS, Size, effects
from models.affinity.uplift import perfect, qini, rank

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Fit = Callable[[Floats, Floats, Floats, Floats, int], dict[str, Floats]]
SIZES = ("paper", "quick")
_REPEATS = {"paper": 20, "quick": 3}
_FOLDS = 5
_BOOTSTRAP = 300
_CANDIDATES = {
    "default": Size(),
    "smaller": Size(trees=60, leaves=6, leaf_rows=400, effect_trees=50, effect_leaves=3, effect_leaf_rows=1000),
    "larger": Size(trees=120, leaves=15, leaf_rows=200, rate=0.03, effect_trees=100, effect_leaves=8),
}


def run(size: str) -> Result:
    """Fix the settings, cross-fit everybody, compare."""
    repeats = _REPEATS[size]
    whole = _hillstrom(None)
    women = _hillstrom("Womens E-Mail")
    X, t, y = women.X, (women.arm > 0).astype(np.float64), women.y
    learner, name, inner = chosen(X, t, y, women.categories)
    fits: dict[str, Fit] = {"ours": _ours(women.categories, _CANDIDATES[name], learner), "scikit-uplift": _sklift}
    scores: dict[str, list[Floats]] = {}
    seconds = dict.fromkeys(fits, 0.0)
    for repeat in range(repeats):
        fold = np.random.default_rng([7, repeat]).permutation(np.arange(len(y)) % _FOLDS)
        for who, fit in fits.items():
            clock = time.perf_counter()
            for key, score in crossed(fit, X, t, y, fold, repeat).items():
                scores.setdefault(key, []).append(score)
            seconds[who] += time.perf_counter() - clock
    scores["column womens"] = [X[:, women.columns.index("womens")]] * repeats
    means, drawn = compared(y, t, scores)
    mine = f"ours ({learner})"
    peers = [key for key in scores if key.startswith("sklift")]
    best = max(peers, key=lambda key: means[key])
    version = importlib.metadata.version("scikit-uplift")
    rows: list[dict[str, Any]] = [
        {
            "who": key, "version": version if key in peers else "this", "qini_sklift": means[key],
            "low": float(np.quantile(drawn[key], 0.025)), "high": float(np.quantile(drawn[key], 0.975)),
            "seconds": seconds["ours"] if key == mine else seconds["scikit-uplift"] if key == best else None,
        }
        for key in scores
    ]  # fmt: skip
    ratio: dict[str, float] = {}
    for key in (best, "column womens"):
        gap = drawn[mine] - drawn[key]
        ratio |= {
            f"ours − {key}": means[mine] - means[key],
            f"ours − {key}, 95 % lower bound": float(np.quantile(gap, 0.025)),
        }
    policy = policy_value(whole, _arms(whole, learner, _CANDIDATES[name]), _BOOTSTRAP, 0)
    rows.append({"who": f"policy over three arms against {policy['best_arm']}", "version": "this",
                 "qini_sklift": policy["value"], "low": policy["gain_ci"][0], "high": policy["gain_ci"][1]})  # fmt: skip
    notes = (
        f"{len(y):,} rows, {repeats} repeats of {_FOLDS} folds, {_BOOTSTRAP} bootstraps. Settings by inner validation: "
        f"learner {learner}, trees {name} ({', '.join(f'{k} {v:.4f}' for k, v in sorted(inner.items(), key=lambda i: -i[1])[:4])} …).",
        f"Policy: IPS value {policy['value']:.5f} a customer against {policy['best_arm_value']:.5f} of "
        f"{policy['best_arm']} for all; gain {policy['gain']:.5f} ({policy['gain_ci'][0]:.5f} … "
        f"{policy['gain_ci'][1]:.5f}); its column qini_sklift is that value, low and high are of the gain.",
        "Intervals hold the scores fixed; what refitting adds shows between the repeats. causalml is not in the lock.",
    )  # fmt: skip
    return Result(rows, ratio, notes)


def _hillstrom(arm: str | None) -> Experiment:
    folder = Path(os.environ.get("CPC_DATA", "")) / "hillstrom"
    files = sorted(folder.glob("Kevin*.csv"))
    if not files:
        raise MendableError("no Hillstrom data", where="CPC_DATA", remedy="set it to the folder that has hillstrom")
    return load(files[0], "segment", "visit", control="No E-Mail", arm=arm, drop=["conversion", "spend"])


def crossed(fit: Fit, X: Floats, t: Floats, y: Floats, fold: Ints, seed: int) -> dict[str, Floats]:
    """Out-of-fold scores, each fold centred (see ``models.affinity.learners.cross_fit``)."""
    out: dict[str, Floats] = {}
    for held in np.unique(fold):
        at, inside = fold == held, fold != held
        for name, score in fit(X[inside], t[inside], y[inside], X[at], seed * 10 + int(held)).items():
            out.setdefault(name, np.zeros(len(y)))[at] = score - score.mean()
    return out


def chosen(X: Floats, t: Floats, y: Floats, categories: Sequence[int]) -> tuple[str, str, dict[str, float]]:
    """Learner and size of the best mean inner Qini; inner folds lie inside the training parts of one outer split."""
    outer = np.random.default_rng(11).permutation(np.arange(len(y)) % 2)
    found: dict[str, list[float]] = {}
    for held in (0, 1):
        mine = outer != held
        fold = np.random.default_rng([13, held]).permutation(np.arange(mine.sum()) % 3)
        for name, size in _CANDIDATES.items():
            scores = crossed(_ours(categories, size, None), X[mine], t[mine], y[mine], fold, held)
            for learner, score in scores.items():
                value = qini(rank(y[mine], t[mine], score), perfect(y[mine], t[mine]))[0]
                found.setdefault(f"{learner} {name}", []).append(value)
    means = {key: float(np.mean(values)) for key, values in found.items()}
    learner, name = max(means, key=lambda key: means[key]).split(" ")
    return learner, name, means


def _ours(categories: Sequence[int], size: Size, learner: str | None) -> Fit:
    def fit(X: Floats, t: Floats, y: Floats, X_at: Floats, seed: int) -> dict[str, Floats]:
        found = effects(X, t, y, X_at, categories, size, seed, LEARNERS if learner is None else (learner,))
        return found if learner is None else {f"ours ({learner})": found[learner]}

    return fit


def _sklift(X: Floats, t: Floats, y: Floats, X_at: Floats, seed: int) -> dict[str, Floats]:
    """scikit-uplift's learners with the settings of the reference beside the data."""

    def booster() -> LGBMClassifier:
        return LGBMClassifier(
            n_estimators=100, num_leaves=15, learning_rate=0.03, min_child_samples=200, random_state=seed, n_jobs=2,
            verbose=-1,
        )  # fmt: skip

    learners = {
        "sklift solo": SoloModel(booster()), "sklift two": TwoModels(booster(), booster(), method="vanilla"),
        "sklift ddr": TwoModels(booster(), booster(), method="ddr_control"), "sklift ct": ClassTransformation(booster()),
    }  # fmt: skip
    frame, at = pd.DataFrame(X).add_prefix("f"), pd.DataFrame(X_at).add_prefix("f")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            name: np.asarray(model.fit(frame, pd.Series(y), pd.Series(t)).predict(at))
            for name, model in learners.items()
        }


def compared(y: Floats, t: Floats, scores: dict[str, list[Floats]]) -> tuple[dict[str, float], dict[str, Floats]]:
    """Mean Qini over the repeats, and its bootstrap (the same rows drawn for everybody)."""
    best = perfect(y, t)
    ranked = {key: [rank(y, t, score) for score in each] for key, each in scores.items()}
    ranked["column womens"] = ranked["column womens"][:1]
    means = {key: float(np.mean([qini(r, best)[0] for r in each])) for key, each in ranked.items()}
    drawn = {key: np.empty(_BOOTSTRAP) for key in ranked}
    rng = np.random.default_rng(0)
    for repeat in range(_BOOTSTRAP):
        weight = np.bincount(rng.integers(0, len(y), len(y)), minlength=len(y)).astype(np.float64)
        for key, each in ranked.items():
            drawn[key][repeat] = np.mean([qini(r, best, weight)[0] for r in each])
    return means, drawn


def _arms(whole: Experiment, learner: str, size: Size) -> Floats:
    """(rows, arms but control) effect of each arm by models that did not see the row."""
    fold = np.random.default_rng(5).permutation(np.arange(len(whole.y)) % _FOLDS)
    out = np.zeros((len(whole.y), len(whole.arms) - 1))
    for held in range(_FOLDS):
        at = fold == held
        for position in range(1, len(whole.arms)):
            mine = ~at & ((whole.arm == 0) | (whole.arm == position))
            t = (whole.arm[mine] > 0).astype(np.float64)
            found = effects(whole.X[mine], t, whole.y[mine], whole.X[at], whole.categories, size, held, (learner,))
            out[at, position - 1] = found[learner]
    return out
