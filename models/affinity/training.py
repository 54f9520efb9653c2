"""From a sample of past decisions to a bundle: response, calibration, lift, fatigue.

The sample holds decisions of every role with the customer's snapshot of their time. Contacts teach the response;
control customers teach what is ordered without a contact; explorers, for whom chance chose, teach how much of that
difference is an effect; decisions to do nothing give the baseline that margins of orders are measured against.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit

from models.affinity import prior as priors
from models.affinity import response as fitting
from models.affinity.bundle import Bundle
from models.affinity.effect import (
    Drawn,
    Hazard,
    Lifts,
    among_best,
    average,
    correction,
    fit_kept_margin,
    hazard,
    measure,
    winsorize,
)
from models.affinity.encode import EncodedFeature
from models.affinity.fatigue import fit_fatigue
from models.affinity.response import Response
from models.affinity.scorer import Menu
from models.affinity.signals import ALONE, ASIDE, UNKNOWN, SignalRows, TreeParameters
from models.affinity.trees import parse, score_rows
from models.arrays import Flags, Floats, Ints
from models.bit_sets import has
from models.money import MICRO

EXPLOIT, EXPLORE, CONTROL, USUAL = 0, 1, 2, 3
ROLES = ("exploit", "explore", "control", "usual")
#: Fact of a bundle: orders observed and predicted on each late day.
LATE_DAYS = "late_days"
_NEGATIVES = 1  # products per night that were neither offered nor ordered
_MAX_WEIGHT = 50.0  # 1 / pscore is clipped here for hazards,
_MAX_LIFT_WEIGHT = 1000.0  # and here for lifts


@dataclass(frozen=True)
class TrainingSample:
    """Past decisions, one a row; money in 元.

    Attributes:
        X: (rows, features) encoded snapshot, NaN missing.
        customer: draw keys, one a person; day: ordinal dates.
        role: EXPLOIT, EXPLORE, CONTROL or USUAL.
        product, channel: ids, −1 where none.
        pscore: probability of the choice; NaN where no draw gave it.
        recent: contacts of the days before, each halved every week.
        ordered: (rows, words) set of products ordered within the window.
        answer: how a contact was answered, as ``models.affinity.signals`` codes it.
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
    recent: Floats
    ordered: Ints
    answer: Ints
    converted: Flags
    reversed: Flags
    opted_out: Flags
    complained: Flags
    margin: Floats
    weight: Floats

    def take(self, mask: Flags) -> TrainingSample:
        """The rows of a mask."""
        return TrainingSample(**{name: value[mask] for name, value in vars(self).items()})

    @property
    def by_chance(self) -> Flags:
        """(rows,) explorers' decisions whose probability is known: those that may stand for anybody's."""
        return np.asarray((self.role == EXPLORE) & ~np.isnan(self.pscore))

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
    sample: TrainingSample,
    features: tuple[EncodedFeature, ...],
    menu: Menu,
    knobs: TreeParameters,
    late_share: float,
    facts: dict[str, Any],
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
    sample = sample.take(_select_known(sample, menu))
    met = sample.take(sample.product >= 0)
    prior, rows = training_rows(sample, menu, late_share, knobs.seed)
    response = fitting.fit(rows, features, menu.arcs, knobs)
    columns = tuple(features[k] for k in response.positions)
    p_convert, p_base = _cross_fit(met, menu, prior, response)
    reversals = _reversals(met)
    by_chance = met.by_chance
    explored = _draw_lifts(met, p_convert, p_base).take(by_chance)
    lifts = _lifts(met.take(by_chance), explored, menu)
    left = _fit_kept(sample, met, menu, list(response.positions), knobs)
    offer = _positions(met.product, [o.id for o in menu.offers])
    share = np.array([left[group] for group in menu.groups])[offer]
    unit = np.array(menu.margin_micro)[offer] / MICRO
    unit = unit * (1 - np.array([reversals.get(str(p), reversals[""]) for p in met.product]))
    cost = np.array(menu.cost_micro)[_positions(met.channel, [w.id for w in menu.ways])] / MICRO

    def gain(lift: float) -> Floats:
        return ((p_convert - p_base) * lift * share - p_base * (1 - share)) * unit - cost

    overall = lifts.whole.value
    chosen = among_best(explored, explored.predicted * overall, gain(overall)[by_chance])
    factor = correction(chosen)
    lifts = lifts.times(factor)
    response = replace(response, metrics=response.metrics | average(explored) | chosen | {"chosen_factor": factor})
    opt_out, complaint = _hazards(sample)
    bundle = Bundle(
        text=response.text,
        features=columns,
        channels=response.channels,
        contact=response.contact,
        base=response.base,
        priors=_name_cells(prior, menu),
        offsets=_offsets(response, menu),
        fatigue=prior.fatigue,
        lifts=lifts,
        kept=left,
        reversals=reversals,
        opt_out=opt_out,
        complaint=complaint,
        trailing_micro=_average_gain(sample, met, gain(lifts.whole.value)),
        facts=facts
        | {"metrics": {k: v for k, v in response.metrics.items() if np.isfinite(v)}}
        | {LATE_DAYS: list_late_days(met.day, rows, response.late_p)},
    )
    return Learnt(bundle, response, len(met.day), explored, met.customer[by_chance])


