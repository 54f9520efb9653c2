"""Customer features and arc attributes as numbers: the one encoding that training and scoring share.

A feature is a number, a flag or a category. Null, NaN and infinities become NaN, a category never seen in training
becomes NaN: the trees treat all of them as missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import Floats

Kind = Literal["number", "category"]

#: Columns of an arc, in order; those of ``CATEGORIES`` are codes. A channel that is absent (no contact) is NaN.
ARC_COLUMNS = (
    "product_id",
    "product_group",
    "product_price",
    "product_margin",
    "product_subsidy",
    "product_term",
    "channel_id",
    "channel_direction",
    "channel_cost",
    "channel_seconds",
    "channel_block",
    "contacted",
)
CATEGORIES = ("product_id", "product_group", "channel_id")
_MAX_CATEGORIES = 64


@dataclass(frozen=True)
class EncodedFeature:
    """A customer feature as the model knows it; ``categories`` in the order of their codes."""

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Offer:
    """What the model knows of a product: small numbers, money in 元."""

    id: int
    group: int
    price: float
    margin: float
    subsidy: float
    term: float


@dataclass(frozen=True)
class Way:
    """What the model knows of a channel: ``cost`` in 元 an attempt, ``seconds`` of agents, ``block`` nights."""

    id: int
    inbound: bool
    cost: float
    seconds: float
    block: float


class MissingFeatureError(ValueError):
    """A feature that the model needs is not in the table."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(f"features missing: {', '.join(names)}")


class ChangedFeatureError(ValueError):
    """A feature that the model knows as a number is text now, or the other way round."""

    def __init__(self, changes: Sequence[str]) -> None:
        self.changes = tuple(changes)
        super().__init__(f"features changed: {'; '.join(changes)}")


def is_number(kind: pa.DataType) -> bool:
    """Whether columns of a type are numbers or flags."""
    return bool(pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether columns of a type are categories."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def changes(table: pa.Table, features: Sequence[EncodedFeature]) -> dict[str, str]:
    """Feature → how its column differs from what the model knows; a column of nulls alone fits every feature."""
    differences = {}
    for feature in features:
        kind = table.schema.field(feature.name).type
        fits = is_number(kind) if feature.kind == "number" else is_text(kind)
        if not fits and not pa.types.is_null(kind):
            differences[feature.name] = f"{feature.name} is {kind}, a {feature.kind} when the model was trained"
    return differences


def learn(table: pa.Table, names: Sequence[str]) -> tuple[EncodedFeature, ...]:
    """Decide how each column is encoded; columns of other types or of too many categories are left out.

    Args:
        table: a sample of snapshots.
        names: columns to consider, in the order wanted.
    """
    features: list[EncodedFeature] = []
    for name in names:
        kind = table.schema.field(name).type
        if is_number(kind):
            features.append(EncodedFeature(name, "number"))
        elif is_text(kind):
            values = sorted(value for value in pc.unique(_plain(table[name])).to_pylist() if value is not None)
            if 1 < len(values) <= _MAX_CATEGORIES:
                features.append(EncodedFeature(name, "category", tuple(values)))
    return tuple(features)


def encode(table: pa.Table, features: Sequence[EncodedFeature]) -> Floats:
    """(rows, features) as float64, NaN where missing.

    Raises:
        MissingFeatureError: the table lacks a feature.
        ChangedFeatureError: a feature is of another type.
    """
    if missing := [feature.name for feature in features if feature.name not in table.column_names]:
        raise MissingFeatureError(missing)
    if changed := changes(table, features):
        raise ChangedFeatureError(list(changed.values()))
    out = np.empty((table.num_rows, len(features)), np.float64)
    for position, feature in enumerate(features):
        out[:, position] = _column(table[feature.name], feature)
    out[~np.isfinite(out)] = np.nan
    return out


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())


def _column(column: pa.ChunkedArray, feature: EncodedFeature) -> Floats:
    if feature.kind == "category":
        codes = pc.index_in(_plain(column), value_set=pa.array(feature.categories, pa.string()))
        return codes.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def arc_matrix(offers: Sequence[Offer], ways: Sequence[Way | None]) -> Floats:
    """(arcs, ARC_COLUMNS) of products met through channels; a channel of None is no contact.

    Args:
        offers: product of each arc.
        ways: channel of each arc.
    """
    rows = np.full((len(offers), len(ARC_COLUMNS)), np.nan)
    for row, (offer, way) in enumerate(zip(offers, ways, strict=True)):
        rows[row, :6] = (offer.id, offer.group, offer.price, offer.margin, offer.subsidy, offer.term)
        rows[row, 11] = way is not None
        if way is not None:
            rows[row, 6:11] = (way.id, way.inbound, way.cost, way.seconds, way.block)
    return rows
