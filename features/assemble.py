"""The snapshot: active customers with attributes, the windows of every family, staleness and derived features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from conf.feature import ZERO, Feature, names_in
from conf.featureset import FeatureSet
from features.anchor import Anchor
from features.sql import date_literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def snapshot(
    people: DataFrame,
    refused: DataFrame,
    families: Mapping[str, DataFrame],
    anchors: Mapping[str, Sequence[Anchor]],
    declared: FeatureSet,
) -> DataFrame:
    """One row a decision date and active customer, with the columns of ``customer_features``.

    Args:
        people: ``as_of, customer_id`` and attributes.
        refused: ``as_of, customer_id`` of those who refused profiling.
        families: family → its windows (``as_of, customer_id``, a column a feature).
        anchors: family → where its windows end on each date.
        declared: the features.
    """
    from pyspark.sql import functions as f

    key = ["as_of", "customer_id"]
    minor = "minor" if any(a.name == "minor" for a in declared.attributes) else "false"
    joined = people.join(refused.withColumn("refused__", f.lit(True)), key, "left").withColumn(
        "profiled", f.expr(f"not coalesce({minor}, false) and refused__ is null")
    )
    for windows in families.values():
        joined = joined.join(windows, key, "left")
    stale = [f"{staleness_sql(anchors[family.family])} as {family.staleness}" for family in declared.families]
    values = [
        (_value(feature, anchors[family.family]) if family.family in families else _nothing(feature))
        + f" as {feature.name}"
        for family in declared.families
        for feature in family.features
    ]
    kept = ["as_of as business_date", "customer_id", *(a.name for a in declared.attributes), "profiled"]
    result = joined.selectExpr(*kept, *stale, *values)
    for layer in derived_layers(declared):
        result = result.selectExpr("*", *layer)
    return result.select("business_date", "customer_id", *(column.name for column in declared.columns))


def derived_layers(declared: FeatureSet) -> list[list[str]]:
    """Select expressions of derived features, those that need others in a later layer."""
    layers: list[list[str]] = []
    depth: dict[str, int] = {}
    for _, derived in declared.derived:
        level = 1 + max((depth[name] for name in names_in(derived.formula) if name in depth), default=-1)
        depth[derived.name] = level
        while len(layers) <= level:
            layers.append([])
        layers[level].append(f"cast({derived.formula} as {derived.type}) as {derived.name}")
    return layers


def staleness_sql(anchors: Sequence[Anchor]) -> str:
    """Spark SQL of the days a family is behind, by ``as_of``; null where nothing had arrived."""
    cases = [
        f"when as_of = {date_literal(anchor.as_of)} then {anchor.staleness}"
        for anchor in anchors
        if anchor.staleness is not None
    ]
    return f"cast(case {' '.join(cases)} end as int)" if cases else "cast(null as int)"


def _value(feature: Feature, anchors: Sequence[Anchor]) -> str:
    """A feature's value: 0 for who has no event, null where the source is unknown or the customer not profiled."""
    value = f"cast({feature.name} as {feature.type})"
    unknown = [date_literal(anchor.as_of) for anchor in anchors if anchor.through is None]
    if feature.aggregate in ZERO:
        value = f"coalesce({value}, cast(0 as {feature.type}))"
    conditions = ["profiled"] if feature.family.purpose == "profile" else []
    if unknown:
        conditions.append(f"as_of not in ({', '.join(unknown)})")
    return f"case when {' and '.join(conditions)} then {value} end" if conditions else value


def _nothing(feature: Feature) -> str:
    return f"cast(null as {feature.type})"
