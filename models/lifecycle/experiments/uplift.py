"""``cpc uplift``: any experiment from a file; learners cross-fitted, ranked by Qini, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.errors import UserError
from models.affinity.encode import encode, learn
from models.affinity.meta_learners import LEARNERS, cross_fit
from models.affinity.uplift import CROSS_FITTED, deciles, effect, quality
from models.arrays import Floats
from models.lifecycle.experiments.tabular import need, numbers, read, texts

_CONTROLS = ("0", "false", "no", "none", "control", "no e-mail")


@dataclass(frozen=True)
class Experiment:
    """An experiment in memory: encoded columns, arm of each row (0 control), outcome net of cost."""

    X: Floats
    categories: tuple[int, ...]
    columns: tuple[str, ...]
    arm: NDArray[np.int64]
    arms: tuple[str, ...]
    y: Floats
    warnings: tuple[str, ...]


def load(
    path: Path,
    treatment: str,
    outcome: str,
    *,
    control: str | None = None,
    arm: str | None = None,
    drop: Sequence[str] = (),
    cost: str | None = None,
) -> Experiment:
    """Read an experiment.

    Args:
        path: CSV or Parquet.
        treatment: column that says who got what.
        outcome: column of the outcome.
        control: value of the control; the obvious ones are recognized.
        arm: only this arm against the control.
        drop: columns to leave out.
        cost: column with the cost of treating a row; taken from the outcome of treated rows.

    Raises:
        UserError: a column is missing, an arm is unknown, an arm has too few rows.
    """
    table = read(path)
    need(table, path, [treatment, outcome, *drop, *([cost] if cost else [])])
    label = texts(table, treatment)
    values = sorted(value for value in pc.unique(label).to_pylist() if value is not None)
    base = _control(values, control, path, treatment)
    arms = [value for value in values if value != base] if arm is None else [arm]
    if arm is not None and arm not in values:
        raise UserError(
            f"column {treatment!r} has no value {arm!r}", where=str(path), remedy=f"choose one of: {', '.join(values)}"
        )
    mask = pc.is_in(label, value_set=pa.array([base, *arms]))
    table, label = table.filter(mask), label.filter(mask)
    which = pc.index_in(label, value_set=pa.array([base, *arms])).cast(pa.int64()).to_numpy()
    for position, name in enumerate([base, *arms]):
        if (which == position).sum() < 100:
            raise UserError(
                f"arm {name!r} has fewer than 100 rows",
                where=f"{path}, column {treatment}",
                remedy="give a larger experiment",
            )
    y = numbers(table, path, outcome)
    if float(np.ptp(y)) == 0:
        raise UserError(f"all values of {outcome!r} are the same", where=str(path), remedy="choose another outcome")
    if cost:
        y = y - np.where(which > 0, numbers(table, path, cost), 0.0)
    names = [name for name in table.column_names if name not in {treatment, outcome, cost, *drop}]
    features = learn(table, names)
    X = encode(table, features)
    columns = tuple(feature.name for feature in features)
    categories = tuple(k for k, feature in enumerate(features) if feature.kind == "category")
    return Experiment(X, categories, columns, which, (base, *arms), y, tuple(leaks(X, columns, which, y, categories)))


def _control(values: Sequence[str], control: str | None, path: Path, treatment: str) -> str:
    if control is None:
        control = next((value for value in values if value.strip().lower() in _CONTROLS), None)
    if control is None or control not in values:
        raise UserError(
            f"which value of {treatment!r} is the control?",
            where=str(path),
            remedy=f"say --control with one of: {', '.join(values[:20])}",
        )
    return control


def leaks(X: Floats, columns: Sequence[str], arm: NDArray[np.int64], y: Floats, categories: Sequence[int]) -> list[str]:
    """Columns that give the outcome away or that the treatment moved: what was measured after the treatment."""
    notes = []
    treated = arm > 0
    for k, name in enumerate(columns):
        if k in categories:
            continue
        value = X[:, k]
        known = ~np.isnan(value)
        a, b = value[known & treated], value[known & ~treated]
        spread = np.sqrt(a.var() / max(len(a), 1) + b.var() / max(len(b), 1))
        if spread > 0 and abs(a.mean() - b.mean()) > 5 * spread:
            notes.append(
                f"{name} differs between the arms by {abs(a.mean() - b.mean()) / spread:.0f} standard errors: "
                "it looks measured after the treatment; leave it out with --drop"
            )
            continue
        levels, counts = np.unique(value[known], return_counts=True)
        rare = known & (value != levels[counts.argmax()]) if len(levels) else known
        if 30 <= rare.sum() <= 0.5 * len(y) and np.ptp(y[rare]) == 0 and np.ptp(y) > 0:
            notes.append(
                f"{name} gives the outcome away: where it is not {levels[counts.argmax()]:g} the outcome is "
                f"always {y[rare][0]:g}; leave it out with --drop"
            )
    return notes


def analyse(experiment: Experiment, *, folds: int = 5, repeats: int = 200, seed: int = 0) -> dict[str, Any]:
    """The contract's JSON; with several arms, each of them under ``arms`` and the policy over them under ``policy``."""
    treated = (experiment.arm > 0).astype(np.float64)
    out = _compare(experiment, experiment.X, treated, experiment.y, folds, repeats, seed)
    if len(experiment.arms) > 2:
        arms, per_arm = {}, []
        for position, name in enumerate(experiment.arms[1:], 1):
            match = (experiment.arm == 0) | (experiment.arm == position)
            part = _compare(
                experiment,
                experiment.X[match],
                (experiment.arm[match] > 0).astype(float),
                experiment.y[match],
                folds,
                repeats,
                seed,
            )
            arms[name] = part
            per_arm.append(_all_rows(experiment, position, folds, seed))
        out |= {"arms": arms, "policy": policy_value(experiment, [np.column_stack(per_arm)])}
    out["warnings"] = list(experiment.warnings)
    return out


