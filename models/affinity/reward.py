"""A cross-fitted LightGBM model of the reward given context and action: q̂ for off-policy evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np

from models.affinity.trees import ArcTrees, pack, parse, resolve, score_arcs
from models.arrays import Floats, Ints
from models.cores import cores


@dataclass(frozen=True)
class CrossFitted:
    """q̂ of any (round, action): a round is predicted by the model that did not see its cluster."""

    models: tuple[ArcTrees, ...]
    fold: Ints
    X: Floats

    def __call__(self, row: Ints, action: Ints) -> Floats:
        """q̂ of pairs of round and action; a round's actions are walked together."""
        out = np.zeros(len(row))
        unique, at = np.unique(row, return_inverse=True)
        for number, model in enumerate(self.models):
            in_fold = self.fold[unique] == number
            if not in_fold.any():
                continue
            position = np.full(len(unique), -1)
            position[in_fold] = np.arange(in_fold.sum())
            pairs = position[at] >= 0
            wanted = np.zeros((int(in_fold.sum()), model.arcs), bool)
            wanted[position[at[pairs]], action[pairs]] = True
            scores = score_arcs(model, self.X[unique[in_fold]], pack(wanted))
            out[pairs] = scores[position[at[pairs]], action[pairs]]
        return out


def cross_fit(
    X: Floats, action: Ints, actions: int, reward: Floats, cluster: Ints, *, folds: int = 3, seed: int = 0
) -> CrossFitted:
    """Fit one model a fold by clusters.

    Args:
        X: (rounds, context) with NaN missing.
        action: (rounds,) logged action, 0 … actions − 1.
        actions: number of actions.
        reward: (rounds,).
        cluster: (rounds,) from 0.
        folds: number of folds.
        seed: of folds and trees.
    """
    rng = np.random.default_rng(seed)
    of_cluster = rng.integers(0, folds, int(cluster.max()) + 1)
    fold = of_cluster[cluster]
    matrix = np.column_stack([X, action.astype(np.float64)])
    parameters = {
        "objective": "l2",
        "num_leaves": 15,
        "learning_rate": 0.05,
        "min_data_in_leaf": 40,
        "lambda_l2": 20.0,
        "max_cat_to_onehot": 1,
        "cat_smooth": 20.0,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": min(2, cores()),
        "verbose": -1,
    }
    arcs = np.arange(actions, dtype=np.float64)[:, None]
    models = []
    for held_out in range(folds):
        use = fold != held_out
        data = lgb.Dataset(matrix[use], reward[use], categorical_feature=[X.shape[1]], params={"verbose": -1})
        models.append(resolve(parse(lgb.train(parameters, data, 60).model_to_string()), arcs))
    return CrossFitted(tuple(models), fold, X)
