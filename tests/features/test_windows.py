"""Windows merged from partials equal a slow count over events; incremental knowledge equals everything at once."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.catalogue import ROOT
from conf.feature import Family
from features.anchor import Anchor
from features.bucket import code, family_values, snapshot
from features.cells import cells_of
from features.fold import fold
from tests.examples import examples
from tests.fixtures.catalogue import frozen

DAY0 = dt.date(2025, 12, 1)
AS_OF = dt.date(2026, 1, 9)
CUSTOMERS = 3
FAMILY = Family.model_validate(
    {
        "family": "demo",
        "label_zh": "示例",
        "doc": "a demo",
        "source": "contact",
        "owner": "nobody",
        "inputs": [
            {
                "name": "x",
                "value": "v",
                "scale": 10,
                "unit": "yuan",
                "label_zh": "数",
                "doc": "a number",
                "example": {"row": {}, "value": 1},
                "features": {
                    "sum": [1, 7, 30],
                    "count": [7, 30],
                    "mean": [7],
                    "min": [30],
                    "max": [30],
                    "last": [30],
                    "first": [7],
                    "recency": [30],
                    "frequency": [7, 30],
                    "trend": [28],
                },
            },
            {
                "name": "s",
                "value": "t",
                "type": "string",
                "codes": ["a", "b"],
                "unit": "",
                "label_zh": "文",
                "doc": "a text",
                "example": {"row": {}, "value": "a"},
                "features": {"distinct": [7, 30], "last": [30], "first": [30], "entropy": [30], "top": [7, 30]},
            },
        ],
    }
)

event = st.tuples(
    st.integers(0, CUSTOMERS - 1),  # customer
    st.integers(0, 45),  # day after DAY0
    st.integers(0, 3),  # nights until it is known, after the first
    st.integers(0, 5),  # time of day, ties on purpose
    st.one_of(st.none(), st.integers(-5, 50)),
    st.one_of(st.none(), st.sampled_from(["a", "b", "c"])),
    st.sampled_from(["f1", "f2"]),
)


def valued(events) -> pa.Table:
    day = [DAY0 + dt.timedelta(days=e[1]) for e in events]
    return pa.table(
        {
            "business_date": pa.array(
                [d + dt.timedelta(days=1 + e[2]) for d, e in zip(day, events, strict=True)], pa.date32()
            ),
            "feed": pa.array([e[6] for e in events], pa.string()),
            "day": pa.array(day, pa.date32()),
            "customer_id": pa.array([e[0] for e in events], pa.int64()),
            "inputs": pa.array([(e[4] is not None) + 2 * (e[5] is not None) for e in events], pa.int64()),
            "at": pa.array([e[1] * 1000 + e[3] for e in events], pa.int64()),
            "x": pa.array([e[4] for e in events], pa.int64()),
            "s": pa.array([e[5] for e in events], pa.string()),
        }
    )


def partials(table: pa.Table) -> pa.Table:
    return fold(table, FAMILY)


def values(rows: list[pa.Table], as_of=AS_OF, anchors=None) -> dict[str, list]:
    last = as_of - dt.timedelta(days=1)
    anchor = Anchor(as_of, last, anchors or {"f1": last, "f2": last})
    coded = code(rows, FAMILY, 0)
    found = family_values(FAMILY, cells_of(FAMILY), coded, anchor, np.arange(CUSTOMERS), np.ones(CUSTOMERS, bool))
    return {name: column.to_pylist() for name, column in found.items()}


def slow(events, customer: int, as_of=AS_OF) -> dict[str, object]:
    """The same features, event by event."""
    last = as_of - dt.timedelta(days=1)
    seen = []
    for who, after, late, at, x, s, _ in events:
        day = DAY0 + dt.timedelta(days=after)
        if who == customer and day <= last and day + dt.timedelta(days=1 + late) <= as_of:
            seen.append(((last - day).days, after * 1000 + at, x, s))

    def xs(window):
        return [(age, at, x) for age, at, x, _ in seen if age < window and x is not None]

    def ss(window):
        return [(at, s) for age, at, _, s in seen if age < window and s is not None]

    codes = [[s for _, s in ss(30)].count(code) for code in ("a", "b")]
    weeks = [sum(x for age, _, x in xs(28) if age // 7 == 3 - k) for k in range(4)]
    week = [s for _, s in ss(7)]
    total = sum(codes)
    return {
        **{f"x_sum_{w}d": sum(x for *_, x in xs(w)) / 10 for w in (1, 7, 30)},
        **{f"x_count_{w}d": len(xs(w)) for w in (7, 30)},
        "x_mean_7d": sum(x for *_, x in xs(7)) / len(xs(7)) / 10 if xs(7) else None,
        "x_min_30d": min((x for *_, x in xs(30)), default=None),
        "x_max_30d": max((x for *_, x in xs(30)), default=None),
        "x_last_30d": max(((at, x) for _, at, x in xs(30)), default=(0, None))[1],
        "x_first_7d": min(((at, x) for _, at, x in xs(7)), default=(0, None))[1],
        "x_recency_30d": min((age + 1 for age, *_ in xs(30)), default=None),
        **{f"x_frequency_{w}d": len({age for age, *_ in xs(w)}) for w in (7, 30)},
        "x_trend_28d": np.polyfit(range(4), weeks, 1)[0] / 10,
        **{f"s_distinct_{w}d": len({s for _, s in ss(w)}) for w in (7, 30)},
        "s_last_30d": max(ss(30), default=(0, None))[1],
        "s_first_30d": min(ss(30), default=(0, None))[1],
        "s_entropy_30d": -sum(n / total * math.log2(n / total) for n in codes if n) if total else None,
        "s_top_30d": None if not total else "a" if codes[0] >= codes[1] else "b",
        "s_top_7d": None if not {"a", "b"} & set(week) else "a" if week.count("a") >= week.count("b") else "b",
    }


@pytest.mark.whole
@settings(max_examples=examples(60), deadline=None)
@given(st.lists(event, max_size=40))
def test_windows_equal_a_slow_count(events):
    found = values([partials(valued(events))])
    for customer in range(CUSTOMERS):
        for name, expected in slow(events, customer).items():
            if name in ("x_min_30d", "x_max_30d", "x_last_30d", "x_first_7d") and expected is not None:
                expected = expected / 10
            value = found[name][customer]
            if isinstance(expected, float) and value is not None:
                assert value == pytest.approx(expected, abs=1e-9), name
            else:
                assert value == expected, name


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(event, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(events, random):
    shuffled = list(events)
    random.shuffle(shuffled)
    assert partials(valued(events)).equals(partials(valued(shuffled)))


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(event, min_size=1, max_size=40), st.integers(0, 12))
def test_a_night_adds_to_what_is_kept_as_if_built_from_scratch(events, back):
    """Keeping the partials of earlier nights and adding tonight's equals building all of them tonight."""
    as_of = AS_OF - dt.timedelta(days=back)
    table = valued(events)
    earlier = table.filter(pc.less(table["business_date"], pa.scalar(as_of, pa.date32())))
    tonight = table.filter(pc.equal(table["business_date"], pa.scalar(as_of, pa.date32())))
    assert values([partials(earlier), partials(tonight)], as_of) == values([partials(table)], as_of)


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(event, max_size=30), st.lists(event, max_size=10))
def test_a_restatement_equals_a_build_from_scratch(kept, restated):
    """Rows of feed f2 are replaced: only its nights are folded again."""
    before = [e for e in kept if e[6] == "f1"]
    after = [(*e[:6], "f2") for e in restated]
    parts = [partials(valued(before)), partials(valued(after))]
    assert values(parts) == values([partials(valued(before + after))])


