"""What past decisions tell of customers: signals, trees for each, and how much each says of an order.

Orders that answer a contact are rare (some in a thousand), so trees grown on them alone hardly tell customers apart.
The same log holds answers that are ten to a hundred times as frequent and hang on the same habits: whether the customer
was *reached* on the channel, *heard* the offer out or refused it, was *interested*, and what is ordered without a contact
(*organic*). Each signal gets trees of its own over the same columns, starting from its own rates, and then::

    log-odds of an order after a contact = prior + a_c + b_c · Σ_k β_k · trees_k(customer, arc),   β_k ≥ 0

with β from the orders themselves, by logistic regression on trees that did not see the customer (stacking, Wolpert 1992;
β ≥ 0 after Breiman 1996). So a signal counts as far as it tells of orders and no further: it is a surrogate (Prentice
1989; Athey and others 2019), never an outcome, and effects stay effects of the assignment. Customers differ more on some
channels than on others (whoever does not open WeChat gets nothing from it; most get a text message): b_c is what the
channel's own orders make of it, drawn to 1 (``calibrate.by_channel``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import lightgbm as lgb
import numpy as np
from scipy.special import logit

from models.affinity.blend import BlendPart, blend
from models.affinity.encode import ARC_COLUMNS, CATEGORIES, EncodedFeature
from models.affinity.logistic import logistic
from models.arrays import Flags, Floats, Ints
from models.cores import cores

#: How a contact was answered.
UNKNOWN, MISSED, REFUSED, HEARD, INTERESTED = -1, 0, 1, 2, 3
#: Rows without a contact: of a control night, and of products that another night did not offer.
ALONE, ASIDE = -1, -2
ORDER, ORGANIC = "order", "organic"
_LEAST = 20  # rows of either answer, among the early nights, that a signal needs
_HIDDEN = [ARC_COLUMNS.index(name) for name in ("product_id", "channel_id")]
_HIDE_SHARE = 0.15
CHANNEL, _CONTACTED = ARC_COLUMNS.index("channel_id"), ARC_COLUMNS.index("contacted")
_PENALTY = 1.0  # precision of β around 0
#: The small models that choose features: trees, learning rate, rows of a signal at most.
_SMALL_TREES, _SMALL_RATE, _SMALL_ROWS = 40, 0.15, 20_000
_PATIENCE = 25  # rounds without a gain on the late nights after which no tree is added
#: Against chance in thin leaves: share of columns a tree may use, precision of a leaf's value and of a category's, bins.
_COLUMN_SHARE, _LEAF_PENALTY, _CATEGORY_PENALTY, _BINS = 0.3, 20.0, 20.0, 63


@dataclass(frozen=True)
class TreeParameters:
    """Size and speed of the trees; ``features`` is how many customer features are kept, by gain."""

    trees: int = 160
    leaves: int = 7
    learning_rate: float = 0.06
    min_leaf: int = 200
    features: int = 60
    seed: int = 0
    threads: int = field(default_factory=lambda: min(2, cores()))


@dataclass(frozen=True)
class SignalRows:
    """Training rows: customers' features, and the arc and answer of each.

    Attributes:
        X: (rows, features) customer features, NaN missing.
        arcs: (rows, ARC_COLUMNS) attributes of the arc; ``contacted`` is 0 for rows about no contact.
        y: (rows,) 1 where an order answered the contact; without a contact, where the product was ordered within the window.
        weight: (rows,) undoes the sampling.
        late: (rows,) of the late nights.
        fold: (rows,) 0 or 1, by customer.
        group: (rows,) product × channel; ``ALONE`` or ``ASIDE`` without a contact. The latter tell who orders what,
            but not how much is ordered: those nights were not left alone by chance.
        prior: (rows,) log-odds of an order that the trees start from.
        answer: (rows,) UNKNOWN, MISSED, REFUSED, HEARD or INTERESTED.
    """

    X: Floats
    arcs: Floats
    y: Floats
    weight: Floats
    late: Flags
    fold: Ints
    group: Ints
    prior: Floats
    answer: Ints

    def take(self, mask: Flags) -> SignalRows:
        """The rows of a mask."""
        return SignalRows(**{name: value[mask] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Signal:
    """What some rows tell.

    Attributes:
        name: of the signal.
        rows: (rows,) those that tell it.
        y: (rows,) 0 or 1.
        start: (rows,) log-odds that its trees start from; log of the chance where ``factor``.
        factor: whether an order needs it, so that its chance is a factor of an order's.
    """

    name: str
    rows: Flags
    y: Floats
    start: Floats
    factor: bool = False


@dataclass(frozen=True)
class Columns:
    """Columns of the trees: customer features kept, then the arc's attributes.

    Attributes:
        kept: positions of the features among all of them.
        names: of all columns.
        categories: positions of the columns that are codes.
    """

    kept: tuple[int, ...]
    names: tuple[str, ...]
    categories: tuple[int, ...]

    @staticmethod
    def of(features: Sequence[EncodedFeature], positions: Sequence[int]) -> Columns:
        """The columns of some features."""
        names = [features[k].name for k in positions] + list(ARC_COLUMNS)
        codes = [i for i, k in enumerate(positions) if features[k].kind == "category"]
        codes += [len(positions) + ARC_COLUMNS.index(name) for name in CATEGORIES]
        return Columns(tuple(positions), tuple(names), tuple(codes))

    def matrix(self, rows: SignalRows) -> Floats:
        """(rows, columns)."""
        return np.hstack([rows.X[:, self.kept], rows.arcs])


@dataclass(frozen=True)
class Grown:
    """Trees of a signal.

    Attributes:
        name: of the signal.
        factor: whether an order needs it.
        early: fitted on the early nights, as many trees as the late nights allow.
        by_fold: fitted on all nights without the customers of fold 0, of fold 1.
        full: fitted on all nights.
    """

    name: str
    factor: bool
    early: lgb.Booster
    by_fold: tuple[lgb.Booster, lgb.Booster]
    full: lgb.Booster

    def apart(self, matrix: Floats, fold: Ints) -> Floats:
        """(rows,) raw scores, each customer by the trees that did not see them."""
        out = np.zeros(len(matrix))
        for number, booster in enumerate(self.by_fold):
            in_fold = fold == number
            out[in_fold] = booster.predict(matrix[in_fold], raw_score=True)
        return out


def signals(rows: SignalRows) -> list[Signal]:
    """The signals that the rows tell: orders always, the others where both answers are frequent enough."""
    met = rows.group >= 0
    known = met & (rows.answer != UNKNOWN)
    heard = known & (rows.answer != MISSED)
    interested = (rows.answer == INTERESTED) | (rows.y > 0)
    others = [
        Signal("reached", known, (rows.answer != MISSED).astype(float), np.zeros(0), factor=True),
        Signal("heard", heard, (rows.answer != REFUSED).astype(float), np.zeros(0)),
        Signal("interested", heard, interested.astype(float), np.zeros(0)),
    ]
    targets = [Signal(ORDER, met, rows.y, rows.prior)]
    for signal in (Signal(ORGANIC, ~met, rows.y, rows.prior), *others):
        answers = signal.y[signal.rows & ~rows.late]
        if min(answers.sum(), len(answers) - answers.sum()) >= _LEAST:
            start = signal.start if len(signal.start) else _rates(rows, signal)
            targets.append(replace(signal, start=start))
    return targets


def _rates(rows: SignalRows, signal: Signal) -> Floats:
    """(rows,) log-odds (of a factor, log) of the signal's rate on the row's channel."""
    channel = rows.arcs[:, CHANNEL]
    start = np.zeros(len(channel))
    for which in np.unique(channel[signal.rows]):
        in_channel = signal.rows & (channel == which)
        weight = rows.weight[in_channel]
        rate = (weight @ signal.y[in_channel] + 1) / (weight.sum() + 2)
        start[channel == which] = np.log(rate) if signal.factor else logit(rate)
    return start


def select(
    rows: SignalRows, targets: Sequence[Signal], features: Sequence[EncodedFeature], knobs: TreeParameters
) -> tuple[int, ...]:
    """Positions of the features worth keeping: by their share of the gain in small models of the early nights."""
    if len(features) <= knobs.features:
        return tuple(range(len(features)))
    small = TreeParameters(
        _SMALL_TREES, knobs.leaves, _SMALL_RATE, knobs.min_leaf // 2 + 1, knobs.features, knobs.seed, knobs.threads
    )
    columns = Columns.of(features, range(len(features)))
    rng = np.random.default_rng(knobs.seed)
    draw = rng.random(len(rows.y))
    share = np.zeros(len(features))
    for signal in targets:
        use = signal.rows & ~rows.late
        use &= (signal.y > 0) | (draw < _SMALL_ROWS / max(1, use.sum()))
        part = rows.take(use)
        data = lgb.Dataset(
            columns.matrix(part),
            signal.y[use],
            weight=part.weight,
            init_score=signal.start[use],
            categorical_feature=list(columns.categories),
            params={"verbose": -1},
        )
        booster = lgb.train(parameters(small, signal.factor), data, small.trees)
        gain = booster.feature_importance("gain")[: len(features)]
        share += gain / max(gain.sum(), 1e-12)
    return tuple(np.sort(np.argsort(-share, kind="stable")[: knobs.features]).tolist())


def grow(rows: SignalRows, targets: Sequence[Signal], columns: Columns, knobs: TreeParameters) -> list[Grown]:
    """Trees of every signal."""
    matrix = _hide(columns.matrix(rows), knobs.seed)
    everyone = np.ones(len(rows.y), bool)
    binned = lgb.Dataset(
        matrix,
        feature_name=list(columns.names),
        categorical_feature=list(columns.categories),
        params={"verbose": -1, "max_bin": parameters(knobs)["max_bin"]},
    ).construct()

    def part(signal: Signal, use: Flags) -> lgb.Dataset:
        at = np.flatnonzero(signal.rows & use)
        return _with(binned.subset(at.tolist()).construct(), signal, at, rows.weight)

    def train(signal: Signal, use: Flags, rounds: int, until: Flags | None = None) -> lgb.Booster:
        how = parameters(knobs, signal.factor)
        if until is None or not (signal.rows & until).any():
            return lgb.train(how, part(signal, use), rounds)
        return lgb.train(
            how,
            part(signal, use),
            rounds,
            valid_sets=[part(signal, until)],
            callbacks=[lgb.early_stopping(_PATIENCE, verbose=False)],
        )

    grown = []
    for signal in targets:
        early = train(signal, ~rows.late, knobs.trees, rows.late)
        trees = max(1, early.best_iteration if early.best_iteration > 0 else early.current_iteration())
        by_fold = train(signal, rows.fold != 0, trees), train(signal, rows.fold != 1, trees)
        grown.append(Grown(signal.name, signal.factor, early, by_fold, train(signal, everyone, trees)))
    return grown


def _with(data: lgb.Dataset, signal: Signal, at: Ints, weight: Floats) -> lgb.Dataset:
    """The answers of a signal on binned rows."""
    data.set_label(signal.y[at])
    data.set_weight(weight[at])
    data.set_init_score(signal.start[at])
    return data


def stack(scores: Floats, factor: Sequence[bool], y: Floats, weight: Floats, start: Floats) -> Floats:
    """Weights a and β of a logistic regression on the signals' scores, β ≥ 0.

    Where orders say little, β is drawn to 0; that of a factor to 1: who cannot be reached does not answer.

    Args:
        scores: (contacts, signals) of trees that did not see the customer.
        factor: (signals,) whether an order needs the signal.
        y: (contacts,) 0 or 1.
        weight: (contacts,).
        start: (contacts,) log-odds of the prior.

    Returns:
        (1 + signals,).
    """
    design = np.column_stack([np.ones(len(y)), scores])
    penalty = np.concatenate([[0.0], np.full(scores.shape[1], _PENALTY)])
    centre = np.concatenate([[0.0], np.array(factor, float)])
    return logistic(design, y, weight, start, np.zeros(design.shape[1]), precision=penalty, centre=centre)


def blend_signals(boosters: Sequence[tuple[str, lgb.Booster]], theta: Floats, columns: Columns) -> str:
    """One model text: a + Σ β · trees where there is a contact, the organic trees where there is none."""
    parts = [
        BlendPart(booster.model_to_string(), float(beta), float(name == ORGANIC))
        for (name, booster), beta in zip(boosters, theta[1:], strict=True)
        if beta or name == ORGANIC
    ]
    return blend(parts, len(columns.kept) + _CONTACTED, float(theta[0]))


def _hide(matrix: Floats, seed: int) -> Floats:
    """Hide the ids of product and channel in a share of the rows: a new one starts from what its attributes say."""
    hidden = np.random.default_rng([seed, 1]).random(len(matrix)) < _HIDE_SHARE
    first = matrix.shape[1] - len(ARC_COLUMNS)
    for column in _HIDDEN:
        matrix[hidden, first + column] = np.nan
    return matrix


def parameters(knobs: TreeParameters, factor: bool = False) -> dict[str, object]:
    """LightGBM's, the same for every signal but for the loss: a factor's trees add to the log of its chance."""
    return {
        "objective": "poisson" if factor else "binary",
        "num_leaves": knobs.leaves,
        "learning_rate": knobs.learning_rate,
        "min_data_in_leaf": knobs.min_leaf,
        "feature_fraction": _COLUMN_SHARE,
        "lambda_l2": _LEAF_PENALTY,
        "max_bin": _BINS,
        "boost_from_average": False,
        "cat_smooth": _CATEGORY_PENALTY,
        "seed": knobs.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": knobs.threads,
        "verbose": -1,
        "metric": "poisson" if factor else "binary_logloss",
    }
