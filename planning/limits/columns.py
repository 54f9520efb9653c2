"""Columns through which limits look at customers and arcs.

Customers enter limits through small integer columns: ``c_<attribute>`` (0: none of the values that any limit names) and
``s_<segments>`` (1: a member of one of them). Arcs carry ``seconds``, ``cost_micro``, call-backs by lag and one column
a share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.catalogue import Catalogue
from conf.errors import MendableError

_ARC_KEYS = {"product", "group", "channel"}
Where = Mapping[str, Any]


def listed(value: Any) -> list[Any]:
    """A value or a list as a list."""
    return list(value) if isinstance(value, list) else [value]


def wheres(catalogue: Catalogue) -> list[Where]:
    """Every selection that a limit makes."""
    return [w for limit in catalogue.limits for w in (limit.where, limit.share.of if limit.share else {}) if w]


def attributes(catalogue: Catalogue) -> dict[str, list[str]]:
    """Attributes of customers that limits name, each with the values named, as text in the alphabet."""
    found: dict[str, set[str]] = {}
    for where in wheres(catalogue):
        for key, value in where.items():
            if key not in _ARC_KEYS and key != "segment":
                found.setdefault(key, set()).update(str(v) for v in listed(value))
    return {key: sorted(values) for key, values in sorted(found.items())}


def segment_sets(catalogue: Catalogue) -> dict[str, list[str]]:
    """Column → segments of which a member has 1 in it."""
    sets = [sorted(listed(w["segment"])) for w in wheres(catalogue) if "segment" in w]
    return {"s_" + "_or_".join(names): names for names in sorted(sets)}


def columns_of(where: Where, catalogue: Catalogue) -> dict[str, list[int]]:
    """A selection in terms of the instance's columns."""
    found: dict[str, list[int]] = {}
    products = list(catalogue.products)
    if "product" in where or "group" in where:
        codes = listed(where["product"]) if "product" in where else [p.code for p in products]
        groups = listed(where["group"]) if "group" in where else [p.group for p in products]
        found["product"] = [p.id for p in products if p.code in codes and p.group in groups]
    if "channel" in where:
        codes = listed(where["channel"])
        found["channel"] = [c.id for c in catalogue.channels if c.code in codes]
    named = attributes(catalogue)
    for key, value in where.items():
        if key == "segment":
            found["s_" + "_or_".join(sorted(listed(value)))] = [1]
        elif key not in _ARC_KEYS:
            found[f"c_{key}"] = [named[key].index(str(v)) + 1 for v in listed(value)]
    return found


def channel_counts(catalogue: Catalogue) -> list[str]:
    """What limits count that an arc's channel decides; ``seconds`` and ``cost_micro`` always."""
    lags = sorted({limit.counts for limit in catalogue.limits if limit.lag is not None})
    return ["seconds", "cost_micro", *lags]


def arc_columns(arcs: pa.Table, catalogue: Catalogue) -> pa.Table:
    """Add the columns that limits count: of the channel, and of shares (100 - percent where ``of``, -percent where not)."""
    for name in channel_counts(catalogue):
        by_channel = np.zeros(64, np.int64)
        for channel in catalogue.channels:
            by_channel[channel.id] = channel.units(name)
        arcs = arcs.append_column(name, pa.array(by_channel[arcs["channel"].to_numpy()]))
    for limit in catalogue.limits:
        if limit.share:
            of = selected(arcs, columns_of(limit.share.of, catalogue))
            use = np.where(of, 100 - limit.share.percent, -limit.share.percent).astype(np.int16)
            arcs = arcs.append_column(f"share_{limit.name}", pa.array(use))
    return arcs


def selected(arcs: pa.Table, where: Mapping[str, Sequence[int]]) -> np.ndarray:
    """Which rows have one of the values in every column named."""
    chosen = np.ones(arcs.num_rows, bool)
    for name, values in where.items():
        chosen &= np.isin(arcs[name].to_numpy(), np.array(values))
    return chosen


def customer_columns(rows: pa.Table, catalogue: Catalogue) -> pa.Table:
    """``customer_id`` and the integer columns, from rows of attributes and segments.

    Raises:
        MendableError: a limit names an attribute that the snapshot does not have.
    """
    out = {"customer_id": rows["customer_id"]}
    for key, values in attributes(catalogue).items():
        if key not in rows.column_names:
            raise MendableError(
                f"a limit names {key!r}, which is no attribute of customers",
                where=str(catalogue.root / "limits.yml"),
                remedy="name an attribute of features/declared/attributes.yml",
            )
        place = pc.index_in(pc.cast(rows[key], pa.string()), value_set=pa.array(values, pa.string()))
        out[f"c_{key}"] = pc.cast(pc.add(pc.fill_null(place, -1), 1), pa.int16())
    for name, members in segment_sets(catalogue).items():
        mark = np.zeros(rows.num_rows, bool)
        for member in members:
            mark |= pc.fill_null(rows[f"segment_{member}"], False).to_numpy(zero_copy_only=False)
        out[name] = pa.array(mark.astype(np.int16))
    return pa.table(out)