def test_events_after_the_decision_date_do_not_count():
    events = [(0, 39, 0, 0, 7, "a", "f1"), (0, 45, 0, 0, 9, "b", "f1")]
    found = values([partials(valued(events))])  # day 39 is 2026-01-09: D itself
    assert found["x_count_30d"] == [0, 0, 0]
    assert found["x_last_30d"] == [None, None, None]


def test_what_arrives_late_is_seen_by_later_nights_only():
    events = [(0, 36, 3, 0, 7, None, "f1")]  # of 6 January, known on the night of the 10th
    rows = [partials(valued(events))]
    assert values(rows)["x_sum_30d"][0] == 0
    assert values(rows, AS_OF + dt.timedelta(days=1))["x_sum_30d"][0] == 0.7


def test_a_late_feed_stands_in_with_its_last_good_days():
    last = AS_OF - dt.timedelta(days=1)
    events = [(0, 37, 0, 0, 10, None, "f1"), (1, 37, 0, 0, 20, None, "f2")]  # both of 7 January
    rows = [partials(valued(events))]
    assert values(rows)["x_sum_1d"] == [0, 0, 0]  # nothing of 8 January
    late = values(rows, anchors={"f1": last - dt.timedelta(days=1), "f2": last})
    assert late["x_sum_1d"] == [1.0, 0, 0]


