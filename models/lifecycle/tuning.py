"""Search for better trees: trials by Optuna, each a nested MLflow run; the best is trained, registered and must pass the gate.

A trial trains on the same sample and is judged out of time, by the share of log-loss that it gains on the late nights
over their mean rate. These nights choose, so they flatter what they chose: the gate judges on other evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conf.errors import UserError
from conf.settings import Affinity
from models.lifecycle import fit as fitting
from models.lifecycle.mlflow_run import trial, tuning
from models.lifecycle.training_data import read
from runtime.figures import TrainFigures
from runtime.night import Night

if TYPE_CHECKING:
    import optuna

GOAL = "logloss_gain_contact"


def suggest_settings(asked: optuna.trial.Trial) -> dict[str, Any]:
    """Settings below ``affinity`` that a trial tries."""
    return {
        "leaves": asked.suggest_int("leaves", 3, 31, log=True),
        "learning_rate": round(asked.suggest_float("learning_rate", 0.02, 0.15, log=True), 4),
        "min_leaf": asked.suggest_int("min_leaf", 30, 1000, log=True),
        "features": asked.suggest_int("features", 10, 120, log=True),
    }


def change_settings(night: Night, values: dict[str, Any]) -> Night:
    """The night with other settings below ``affinity``."""
    affinity = Affinity.model_validate(night.settings.affinity.model_dump() | values)
    return replace(night, settings=night.settings.model_copy(update={"affinity": affinity}))


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        figures: of the training with the best settings.
        trials: how many were tried.
        best: the best settings below ``affinity``.
        goal_now: what is sought, of the present settings.
        goal_best: the same of the best.
    """

    figures: TrainFigures
    trials: int
    best: dict[str, Any]
    goal_now: float | None
    goal_best: float | None

    def as_json(self) -> dict[str, Any]:
        """The figures of the training, and beside them those of the search."""
        return self.figures.as_json() | {name: value for name, value in vars(self).items() if name != "figures"}


def run(night: Night, trials: int) -> Search:
    """Try ``trials`` settings, the present ones first, and register a training with the best.

    Raises:
        UserError: fewer than two trials.
    """
    import optuna

    if trials < 2:
        raise UserError("a search needs two trials at least", where="--trials", remedy="give 10 or more")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = read(night)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=night.settings.seed % 2**31)
    )
    now = night.settings.affinity.model_dump()
    study.enqueue_trial({name: now[name] for name in ("leaves", "learning_rate", "min_leaf", "features")})
    with tuning(night.settings, f"tuning {night.date}", {"trials": trials, "goal": GOAL}) as parent:

        def objective(asked: optuna.trial.Trial) -> float:
            values = suggest_settings(asked)
            learnt, _ = fitting.fit(change_settings(night, values), data)
            metrics = learnt.response.metrics
            trial(night.settings, parent, asked.number, values, metrics)
            asked.set_user_attr("values", values)
            return metrics[GOAL]

        study.optimize(objective, n_trials=trials)
        first, best = study.trials[0], study.best_trial
        chosen = best.user_attrs["values"]
        figures = fitting.train_and_register(change_settings(night, chosen), data, parent)
    return Search(figures, trials, chosen, first.value, best.value)
