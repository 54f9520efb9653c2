"""What is declared: enough, distinct, current in the listing; and what is refused, with file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.catalogue import ROOT
from conf.errors import UserError
from conf.featureset import load_features
from features.anchor import feeds_of
from tests.fixtures.catalogue import frozen

DECLARED = ROOT.parent / "features" / "declared"
FAMILY = """
family: demo
label_zh: 示例
doc: a demo
source: contact
owner: nobody
inputs:
  - name: talks
    value: seconds
    where: "direction = 'in'"
    unit: s
    label_zh: 通话
    doc: talk time
    example: {row: {direction: in, seconds: 5}, value: 5}
    features: {sum: [7, 30]}
"""


def load(folder: Path, text: str, name: str = "demo.yml"):
    (folder / name).write_text(text, encoding="utf-8")
    catalogue = frozen()
    return load_features(folder, DECLARED, catalogue.written_tables, catalogue.schemas)


def test_the_promise_of_the_catalogue():
    catalogue = frozen()
    declared = catalogue.features
    assert len(declared.features) + len(declared.derived) >= 150
    inputs = [(f.source, f.schemas, i.value, i.where) for f in declared.families for i in f.inputs]
    assert len(set(inputs)) >= 60
    feeds = {code: feed for family in declared.families for code, feed in feeds_of(family, catalogue).items()}
    assert len({feed.schema_name for feed in feeds.values()}) >= 25
    assert len(feeds) >= 120
    windows = {feature.window for feature in declared.features}
    assert {1, 7, 14, 30, 90, 180} <= windows
    assert {feature.aggregate for feature in declared.features} >= {
        "sum",
        "count",
        "distinct",
        "min",
        "max",
        "mean",
        "last",
        "recency",
        "frequency",
        "trend",
        "entropy",
        "top",
    }


def test_no_two_features_are_the_same_by_declaration():
    declared = frozen().features
    meaning = {}
    for feature in declared.features:
        key = (
            feature.family.source,
            feature.family.schemas,
            feature.input.value,
            feature.input.where,
            feature.aggregate,
            feature.window,
        )
        assert key not in meaning, f"{feature.name} is {meaning[key]} under another name"
        meaning[key] = feature.name


def test_snapshot_table_follows_the_declarations():
    catalogue = frozen()
    table = catalogue.tables["customer_features"]
    names = [column.name for column in table.columns]
    assert names[:5] == ["business_date", "customer_id", "draw_key", "city", "centre"]
    assert "data_mb_sum_30d" in names
    assert "usage_month_staleness_days" in names
    assert {"minor", "group_id", "profiled"} <= catalogue.features.not_for_models
    assert all(family.table in catalogue.tables for family in catalogue.features.families)


def test_a_family_is_read(tmp_path):
    declared = load(tmp_path, FAMILY)
    assert [feature.name for feature in declared.features] == ["talks_sum_7d", "talks_sum_30d"]
    assert declared.attributes  # those of the operator where a folder has none


@pytest.mark.parametrize(
    ("change", "message", "line"),
    [
        (("source: contact", "source: contracts"), "no table of events", 5),
        (("value: seconds", "value: second"), "no column 'second'", 9),
        (("direction = 'in'", "direktion = 'in'"), "no column 'direktion'", 10),
        (("sum: [7, 30]", "sum: [7, 999]"), "kept for 400 days", 15),
        (("sum: [7, 30]", "sum: [7, 7]"), "different numbers", 15),
        (("sum: [7, 30]", "median: [7]"), "features", 15),
        (("sum: [7, 30]", "trend: [7]"), "at least 14", 15),
        (("sum: [7, 30]", "top: [7]"), "codes", 15),
        (("    unit: s", "    units: s"), "did you mean 'unit'", 11),
        (("source: contact", "source: contact\nschemas: [nothing]"), "no schema 'nothing'", 6),
        (("family: demo", "family: other"), "declares 'other'", 2),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_line(tmp_path, change, message, line):
    with pytest.raises(UserError) as caught:
        load(tmp_path, FAMILY.replace(*change))
    text = "\n".join(caught.value.lines())
    assert message in text
    place = int(text.split("demo.yml:")[1].split()[0])
    assert place == line, text


def test_personal_columns_cannot_enter(tmp_path):
    wrong = FAMILY.replace("source: contact", "source: usage").replace("value: seconds", "value: peer")
    wrong = wrong.replace("where: \"direction = 'in'\"", "type: string").replace("sum: [7, 30]", "last: [7]")
    with pytest.raises(UserError, match="personal"):
        load(tmp_path, wrong)


def test_two_features_of_one_name_are_refused(tmp_path):
    load(tmp_path, FAMILY)
    with pytest.raises(UserError, match="given twice"):
        load(tmp_path, FAMILY.replace("family: demo", "family: other"), "other.yml")


def derived(name: str, formula: str) -> str:
    facts = "aggregate: ratio, window: 7, unit: '', label_zh: 比, doc: a ratio"
    return f"  - {{input: {name}, {facts}, formula: '{formula}'}}\n"


def test_derived_features_come_after_those_they_use(tmp_path):
    text = FAMILY + "derived:\n" + derived("b", "a_ratio_7d + 1") + derived("a", "talks_sum_7d / talks_sum_30d")
    assert [d.name for _, d in load(tmp_path, text).derived] == ["a_ratio_7d", "b_ratio_7d"]


def test_a_circle_of_derived_features_is_refused(tmp_path):
    text = FAMILY + "derived:\n" + derived("a", "b_ratio_7d") + derived("b", "a_ratio_7d")
    with pytest.raises(UserError, match="circle"):
        load(tmp_path, text)


@pytest.mark.parametrize("formula", ["talks_sum_8d", "__import__(1)", "talks_sum_7d if 1 else 2", "talks_sum_7d ** 2"])
def test_a_formula_is_arithmetic_over_known_features(tmp_path, formula):
    with pytest.raises(UserError):
        load(tmp_path, FAMILY + "derived:\n" + derived("a", formula))
