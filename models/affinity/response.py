"""The response model: P(order within the window | customer, product, channel), with "no contact" as one more channel.

One LightGBM model with product and channel attributes as columns, on top of the hierarchical prior of product ×
channel (``models.affinity.prior``): the trees start from its log-odds and add what customers differ by. In a share of
the training rows the ids of product and channel are hidden, so that the trees learn what group, price and direction
say by themselves: a product or channel launched tomorrow starts from there. The early nights fit, the late nights
stop the fitting and calibrate (out of time); the model that serves is refitted on all nights with as many trees.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.affinity.calibrate import Map, choose_map, group_offsets, log_loss, reliability, slope
from models.affinity.encode import ARC_COLUMNS, CATEGORIES, Feature

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
_HIDDEN = [ARC_COLUMNS.index(name) for name in ("product_id", "channel_id")]
_HIDE_SHARE = 0.15
#: Rows without a contact weigh this much while trees grow: they are a hundred times as many, and what they teach (who
#: orders anyway) would otherwise choose the splits. The levels come from the prior and the calibration.
_BASE_WEIGHT = 0.1
#: Contacts whose predictions are taken apart for the training's report.
_EXPLAINED = 2_000
#: Customers' features by whose values figures are told, where the snapshot has them; a value needs so many orders.
SLICES, _LEAST_ORDERS = ("city", "centre", "grade", "age_group"), 5


@dataclass(frozen=True)
class Knobs:
    """Size and speed of the trees; ``features`` is how many customer features are kept, by gain."""

    trees: int = 160
    leaves: int = 7
    learning_rate: float = 0.06
    min_leaf: int = 200
    features: int = 60
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True)
class Rows:
    """Training rows: customers' features, and the arc and answer of each.

    Attributes:
        X: (rows, features) customer features, NaN missing.
        arcs: (rows, ARC_COLUMNS) attributes of the arc; ``contacted`` is 0 for rows about no contact.
        y: (rows,) 1 where the product was ordered within the window.
        weight: (rows,) undoes the sampling.
        late: (rows,) of the late nights.
        fold: (rows,) 0 or 1, by customer.
        group: (rows,) product × channel, −1 for no contact.
        prior: (rows,) log-odds that the trees start from.
    """

    X: Floats
    arcs: Floats
    y: Floats
    weight: Floats
    late: Flags
    fold: Ints
    group: Ints
    prior: Floats

    def take(self, mask: Flags) -> Rows:
        """The rows of a mask."""
        return Rows(**{name: value[mask] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Response:
    """A fitted response model.

    Attributes:
        text: LightGBM's model text over (kept features, ARC_COLUMNS).
        kept: positions of the customer features that it uses.
        contact, base: calibration of contacted rows and of rows without a contact.
        offsets: (groups,) shift of the log-odds of each product × channel.
        metrics: figures on the late nights.
        tables: reliability by decile on the late nights.
        slices: slicing and value → rows, orders, AUC and Σ predicted / Σ observed of the late contacts.
        explained: some late contacts taken apart.
        gain: importance by column, total gain.
        late_p: (late rows,) calibrated probabilities, in the order of the rows.
    """

    text: str
    kept: tuple[int, ...]
    contact: Map
    base: Map
    offsets: Floats
    metrics: dict[str, float]
    tables: dict[str, list[dict[str, float]]]
    gain: dict[str, float]
    slices: list[dict[str, str | float]] = field(repr=False)
    explained: Explained = field(repr=False)
    late_p: Floats = field(repr=False)


@dataclass(frozen=True)
class Explained:
    """Late contacts and what each column adds to the log-odds of the prior.

    Attributes:
        names: of the columns.
        values: (rows, columns) as the model sees them.
        parts: (rows, columns) SHAP values (Lundberg et al. 2020), exact for trees.
    """

    names: tuple[str, ...]
    values: Floats
    parts: Floats


class OneClassError(ValueError):
    """All labels are the same: nothing can be learnt."""


_NOTHING = Explained((), np.zeros((0, 0)), np.zeros((0, 0)))


def fit(rows: Rows, features: tuple[Feature, ...], groups: int, knobs: Knobs) -> Response:
    """Fit, calibrate out of time, refit on all nights.

    Raises:
        OneClassError: no conversions, or nothing else, in the early or the late contacts.
    """
    contacted = rows.group >= 0
    for late, name in ((False, "early"), (True, "late")):
        mine = rows.y[contacted & (rows.late == late)]
        if len(mine) == 0 or mine.min() == mine.max():
            raise OneClassError(f"all {len(mine)} contacts of the {name} nights have the same answer")
    early = ~rows.late
    kept = _select(rows, early, features, knobs)
    matrix = _hide(np.hstack([rows.X[:, kept], rows.arcs]), knobs.seed)
    names = [features[k].name for k in kept] + list(ARC_COLUMNS)
    categories = [i for i, k in enumerate(kept) if features[k].kind == "category"]
    categories += [len(kept) + ARC_COLUMNS.index(name) for name in CATEGORIES]
    first = _train(matrix, rows, early, names, categories, knobs, valid=rows.late)
    trees = max(1, first.best_iteration or first.current_iteration())
    clear = np.hstack([rows.X[rows.late][:, kept], rows.arcs[rows.late]])
    score = first.predict(clear, raw_score=True, num_iteration=trees, num_threads=knobs.threads)
    final = _train(matrix, rows, np.ones(len(rows.y), bool), names, categories, knobs, rounds=trees)
    fitted = _calibrated(rows, np.asarray(score), final, tuple(int(k) for k in kept), groups, trees)
    met = rows.group[rows.late] >= 0
    return replace(
        fitted,
        slices=slices(rows.take(rows.late & contacted), features, fitted.late_p[met]),
        explained=explain(final, clear[met]),
    )


def explain(model: lgb.Booster, matrix: Floats) -> Explained:
    """SHAP values of rows spread evenly over a matrix."""
    at = np.unique(np.linspace(0, len(matrix) - 1, min(len(matrix), _EXPLAINED)).astype(np.int64))
    parts = np.asarray(model.predict(matrix[at], pred_contrib=True))[:, :-1]
    return Explained(tuple(model.feature_name()), matrix[at], parts)


def slices(contacts: Rows, features: tuple[Feature, ...], p: Floats) -> list[dict[str, str | float]]:
    """Figures of each value of the slicing features, largest first within a slicing.

    Args:
        contacts: rows with a contact.
        features: of the columns of ``contacts.X``.
        p: (rows,) predictions.
    """
    found: list[dict[str, str | float]] = []
    for position, feature in enumerate(features):
        if feature.name not in SLICES or feature.kind != "category":
            continue
        codes = contacts.X[:, position]
        parts = [(label, codes == code) for code, label in enumerate(feature.categories)]
        parts = [(label, mine) for label, mine in parts if contacts.y[mine].sum() >= _LEAST_ORDERS]
        for label, mine in sorted(parts, key=lambda part: (-int(part[1].sum()), part[0])):
            figures = _figures(contacts.y[mine], p[mine], contacts.weight[mine], contacts.group[mine])
            row: dict[str, str | float] = {"slicing": feature.name, "value": label, "rows": float(mine.sum())}
            row.update((name, figures[name]) for name in ("auc", "ratio", "conversions") if name in figures)
            found.append(row)
    return found


def refit(
    rows: Rows, use: Flags, kept: tuple[int, ...], names: list[str], categories: list[int], knobs: Knobs, trees: int
) -> str:
    """Model text of the same model fitted on other rows: for cross-fitting."""
    matrix = _hide(np.hstack([rows.X[:, kept], rows.arcs]), knobs.seed)
    categories = categories + [len(kept) + ARC_COLUMNS.index(name) for name in CATEGORIES]
    return _train(matrix, rows, use, names + list(ARC_COLUMNS), categories, knobs, rounds=trees).model_to_string()


def _calibrated(
    rows: Rows, score: Floats, final: lgb.Booster, kept: tuple[int, ...], groups: int, trees: int
) -> Response:
    late = rows.late
    y, weight, group, fold = rows.y[late], rows.weight[late], rows.group[late], rows.fold[late]
    met, alone = group >= 0, group < 0
    start = rows.prior[late]
    contact, losses = choose_map(score[met], start[met], y[met], weight[met], fold[met])
    base = Map("none")
    if y[alone].any():
        base = choose_map(score[alone], start[alone], y[alone], weight[alone], fold[alone])[0]
    logodds = np.where(met, contact(score, start), base(score, start))
    offsets = group_offsets(logodds, y, weight, group, groups)
    p = expit(logodds + np.where(met, offsets[np.maximum(group, 0)], 0.0))
    metrics = {f"logloss_{kind}": value for kind, value in losses.items()}
    metrics |= {f"{name}_{part}": value for part, mask in (("contact", met), ("base", alone))
                for name, value in _figures(y[mask], p[mask], weight[mask], group[mask]).items()}  # fmt: skip
    metrics["trees"] = float(trees)
    gain = dict(zip(final.feature_name(), map(float, final.feature_importance("gain")), strict=True))
    tables = {
        "contact": reliability(y[met], p[met], weight[met]),
        "base": reliability(y[alone], p[alone], weight[alone]),
    }
    return Response(final.model_to_string(), kept, contact, base, offsets, metrics, tables, gain, [], _NOTHING, p)


def _figures(y: Floats, p: Floats, weight: Floats, group: Ints) -> dict[str, float]:
    if len(y) == 0 or y.min() == y.max():
        return {}
    from sklearn.metrics import roc_auc_score

    rate = np.full(len(y), np.average(y, weights=weight))
    loss = log_loss(y, p, weight)
    return {
        "auc": float(roc_auc_score(y, p, sample_weight=weight)), "auc_within": within_auc(y, p, weight, group),
        "logloss": loss, "logloss_gain": 1 - loss / log_loss(y, rate, weight),
        "ratio": float((weight * p).sum() / (weight * y).sum()), "slope": slope(y, p, weight),
        "conversions": float(y.sum()),
    }  # fmt: skip


def within_auc(y: Floats, p: Floats, weight: Floats, group: Ints) -> float:
    """AUC inside product × channel, averaged over the groups by their conversions; NaN where none has both classes."""
    from sklearn.metrics import roc_auc_score

    total, size = 0.0, 0.0
    for which in np.unique(group):
        mine = group == which
        positives = y[mine].sum()
        if 5 <= positives < mine.sum():
            total += positives * roc_auc_score(y[mine], p[mine], sample_weight=weight[mine])
            size += positives
    return float(total / size) if size else float("nan")


def _select(rows: Rows, early: Flags, features: tuple[Feature, ...], knobs: Knobs) -> Ints:
    """Positions of the customer features worth keeping: by gain in a small model of the early nights."""
    if len(features) <= knobs.features:
        return np.arange(len(features))
    rng = np.random.default_rng(knobs.seed)
    sample = early & ((rows.y > 0) | (rng.random(len(rows.y)) < 40_000 / max(1, early.sum())))
    small = Knobs(40, knobs.leaves, 0.15, knobs.min_leaf // 2 + 1, knobs.features, knobs.seed, knobs.threads)
    part = rows.take(sample)
    matrix = np.hstack([part.X, part.arcs])
    names = [feature.name for feature in features] + list(ARC_COLUMNS)
    categories = [i for i, feature in enumerate(features) if feature.kind == "category"]
    booster = _train(matrix, part, np.ones(len(matrix), bool), names, categories, small)
    gain = booster.feature_importance("gain")[: len(features)]
    return np.sort(np.argsort(-gain, kind="stable")[: knobs.features])


def _hide(matrix: Floats, seed: int) -> Floats:
    """Hide the ids of product and channel in a share of the rows."""
    hidden = np.random.default_rng([seed, 1]).random(len(matrix)) < _HIDE_SHARE
    first = matrix.shape[1] - len(ARC_COLUMNS)
    for column in _HIDDEN:
        matrix[hidden, first + column] = np.nan
    return matrix


def _train(
    matrix: Floats, rows: Rows, use: Flags, names: list[str], categories: list[int], knobs: Knobs,
    *, valid: Flags | None = None, rounds: int | None = None,
) -> lgb.Booster:  # fmt: skip
    parameters = {
        "objective": "binary", "num_leaves": knobs.leaves, "learning_rate": knobs.learning_rate,
        "min_data_in_leaf": knobs.min_leaf, "feature_fraction": 0.3, "lambda_l2": 20.0, "max_bin": 63,
        "boost_from_average": False, "cat_smooth": 20.0, "seed": knobs.seed, "deterministic": True, "force_row_wise": True,
        "num_threads": knobs.threads, "verbose": -1, "metric": "binary_logloss",
    }  # fmt: skip
    weight = np.where(rows.group >= 0, rows.weight, rows.weight * _BASE_WEIGHT)
    data = lgb.Dataset(
        matrix[use], rows.y[use], weight=weight[use], init_score=rows.prior[use], feature_name=names,
        categorical_feature=categories, params={"verbose": -1},
    )  # fmt: skip
    if valid is None:
        return lgb.train(parameters, data, rounds or knobs.trees)
    held = lgb.Dataset(matrix[valid], rows.y[valid], weight=weight[valid], init_score=rows.prior[valid], reference=data)
    return lgb.train(
        parameters, data, knobs.trees, valid_sets=[held], callbacks=[lgb.early_stopping(25, verbose=False)]
    )  # fmt: skip


def baseline(X: Floats, y: Floats, fold: Ints, X_at: Floats, fold_at: Ints, knobs: Knobs) -> Floats:
    """m₀: margin over the horizon without a contact, cross-fitted: a customer is predicted by the other fold's model.

    Args:
        X: (nones, features) of decisions to do nothing.
        y: (nones,) margin, 元, winsorized.
        fold: (nones,) 0 or 1, by customer.
        X_at: (contacts, features) where it is wanted.
        fold_at: (contacts,) fold of their customers.
        knobs: seed and threads.
    """
    out = np.full(len(X_at), float(y.mean()) if len(y) else 0.0)
    parameters = {
        "objective": "l2", "num_leaves": 8, "learning_rate": 0.08, "min_data_in_leaf": 200, "feature_fraction": 0.5,
        "lambda_l2": 50.0, "max_bin": 63, "seed": knobs.seed, "deterministic": True, "force_row_wise": True,
        "num_threads": knobs.threads, "verbose": -1,
    }  # fmt: skip
    for held in (0, 1):
        mine = fold != held
        if mine.sum() < 1000:
            continue
        booster = lgb.train(parameters, lgb.Dataset(X[mine], y[mine], params={"verbose": -1}), 40)
        at = fold_at == held
        if at.any():
            out[at] = booster.predict(X_at[at], num_threads=knobs.threads)
    return out