def list_late_days(day: Ints, rows: SignalRows, late_p: Floats) -> list[list[float]]:
    """Orders observed and predicted after contacts of each late day, calibrated: from them an interval is resampled.

    Args:
        day: of each contact.
        rows: training rows, contacts first.
        late_p: calibrated probabilities of the late ones.
    """
    late = rows.late[: len(day)]
    count = int(late.sum())
    days, place = np.unique(day[late], return_inverse=True)
    weight, y = rows.weight[: len(day)][late], rows.y[: len(day)][late]
    observed = np.bincount(place, weight * y, len(days))
    predicted = np.bincount(place, weight * late_p[:count], len(days))
    return [[round(o, 6), round(p, 6)] for o, p in zip(observed.tolist(), predicted.tolist(), strict=True)]


def _select_known(sample: TrainingSample, menu: Menu) -> Flags:
    products, channels = [offer.id for offer in menu.offers], [way.id for way in menu.ways]
    offered = np.isin(sample.product, products) & np.isin(sample.channel, channels)
    return (sample.product < 0) | offered


def _positions(ids: Ints, known: list[int]) -> Ints:
    table = np.full(max(known, default=0) + 2, -1, np.int64)
    table[known] = np.arange(len(known))
    return table[ids]


def _prior(met: TrainingSample, alone: TrainingSample, menu: Menu) -> priors.Prior:
    """Where the trees start: orders and contacts by product × channel, orders of products not offered by product.

    Contacts count as many as those of rested customers that would bring as many orders.
    """
    cell = _arcs(met, menu)
    ordered = met.converted * met.weight
    wear = fit_fatigue(ordered, met.weight, cell, met.recent)
    answers, rows = (
        np.bincount(cell, part, menu.arcs).astype(np.float64).reshape(len(menu.offers), -1)
        for part in (ordered, met.weight * np.exp(-wear * met.recent))
    )
    once = 1 / _count_nights(alone, menu)
    base_answers, base_rows = np.zeros((2, 2, len(menu.offers)))
    for kind, (nights, share) in enumerate(((alone, once), (met, 1.0))):
        for k, offer in enumerate(menu.offers):
            weight = nights.weight * (nights.product != offer.id) * (nights.day >= menu.launched[k]) * share
            base_answers[kind, k] = (weight * has(nights.ordered, offer.id)).sum()
            base_rows[kind, k] = weight.sum()
    groups = sorted(set(menu.groups))
    group = np.array([groups.index(name) for name in menu.groups], np.int64)
    return replace(priors.fit(answers, rows, base_answers, base_rows, group), fatigue=wear)


def _count_nights(alone: TrainingSample, menu: Menu) -> float:
    """On how many nights an order is seen, on average: who is left alone every night is asked within each window."""
    night, product = np.nonzero(_tell_ordered(alone, menu))
    orders = np.unique(np.stack([alone.customer[night], product]), axis=1)
    return max(1.0, len(night) / max(1, orders.shape[1]))


