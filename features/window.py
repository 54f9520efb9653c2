"""Daily partials → the features of a family on any number of decision dates, in one pass.

Windows are merged in two steps: rows fall into *bands* of age between two windows (0–1, 1–7, 7–14 … days), each band is
summed once, and a window is the sum of its bands. So the cost does not grow with windows × inputs × rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conf.feature import Family, Feature, Input
from conf.partial import states_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Days between a window's anchor and an event's day; months count 30 (a monthly row stands for its month).
AGE = {
    "day": "datediff(anchor, day)",
    "month": "30 * ((year(anchor) - year(day)) * 12 + month(anchor) - month(day))",
}
_STEP = {"day": 7, "month": 30}


def windows(partials: DataFrame, anchors: DataFrame, family: Family) -> DataFrame:
    """The features of ``family`` per decision date and customer with any event in its longest window.

    Args:
        partials: rows of the family's partial table.
        anchors: ``as_of, feed, anchor``: the last day of every feed's windows on a decision date (small).
        family: the declaration.

    Returns:
        ``as_of, customer_id`` and one column a feature; what a customer has no event for is null.
    """
    from pyspark.sql import functions as f

    longest = max(family.windows)
    aged = (
        partials.join(f.broadcast(anchors), "feed")
        .withColumn("age", f.expr(AGE[family.grain]))
        .where(f"business_date <= as_of and age >= 0 and age < {longest}")
        .withColumn("band", f.expr(_band(family)))
    )
    banded = [pair for source in family.inputs for pair in _merge(source, family.grain)]
    bands = aged.groupBy("as_of", "customer_id", "band").agg(*(f.expr(e).alias(n) for n, e in banded))
    wanted = [(feature.name, window_sql(feature)) for feature in family.features]
    return bands.groupBy("as_of", "customer_id").agg(*(f.expr(e).alias(n) for n, e in wanted))


def _band(family: Family) -> str:
    cases = " ".join(f"when age < {window} then {position}" for position, window in enumerate(family.windows))
    return f"case {cases} end"


def _merge(source: Input, grain: str) -> list[tuple[str, str]]:
    name = source.name
    of_state = {
        "count": [(f"{name}__count", f"sum({name}__count)")],
        "sum": [(f"{name}__sum", f"sum({name}__sum)")],
        "min": [(f"{name}__min", f"min({name}__min)")],
        "max": [(f"{name}__max", f"max({name}__max)")],
        "last": [(f"{name}__last", _extreme("max", name, "last"))],
        "first": [(f"{name}__first", _extreme("min", name, "first"))],
        "sketch": [(f"{name}__sketch", f"hll_union_agg({name}__sketch) filter (where {name}__sketch is not null)")],
        "codes": [(f"{name}__n{i}", f"sum({name}__n{i})") for i, _ in enumerate(source.codes)],
    }
    merged = [pair for state in states_of(source.features) for pair in of_state[state]]
    if "recency" in source.features:
        merged.append((f"{name}__age", f"min(if({name}__count > 0, age, null))"))
    if "frequency" in source.features:
        merged.append((f"{name}__days", f"bit_or(if({name}__count > 0 and age < 63, shiftleft(1L, age), 0L))"))
    for window in source.features.get("trend", ()):
        merged.append((f"{name}__slope{window}", f"sum({name}__sum * {_slope_weight(window, grain)})"))
    return merged


def _extreme(function: str, name: str, state: str) -> str:
    return (
        f"{function}(struct({name}__{state}_at as t, {name}__{state} as v)) "
        f"filter (where {name}__{state}_at is not null)"
    )


def steps_of(window: int, grain: str) -> int:
    """Whole weeks (months for a monthly grain) of a trend's window."""
    return window // _STEP[grain]


def _slope_weight(window: int, grain: str) -> str:
    """Twice the centred position of an event's week, newest positive: the slope is linear in the weeks' sums."""
    steps = steps_of(window, grain)
    week = f"(age div {_STEP[grain]})"
    return f"if(age < {steps * _STEP[grain]}, {steps - 1} - 2 * {week}, 0)"


def window_sql(feature: Feature) -> str:
    """Spark SQL of a feature over the bands of one customer and date (columns as ``_merge`` names them)."""
    name, aggregate, window = feature.input.name, feature.aggregate, feature.window
    inside = f"filter (where band <= {feature.family.windows.index(window)})"
    scale = "" if feature.input.scale == 1 else f" / {feature.input.scale}D"
    if aggregate == "trend":
        steps = steps_of(window, feature.family.grain)
        # least squares over equal steps: 12 Σ (x − x̄) y / (n (n² − 1))
        return f"sum({name}__slope{window}) * 6D / {steps * (steps * steps - 1)}D{scale}"
    if aggregate in ("entropy", "top"):
        counts = [f"coalesce(sum({name}__n{i}) {inside}, 0)" for i, _ in enumerate(feature.input.codes)]
        return _entropy(counts) if aggregate == "entropy" else _top(counts, feature.input.codes)
    return {
        "sum": f"sum({name}__sum) {inside}{scale}",
        "count": f"sum({name}__count) {inside}",
        "mean": f"(sum({name}__sum) {inside}) / nullif(sum({name}__count) {inside}, 0){scale}",
        "min": f"(min({name}__min) {inside}){scale}",
        "max": f"(max({name}__max) {inside}){scale}",
        "last": f"(max({name}__last) {inside}).v{scale}",
        "first": f"(min({name}__first) {inside}).v{scale}",
        "distinct": f"hll_sketch_estimate(hll_union_agg({name}__sketch) "
        f"filter (where {name}__sketch is not null and band <= {feature.family.windows.index(window)}))",
        "recency": f"(min({name}__age) {inside}) + 1",
        "frequency": f"cast(bit_count(bit_or({name}__days) {inside} & {(1 << window) - 1}L) as int)",
    }[aggregate]


def _entropy(counts: list[str]) -> str:
    """Shannon entropy in bits over declared codes; null without any event."""
    total = f"({' + '.join(counts)})"
    terms = " + ".join(f"if({n} > 0, {n} * log2({n}), 0D)" for n in counts)
    return f"case when {total} > 0 then greatest(0D, log2({total}) - ({terms}) / {total}) end"


def _top(counts: list[str], codes: tuple[str, ...]) -> str:
    """The code with the most events; of equals, the one declared first; null without any event."""
    from features.sql import literal

    best = f"greatest({', '.join(counts)})" if len(counts) > 1 else counts[0]
    cases = " ".join(f"when {n} = {best} then {literal(code)}" for n, code in zip(counts, codes, strict=True))
    return f"case when {best} > 0 then case {cases} end end"