def _compare(e: Experiment, X: Floats, t: Floats, y: Floats, folds: int, repeats: int, seed: int) -> dict[str, Any]:
    fitted = cross_fit(X, t, y, e.categories, folds=folds, seed=seed)
    ate, interval = effect(y, t)
    learners: dict[str, Any] = {}
    for name, score in fitted.scores.items():
        q = quality(y, t, score, repeats=repeats, seed=seed, spread=CROSS_FITTED)
        learners[name] = {
            "qini_sklift": q.qini_sklift,
            "qini_area": q.qini_area,
            "qini_ci": list(q.qini_ci),
            "auuc": q.auuc,
            "auuc_ci": list(q.auuc_ci),
        }
    best = max(LEARNERS, key=lambda name: learners[name]["qini_sklift"])
    return {
        "rows": len(y),
        "ate": ate,
        "ate_ci": list(interval),
        "learners": learners,
        "best": best,
        "deciles": deciles(y, t, fitted.scores[best]),
    }


def _all_rows(e: Experiment, position: int, folds: int, seed: int) -> Floats:
    """(rows,) effect of an arm for every row, also of other arms, by models that did not see the row."""
    from models.affinity.meta_learners import Size, effects

    fold = np.random.default_rng([seed, 5]).integers(0, folds, len(e.y))
    out = np.zeros(len(e.y))
    for number in range(folds):
        train = (fold != number) & ((e.arm == 0) | (e.arm == position))
        at = fold == number
        treated = (e.arm[train] > 0).astype(float)
        out[at] = effects(e.X[train], treated, e.y[train], e.X[at], e.categories, Size(), seed + number, ("dr",))["dr"]
    return out


def policy_value(e: Experiment, effects: Sequence[Floats]) -> dict[str, Any]:
    """IPS value of giving each row its best arm (none where no effect is above 0), against the best single arm.

    Args:
        e: the experiment.
        effects: (rows, arms but control) of each repeat of the cross-fitting; the policy takes one of them by chance.
    """
    shares = np.bincount(e.arm, minlength=len(e.arms)) / len(e.arm)
    choices = [np.where(each.max(axis=1) > 0, each.argmax(axis=1) + 1, 0) for each in effects]
    gained = np.mean([choice == e.arm for choice in choices], axis=0) * e.y / shares[e.arm]
    single = {name: float(e.y[e.arm == k].mean()) for k, name in enumerate(e.arms)}
    best = max(single, key=lambda name: single[name])
    against = gained - np.where(e.arm == e.arms.index(best), e.y / shares[e.arm], 0.0)
    error = 1.96 * float(against.std(ddof=1)) / np.sqrt(len(e.y))
    return {
        "value": float(gained.mean()),
        "best_arm": best,
        "best_arm_value": single[best],
        "gain": float(against.mean()),
        "gain_ci": [float(against.mean()) - error, float(against.mean()) + error],
        "shares": {name: float(np.mean([choice == k for choice in choices])) for k, name in enumerate(e.arms)},
    }


def plot(experiment: Experiment, path: Path, *, folds: int = 5, seed: int = 0) -> None:
    """Qini curves of all learners as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from models.affinity.uplift import curve

    t = (experiment.arm > 0).astype(np.float64)
    figure, axis = plt.subplots(figsize=(7, 5), constrained_layout=True)
    for name, score in cross_fit(
        experiment.X, t, experiment.y, experiment.categories, folds=folds, seed=seed
    ).scores.items():
        x, y = curve(experiment.y, t, score)
        axis.plot(x / x[-1], y, label=name)
    axis.plot([0, 1], [0, y[-1]], "k:", linewidth=1)
    axis.set(title="Qini", xlabel="share of customers treated", ylabel="incremental outcome")
    axis.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
