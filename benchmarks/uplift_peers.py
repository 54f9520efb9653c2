"""Peers of ``benchmarks.uplift``: scikit-uplift's learners, and causalml's where the environment has it.

All of them grow the trees of the ``reference.json`` beside the data: 100 of 15 leaves, rate 0.03, leaves of 200 rows.
causalml is not in the lock; an environment made for the comparison has both, and then it takes part.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import warnings
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from sklift.models import ClassTransformation, SoloModel, TwoModels

from models.arrays import Floats
from models.cores import cores

HAS_CAUSALML = importlib.util.find_spec("causalml") is not None


def version(package: str) -> str:
    """Version of a package, empty where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _trees(seed: int) -> dict[str, Any]:
    return {
        "n_estimators": 100,
        "num_leaves": 15,
        "learning_rate": 0.03,
        "min_child_samples": 200,
        "random_state": seed,
        "n_jobs": min(2, cores()),
        "verbose": -1,
    }


def sklift(X: Floats, t: Floats, y: Floats, X_at: Floats, seed: int) -> dict[str, Floats]:
    """Effects by scikit-uplift's learners."""

    def booster() -> LGBMClassifier:
        return LGBMClassifier(**_trees(seed))

    learners = {
        "sklift solo": SoloModel(booster()),
        "sklift two": TwoModels(booster(), booster(), method="vanilla"),
        "sklift ddr": TwoModels(booster(), booster(), method="ddr_control"),
        "sklift ct": ClassTransformation(booster()),
    }
    frame, at = pd.DataFrame(X).add_prefix("f"), pd.DataFrame(X_at).add_prefix("f")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            name: np.asarray(model.fit(frame, pd.Series(y), pd.Series(t)).predict(at))
            for name, model in learners.items()
        }


def causalml(X: Floats, t: Floats, y: Floats, X_at: Floats, seed: int) -> dict[str, Floats]:
    """Effects by causalml's meta-learners; the propensity is the share of treated rows."""
    from causalml.inference.meta import BaseDRLearner, BaseRClassifier, BaseTClassifier, BaseXClassifier

    def outcome() -> LGBMClassifier:
        return LGBMClassifier(**_trees(seed))

    def effect() -> LGBMRegressor:
        return LGBMRegressor(**_trees(seed))

    arm, share = t.astype(int), np.full(len(t), t.mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        two = BaseTClassifier(outcome(), control_name=0).fit(X, arm, y)
        crossed = BaseXClassifier(outcome(), effect_learner=effect(), control_name=0).fit(X, arm, y, p=share)
        residual = BaseRClassifier(
            outcome_learner=outcome(), effect_learner=effect(), control_name=0, random_state=seed
        ).fit(X, arm, y, p=share, verbose=False)
        robust = BaseDRLearner(learner=effect(), control_name=0).fit(X, arm, y, p=share, seed=seed)
        at_share = np.full(len(X_at), t.mean())
        return {
            "causalml t": two.predict(X_at).ravel(),
            "causalml x": crossed.predict(X_at, p=at_share).ravel(),
            "causalml r": residual.predict(X_at).ravel(),
            "causalml dr": robust.predict(X_at).ravel(),
        }
