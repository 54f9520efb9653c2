"""From a sample of past decisions to a bundle: response, calibration, lift, fatigue.

The sample holds decisions of every role with the customer's snapshot of their time. Contacts teach the response;
control customers teach what is ordered without a contact; explorers, for whom chance chose, teach how much of that
difference is an effect; decisions to do nothing give the baseline that margins of orders are measured against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.affinity import prior as priors
from models.affinity import response as fitting
from models.affinity.bundle import Bundle
from models.affinity.effect import Drawn, Hazard, Lifts, hazard, kept, measure, winsorize
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
_MAX_WEIGHT = 50.0  # 1 / pscore is clipped here for hazards,
_MAX_LIFT_WEIGHT = 1000.0  # and here for lifts


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
    """A bundle, and what the training run shows of it; explorers' contacts as models saw them that had not met them."""

    bundle: Bundle
    response: Response
    contacts: int
    explored: Drawn
    explorers: Ints  # customer of each


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
    prior = _prior(met, alone, menu)
    rows, base_at = _rows(met, alone, menu, prior, int(first_late), knobs.seed)
    response = fitting.fit(rows, features, menu.arcs, knobs)
    columns = tuple(features[k] for k in response.kept)
    p_convert, p_base = _cross_fitted(rows, base_at, met, menu, prior, response, features, knobs)
    reversals = _reversals(met)
    by_chance = met.role == EXPLORE
    explored = _drawn(met, p_convert, p_base).take(by_chance)
    lifts = _lifts(met.take(by_chance), explored, menu)
    left = _kept(sample, met, menu, list(response.kept), knobs)
    offer = _positions(met.product, [o.id for o in menu.offers])
    share = np.array([left[group] for group in menu.groups])[offer]
    unit = np.array(menu.margin_micro)[offer] / MICRO
    unit = unit * (1 - np.array([reversals.get(str(p), reversals[""]) for p in met.product]))
    effect = ((p_convert - p_base) * lifts.whole.value * share - p_base * (1 - share)) * unit
    opt_out, complaint = _hazards(sample)
    bundle = Bundle(
        text=response.text,
        features=columns,
        contact=response.contact,
        base=response.base,
        priors=_named(prior, menu),
        offsets=_offsets(response, menu),
        lifts=lifts,
        kept=left,
        reversals=reversals,
        opt_out=opt_out,
        complaint=complaint,
        trailing_micro=_trailing(sample, met, effect, menu),
        facts=facts | {"metrics": {k: v for k, v in response.metrics.items() if np.isfinite(v)}},
    )
    return Learnt(bundle, response, len(met.day), explored, met.customer[by_chance])


def _known(sample: Sample, menu: Menu) -> Flags:
    products, channels = [offer.id for offer in menu.offers], [way.id for way in menu.ways]
    offered = np.isin(sample.product, products) & np.isin(sample.channel, channels)
    return (sample.product < 0) | offered


def _positions(ids: Ints, known: list[int]) -> Ints:
    table = np.full(max(known, default=0) + 2, -1, np.int64)
    table[known] = np.arange(len(known))
    return table[ids]


def _prior(met: Sample, alone: Sample, menu: Menu) -> priors.Prior:
    """Where the trees start: orders and contacts by product × channel, orders of control nights by product."""
    ids = [o.id for o in menu.offers]
    cell = _positions(met.product, ids) * len(menu.ways) + _positions(met.channel, [w.id for w in menu.ways])
    ordered = (met.ordered >> met.product & 1) * met.weight
    answers, rows = (
        np.bincount(cell, part, menu.arcs).astype(np.float64).reshape(len(ids), -1) for part in (ordered, met.weight)
    )
    base = np.array([float((alone.weight * (alone.ordered >> p & 1)).sum()) for p in ids])
    groups = sorted(set(menu.groups))
    group = np.array([groups.index(name) for name in menu.groups], np.int64)
    return priors.fit(answers, rows, base, np.full(len(ids), float(alone.weight.sum())), group)


