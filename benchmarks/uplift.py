"""``cpc uplift`` on Hillstrom (women's e-mail against none, visit) beside scikit-uplift's learners, in one run.

Settings of ours (which learner, which trees or prior) are fixed first by inner validation: cross-fitted Qini inside the
training parts of one outer split. Then repeats of 5-fold cross-fitting, the same folds for everybody; differences are
paired by a bootstrap over rows that takes all repeats together. ``conversion`` and ``spend`` are post-treatment and
dropped. Set ``CPC_DATA`` to the folder that has ``hillstrom``. causalml takes part where it is installed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.result import Result
from benchmarks.uplift_peers import HAS_CAUSALML, causalml, sklift, version
from conf.errors import UserError
from models.affinity.meta_learners import TREES, Size, effects
from models.affinity.uplift import perfect, qini, rank
from models.arrays import Floats, Ints
from models.lifecycle.experiments.uplift import Experiment, load, policy_value

Fit = Callable[[Floats, Floats, Floats, Floats, int], dict[str, Floats]]
SIZES = ("paper", "quick")
_REPEATS = {"paper": 20, "quick": 3}
_FOLDS = 5
_BOOTSTRAP = 500
_RAW = "column womens"
#: What inner validation chooses from: name → learners, and their size.
_CANDIDATES: dict[str, tuple[tuple[str, ...], Size]] = {
    "trees": (tuple(TREES), Size()),
    "smaller trees": (
        tuple(TREES),
        Size(trees=60, leaves=6, leaf_rows=400, effect_trees=50, effect_leaves=3, effect_leaf_rows=1000),
    ),
    "larger trees": (
        tuple(TREES),
        Size(trees=120, leaves=15, leaf_rows=200, rate=0.03, effect_trees=100, effect_leaves=8),
    ),
} | {f"prior {s}": (("additive",), Size(interaction=s)) for s in (0.05, 0.1, 0.15, 0.2, 0.3)}


def run(size: str) -> Result:
    """Fix the settings, cross-fit everybody, compare."""
    repeats = _REPEATS[size]
    women = _hillstrom("Womens E-Mail")
    X, t, y = women.X, (women.arm > 0).astype(np.float64), women.y
    learner, name, inner = chosen(X, t, y, women.categories)
    mine, setting = f"ours ({learner})", _CANDIDATES[name][1]
    fits: dict[str, Fit] = {mine: _ours(women.categories, setting, (learner,), mine), "sklift": sklift}
    if HAS_CAUSALML:
        fits["causalml"] = causalml
    scores, seconds = repeated(fits, X, t, y, range(repeats))
    scores[_RAW] = [X[:, women.columns.index("womens")]] * repeats
    means, drawn = compared(y, t, scores)
    rows: list[dict[str, Any]] = []
    for key in scores:
        low, high = (float(q) for q in np.quantile(drawn[key], [0.025, 0.975]))
        package = {"sklift": "scikit-uplift", "causalml": "causalml"}.get(key.split(" ")[0], "")
        rows.append(
            {
                "who": key,
                "version": version(package) if package else "this",
                "qini_sklift": means[key],
                "low": low,
                "high": high,
                "seconds": seconds.get(key),
            }
        )
    packages = [[key for key in scores if key.startswith(name)] for name in fits if name != mine]
    peers = [max(learners, key=means.__getitem__) for learners in packages]
    ratio: dict[str, float] = {}
    for key in (*peers, _RAW):
        gap = drawn[mine] - drawn[key]
        ratio |= {
            f"ours − {key}": means[mine] - means[key],
            f"ours − {key}, 95 % lower bound (2.5 % quantile)": float(np.quantile(gap, 0.025)),
        }
    whole = _hillstrom(None)
    policy = policy_value(whole, [_arms(whole, learner, setting, repeat) for repeat in range(repeats)])
    rows.append(
        {
            "who": f"policy over three arms against {policy['best_arm']}",
            "version": "this",
            "qini_sklift": policy["value"],
            "low": policy["gain_ci"][0],
            "high": policy["gain_ci"][1],
        }
    )
    notes = (
        f"{len(y):,} rows, {repeats} repeats of {_FOLDS} folds, {_BOOTSTRAP} bootstraps.",
        "Inner validation: " + ", ".join(f"{k} {v:.4f}" for k, v in sorted(inner.items(), key=lambda i: -i[1])) + ".",
        f"Policy: IPS value {policy['value']:.5f} a customer against {policy['best_arm_value']:.5f} of "
        f"{policy['best_arm']} for all; gain {policy['gain']:.5f} ({policy['gain_ci'][0]:.5f} … "
        f"{policy['gain_ci'][1]:.5f}), shares {policy['shares']}; its column qini_sklift is that value, low and high "
        "are of the gain.",
        "Intervals hold the scores fixed; what refitting adds shows between the repeats: Qini of ours "
        f"{min(each := _each(y, t, scores[mine])):.4f} … {max(each):.4f}. Seconds are of all fits of a package.",
    )
    return Result(rows, ratio, notes)


def _hillstrom(arm: str | None) -> Experiment:
    folder = Path(os.environ.get("CPC_DATA", "")) / "hillstrom"
    files = sorted(folder.glob("Kevin*.csv"))
    if not files:
        raise UserError("no Hillstrom data", where="CPC_DATA", remedy="set it to the folder that has hillstrom")
    return load(files[0], "segment", "visit", control="No E-Mail", arm=arm, drop=["conversion", "spend"])


def crossed(fit: Fit, X: Floats, t: Floats, y: Floats, fold: Ints, seed: int) -> dict[str, Floats]:
    """Out-of-fold scores, each fold centred (see ``models.affinity.meta_learners.cross_fit``)."""
    out: dict[str, Floats] = {}
    for held in np.unique(fold):
        at, inside = fold == held, fold != held
        for name, score in fit(X[inside], t[inside], y[inside], X[at], seed * 10 + int(held)).items():
            out.setdefault(name, np.zeros(len(y)))[at] = score - score.mean()
    return out


def repeated(
    fits: dict[str, Fit], X: Floats, t: Floats, y: Floats, repeats: Sequence[int]
) -> tuple[dict[str, list[Floats]], dict[str, float]]:
    """Scores of every learner in each repeat, and the seconds that its package took."""
    scores: dict[str, list[Floats]] = {}
    seconds: dict[str, float] = {}
    for repeat in repeats:
        fold = np.random.default_rng([7, repeat]).permutation(np.arange(len(y)) % _FOLDS)
        for fit in fits.values():
            clock = time.perf_counter()
            found = crossed(fit, X, t, y, fold, repeat)
            for key, score in found.items():
                scores.setdefault(key, []).append(score)
                seconds[key] = seconds.get(key, 0.0) + time.perf_counter() - clock
    return scores, seconds


def chosen(X: Floats, t: Floats, y: Floats, categories: Sequence[int]) -> tuple[str, str, dict[str, float]]:
    """Learner and candidate of the best inner Qini, on average over the training parts of one outer split."""
    parts = [validated(X, t, y, categories, held) for held in range(_FOLDS)]
    means = {key: float(np.mean([part[key] for part in parts])) for key in parts[0]}
    learner, name = max(means, key=means.__getitem__)
    return learner, name, {f"{learner}, {name}": value for (learner, name), value in means.items()}


def validated(X: Floats, t: Floats, y: Floats, categories: Sequence[int], held: int) -> dict[tuple[str, str], float]:
    """Qini of each learner and candidate, cross-fitted inside the training part of one outer fold."""
    inside = np.random.default_rng(11).permutation(np.arange(len(y)) % _FOLDS) != held
    X, t, y = X[inside], t[inside], y[inside]
    fold = np.random.default_rng([13, held]).permutation(np.arange(len(y)) % _FOLDS)
    best = perfect(y, t)
    found = {}
    for name, (learners, size) in _CANDIDATES.items():
        for learner, score in crossed(_ours(categories, size, learners), X, t, y, fold, held).items():
            found[learner, name] = qini(rank(y, t, score), best)[0]
    return found


def _ours(categories: Sequence[int], size: Size, learners: Sequence[str], name: str = "") -> Fit:
    def fit(X: Floats, t: Floats, y: Floats, X_at: Floats, seed: int) -> dict[str, Floats]:
        found = effects(X, t, y, X_at, categories, size, seed, learners)
        return {name or learner: score for learner, score in found.items()}

    return fit


def _each(y: Floats, t: Floats, scores: Sequence[Floats]) -> list[float]:
    best = perfect(y, t)
    return [qini(rank(y, t, score), best)[0] for score in scores]


def compared(y: Floats, t: Floats, scores: dict[str, list[Floats]]) -> tuple[dict[str, float], dict[str, Floats]]:
    """Mean Qini over the repeats, and its bootstrap (the same rows drawn for everybody)."""
    best = perfect(y, t)
    ranked = {key: [rank(y, t, score) for score in each] for key, each in scores.items()}
    ranked[_RAW] = ranked[_RAW][:1]
    means = {key: float(np.mean([qini(r, best)[0] for r in each])) for key, each in ranked.items()}
    drawn = {key: np.empty(_BOOTSTRAP) for key in ranked}
    rng = np.random.default_rng(0)
    for repeat in range(_BOOTSTRAP):
        weight = np.bincount(rng.integers(0, len(y), len(y)), minlength=len(y)).astype(np.float64)
        for key, each in ranked.items():
            drawn[key][repeat] = np.mean([qini(r, best, weight)[0] for r in each])
    return means, drawn


def _arms(whole: Experiment, learner: str, size: Size, repeat: int) -> Floats:
    """(rows, arms but control) effect of each arm by models that did not see the row."""
    fold = np.random.default_rng([5, repeat]).permutation(np.arange(len(whole.y)) % _FOLDS)
    out = np.zeros((len(whole.y), len(whole.arms) - 1))
    for held in range(_FOLDS):
        at = fold == held
        for position in range(1, len(whole.arms)):
            mine = ~at & ((whole.arm == 0) | (whole.arm == position))
            t = (whole.arm[mine] > 0).astype(np.float64)
            found = effects(
                whole.X[mine], t, whole.y[mine], whole.X[at], whole.categories, size, 10 * repeat + held, (learner,)
            )
            out[at, position - 1] = found[learner]
    return out
