"""Learners of a treatment's effect, for a binary treatment and any outcome; cross-fitted. Trees are LightGBM's.

==========  =============================================================================================
s           one model of y on (x, t): μ(x, 1) − μ(x, 0)
t           a model an arm: μ₁(x) − μ₀(x)                                    (both: Künzel et al. 2019)
x           imputed effects of each arm, blended by the propensity            (Künzel et al. 2019)
dr          regression of the doubly robust pseudo-outcome                    (Kennedy 2023)
r           weighted regression of (y − m) / (t − e) with weight (t − e)²     (Nie and Wager 2021)
blend       mean of x, dr and r, each divided by its standard deviation: their errors differ
additive    main effects and interactions under a prior (``models.affinity.additive``): no trees
==========  =============================================================================================

Effects are small against the noise, so second stages are small trees with large leaves. In an experiment the
propensity e is the share of treated rows. Nuisance models are cross-fitted inside each training part. A learner is a
function of its training; ``LEARNERS`` at the end says by which name it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import lightgbm as lgb
import numpy as np

from models.affinity.additive import additive
from models.arrays import Floats, Ints
from models.cores import cores


@dataclass(frozen=True)
class Size:
    """How much the trees may say: first stage (outcome) and second stage (effect).

    ``interaction`` bounds the additive learner: see ``models.affinity.additive``.
    """

    trees: int = 100
    leaves: int = 12
    leaf_rows: int = 200
    rate: float = 0.04
    effect_trees: int = 70
    effect_leaves: int = 5
    effect_leaf_rows: int = 500
    effect_rate: float = 0.04
    inner_folds: int = 2
    interaction: float = 0.15


@dataclass(frozen=True)
class Effects:
    """Out-of-fold effects by learner."""

    scores: dict[str, Floats]


def _booster(
    X: Floats, y: Floats, categories: Sequence[int], size: Size, seed: int, weight: Floats | None, *, second: bool
) -> lgb.Booster:
    parameters: dict[str, Any] = {
        "objective": "l2",
        "num_leaves": size.effect_leaves if second else size.leaves,
        "min_data_in_leaf": size.effect_leaf_rows if second else size.leaf_rows,
        "learning_rate": size.effect_rate if second else size.rate,
        "lambda_l2": 10.0,
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "max_bin": 63,
        "cat_smooth": 50.0,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": min(2, cores()),
        "verbose": -1,
    }
    data = lgb.Dataset(X, y, weight=weight, categorical_feature=list(categories), params={"verbose": -1})
    return lgb.train(parameters, data, size.effect_trees if second else size.trees)


def _fit(
    X: Floats,
    y: Floats,
    X_at: Floats,
    categories: Sequence[int],
    size: Size,
    seed: int,
    weight: Floats | None = None,
    *,
    second: bool = False,
) -> Floats:
    if len(y) < 50 or float(np.ptp(y)) == 0.0:
        return np.full(len(X_at), float(np.average(y, weights=weight)) if len(y) else 0.0)
    booster = _booster(X, y, categories, size, seed, weight, second=second)
    return np.asarray(booster.predict(X_at, num_threads=min(2, cores())))


def cross_fit(
    X: Floats,
    t: Floats,
    y: Floats,
    categories: Sequence[int] = (),
    *,
    folds: int = 5,
    size: Size | None = None,
    seed: int = 0,
    learners: Sequence[str] = (),
) -> Effects:
    """Out-of-fold effects of every row.

    Folds are brought to one level before they are pooled: a fold whose effect is high by chance leaves others to train
    on whose effect is low, so that pooled levels would rank folds the wrong way round.

    Args:
        X: (rows, columns), NaN missing.
        t: (rows,) 1 treated, 0 control.
        y: (rows,) outcome.
        categories: positions of columns of codes.
        folds: outer folds, drawn at random within arms.
        size: of the trees.
        seed: of folds and trees.
        learners: which; all where none is named.
    """
    size, learners = size or Size(), learners or tuple(LEARNERS)
    fold = _folds(t, folds, np.random.default_rng(seed))
    scores = {name: np.zeros(len(y)) for name in learners}
    level = dict.fromkeys(learners, 0.0)
    for held_out in range(folds):
        out, inside = fold == held_out, fold != held_out
        by_learner = effects(X[inside], t[inside], y[inside], X[out], categories, size, seed + held_out, learners)
        for name in learners:
            level[name] += by_learner[name].sum() / len(y)
            scores[name][out] = by_learner[name] - by_learner[name].mean()
    return Effects({name: score + level[name] for name, score in scores.items()})


def _folds(t: Floats, folds: int, rng: np.random.Generator) -> Ints:
    fold = np.empty(len(t), np.int64)
    for arm in (0, 1):
        rows = np.flatnonzero(t == arm)
        fold[rows] = rng.permutation(np.arange(len(rows)) % folds)
    return fold


@dataclass(frozen=True)
class Training:
    """What a learner is trained on, and where its effects are wanted; what several learners need is fitted once.

    Attributes:
        X, t, y: (rows, …) columns, 1 where treated, outcome.
        X_at: (rows wanted, columns).
        categories: positions of columns of codes.
        size, seed: of the trees.
    """

    X: Floats
    t: Floats
    y: Floats
    X_at: Floats
    categories: Sequence[int]
    size: Size
    seed: int
    _effects: dict[str, Floats] = field(default_factory=dict, repr=False)

    @cached_property
    def e(self) -> float:
        """Share of treated rows."""
        return float(self.t.mean())

    @cached_property
    def nuisance(self) -> tuple[Floats, Floats]:
        """μ₁ and μ₀ of every training row, from inner folds that did not see it."""
        return _nuisance(self.X, self.t, self.y, self.categories, self.size, self.seed)

    def effect(self, name: str) -> Floats:
        """The effects by the learner ``name``."""
        if name not in self._effects:
            self._effects[name] = LEARNERS[name](self)
        return self._effects[name]

    def predict(self, rows: Any, y: Floats, weight: Floats | None = None, *, second: bool = False) -> Floats:
        """Trees of ``y`` on some of the rows, at ``X_at``."""
        X = self.X[rows]
        return _fit(X, y, self.X_at, self.categories, self.size, self.seed, weight, second=second)


def effects(
    X: Floats,
    t: Floats,
    y: Floats,
    X_at: Floats,
    categories: Sequence[int],
    size: Size,
    seed: int,
    learners: Sequence[str],
) -> dict[str, Floats]:
    """Effects at ``X_at`` by each learner, trained on the other rows."""
    training = Training(X, t, y, X_at, categories, size, seed)
    return {name: training.effect(name) for name in learners}


def _single(of: Training) -> Floats:
    ones, zeros = np.ones((len(of.X_at), 1)), np.zeros((len(of.X_at), 1))
    both = np.hstack([of.X, of.t[:, None]])
    booster = _booster(both, of.y, of.categories, of.size, of.seed, None, second=False)
    treated, control = (np.asarray(booster.predict(np.hstack([of.X_at, arm]))) for arm in (ones, zeros))
    return treated - control


def _two(of: Training) -> Floats:
    treated, control = of.t > 0, of.t == 0
    return of.predict(treated, of.y[treated]) - of.predict(control, of.y[control])


def _impute(of: Training) -> Floats:
    treated, control = of.t > 0, of.t == 0
    mu1, mu0 = of.nuisance
    up = of.predict(treated, of.y[treated] - mu0[treated], second=True)
    down = of.predict(control, mu1[control] - of.y[control], second=True)
    return (1 - of.e) * up + of.e * down


def _doubly_robust(of: Training) -> Floats:
    mu1, mu0 = of.nuisance
    pseudo = mu1 - mu0 + of.t * (of.y - mu1) / of.e - (1 - of.t) * (of.y - mu0) / (1 - of.e)
    return of.predict(slice(None), pseudo, second=True)


def _residual(of: Training) -> Floats:
    mu1, mu0 = of.nuisance
    m = of.e * mu1 + (1 - of.e) * mu0
    return of.predict(slice(None), (of.y - m) / (of.t - of.e), (of.t - of.e) ** 2, second=True)


def _blend_learners(of: Training) -> Floats:
    return _blend([of.effect(name) for name in ("x", "dr", "r")])


def _additive(of: Training) -> Floats:
    return additive(of.X, of.t, of.y, of.X_at, of.categories, of.size.interaction)


def _nuisance(
    X: Floats, t: Floats, y: Floats, categories: Sequence[int], size: Size, seed: int
) -> tuple[Floats, Floats]:
    """μ₁ and μ₀ of every training row, from inner folds that did not see it."""
    fold = _folds(t, size.inner_folds, np.random.default_rng([seed, 3]))
    mu1, mu0 = np.empty(len(y)), np.empty(len(y))
    for held_out in range(size.inner_folds):
        out, inside = fold == held_out, fold != held_out
        for mu, arm in ((mu1, 1), (mu0, 0)):
            in_arm = inside & (t == arm)
            mu[out] = _fit(X[in_arm], y[in_arm], X[out], categories, size, seed)
    return mu1, mu0


def _blend(parts: Sequence[Floats]) -> Floats:
    """Mean of the parts on a common scale, with the mean effect kept."""
    spread = float(np.mean([part.std() for part in parts])) or 1.0
    centre = float(np.mean([part.mean() for part in parts]))
    scaled = [(part - part.mean()) / (part.std() or 1.0) for part in parts]
    return centre + spread * np.mean(scaled, axis=0)


Learner = Callable[[Training], Floats]
#: Learners of trees by name.
TREES: dict[str, Learner] = {
    "s": _single,
    "t": _two,
    "x": _impute,
    "dr": _doubly_robust,
    "r": _residual,
    "blend": _blend_learners,
}
#: All learners by name: what `cpc uplift` tries and tests hold.
LEARNERS: dict[str, Learner] = {**TREES, "additive": _additive}
