"""Learners of effects inside arc values: T-, X-, doubly robust and R-learners where chance chose.

They see what explorers were given and what explorers and control customers did who were given nothing, a product drawn
for each of these. An arc's effect is the learner's τ(customer, product) times how much better than the explorers' mix
the channel works by the response's prior, in money by the same margins as the model's. Two uses are compared: *as it
is*, and *shape*, the model's product × channel means with the learner telling customers apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.province_truth import ProvinceBox
from models.affinity.encode import ARC_COLUMNS, CATEGORIES, encode
from models.affinity.meta_learners import Size, effects
from models.affinity.scorer import Scorer, Scores
from models.affinity.training import CONTROL, EXPLORE, TrainingSample
from models.arrays import Floats, Ints
from models.lifecycle.training_data import Data

LEARNERS = ("t", "x", "dr", "r")
_SIZE = Size(trees=60, leaves=6, leaf_rows=400, effect_trees=50, effect_leaves=3, effect_leaf_rows=1000)
_OFFER = [k for k, name in enumerate(ARC_COLUMNS) if not name.startswith("channel_") and name != "contacted"]


def learned(box: ProvinceBox, data: Data, scorer: Scorer, scores: Scores, means: Floats) -> dict[str, Floats]:
    """(customers, arcs) effects on net margin, micro-元, by learner and use.

    Args:
        box: the night's exploiters.
        data: the log.
        scorer: the model's; its features, margins and priors serve the learners as well.
        scores: the model's of the box.
        means: (arcs,) the model's mean effects.
    """
    menu, bundle = box.menu, scorer.bundle
    place = {feature.name: k for k, feature in enumerate(data.features)}
    kept = [place[feature.name] for feature in bundle.features]
    ids = np.array([offer.id for offer in menu.offers])
    known = (data.sample.product < 0) | np.isin(data.sample.product, ids)
    parts = [_even(data.sample, known & (data.sample.role == role)) for role in (EXPLORE, CONTROL)]
    drawn = data.sample.take(parts[0] | parts[1])
    given = drawn.product >= 0
    product = np.where(given, drawn.product, np.random.default_rng(0).choice(ids, len(given)))
    offer = np.searchsorted(ids, product)
    attributes = menu.matrix()[menu.arcs :, _OFFER]
    y = np.where(given, drawn.converted, drawn.ordered >> product & 1).astype(np.float64)
    X = np.hstack([drawn.X[:, kept], attributes[offer]])
    codes = [k for k, feature in enumerate(bundle.features) if feature.kind == "category"]
    codes += [len(kept) + k for k, column in enumerate(_OFFER) if ARC_COLUMNS[column] in CATEGORIES]
    customers = encode(box.snapshot, bundle.features)
    at = np.hstack([np.repeat(customers, len(ids), axis=0), np.tile(attributes, (len(customers), 1))])
    found = effects(X, given.astype(np.float64), y, at, codes, _SIZE, 0, LEARNERS)
    factor = _channels(scorer, drawn.channel[given], offer[given])
    money = scorer.money
    lost = scores.p_base * ((1 - money.kept) * money.unit_margin)
    tables: dict[str, Floats] = {}
    for name, tau in found.items():
        each = np.repeat(tau.reshape(len(customers), len(ids)), len(menu.ways), axis=1)
        tables[name] = each * factor * money.kept * money.unit_margin - lost
        shape = np.maximum(each, 0.0)
        count = np.maximum(box.eligible.sum(axis=0), 1)
        level = np.where(box.eligible, shape, 0.0).sum(axis=0) / count
        tables[f"{name}, shape"] = means * np.divide(shape, level, out=np.ones_like(shape), where=level > 0)
    return tables


def _even(sample: TrainingSample, mine: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A draw of the rows by their weights, so that each stands for as many decisions as the others."""
    draw = np.random.default_rng(1).random(len(sample.weight))
    return np.asarray(mine & (draw * sample.weight[mine].max() < sample.weight))


def _channels(scorer: Scorer, channel: Ints, offer: Ints) -> Floats:
    """(arcs,) what a channel adds to the chance of an order, over what the explorers' mix of channels adds."""
    menu = scorer.menu
    contact, organic = np.split(expit(scorer.prior), [menu.arcs])
    added = contact.reshape(len(menu.offers), -1) - organic[:, None]
    way = np.searchsorted([way.id for way in menu.ways], channel)
    by_way = np.array([added[offer, k].mean() for k in range(len(menu.ways))])
    return np.tile(by_way / by_way[way].mean(), len(menu.offers))
