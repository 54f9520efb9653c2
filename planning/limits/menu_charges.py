"""The catalogue as the affinity model sees it, and what last night's prices charge an arc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.catalogue import Catalogue
from conf.offer import MICRO, Limit

Ints = NDArray[np.int64]


def arcs_of(limit: Limit, catalogue: Catalogue) -> NDArray[np.bool_]:
    """(arcs,) the arcs that a limit's ``where`` selects by product, group and channel; customers are not looked at."""
    products = np.array(
        [_fits(limit, "product", p.code) and _fits(limit, "group", p.group) for p in catalogue.products]
    )
    channels = np.array([_fits(limit, "channel", c.code) for c in catalogue.channels])
    return (products[:, None] & channels[None, :]).ravel()


def _fits(limit: Limit, key: str, code: str) -> bool:
    wanted = limit.where.get(key)
    return wanted is None or code in (wanted if isinstance(wanted, list) else [wanted])


def floors(catalogue: Catalogue) -> NDArray[np.bool_]:
    """(floors, arcs) the arcs of each limit that asks for a least number and names products."""
    rows = [
        arcs_of(limit, catalogue)
        for limit in catalogue.limits
        if limit.side == "at_least" and {"product", "group"} & set(limit.where)
    ]
    arcs = len(catalogue.products) * len(catalogue.channels)
    return np.array(rows, bool) if rows else np.zeros((0, arcs), bool)


def closing(catalogue: Catalogue) -> list[str]:
    """(arcs,) the limit of 0 that closes an arc for everybody, else empty."""
    found = [""] * (len(catalogue.products) * len(catalogue.channels))
    for limit in catalogue.limits:
        if limit.side == "at_most" and limit.amount == 0 and not limit.share and set(limit.where) <= _MENU_KEYS:
            for arc in np.flatnonzero(arcs_of(limit, catalogue) & (_uses(limit, catalogue) > 0)):
                found[arc] = found[arc] or limit.name
    return found


def closed(catalogue: Catalogue) -> NDArray[np.bool_]:
    """(arcs,) arcs that a limit of 0 closes for everybody: no plan has them, so that pruning must not keep them.

    A floor of their product would otherwise find nothing but arcs that it cannot use.
    """
    return np.array([bool(name) for name in closing(catalogue)])


def charges(catalogue: Catalogue, prices: Mapping[str, int], customers: pa.Table) -> Ints:
    """(customers, arcs) what the limits charge at given prices, micro-元; the same for all arcs left out.

    A limit without product, group or channel (a share of contacts, a cap on a segment) charges every arc of a
    customer alike: it cannot change which arcs are best and is left out, as is one that names a segment.

    Args:
        catalogue: limits, products, channels.
        prices: pico-元 a unit by limit.
        customers: their snapshot, with the attributes that limits name.
    """
    channels, products = len(catalogue.channels), len(catalogue.products)
    total = np.zeros((customers.num_rows, products * channels), np.int64)
    for limit in catalogue.limits:
        price = prices.get(limit.name, 0)
        if price == 0 or not _moves_arcs(limit):
            continue
        use = _uses(limit, catalogue)
        charged = np.rint(use * (price / MICRO)).astype(np.int64) * arcs_of(limit, catalogue)
        held = _customers(limit, customers)
        if held is None:
            total += charged
        else:
            total[held] += charged
    return total


#: Keys of a limit's ``where`` that look at the arc alone.
_MENU_KEYS = {"product", "group", "channel"}


def _moves_arcs(limit: Limit) -> bool:
    """Whether a limit can charge one arc of a customer more than another, as far as is looked at here."""
    if limit.share or "segment" in limit.where:
        return False
    return limit.counts != "contacts" or bool(_MENU_KEYS & set(limit.where))


def _uses(limit: Limit, catalogue: Catalogue) -> Ints:
    """(arcs,) units that an arc uses of what the limit counts."""
    uses = [channel.units(limit.counts) for channel in catalogue.channels]
    return np.tile(np.array(uses, np.int64), len(catalogue.products))


def _customers(limit: Limit, customers: pa.Table) -> NDArray[np.bool_] | None:
    """(customers,) those whose attributes the limit names; None for all."""
    chosen: NDArray[np.bool_] | None = None
    for key, wanted in limit.where.items():
        if key in {"product", "group", "channel"} or key not in customers.column_names:
            continue
        options: Sequence[str | int] = wanted if isinstance(wanted, list) else [wanted]
        column = customers[key]
        mine = pc.is_in(column, value_set=pa.array(options).cast(column.type)).to_numpy(zero_copy_only=False)
        chosen = mine if chosen is None else chosen & mine
    return chosen