def _tell_ordered(sample: TrainingSample, menu: Menu) -> Flags:
    """(rows, products) whether each product was ordered within the window."""
    return np.stack([has(sample.ordered, offer.id) for offer in menu.offers], axis=1)


def _name_cells(prior: priors.Prior, menu: Menu) -> dict[str, float]:
    arcs = {f"{p}|{c}": float(v) for p, c, v in zip(menu.product(), menu.channel(), prior.contact.ravel(), strict=True)}
    return arcs | {f"{offer.id}|": float(v) for offer, v in zip(menu.offers, prior.organic, strict=True)}


def training_rows(sample: TrainingSample, menu: Menu, late_share: float, seed: int) -> tuple[priors.Prior, SignalRows]:
    """The prior, and training rows of the response: contacts, then nights × products that were not offered.

    Args:
        sample: decisions about products and channels of the menu.
        menu: products and channels.
        late_share: share of the nights, the last ones, that calibrate.
        seed: of the products drawn from those not ordered.
    """
    days = np.unique(sample.day)
    first_late = days[min(len(days) - 1, round(len(days) * (1 - late_share)))]
    met = sample.take(sample.product >= 0)
    prior = _prior(met, sample.take(sample.role == CONTROL), menu)
    matrix, group = menu.matrix(), _arcs(met, menu)
    # other nights without an offer still see orders that the contacts of the days before brought
    nights = sample.take((sample.role == CONTROL) | (sample.product >= 0))
    night, product, y, weight = _without(nights, menu, seed)
    alone = nights.role[night] == CONTROL
    return prior, SignalRows(
        X=np.vstack([met.X, nights.X[night]]),
        arcs=np.vstack([matrix[group], matrix[menu.arcs + product]]),
        y=np.concatenate([met.converted.astype(np.float64), y]),
        weight=np.concatenate([met.weight, weight]),
        late=np.concatenate([met.day, nights.day[night]]) >= first_late,
        fold=np.concatenate([met.fold, nights.fold[night]]),
        group=np.concatenate([group, np.where(alone, ALONE, ASIDE)]),
        prior=np.concatenate(
            [prior.predict_contact(group, met.recent), np.where(alone, prior.organic[product], prior.aside[product])]
        ),
        answer=np.concatenate([met.answer, np.full(len(night), UNKNOWN)]),
    )


def _arcs(met: TrainingSample, menu: Menu) -> Ints:
    """(contacts,) position of the arc."""
    offer = _positions(met.product, [o.id for o in menu.offers])
    return offer * len(menu.ways) + _positions(met.channel, [w.id for w in menu.ways])


def _without(nights: TrainingSample, menu: Menu, seed: int) -> tuple[Ints, Ints, Floats, Floats]:
    """Nights × products not offered: all that were ordered, and a few that were not, weighted for all of them.

    Returns:
        Row of the night, position of the product, answer, weight.
    """
    rng = np.random.default_rng([seed, 2])
    ids = np.array([offer.id for offer in menu.offers])
    aside = (nights.product[:, None] != ids[None, :]) & (nights.day[:, None] >= np.array(menu.launched)[None, :])
    took = _tell_ordered(nights, menu) & aside
    night, product = np.nonzero(took)
    draws = rng.integers(0, len(ids), (len(nights.day), _NEGATIVES))
    rows = np.repeat(np.arange(len(nights.day)), _NEGATIVES)
    refused = (aside & ~took)[rows, draws.ravel()]
    left = (aside & ~took).sum(axis=1)
    share = left / np.maximum(1, refused.reshape(-1, _NEGATIVES).sum(axis=1))
    rows, columns = rows[refused], draws.ravel()[refused]
    return (
        np.concatenate([night, rows]),
        np.concatenate([product, columns]),
        np.concatenate([np.ones(len(night)), np.zeros(len(rows))]),
        np.concatenate([nights.weight[night], nights.weight[rows] * share[rows]]),
    )


