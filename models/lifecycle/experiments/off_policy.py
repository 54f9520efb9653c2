"""``cpc ope``: a log, a policy and a reward model from files, evaluated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conf.errors import UserError
from models.affinity.encode import encode, learn
from models.affinity.ope import Evaluation, Sums, evaluate
from models.affinity.reward import cross_fit
from models.arrays import Floats, Ints
from models.lifecycle.experiments.logged_policy import Log, read_log, rounds, spread

_PAIRS = 2_000_000  # rounds × actions held at once


def off_policy(
    log_path: Path,
    policy_path: Path,
    reward_path: Path | None,
    *,
    tau: float,
    lam: float,
    repeats: int = 500,
    seed: int = 0,
) -> Evaluation:
    """Evaluate a policy on a log.

    Raises:
        UserError: a file, column or value that cannot be used; names file, row and column.
    """
    if tau <= 0 or lam < 0:
        raise UserError(
            "tau must be above 0 and lambda not below 0", where="--tau, --lambda", remedy="give such numbers"
        )
    log = read_log(log_path)
    chunk = max(1, _PAIRS // max(1, len(log.actions)))
    with tempfile.TemporaryDirectory() as scratch:
        policy = spread(log, policy_path, "probability", Path(scratch) / "policy", chunk)
        if reward_path is not None:
            reward = _from_file(
                log, spread(log, reward_path, "value", Path(scratch) / "reward", chunk), chunk, reward_path
            )
        else:
            reward = _fit_reward(log, seed)
        sums = Sums(tau, lam)
        for batch in rounds(log, policy, reward, chunk, str(policy_path)):
            sums.add(batch)
    return replace(evaluate(sums, repeats=repeats, seed=seed), without_pscore=log.without_pscore)


def _from_file(
    log: Log, read_chunk: Callable[[int], NDArray], chunk: int, path: Path
) -> Callable[[int], Callable[[Ints, Ints], Floats]]:
    actions = len(log.actions)

    def reward(number: int) -> Callable[[Ints, Ints], Floats]:
        records = read_chunk(number)
        records = records[records["action"] >= 0]
        first = number * chunk
        size = min(chunk, len(log.rounds) - first)
        table = np.full((size, actions), np.nan)
        table[records["row"] - first, records["action"]] = records["value"]

        def q(row: Ints, action: Ints) -> Floats:
            values = table[row - first, action]
            lacking = np.flatnonzero(np.isnan(values))
            if len(lacking):
                at = int(lacking[0])
                raise UserError(
                    f"no value for action {log.actions[int(action[at])].as_py()}",
                    where=f"{path}, round {log.rounds[int(row[at])].as_py()}",
                    remedy="give a value for each action that the log or the policy takes in a round",
                )
            return values

        return q

    return reward


def _fit_reward(log: Log, seed: int) -> Callable[[int], Callable[[Ints, Ints], Floats]]:
    features = learn(log.context, log.context.column_names)
    X = np.column_stack([encode(log.context, features), log.position.astype(np.float64)])
    model = cross_fit(X, log.action, len(log.actions), log.reward, log.cluster, seed=seed)
    return lambda number: model


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The contract's JSON."""
    return {
        "rounds": evaluation.rounds,
        "without_pscore": evaluation.without_pscore,
        "estimators": {
            name: {"value": value, "ci": list(evaluation.intervals[name])} for name, value in evaluation.values.items()
        },
        "ess": evaluation.ess,
        "unsupported_mass": evaluation.unsupported_mass,
        "max_weight": evaluation.max_weight,
    }