def _named(prior: priors.Prior, menu: Menu) -> dict[str, float]:
    arcs = {f"{p}|{c}": float(v) for p, c, v in zip(menu.product(), menu.channel(), prior.contact.ravel(), strict=True)}
    return arcs | {f"{offer.id}|": float(v) for offer, v in zip(menu.offers, prior.organic, strict=True)}


def _rows(met: Sample, alone: Sample, menu: Menu, prior: priors.Prior, first_late: int, seed: int) -> tuple[Rows, Ints]:
    """Training rows of the response (contacts, then control nights × products without one), and contacts' offers."""
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
        prior=np.concatenate([prior.contact.ravel()[group], prior.organic[product]]),
    )
    return rows, offer


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


def _cross_fitted(
    rows: Rows, offer: Ints, met: Sample, menu: Menu, prior: priors.Prior, response: Response,
    features: tuple[Feature, ...], knobs: Knobs,
) -> tuple[Floats, Floats]:  # fmt: skip
    """(contacts,) p_convert and p_base, each customer predicted by trees that did not see them."""
    p_convert, p_base = np.zeros(len(met.day)), np.zeros(len(met.day))
    names = [features[k].name for k in response.kept]
    categories = [i for i, k in enumerate(response.kept) if features[k].kind == "category"]
    X, base_arcs = met.X[:, response.kept], menu.matrix()[menu.arcs + offer]
    arcs, groups, start = (part[: len(p_base)] for part in (rows.arcs, rows.group, rows.prior))
    for held in (0, 1):
        text = fitting.refit(
            rows, rows.fold != held, response.kept, names, categories, knobs, int(response.metrics["trees"])
        )
        trees, at = parse(text), met.fold == held
        contact = response.contact(score_rows(trees, np.hstack([X[at], arcs[at]])), start[at])
        base = response.base(score_rows(trees, np.hstack([X[at], base_arcs[at]])), prior.organic[offer[at]])
        p_convert[at], p_base[at] = expit(contact + response.offsets[groups[at]]), expit(base)
    return p_convert, p_base


def _groups(met: Sample, menu: Menu) -> tuple[Ints, list[str]]:
    """(contacts,) product group of the offer, as a position in the names."""
    names = sorted(set(menu.groups))
    of = np.array([names.index(group) for group in menu.groups], np.int64)
    return of[_positions(met.product, [o.id for o in menu.offers])], names


def _drawn(met: Sample, p_convert: Floats, p_base: Floats) -> Drawn:
    """What came of contacts against what the response expects of them."""
    return Drawn(
        residual=(met.ordered >> met.product & 1) - p_base, predicted=p_convert - p_base,
        expected=np.maximum(p_convert, p_base), times=met.weight,
        weight=np.minimum(1 / np.maximum(met.pscore, 1e-9), _MAX_LIFT_WEIGHT),
    )  # fmt: skip


def _lifts(met: Sample, drawn: Drawn, menu: Menu) -> Lifts:
    """Orders that contacts brought, where chance chose, against what the response expects of them."""
    group, groups = _groups(met, menu)
    names = [f"{name}|{channel}" for name in groups for channel in menu.channels]
    return measure(drawn, group * len(menu.ways) + _positions(met.channel, [w.id for w in menu.ways]), names)


def _kept(sample: Sample, met: Sample, menu: Menu, columns: list[int], knobs: Knobs) -> dict[str, float]:
    """What orders that answered a contact left of their list margin, against the margin of those who got nothing."""
    nothing = sample.take((sample.product < 0) & (sample.role != CONTROL))
    if len(nothing.day) == 0:  # no log of doing nothing: control customers are the next best baseline
        nothing = sample.take(sample.role == CONTROL)
    won = met.take(met.converted & ~met.reversed)
    expected = fitting.baseline(
        nothing.X[:, columns], winsorize(nothing.margin), nothing.fold, won.X[:, columns], won.fold, knobs
    )
    listed = np.array(menu.margin_micro)[_positions(won.product, [o.id for o in menu.offers])] / MICRO
    group, names = _groups(won, menu)
    return kept(won.margin, expected, listed, group, names)


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
