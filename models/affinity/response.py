"""The response model: P(order within the window | customer, product, channel), with "no contact" as one more channel.

The hierarchical prior of product × channel (``models.affinity.prior``) says what an arc is answered on the whole; trees
with product and channel attributes as columns add what customers differ by, as far as signals of the log tell it
(``models.affinity.signals``). The early nights fit, the late nights stop the fitting and calibrate (out of time); the
model that serves is refitted on all nights with as many trees.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import lightgbm as lgb
import numpy as np
from scipy.special import expit

from models.affinity.calibrate import (
    Channels,
    Map,
    by_channel,
    choose_map,
    group_offsets,
    log_loss,
    reliability,
    slope,
)
from models.affinity.encode import EncodedFeature
from models.affinity.signals import (
    ALONE,
    CHANNEL,
    ORGANIC,
    Columns,
    Grown,
    SignalRows,
    TreeParameters,
    blend_signals,
    grow,
    select,
    signals,
    stack,
)
from models.arrays import Floats, Ints

#: Contacts whose predictions are taken apart for the training's report.
_EXPLAINED = 2_000
#: Customers' features by whose values figures are told, where the snapshot has them; a value needs so many orders.
SLICES, _LEAST_ORDERS = ("city", "centre", "grade", "age_group"), 5


@dataclass(frozen=True)
class Response:
    """A fitted response model.

    Attributes:
        text: LightGBM's model text over (kept features, ARC_COLUMNS).
        by_fold: the same fitted without the customers of fold 0, of fold 1.
        positions: of the customer features that it uses.
        channels: what each channel makes of their sum.
        weights: β of each signal.
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
    by_fold: tuple[str, str]
    positions: tuple[int, ...]
    channels: Channels
    weights: dict[str, float]
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


def fit(rows: SignalRows, features: tuple[EncodedFeature, ...], groups: int, knobs: TreeParameters) -> Response:
    """Fit, calibrate out of time, refit on all nights.

    Raises:
        OneClassError: no conversions, or nothing else, in the early or the late contacts.
    """
    contacted = rows.group >= 0
    for after, name in ((False, "early"), (True, "late")):
        answers = rows.y[contacted & (rows.late == after)]
        if len(answers) == 0 or answers.min() == answers.max():
            raise OneClassError(f"all {len(answers)} contacts of the {name} nights have the same answer")
    targets = signals(rows)
    columns = Columns.of(features, select(rows, targets, features, knobs))
    grown = grow(rows, targets, columns, knobs)
    matrix = columns.matrix(rows)
    apart = np.column_stack([trees.apart(matrix[contacted], rows.fold[contacted]) for trees in grown])
    known, late = (rows.y[contacted], rows.weight[contacted], rows.prior[contacted]), rows.late[contacted]
    factor = [trees.factor for trees in grown]
    channel = rows.arcs[contacted, CHANNEL].astype(np.int64)
    before = weigh_signals(apart[~late], factor, channel[~late], *(part[~late] for part in known))
    theta, channels = weigh_signals(apart, factor, channel, *known)
    fitted = _calibrate(rows, _late_scores(rows, matrix, grown, *before), groups)
    text, *by_fold = (
        blend_signals([(trees.name, booster) for trees, booster in zip(grown, boosters, strict=True)], theta, columns)
        for boosters in zip(*((trees.full, *trees.by_fold) for trees in grown), strict=True)
    )
    final = lgb.Booster(model_str=text)
    met = rows.group[rows.late] >= 0
    return replace(
        fitted,
        text=text,
        by_fold=(by_fold[0], by_fold[1]),
        positions=columns.kept,
        channels=channels,
        weights={trees.name: float(beta) for trees, beta in zip(grown, theta[1:], strict=True)},
        gain=dict(zip(columns.names, map(float, final.feature_importance("gain")), strict=True)),
        metrics=fitted.metrics | {"trees": float(final.num_trees())},
        slices=slices(rows.take(rows.late & contacted), features, fitted.late_p[met]),
        explained=explain(final, matrix[rows.late & contacted], columns.names),
    )


def weigh_signals(
    scores: Floats, factor: list[bool], channel: Ints, y: Floats, weight: Floats, start: Floats
) -> tuple[Floats, Channels]:
    """What each signal counts for, and how far customers differ on each channel."""
    theta = stack(scores, factor, y, weight, start)
    return theta, by_channel(theta[0] + scores @ theta[1:], channel, y, weight, start)


def _late_scores(rows: SignalRows, matrix: Floats, grown: list[Grown], theta: Floats, channels: Channels) -> Floats:
    """(late rows,) raw scores of the trees of the early nights."""
    late = matrix[rows.late]
    met = rows.group[rows.late] >= 0
    score = np.where(met, theta[0], 0.0)
    for trees, beta in zip(grown, theta[1:], strict=True):
        weight = np.where(met, beta, float(trees.name == ORGANIC))
        score += weight * np.asarray(trees.early.predict(late, raw_score=True))
    score[met] = channels(score[met], rows.arcs[rows.late, CHANNEL][met].astype(np.int64))
    return score


