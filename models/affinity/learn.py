"""From a sample of past decisions to a bundle: response, calibration, lift, fatigue.

The sample holds decisions of every role with the customer's snapshot of their time. Contacts teach the response;
control customers teach what is ordered without a contact; decisions to do nothing for customers who could have been
contacted give the baseline of the margin that the lift of a contact is measured against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.affinity import response as fitting
from models.affinity.bundle import Bundle
from models.affinity.effect import Hazard, Lifts, hazard, measure, winsorize
from models.affinity.encode import Feature
from models.affinity.response import Knobs, Response, Rows
from models.affinity.scorer import MICRO, Menu
from models.affinity.trees import parse, score_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
EXPLOIT, EXPLORE, CONTROL = 0, 1, 2
ROLES = ("exploit", "explore", "control")
_NEGATIVES = 2  # products per control night that were not ordered
_MAX_WEIGHT = 50.0  # 1 / pscore is clipped here


@dataclass(frozen=True)
class Sample:
    """Past decisions, one a row; money in 元.

    Attributes:
        X: (rows, features) encoded snapshot, NaN missing.
        customer, day: ids and ordinal dates.
        role: EXPLOIT, EXPLORE or CONTROL.
        product, channel: ids, −1 where none.
        pscore: probability of the choice.
        ordered: mask of products ordered within the window.
        converted, reversed, opted_out, complained: what came of it.
        margin: net margin over the horizon.
        weight: undoes the sampling.
    """

    X: Floats
    customer: Ints
    day: Ints
    role: Ints
    product: Ints
    channel: Ints
    pscore: Floats
    ordered: Ints
    converted: Flags
    reversed: Flags
    opted_out: Flags
    complained: Flags
    margin: Floats
    weight: Floats

    def take(self, mask: Flags) -> Sample:
        """The rows of a mask."""
        return Sample(**{name: value[mask] for name, value in vars(self).items()})

    @property
    def fold(self) -> Ints:
        """(rows,) 0 or 1 by customer, from a hash of the id."""
        mixed = (self.customer.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
        return (mixed & np.uint64(1)).astype(np.int64)


@dataclass(frozen=True)
class Learnt:
    """A bundle, and what the training run shows of it."""

    bundle: Bundle
    response: Response
    contacts: int


def learn(
    sample: Sample, features: tuple[Feature, ...], menu: Menu, knobs: Knobs, late_share: float, facts: dict[str, Any]
) -> Learnt:
    """Fit everything.

    Args:
        sample: past decisions.
        features: of the columns of ``sample.X``.
        menu: products and channels as they are today; decisions about others are left out.
        knobs: of the trees.
        late_share: share of the nights, the last ones, that calibrate.
        facts: what the bundle says about its data.

    Raises:
        OneClassError: the answers are all the same.
    """
    sample = sample.take(_known(sample, menu))
    nights = np.unique(sample.day)
    first_late = nights[min(len(nights) - 1, round(len(nights) * (1 - late_share)))]
    met = sample.take(sample.product >= 0)
    alone = sample.take(sample.role == CONTROL)
    rows, arcs_met = _rows(met, alone, menu, int(first_late), knobs.seed)
    response = fitting.fit(rows, features, menu.arcs, knobs)
    kept = tuple(features[k] for k in response.kept)
    predicted = _predicted(rows, arcs_met, met, menu, response, features, knobs)
    reversals = _reversals(met)
    unit = np.array(menu.margin_micro)[_positions(met.product, [o.id for o in menu.offers])] / MICRO
    unit = unit * (1 - np.array([reversals.get(str(p), reversals[""]) for p in met.product]))
    lifts = _lifts(sample, met, predicted * unit, menu, list(response.kept), knobs)
    opt_out, complaint = _hazards(sample)
    bundle = Bundle(
        text=response.text,
        features=kept,
        contact=response.contact,
        base=response.base,
        offsets=_offsets(response, menu),
        lifts=lifts,
        reversals=reversals,
        opt_out=opt_out,
        complaint=complaint,
        trailing_micro=_trailing(sample, met, predicted * unit * lifts.whole.value, menu),
        facts=facts | {"metrics": {k: v for k, v in response.metrics.items() if np.isfinite(v)}},
    )
    return Learnt(bundle, response, len(met.day))


def _known(sample: Sample, menu: Menu) -> Flags:
    products, channels = [offer.id for offer in menu.offers], [way.id for way in menu.ways]
    offered = np.isin(sample.product, products) & np.isin(sample.channel, channels)
    return (sample.product < 0) | offered


def _positions(ids: Ints, known: list[int]) -> Ints:
    table = np.full(max(known, default=0) + 2, -1, np.int64)
    table[known] = np.arange(len(known))
    return table[ids]


def _rows(met: Sample, alone: Sample, menu: Menu, first_late: int, seed: int) -> tuple[Rows, Floats]:
    """Training rows of the response: contacts, then control nights × products without a contact."""
    offer, way = (
        _positions(met.product, [o.id for o in menu.offers]),
        _positions(met.channel, [w.id for w in menu.ways]),
    )
    matrix = menu.matrix()
    group = offer * len(menu.ways) + way
    ordered = (met.ordered >> met.product & 1).astype(np.float64)
    night, product, y, weight = _without(alone, menu, seed)
    rows = Rows(
        X=np.vstack([met.X, alone.X[night]]),
        arcs=np.vstack([matrix[group], matrix[menu.arcs + product]]),
        y=np.concatenate([ordered, y]),
        weight=np.concatenate([met.weight, weight]),
        late=np.concatenate([met.day, alone.day[night]]) >= first_late,
        fold=np.concatenate([met.fold, alone.fold[night]]),
        group=np.concatenate([group, np.full(len(night), -1)]),
    )
    return rows, matrix[menu.arcs + offer]


def _without(alone: Sample, menu: Menu, seed: int) -> tuple[Ints, Ints, Floats, Floats]:
    """Control nights × products: all that were ordered, and a few that were not, weighted for all of them.

    Returns:
        Row of the control night, position of the product, answer, weight.
    """
    rng = np.random.default_rng([seed, 2])
    ids = np.array([offer.id for offer in menu.offers])
    took = (alone.ordered[:, None] >> ids[None, :] & 1).astype(bool)
    night, product = np.nonzero(took)
    draws = rng.integers(0, len(ids), (len(alone.day), _NEGATIVES))
    rows = np.repeat(np.arange(len(alone.day)), _NEGATIVES)
    refused = ~took[rows, draws.ravel()]
    share = (len(ids) - took.sum(axis=1)) / np.maximum(1, refused.reshape(-1, _NEGATIVES).sum(axis=1))
    rows, columns = rows[refused], draws.ravel()[refused]
    return (
        np.concatenate([night, rows]), np.concatenate([product, columns]),
        np.concatenate([np.ones(len(night)), np.zeros(len(rows))]),
        np.concatenate([alone.weight[night], alone.weight[rows] * share[rows]]),
    )  # fmt: skip


def _predicted(
    rows: Rows,
    base_arcs: Floats,
    met: Sample,
    menu: Menu,
    response: Response,
    features: tuple[Feature, ...],
    knobs: Knobs,
) -> Floats:
    """(contacts,) p_convert − p_base, each customer predicted by a model that did not see them."""
    out = np.zeros(len(met.day))
    names = [features[k].name for k in response.kept]
    categories = [i for i, k in enumerate(response.kept) if features[k].kind == "category"]
    X = met.X[:, response.kept]
    arcs, groups = rows.arcs[: len(out)], rows.group[: len(out)]
    for held in (0, 1):
        text = fitting.refit(
            rows, rows.fold != held, response.kept, names, categories, knobs, int(response.metrics["trees"])
        )
        trees, at = parse(text), met.fold == held
        contact = response.contact(score_rows(trees, np.hstack([X[at], arcs[at]]))) + response.offsets[groups[at]]
        base = response.base(score_rows(trees, np.hstack([X[at], base_arcs[at]])))
        out[at] = expit(contact) - expit(base)
    return out


def _lifts(sample: Sample, met: Sample, predicted: Floats, menu: Menu, kept: list[int], knobs: Knobs) -> Lifts:
    nothing = sample.take((sample.product < 0) & (sample.role != CONTROL))
    if len(nothing.day) == 0:  # no log of doing nothing: control customers are the next best baseline
        nothing = sample.take(sample.role == CONTROL)
    every = winsorize(np.concatenate([nothing.margin, met.margin]))
    y, at = every[: len(nothing.day)], every[len(nothing.day) :]
    residual = at - fitting.baseline(nothing.X[:, kept], y, nothing.fold, met.X[:, kept], met.fold, knobs)
    groups = sorted(set(menu.groups))
    names = [f"{group}|{channel}" for group in groups for channel in menu.channels]
    offer = _positions(met.product, [o.id for o in menu.offers])
    of = np.array([groups.index(group) for group in menu.groups])[offer]
    cell = of * len(menu.ways) + _positions(met.channel, [w.id for w in menu.ways])
    return measure(residual, predicted, met.customer, cell, names)


def _reversals(met: Sample) -> dict[str, float]:
    """Share of answered offers that were cancelled, by product; each shrunk to the whole by 20 orders."""
    whole = float((met.reversed.sum() + 1) / (met.converted.sum() + 10))
    found = {"": whole}
    for product in np.unique(met.product):
        mine = met.product == product
        found[str(product)] = float((met.reversed[mine].sum() + 20 * whole) / (met.converted[mine].sum() + 20))
    return found


def _hazards(sample: Sample) -> tuple[Hazard, Hazard]:
    """What a contact adds to opt-outs and complaints: from explorers, where chance chose."""
    drawn = sample.take(sample.role == EXPLORE)
    weight = np.minimum(1 / np.maximum(drawn.pscore, 1e-9), _MAX_WEIGHT) * drawn.weight
    return (
        hazard(drawn.opted_out, drawn.channel, weight),
        hazard(drawn.complained, drawn.channel, weight),
    )


def _offsets(response: Response, menu: Menu) -> dict[str, float]:
    pairs = zip(menu.product(), menu.channel(), response.offsets, strict=True)
    return {f"{product}|{channel}": float(offset) for product, channel, offset in pairs if offset != 0.0}


def _trailing(sample: Sample, met: Sample, effect: Floats, menu: Menu) -> int:
    """Expected value of contacts a customer and night under the past policy, micro-元, not below 0."""
    cost = np.array(menu.cost_micro)[_positions(met.channel, [w.id for w in menu.ways])] / MICRO
    exploited = met.role == EXPLOIT
    gained = float((met.weight * (effect - cost))[exploited].sum())
    nights = float(sample.weight[sample.role == EXPLOIT].sum())
    return max(0, round(gained / nights * MICRO)) if nights else 0
