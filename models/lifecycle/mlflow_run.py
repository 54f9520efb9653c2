"""A training as an MLflow run: parameters, data versions, metrics, plots, SHAP, signature, model card, registration.

``keep`` logs and registers a training; ``tuning`` is a run that trials hang below (``trial``), which register nothing.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np

from conf.settings import Settings
from models.affinity.bundle import TEXT
from models.affinity.drift import Drift
from models.affinity.training import LATE_DAYS, Learnt
from models.affinity.uplift import Gain
from models.lifecycle.model_card import card, explorers_gain, plots
from models.lifecycle.registry import register
from runtime.model_pointer import client

if TYPE_CHECKING:
    from mlflow import MlflowClient

_NEEDED = ("lightgbm", "numpy", "mlflow")
_PARENT = "mlflow.parentRunId"
_LEAST_ORDERS = 20  # of explorers, below which a bootstrap of their Qini says nothing


def keep(
    settings: Settings,
    learnt: Learnt,
    moved: Sequence[Drift],
    params: Mapping[str, Any],
    figures: Mapping[str, float],
    parent: str = "",
) -> str:
    """Log one training, below a run of tuning where one is given, and register its model.

    Args:
        settings: of the night.
        learnt: the training.
        moved: its features and how they moved.
        params: what it was made with.
        figures: what the run record says of it; MLflow says the same under the same names.
        parent: run of tuning.

    Returns:
        The registered version.
    """
    store = client(settings)
    run_id = _run(store, settings, f"affinity {learnt.bundle.facts['date']}", parent)
    qini = explorers_gain(learnt)
    metrics = _metrics(learnt, qini) | {name: float(value) for name, value in figures.items() if np.isfinite(value)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        _save(learnt, folder)
        pages = Path(scratch) / "report"
        pages.mkdir()
        channels = {channel.id: channel.code for channel in settings.catalogue.channels}
        (pages / "model_card.md").write_text(card(learnt, moved, metrics, channels), encoding="utf-8")
        _report(learnt, moved, pages)
        plots(learnt, qini, pages)
        store.log_batch(
            run_id, metrics=_as_metrics(metrics), params=_as_params({**params, **_flat(learnt.bundle.facts)})
        )
        store.log_artifacts(run_id, str(folder), "model")
        store.log_artifacts(run_id, str(pages), "report")
        uri = f"{store.get_run(run_id).info.artifact_uri}/model"
        tags = {
            "date": str(learnt.bundle.facts["date"]),
            "auc": f"{metrics.get('auc_contact', float('nan')):.4f}",
            "ratio": f"{metrics.get('ratio_contact', float('nan')):.4f}",
        }
        version = register(settings, folder, run_id, uri, tags)
    store.set_terminated(run_id)
    return version


@contextmanager
def tuning(settings: Settings, name: str, params: Mapping[str, Any]) -> Iterator[str]:
    """A run that trials hang below; failed if what is inside fails."""
    store = client(settings)
    run_id = _run(store, settings, name, "")
    store.log_batch(run_id, params=_as_params(params))
    state = "FAILED"
    try:
        yield run_id
        state = "FINISHED"
    finally:
        store.set_terminated(run_id, state)


def trial(
    settings: Settings, parent: str, number: int, params: Mapping[str, Any], metrics: Mapping[str, float]
) -> None:
    """Log one trial below a run of tuning."""
    store = client(settings)
    run_id = _run(store, settings, f"trial {number}", parent)
    finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
    store.log_batch(run_id, metrics=_as_metrics(finite), params=_as_params(params))
    store.set_terminated(run_id)


def _run(store: MlflowClient, settings: Settings, name: str, parent: str) -> str:
    tags = {_PARENT: parent} if parent else {}
    return str(store.create_run(_experiment(store, settings), run_name=name, tags=tags).info.run_id)


def _experiment(store: MlflowClient, settings: Settings) -> str:
    experiment = store.get_experiment_by_name(settings.mlflow.experiment)
    if experiment is not None:
        return str(experiment.experiment_id)
    place = None if settings.mlflow.uri else (settings.home / "mlruns").as_uri()
    return str(store.create_experiment(settings.mlflow.experiment, artifact_location=place))


def _save(learnt: Learnt, folder: Path) -> None:
    """An MLflow LightGBM model with the bundle beside its text."""
    from mlflow.lightgbm import save_model
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    booster = lgb.Booster(model_str=learnt.bundle.text)
    columns = Schema([ColSpec("double", name) for name in booster.feature_name()])
    save_model(
        booster,
        str(folder),
        signature=ModelSignature(inputs=columns, outputs=Schema([ColSpec("double")])),
        pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in _NEEDED],
    )
    learnt.bundle.save(folder)
    assert (folder / TEXT).read_text(encoding="utf-8") == learnt.bundle.text


def _metrics(learnt: Learnt, qini: Gain) -> dict[str, float]:
    lifts, bundle = learnt.bundle.lifts, learnt.bundle
    enough = int((learnt.explored.residual > 0).sum()) >= _LEAST_ORDERS
    ends = {"qini_explorers_low": qini.ci[0], "qini_explorers_high": qini.ci[1]} if enough else {}
    metrics = (
        dict(learnt.response.metrics)
        | ends
        | {
            "qini_explorers": qini.area,
            "lift_own_share": lifts.whole.own,
            "opt_out_per_contact": bundle.opt_out.whole,
            "complaint_per_contact": bundle.complaint.whole,
            "reversal_share": bundle.reversals[""],
            "trailing_yuan": bundle.trailing_micro / 1e6,
        }
    )
    for row in learnt.response.slices:
        place = re.sub(r"[^\w.\- ]", "_", f"slice.{row['slicing']}.{row['value']}")
        metrics |= {f"{place}.{name}": float(row[name]) for name in ("auc", "ratio", "conversions") if name in row}
    metrics |= {f"weight_{name}": weight for name, weight in learnt.response.weights.items()}
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _as_metrics(metrics: Mapping[str, float]) -> list[Any]:
    import time

    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, 0) for name, value in metrics.items()]


def _as_params(params: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, str(value)[:6000]) for name, value in params.items()]


def _flat(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {f"data.{name}": value for name, value in facts.items() if name not in {"metrics", LATE_DAYS}}


def _report(learnt: Learnt, moved: Sequence[Drift], folder: Path) -> None:
    """What the training found, as JSON."""
    gain = sorted(learnt.response.gain.items(), key=lambda item: -item[1])
    tables = {
        "reliability": learnt.response.tables,
        "gain": dict(gain),
        "lifts": learnt.bundle.lifts.to_dict(),
        "slices": learnt.response.slices,
        "drift": [
            {"feature": d.name, "psi": d.psi, "missing_then": d.missing_then, "missing_now": d.missing_now}
            for d in moved
        ],
    }
    for name, table in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(table, indent=1, ensure_ascii=False), encoding="utf-8")
