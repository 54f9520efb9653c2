"""Each kind of expectation is seen failing on a planted fault, and passing without it."""

import datetime as dt
import json
from pathlib import Path

import pytest

from conf.dates import start_of_day
from conf.errors import UserError
from conf.feed import Feed
from conf.schema import Schema
from expectations.measure import checks, frame
from expectations.suite import EXTENDED, Kind, extend_suite, generate_suite, suite
from expectations.verdict import judge
from tests.fixtures.catalogue import frozen

pytestmark = pytest.mark.whole

CATALOGUE = frozen()
DATE = dt.date(2026, 1, 8)
SCHEMA = Schema.model_validate(
    {
        "name": "call",
        "label": "来电",
        "doc": "a call",
        "key": ["no"],
        "fields": [
            {"name": "no", "type": "string", "label": "流水", "nullable": False, "max_length": 8},
            {"name": "phone", "type": "phone", "label": "号码", "personal": "phone"},
            {"name": "began", "type": "timestamp", "label": "时间", "nullable": False},
            {"name": "day", "type": "date", "label": "日期"},
            {"name": "seconds", "type": "int", "unit": "s", "label": "时长", "minimum": 0, "maximum": 7200},
            {"name": "centre", "type": "code", "label": "中心", "codes": "centre"},
        ],
        "codes": {"centre": {"gz": "广州", "sz": "深圳"}},
        "conform": [{"entity": "contact", "subject": "phone", "event_time": "began"}],
    }
)
FEED = Feed.model_validate(
    {
        "code": "call_gz",
        "label": "来电",
        "source": "s",
        "service": "hotline",
        "dialect": "verf",
        "schema": "call",
        "unit_code": "20001",
        "owner": "o",
        "purpose": "p",
        "holds": {"centre": ["gz"]},
    }
)
EXTRA = """
schema_name: call
expect:
  - {column: seconds, kind: average, low: 10, high: 600, rows: 20, why: unit}
  - {column: centre, kind: share, codes: [sz], high: 0.5, rows: 20, why: most are gz}
  - {column: centre, kind: n_distinct, low: 1, why: at least one}
  - {column: day, kind: earliest, high: 30, why: not older than a month}
  - {column: phone, kind: empty, high: 0.2, why: most callers are known}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "call.yml").write_text(EXTRA, encoding="utf-8")
    return tmp_path


def _metrics() -> dict[str, dict]:
    """A hundred good calls as the loader measures them."""
    base = {
        "rows": 100,
        "nulls": 0,
        "faults": 0,
        "distinct": None,
        "minimum": None,
        "maximum": None,
        "mean": None,
        "longest": None,
        "codes": None,
    }
    noon = start_of_day(DATE).timestamp() + 43200
    day = (DATE - dt.date(1970, 1, 1)).days
    return {
        "": base | {"distinct": 100},
        "no": base | {"longest": 8},
        "phone": base | {"nulls": 3},
        "began": base | {"minimum": noon - 3600, "maximum": noon},
        "day": base | {"minimum": float(day - 2), "maximum": float(day)},
        "seconds": base | {"minimum": 0.0, "maximum": 900.0, "mean": 120.0},
        "centre": base | {"distinct": 1, "codes": json.dumps({"gz": 100})},
    }


def _failed(metrics: dict[str, dict], folder: Path) -> set[str]:
    rows = checks("call_gz", suite(SCHEMA, FEED, folder), metrics, SCHEMA, DATE)
    judged = judge(frame(rows)).checks
    return {name.partition(" · ")[0] for name in judged.loc[~judged["success"], "check"]}


def test_good_data_passes_every_check(folder):
    assert _failed(_metrics(), folder) == set()


PLANTED = {
    "duplicate_share record": ("", {"distinct": 99}),
    "faults record": ("", {"faults": 5}),
    "empty no": ("no", {"nulls": 1}),
    "longest no": ("no", {"longest": 9}),
    "empty phone": ("phone", {"nulls": 30}),
    "latest began": ("began", {"maximum": start_of_day(DATE).timestamp() + 86401}),
    "earliest day": ("day", {"minimum": 20000.0}),
    "min seconds": ("seconds", {"minimum": -1.0}),
    "max seconds": ("seconds", {"maximum": 7201.0}),
    "average seconds": ("seconds", {"mean": 120_000.0}),
    "other_codes centre": ("centre", {"codes": json.dumps({"gz": 99, "sz": 1})}),
    "share centre sz": ("centre", {"codes": json.dumps({"gz": 40, "sz": 60})}),
    "n_distinct centre": ("centre", {"distinct": 0}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_fails_its_expectation(name, folder):
    column, change = PLANTED[name]
    metrics = _metrics()
    metrics[column] |= change
    found = _failed(metrics, folder)
    assert name in found
    assert found <= {name, "other_codes centre"}  # nothing else is blamed


def test_every_kind_has_a_planted_fault():
    assert {name.split()[0] for name in PLANTED} == set(Kind.__args__)


def test_few_records_are_not_judged_by_their_mean(folder):
    metrics = {name: row | {"rows": 5} for name, row in _metrics().items()}
    metrics[""]["distinct"] = 5
    metrics["seconds"]["mean"] = 1e9
    assert _failed(metrics, folder) == set()


def test_an_extension_replaces_the_generated_expectation(tmp_path):
    (tmp_path / "call.yml").write_text(
        "schema_name: call\nexpect:\n  - {column: seconds, kind: max, high: 60, why: short calls}\n",
        encoding="utf-8",
    )
    found = {e.name: e for e in suite(SCHEMA, FEED, tmp_path)}
    assert found["max seconds"].high == 60
    assert len(found) == len({e.name for e in generate_suite(SCHEMA, FEED)})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("schema_name: call\nexpect:\n  - {column: second, kind: average, high: 1, why: x}\n", "no field 'second'"),
        ("schema_name: call\nexpect:\n  - {column: centre, kind: average, high: 1, why: x}\n", "cannot be asked"),
        ("schema_name: call\nexpect:\n  - {column: centre, kind: share, codes: [xx], high: 1, why: x}\n", "no code"),
        ("schema_name: call\nexpect:\n  - {column: seconds, kind: average, why: x}\n", "low"),
        ("schema_name: call\nexpect:\n  - {column: seconds, kind: average, low: 2, high: 1, why: x}\n", "above"),
        ("schema_name: calls\n", "is about 'calls'"),
    ],
)
def test_a_wrong_extension_is_refused_with_its_line(text, says, tmp_path):
    (tmp_path / "call.yml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        extend_suite(SCHEMA, tmp_path)
    message = "\n".join(caught.value.lines())
    assert says in message
    assert "call.yml:" in message


def test_shipped_extensions_fit_their_schemas():
    files = sorted(EXTENDED.glob("*.yml"))
    assert len(files) >= 10
    for path in files:
        assert extend_suite(CATALOGUE.schemas[path.stem])


def test_every_feed_has_a_suite_of_its_own_size():
    for feed in CATALOGUE.feeds.values():
        schema = CATALOGUE.schemas[feed.schema_name]
        names = [e.name for e in suite(schema, feed)]
        assert len(names) == len(set(names))
        assert len(names) >= 4