def _cross_fit(met: TrainingSample, menu: Menu, prior: priors.Prior, response: Response) -> tuple[Floats, Floats]:
    """(contacts,) p_convert and p_base, each customer predicted by trees that did not see them."""
    p_convert, p_base = np.zeros(len(met.day)), np.zeros(len(met.day))
    group = _arcs(met, menu)
    offer = group // len(menu.ways)
    matrix, X = menu.matrix(), met.X[:, response.positions]
    for number, text in enumerate(response.by_fold):
        trees, at = parse(text), met.fold == number
        arcs, alone = (score_rows(trees, np.hstack([X[at], matrix[k[at]]])) for k in (group, menu.arcs + offer))
        contact = response.contact(
            response.channels(arcs, met.channel[at]), prior.predict_contact(group[at], met.recent[at])
        )
        p_convert[at] = expit(contact + response.offsets[group[at]])
        p_base[at] = expit(response.base(alone, prior.organic[offer[at]]))
    return p_convert, p_base


def _groups(met: TrainingSample, menu: Menu) -> tuple[Ints, list[str]]:
    """(contacts,) product group of the offer, as a position in the names."""
    names = sorted(set(menu.groups))
    of = np.array([names.index(group) for group in menu.groups], np.int64)
    return of[_positions(met.product, [o.id for o in menu.offers])], names


def _draw_lifts(met: TrainingSample, p_convert: Floats, p_base: Floats) -> Drawn:
    """What came of contacts against what the response expects of them; a weight means something `by_chance` alone."""
    return Drawn(
        residual=met.converted - p_base,
        predicted=p_convert - p_base,
        expected=np.maximum(p_convert, p_base),
        times=met.weight,
        weight=np.minimum(1 / np.maximum(met.pscore, 1e-9), _MAX_LIFT_WEIGHT),
    )


def _lifts(met: TrainingSample, drawn: Drawn, menu: Menu) -> Lifts:
    """Orders that contacts brought, where chance chose, against what the response expects of them."""
    group, groups = _groups(met, menu)
    names = [f"{name}|{channel}" for name in groups for channel in menu.channels]
    return measure(drawn, group * len(menu.ways) + _positions(met.channel, [w.id for w in menu.ways]), names)


def _fit_kept(
    sample: TrainingSample, met: TrainingSample, menu: Menu, columns: list[int], knobs: TreeParameters
) -> dict[str, float]:
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
    return fit_kept_margin(won.margin, expected, listed, group, names)


def _reversals(met: TrainingSample) -> dict[str, float]:
    """Share of answered offers that were cancelled, by product; each shrunk to the whole by 20 orders."""
    overall = float((met.reversed.sum() + 1) / (met.converted.sum() + 10))
    shares = {"": overall}
    for product in np.unique(met.product):
        of_product = met.product == product
        shares[str(product)] = float(
            (met.reversed[of_product].sum() + 20 * overall) / (met.converted[of_product].sum() + 20)
        )
    return shares


def _hazards(sample: TrainingSample) -> tuple[Hazard, Hazard]:
    """What a contact adds to opt-outs and complaints: from explorers, where chance chose."""
    drawn = sample.take(sample.by_chance)
    weight = np.minimum(1 / np.maximum(drawn.pscore, 1e-9), _MAX_WEIGHT) * drawn.weight
    return (
        hazard(drawn.opted_out, drawn.channel, weight),
        hazard(drawn.complained, drawn.channel, weight),
    )


def _offsets(response: Response, menu: Menu) -> dict[str, float]:
    pairs = zip(menu.product(), menu.channel(), response.offsets, strict=True)
    return {f"{product}|{channel}": float(offset) for product, channel, offset in pairs if offset != 0.0}


def _average_gain(sample: TrainingSample, met: TrainingSample, gain: Floats) -> int:
    """Expected value of contacts a customer and night under the past policy, micro-元, not below 0."""
    gained = float((met.weight * gain)[met.role == EXPLOIT].sum())
    nights = float(sample.weight[sample.role == EXPLOIT].sum())
    return max(0, round(gained / nights * MICRO)) if nights else 0