def explain(model: lgb.Booster, matrix: Floats, names: tuple[str, ...]) -> Explained:
    """SHAP values of rows spread evenly over a matrix."""
    at = np.unique(np.linspace(0, len(matrix) - 1, min(len(matrix), _EXPLAINED)).astype(np.int64))
    parts = np.asarray(model.predict(matrix[at], pred_contrib=True))[:, :-1]
    return Explained(names, matrix[at], parts)


def slices(contacts: SignalRows, features: tuple[EncodedFeature, ...], p: Floats) -> list[dict[str, str | float]]:
    """Figures of each value of the slicing features, largest first within a slicing.

    Args:
        contacts: rows with a contact.
        features: of the columns of ``contacts.X``.
        p: (rows,) predictions.
    """
    rows: list[dict[str, str | float]] = []
    for position, feature in enumerate(features):
        if feature.name not in SLICES or feature.kind != "category":
            continue
        codes = contacts.X[:, position]
        parts = [(label, codes == code) for code, label in enumerate(feature.categories)]
        parts = [(label, in_slice) for label, in_slice in parts if contacts.y[in_slice].sum() >= _LEAST_ORDERS]
        for label, in_slice in sorted(parts, key=lambda part: (-int(part[1].sum()), part[0])):
            figures = _figures(contacts.y[in_slice], p[in_slice], contacts.weight[in_slice], contacts.group[in_slice])
            row: dict[str, str | float] = {"slicing": feature.name, "value": label, "rows": float(in_slice.sum())}
            row.update((name, figures[name]) for name in ("auc", "ratio", "conversions") if name in figures)
            rows.append(row)
    return rows


def _calibrate(rows: SignalRows, score: Floats, groups: int) -> Response:
    """Maps, offsets and figures from raw scores of the late rows."""
    late = rows.late
    y, weight, group, fold = rows.y[late], rows.weight[late], rows.group[late], rows.fold[late]
    met, alone = group >= 0, group == ALONE
    start = rows.prior[late]
    contact, losses = choose_map(score[met], start[met], y[met], weight[met], fold[met])
    base = Map("none")
    if y[alone].any():
        base = choose_map(score[alone], start[alone], y[alone], weight[alone], fold[alone])[0]
    logodds = np.where(met, contact(score, start), base(score, start))
    offsets = group_offsets(logodds, y, weight, group, groups)
    p = expit(logodds + np.where(met, offsets[np.maximum(group, 0)], 0.0))
    metrics = {f"logloss_{kind}": value for kind, value in losses.items()}
    metrics |= {
        f"{name}_{part}": value
        for part, mask in (("contact", met), ("base", alone))
        for name, value in _figures(y[mask], p[mask], weight[mask], group[mask]).items()
    }
    tables = {
        "contact": reliability(y[met], p[met], weight[met]),
        "base": reliability(y[alone], p[alone], weight[alone]),
    }
    return Response(
        "", ("", ""), (), Channels({}, {}), {}, contact, base, offsets, metrics, tables, {}, [], _NOTHING, p
    )


def _figures(y: Floats, p: Floats, weight: Floats, group: Ints) -> dict[str, float]:
    if len(y) == 0 or y.min() == y.max():
        return {}
    from sklearn.metrics import roc_auc_score

    rate = np.full(len(y), np.average(y, weights=weight))
    loss = log_loss(y, p, weight)
    return {
        "auc": float(roc_auc_score(y, p, sample_weight=weight)),
        "auc_within": within_auc(y, p, weight, group),
        "logloss": loss,
        "logloss_gain": 1 - loss / log_loss(y, rate, weight),
        "ratio": float((weight * p).sum() / (weight * y).sum()),
        "slope": slope(y, p, weight),
        "conversions": float(y.sum()),
    }


def within_auc(y: Floats, p: Floats, weight: Floats, group: Ints) -> float:
    """AUC inside product × channel, averaged over the groups by their conversions; NaN where none has both classes."""
    from sklearn.metrics import roc_auc_score

    total, size = 0.0, 0.0
    for which in np.unique(group):
        in_group = group == which
        positives = y[in_group].sum()
        if 5 <= positives < in_group.sum():
            total += positives * roc_auc_score(y[in_group], p[in_group], sample_weight=weight[in_group])
            size += positives
    return float(total / size) if size else float("nan")


def baseline(X: Floats, y: Floats, fold: Ints, X_at: Floats, fold_at: Ints, knobs: TreeParameters) -> Floats:
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
        "objective": "l2",
        "num_leaves": 8,
        "learning_rate": 0.08,
        "min_data_in_leaf": 200,
        "feature_fraction": 0.5,
        "lambda_l2": 50.0,
        "max_bin": 63,
        "seed": knobs.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": knobs.threads,
        "verbose": -1,
    }
    for held_out in (0, 1):
        inside = fold != held_out
        if inside.sum() < 1000:
            continue
        booster = lgb.train(parameters, lgb.Dataset(X[inside], y[inside], params={"verbose": -1}), 40)
        at = fold_at == held_out
        if at.any():
            out[at] = booster.predict(X_at[at], num_threads=knobs.threads)
    return out
