"""From matured decisions to a registered version: which features are usable, what was learnt, what is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from conf.errors import UserError
from conf.settings import Affinity
from models.affinity.drift import Drift, compare
from models.affinity.encode import EncodedFeature
from models.affinity.response import OneClassError
from models.affinity.signals import TreeParameters
from models.affinity.training import Learnt, TrainingSample, learn
from models.lifecycle.arcs import menu
from models.lifecycle.model_card import list_left_out
from models.lifecycle.training_data import Data, encode_known, latest, partition
from runtime.figures import TrainFigures
from runtime.night import Night

_PROBE = 20_000  # customers and rows that drift is measured on


def knobs(settings: Affinity, seed: int) -> TreeParameters:
    """The trees' size and speed as the environment says."""
    return TreeParameters(
        settings.trees, settings.leaves, settings.learning_rate, settings.min_leaf, settings.features, seed
    )


def drift(night: Night, data: Data) -> tuple[Drift, ...]:
    """How each feature moved from the decisions' time to the newest snapshot that the night may see."""
    newest = latest(night.lake.dates("customer_features"), night.date)
    if newest is None or newest in data.snapshots:
        return compare(tuple(f.name for f in data.features), *(_probe(data.sample.X),) * 2)
    names = ["customer_id", *(feature.name for feature in data.features)]
    now = partition(night, "customer_features", newest, names)
    now = now.take(np.linspace(0, now.num_rows - 1, min(_PROBE, now.num_rows)).astype(np.int64))
    return compare(tuple(f.name for f in data.features), _probe(data.sample.X), encode_known(now, data.features))


def _probe(X: np.ndarray) -> np.ndarray:
    return X[np.linspace(0, len(X) - 1, min(_PROBE, len(X))).astype(np.int64)]


def usable(moved: tuple[Drift, ...], bound: float) -> list[int]:
    """Positions of the features that are populated on both sides and did not move beyond ``bound``."""
    return [k for k, d in enumerate(moved) if not d.empty and d.psi <= bound]


def restrict(data: Data, places: list[int]) -> tuple[TrainingSample, tuple[EncodedFeature, ...]]:
    """The sample with some of its features."""
    fields = vars(data.sample) | {"X": data.sample.X[:, places]}
    return TrainingSample(**fields), tuple(data.features[k] for k in places)


def fit(night: Night, data: Data) -> tuple[Learnt, tuple[Drift, ...]]:
    """Train on what is usable.

    Raises:
        UserError: the labels are all the same, or no feature is usable.
    """
    settings = night.settings
    moved = drift(night, data)
    places = usable(moved, settings.affinity.drift_psi)
    if not places:
        raise UserError(
            "no feature is populated and stable",
            where="table customer_features",
            remedy="look at `cpc features list`, load the missing feeds, or raise affinity.drift_psi",
        )
    sample, features = restrict(data, places)
    try:
        learnt = learn(
            sample,
            features,
            menu(night.catalogue),
            knobs(settings.affinity, settings.seed % 2**31),
            settings.affinity.late_share,
            _facts(night, data),
        )
    except OneClassError as error:
        raise UserError(
            f"nothing can be learnt: {error}",
            where="table outcome",
            remedy="check that orders are loaded and carry products, or train over more nights; the champion stays",
        ) from error
    return learnt, moved


def _facts(night: Night, data: Data) -> dict[str, Any]:
    return {
        "date": night.date.isoformat(),
        "first_decision": data.first.isoformat(),
        "last_decision": data.last.isoformat(),
        "decisions": data.decisions,
        "sampled": len(data.sample.day),
        "without_snapshot": data.without_snapshot,
        "without_pscore": data.without_pscore,
        "not_yet": list(data.not_yet),
        "snapshots": [date.isoformat() for date in data.snapshots],
        "outcome_version": night.lake.version("outcome"),
        "features_version": night.lake.version("customer_features"),
        "conversion_days": night.settings.outcome.conversion_days,
        "horizon_days": night.settings.outcome.horizon_days,
        "seed": night.settings.seed,
    }


def train_and_register(night: Night, data: Data, parent: str = "") -> TrainFigures:
    """Train on data that was read, and register; below an MLflow run where one is given."""
    from models.lifecycle.mlflow_run import keep

    clock = time.perf_counter()
    learnt, moved = fit(night, data)
    trained = time.perf_counter() - clock
    figures = count_training(learnt, moved, data)
    version = keep(night.settings, learnt, moved, _params(night.settings.affinity), figures, parent)
    return TrainFigures(
        version=version,
        **figures,
        not_yet=list(data.not_yet),
        calibration=learnt.bundle.contact.kind,
        reliability=learnt.response.tables.get("contact", []),  # what the night report draws
        train_seconds=round(trained, 1),
        keep_seconds=round(time.perf_counter() - clock - trained, 1),
    )


def count_training(learnt: Learnt, moved: Sequence[Drift], data: Data) -> dict[str, Any]:
    """The figures of a training that run record, MLflow and model card share, by their names in the run record."""
    metrics = learnt.response.metrics
    return {
        "decisions": data.decisions,
        "contacts": learnt.contacts,
        "sampled": len(data.sample.day),
        "features": len(learnt.bundle.features),
        "left_out": len(list_left_out(moved, learnt.bundle)),
        "auc": round(metrics.get("auc_contact", float("nan")), 4),
        "auc_within": round(metrics.get("auc_within_contact", float("nan")), 4),
        "ratio": round(metrics.get("ratio_contact", float("nan")), 4),
        "lift": round(learnt.bundle.lifts.whole.value, 3),
    }


def _params(settings: Affinity) -> dict[str, Any]:
    return settings.model_dump()
