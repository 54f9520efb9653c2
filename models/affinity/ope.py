"""Off-policy evaluation: what another policy would have earned, from the log of the one that ran.

With rounds t, chosen action a, reward r, logged probability e, evaluation policy π, reward model q̂,
w = π(a)/e and q̂(π) = Σ_a π(a)·q̂(a):

===========  =========================================================================
ips          mean of w·r                                      (Horvitz and Thompson 1952)
snips        Σ w·r / Σ w                                     (Swaminathan and Joachims 2015)
dm           mean of q̂(π)
dr           mean of q̂(π) + w·(r − q̂(a))                      (Dudík, Langford and Li 2011)
sndr         mean of q̂(π) + Σ w·(r − q̂(a)) / Σ w
switch_dr    dr with w kept only where w ≤ τ                   (Wang, Agarwal and Dudík 2017)
dros         dr with w replaced by λ·w / (w² + λ)              (Su et al. 2020)
===========  =========================================================================

Everything is a sum over rounds of at most five numbers a round, kept by cluster for the intervals: memory grows with
the number of clusters, not with rounds × actions. Intervals are a bootstrap over clusters (customers).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.arrays import Floats, Ints

ESTIMATORS = ("ips", "snips", "dm", "dr", "sndr", "switch_dr", "dros")


@dataclass(frozen=True)
class Batch:
    """Some rounds of a log.

    Attributes:
        reward, pscore: (rounds,).
        pi: (rounds,) probability of the logged action under the evaluation policy.
        q: (rounds,) model's reward of the logged action.
        q_pi: (rounds,) model's reward expected under the evaluation policy.
        unsupported: (rounds,) mass of the evaluation policy on actions that cannot have been logged.
        cluster: (rounds,) unit of resampling, from 0.
    """

    reward: Floats
    pscore: Floats
    pi: Floats
    q: Floats
    q_pi: Floats
    unsupported: Floats
    cluster: Ints


@dataclass
class Sums:
    """Sums of a log, by cluster; batches may be added in any order.

    Columns: rounds, w, w·r, q̂(π), w·(r − q̂), w₍τ₎·(r − q̂), w₍λ₎·(r − q̂).
    """

    tau: float
    lam: float
    by_cluster: Floats = field(default_factory=lambda: np.zeros((0, 7)))
    square: float = 0.0
    top: float = 0.0
    unsupported: float = 0.0

    def add(self, batch: Batch) -> None:
        """Take in some rounds."""
        w = batch.pi / batch.pscore
        error = batch.reward - batch.q
        switched = np.where(w <= self.tau, w, 0.0)
        shrunk = self.lam * w / (w**2 + self.lam) if self.lam > 0 else np.zeros_like(w)
        if np.isinf(self.lam):
            shrunk = w
        columns = (np.ones_like(w), w, w * batch.reward, batch.q_pi, w * error, switched * error, shrunk * error)
        size = int(batch.cluster.max()) + 1 if len(w) else 0
        if size > len(self.by_cluster):
            grown = np.zeros((max(size, 2 * len(self.by_cluster)), 7))
            grown[: len(self.by_cluster)] = self.by_cluster
            self.by_cluster = grown
        for k, column in enumerate(columns):
            self.by_cluster[:size, k] += np.bincount(batch.cluster, column, size)
        self.square += float((w**2).sum())
        self.top = max(self.top, float(w.max(initial=0.0)))
        self.unsupported += float(batch.unsupported.sum())


def estimates(totals: Floats) -> Floats:
    """(…, 7 sums) → (…, estimators) in the order of ``ESTIMATORS``."""
    n, w, wr, direct, corrected, switched, shrunk = np.moveaxis(totals, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weighted = np.where(w > 0, wr / w, 0.0)
        normed = np.where(w > 0, corrected / w, 0.0)
        return np.stack(
            [
                wr / n,
                weighted,
                direct / n,
                (direct + corrected) / n,
                direct / n + normed,
                (direct + switched) / n,
                (direct + shrunk) / n,
            ],
            axis=-1,
        )


def bootstrap(by_cluster: Floats, repeats: int, seed: int) -> Floats:
    """(repeats, estimators): estimates on clusters drawn with replacement."""
    rng = np.random.default_rng(seed)
    clusters = len(by_cluster)
    totals = np.empty((repeats, by_cluster.shape[1]))
    for repeat in range(repeats):
        times = np.bincount(rng.integers(0, clusters, clusters), minlength=clusters).astype(np.float64)
        totals[repeat] = times @ by_cluster
    return estimates(totals)


@dataclass(frozen=True)
class Evaluation:
    """What a log says of a policy.

    Attributes:
        without_pscore: rounds of the log that no draw gave; they are not among ``rounds``.
    """

    rounds: int
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    ess: float
    unsupported_mass: float
    max_weight: float
    without_pscore: int = 0


def evaluate(sums: Sums, *, repeats: int = 500, level: float = 0.95, seed: int = 0) -> Evaluation:
    """Estimates, intervals and support.

    Raises:
        ValueError: the log has no rounds.
    """
    rows = sums.by_cluster[sums.by_cluster[:, 0] > 0]
    total = rows.sum(axis=0)
    if len(rows) == 0:
        raise ValueError("the log has no rounds")
    drawn = bootstrap(rows, repeats, seed)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    values = estimates(total)
    return Evaluation(
        rounds=int(total[0]),
        values=dict(zip(ESTIMATORS, map(float, values), strict=True)),
        intervals={name: (float(low[k]), float(high[k])) for k, name in enumerate(ESTIMATORS)},
        ess=float(total[1] ** 2 / sums.square) if sums.square > 0 else 0.0,
        unsupported_mass=sums.unsupported / float(total[0]),
        max_weight=sums.top,
    )