def test_a_monthly_family_counts_months():
    family = FAMILY.model_copy(update={"grain": "month"})
    months = [dt.date(2025, 10, 31), dt.date(2025, 11, 30), dt.date(2025, 12, 31), dt.date(2026, 1, 5)]
    table = pa.table(
        {
            "feed": ["f1"] * 4,
            "day": pa.array(months, pa.date32()),
            "customer_id": [0] * 4,
            "at": [1, 2, 3, 4],
            "x": [10, 20, 40, 80],
            "s": pa.nulls(4, pa.string()),
            "inputs": [1] * 4,
            "business_date": pa.array([dt.date(2026, 1, 6)] * 4, pa.date32()),
        }
    )
    rows = code([fold(table, family)], family, 0)
    anchor = Anchor(AS_OF, dt.date(2025, 12, 31), {"f1": dt.date(2025, 12, 31)})
    found = family_values(family, cells_of(family), rows, anchor, np.arange(1), np.ones(1, bool))
    assert found["x_sum_30d"].to_pylist() == [4.0]  # December only: neither November nor what is after the anchor


def test_snapshot_empties_profiles_and_unknown_families(tmp_path):
    declared = frozen().features
    types = {"string": pa.string(), "int": pa.int32(), "double": pa.float64(), "boolean": pa.bool_()}
    attributes = {a.name: pa.nulls(3, types[a.type]) for a in declared.attributes}
    attributes["minor"] = pa.array([False, True, False])
    keys = {"customer_id": pa.array([3, 1, 2], pa.int64()), "draw_key": pa.array([30, 10, 20], pa.int64())}
    people = pa.table({**keys, "refused": [False, False, True], **attributes})
    last = AS_OF - dt.timedelta(days=1)
    anchors = {f.family: Anchor(AS_OF, last, {"x": last}) for f in declared.families}
    anchors["visit"] = Anchor(AS_OF, None, {})
    anchors["order"] = Anchor(AS_OF, last - dt.timedelta(days=3), {"x": last})
    table = snapshot(people, {}, anchors, declared)
    assert table["customer_id"].to_pylist() == [1, 2, 3]
    assert table["draw_key"].to_pylist() == [10, 20, 30]
    assert table["profiled"].to_pylist() == [False, False, True]  # a minor, a refusal, neither
    assert table["calls_10086_count_30d"].to_pylist() == [None, None, 0]  # profile
    assert table["complaints_count_30d"].to_pylist() == [0, 0, 0]  # service: holds for everyone
    assert table["visits_count_30d"].to_pylist() == [None] * 3  # never known: not 0
    assert table["visit_staleness_days"].to_pylist() == [None] * 3
    assert table["order_staleness_days"].to_pylist() == [3] * 3
    assert table.column_names[0] == "customer_id"


def test_declared_folder_exists():
    assert (ROOT.parent / "features" / "declared" / "attributes.yml").exists()
