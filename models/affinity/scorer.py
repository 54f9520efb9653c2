"""Scoring: customers × eligible arcs → probabilities, effect and value. Arrays in, arrays out.

The arcs are all products × channels of the menu (position ``product · channels + channel``), followed by one "no
contact" arc a product, which gives p_base. Only eligible arcs, and the base arcs of their products, are walked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.affinity.bundle import Bundle
from models.affinity.encode import ARC_COLUMNS, Offer, Way, arc_matrix
from models.affinity.trees import ArcTrees, pack, parse, resolve, score_arcs
from models.affinity.value import ArcMoney, effects, values
from models.arrays import Flags, Floats, Ints
from models.bit_sets import has

BASES = ("effect", "group", "prior")


@dataclass(frozen=True)
class Menu:
    """What may be offered and where: products and channels in order of position, with their codes and exact money.

    Attributes:
        offers, ways: numbers the model sees.
        groups: product group (code) of each offer.
        channels: code of each way.
        margin_micro: net margin of an order over the horizon, by offer.
        cost_micro: cost of an attempt, by way.
        launched: day on which each offer was first sold, ordinal; the log says nothing of it before.
    """

    offers: tuple[Offer, ...]
    ways: tuple[Way, ...]
    groups: tuple[str, ...]
    channels: tuple[str, ...]
    margin_micro: tuple[int, ...]
    cost_micro: tuple[int, ...]
    launched: tuple[int, ...]

    @property
    def arcs(self) -> int:
        """Products × channels."""
        return len(self.offers) * len(self.ways)

    def product(self) -> Ints:
        """(arcs,) product id."""
        return np.repeat(np.array([offer.id for offer in self.offers], np.int64), len(self.ways))

    def channel(self) -> Ints:
        """(arcs,) channel id."""
        return np.tile(np.array([way.id for way in self.ways], np.int64), len(self.offers))

    def outbound(self) -> Flags:
        """(arcs,) whether we go to the customer."""
        return np.tile(np.array([not way.inbound for way in self.ways], bool), len(self.offers))

    def matrix(self) -> Floats:
        """(arcs + offers, ARC_COLUMNS): every arc, then no contact for every product."""
        pairs: list[tuple[Offer, Way | None]] = [(offer, way) for offer in self.offers for way in self.ways]
        pairs += [(offer, None) for offer in self.offers]
        return arc_matrix([offer for offer, _ in pairs], [way for _, way in pairs])

    def eligible(self, masks: Ints) -> Flags:
        """(customers, arcs) from (customers, channels by id, words) masks of product bits."""
        channels = np.array([way.id for way in self.ways])
        width = masks.shape[1]
        bits = [has(masks[:, np.minimum(channels, width - 1)], offer.id) & (channels < width) for offer in self.offers]
        return np.concatenate(bits, axis=1) if bits else np.zeros((len(masks), 0), bool)


@dataclass(frozen=True)
class Money:
    """Prices of fatigue: what a complaint costs, and how many nights of contacts an opt-out forgoes."""

    complaint_micro: int
    future_nights: int


@dataclass(frozen=True)
class Scores:
    """Scores of a block of customers, all (customers, arcs); meaningless where not eligible."""

    p_convert: Floats
    p_base: Floats
    effect: Ints
    value: Ints


@dataclass(frozen=True)
class Scorer:
    """A bundle made ready for a menu."""

    bundle: Bundle
    menu: Menu
    trees: ArcTrees
    prior: Floats  # (arcs + offers,) log-odds that the trees start from
    channels: tuple[Floats, Floats]  # (arcs,) what the arc's channel makes of the trees: level and slope
    offsets: Floats  # (arcs,)
    money: ArcMoney
    basis: NDArray[np.int8]  # (arcs,) position in BASES

    def raw(self, X: Floats, eligible: Flags) -> tuple[Floats, Floats]:
        """What the trees add for arcs (customers, arcs) and for no contact (customers, offers)."""
        offered = eligible.reshape(len(X), len(self.menu.offers), len(self.menu.ways)).any(axis=2)
        scores = score_arcs(self.trees, X, pack(np.hstack([eligible, offered])))
        return scores[:, : self.menu.arcs], scores[:, self.menu.arcs :]

    def score(self, X: Floats, eligible: Flags, trailing: Ints, recent: Floats | None = None) -> Scores:
        """Scores of a block.

        Args:
            X: (customers, features) encoded by the bundle's features.
            eligible: (customers, arcs).
            trailing: (customers,) reduced value a night of late, micro-元.
            recent: (customers,) contacts of the days before (``models.affinity.fatigue``); all rested where None.
        """
        arcs, base = self.raw(X, eligible)
        start = np.split(self.prior, [self.menu.arcs])
        fatigued = 0.0 if recent is None else self.bundle.fatigue * recent[:, None]
        level, slope = self.channels
        p_convert = expit(self.bundle.contact(level + slope * arcs, start[0] - fatigued) + self.offsets)
        p_base = np.repeat(expit(self.bundle.base(base, start[1])), len(self.menu.ways), axis=1)
        effect = effects(p_convert, p_base, self.money)
        return Scores(p_convert, p_base, effect, values(effect, self.money, trailing, eligible & self.menu.outbound()))


def prepare(bundle: Bundle, menu: Menu, money: Money) -> Scorer:
    """Resolve the trees for the menu, and look up what is known of each arc.

    Raises:
        ValueError: the model's text does not fit its features.
    """
    trees = parse(bundle.text)
    if trees.features != len(bundle.features) + len(ARC_COLUMNS):
        raise ValueError(f"the trees have {trees.features} columns, {len(bundle.features)} features are listed")
    offsets = np.zeros(menu.arcs)
    lift, basis = np.zeros(menu.arcs), np.zeros(menu.arcs, np.int8)
    for k, (product, channel) in enumerate(zip(menu.product(), menu.channel(), strict=True)):
        offsets[k] = bundle.offsets.get(f"{product}|{channel}", 0.0)
        lift[k], name = bundle.lifts.of(f"{menu.groups[k // len(menu.ways)]}|{menu.channels[k % len(menu.ways)]}")
        basis[k] = BASES.index(name)
    prior = _prior(bundle, menu)
    return Scorer(
        bundle,
        menu,
        resolve(trees, menu.matrix()),
        prior,
        bundle.channels.of(menu.channel()),
        offsets,
        _money(bundle, menu, money, lift),
        basis,
    )


def _prior(bundle: Bundle, menu: Menu) -> Floats:
    """(arcs + offers,) the bundle's priors; a product or channel that is new since starts from its group's mean."""
    ways = [f"{way.id}" for way in menu.ways] + [""]
    table = np.array([[bundle.priors.get(f"{offer.id}|{way}", np.nan) for way in ways] for offer in menu.offers])
    if np.isnan(table).any():
        groups = np.array(menu.groups)
        overall = float(np.nanmean(table[:, :-1])), float(np.nanmean(table[:, -1]))
        for column in range(table.shape[1]):
            known = ~np.isnan(table[:, column])
            start = float(table[known, column].mean()) if known.any() else overall[column == table.shape[1] - 1]
            for group in np.unique(groups[~known]):
                in_group = known & (groups == group)
                table[~known & (groups == group), column] = table[in_group, column].mean() if in_group.any() else start
    return np.concatenate([table[:, :-1].ravel(), table[:, -1]])


def _money(bundle: Bundle, menu: Menu, money: Money, lift: Floats) -> ArcMoney:
    overall = bundle.reversals.get("", 0.0)
    lasting = [1 - bundle.reversals.get(str(offer.id), overall) for offer in menu.offers]
    margin = [round(share * micro) for share, micro in zip(lasting, menu.margin_micro, strict=True)]
    future = bundle.trailing_micro * money.future_nights
    fatigue = [0 if way.inbound else _fatigue(bundle, way.id, future, money.complaint_micro) for way in menu.ways]

    def by_way(numbers: Sequence[int]) -> Ints:
        return np.tile(np.array(numbers, np.int64), len(menu.offers))

    share = np.array([bundle.kept.get(group, bundle.kept[""]) for group in menu.groups])
    return ArcMoney(
        unit_margin=np.repeat(np.array(margin, np.int64), len(menu.ways)),
        lift=lift,
        kept=np.repeat(share, len(menu.ways)),
        cost=by_way(menu.cost_micro),
        fatigue=by_way(fatigue),
        block=by_way([int(way.block) for way in menu.ways]),
    )


def _fatigue(bundle: Bundle, channel: int, future: int, complaint: int) -> int:
    """Micro-元 that a contact costs later: opt-outs × the contacts they forgo, complaints × their cost."""
    return round(bundle.opt_out.of(channel) * future + bundle.complaint.of(channel) * complaint)
