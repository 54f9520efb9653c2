"""The catalogue as the affinity model sees it: its menu of arcs, what they cost, and which arcs a mask names."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from conf.catalogue import Catalogue
from conf.money import MICRO
from conf.offer import Product
from conf.settings import Settings
from models.affinity.encode import Offer, Way
from models.affinity.scorer import Menu, Money
from models.bit_sets import read_sets


def menu(catalogue: Catalogue) -> Menu:
    """Products and channels of the catalogue, in order of id."""
    group = {group.code: group.id for group in catalogue.groups}
    offers = tuple(_offer(product, group[product.group]) for product in catalogue.products)
    ways = tuple(
        Way(c.id, c.direction == "inbound", float(c.cost), float(c.seconds), float(c.block_days))
        for c in catalogue.channels
    )
    return Menu(
        offers=offers,
        ways=ways,
        groups=tuple(product.group for product in catalogue.products),
        channels=tuple(channel.code for channel in catalogue.channels),
        margin_micro=tuple(product.margin_micro for product in catalogue.products),
        cost_micro=tuple(channel.cost_micro for channel in catalogue.channels),
        launched=tuple(product.launch_date.toordinal() for product in catalogue.products),
    )


def _offer(product: Product, group: int) -> Offer:
    return Offer(
        product.id,
        group,
        float(product.price),
        product.margin_micro / MICRO,
        float(product.subsidy),
        float(product.term_months),
    )


def masks_of(eligible: pa.Table) -> NDArray[np.int64]:
    """(customers, channels, words) masks of product bits; shorter lists are filled with 0."""
    return read_sets(eligible, "masks")


def money(settings: Settings) -> Money:
    """What fatigue costs, as the environment says."""
    return Money(round(settings.affinity.complaint_cost * MICRO), settings.affinity.future_nights)
