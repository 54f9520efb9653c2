"""Every feed's records keep to their schema, and what is told twice agrees."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from conf.schema import Field
from synth.emit import table_of
from synth.people import FIRST_NUMBER, NUMBERS, phones
from synth.plan import day_of
from synth.rows import Period
from tests.fixtures.catalogue import frozen
from tests.synth.conftest import Small

TYPES = {
    "string": pa.string(),
    "code": pa.string(),
    "phone": pa.string(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "bool": pa.bool_(),
}
NOVEMBER = Period(day_of(dt.date(2025, 11, 1)), day_of(dt.date(2025, 12, 1)), day_of(dt.date(2025, 11, 30)))


def period_of(small: Small, code: str) -> Period:
    feed = small.plan.catalogue.feeds[code]
    if feed.granularity == "monthly":
        return NOVEMBER
    day = small.plan.start_day
    return Period(day, day + 1, day, 10 if feed.granularity == "hourly" else -1)


def table(small: Small, code: str, scale: float = 1.0) -> pa.Table:
    return table_of(small.world, small.plan.catalogue.feeds[code], period_of(small, code), small.folder, scale)


@pytest.mark.parametrize("schema_name", sorted(frozen().schemas))
def test_records_keep_to_their_schema(small: Small, schema_name: str) -> None:
    catalogue = small.plan.catalogue
    schema = catalogue.schemas[schema_name]
    for feed in catalogue.feeds_of(schema_name)[:2]:
        records = table(small, feed.code, scale=3.0)
        assert records.column_names == [field.name for field in schema.fields]
        for field in schema.fields:
            column = records.column(field.name).combine_chunks()
            assert column.type == TYPES.get(field.type, pa.decimal128(18, field.scale)), field.name
            assert field.nullable or column.null_count == 0, field.name
            _within(field, column, set(schema.codes.get(field.codes, {})))
        for name, values in feed.holds.items():
            assert set(records.column(name).drop_null().to_pylist()) <= set(values), (feed.code, name)


def _within(field: Field, column: pa.Array, codes: set[str]) -> None:
    if column.null_count == len(column):
        return
    if field.type == "code":
        assert set(column.drop_null().to_pylist()) <= codes, field.name
    if field.max_length and field.type == "string":
        assert pc.max(pc.utf8_length(column)).as_py() <= field.max_length, field.name
    if field.minimum is not None:
        assert pc.min(column).as_py() >= field.minimum, field.name
    if field.maximum is not None:
        assert pc.max(column).as_py() <= field.maximum, field.name


def test_a_row_of_a_ledger_is_told_once(small: Small) -> None:
    feeds = small.plan.catalogue.feeds_of("product_order")
    monthly = [f.code for f in feeds if f.granularity == "monthly"]
    orders = np.load(small.folder / "order.npz")
    inside = (orders["time"] >= NOVEMBER.first * 86400) & (orders["time"] < NOVEMBER.last * 86400)
    told = pa.concat_tables([table(small, code) for code in monthly])
    assert told.num_rows == inside.sum() > 0
    assert len(set(told.column("order_no").to_pylist())) == told.num_rows


def test_daily_feeds_share_the_ledger(small: Small) -> None:
    feeds = [f for f in small.plan.catalogue.feeds_of("product_order") if f.granularity != "monthly"]
    orders = np.load(small.folder / "order.npz")
    day = small.plan.start_day
    inside = (orders["time"] >= day * 86400) & (orders["time"] < (day + 1) * 86400)
    assert sum(table(small, f.code).num_rows for f in feeds) == inside.sum()


def test_decisions_contacts_and_orders_agree(small: Small) -> None:
    decisions = table(small, "decision_log_archive").to_pandas()
    results = table(small, "contact_result_archive").to_pandas()
    orders = table(small, "product_order_archive").to_pandas()
    assert decisions["decision_no"].is_unique
    known = decisions.set_index("decision_no")
    named = results[results["decision_ref"].notna()]
    assert len(named) > 100
    told = known.loc[named["decision_ref"]]
    assert (told["offer_code"].to_numpy() == named["offered_product"].to_numpy()).all()
    assert (told["touch_code"].to_numpy() == named["attempt_channel"].to_numpy()).all()
    assert (told["target_no"].to_numpy() == named["reach_no"].to_numpy()).all()
    answers = orders[orders["answers_decision"].notna() & orders["answers_decision"].isin(known.index)]
    told = known.loc[answers["answers_decision"]]
    assert (told["target_no"].to_numpy() == answers["order_msisdn"].to_numpy()).all()


def test_every_living_customer_has_a_decision_every_night(small: Small) -> None:
    decisions = table(small, "decision_log_archive").to_pandas()
    day = day_of(dt.date(2025, 11, 15))
    tonight = decisions[decisions["decision_date"] == dt.date(2025, 11, 15)]
    assert len(tonight) == small.world.is_living(np.arange(small.world.size), day).sum()
    assert set(tonight["policy_role"]) == {"control", "explore", "exploit"}


def test_numbers_are_synthetic_and_one_to_one_but_for_heirs(small: Small) -> None:
    numbers = phones(np.arange(200_000))
    assert len(np.unique(numbers)) == len(numbers)
    assert numbers.min() >= FIRST_NUMBER
    assert numbers.max() < FIRST_NUMBER + NUMBERS
    world = small.world
    number, times = np.unique(world["phone"], return_counts=True)
    assert (times <= 2).all()
    shared = number[times == 2]
    assert len(shared) == int(small.plan.customers * small.plan.preset.faults.reused_numbers)
    for phone in shared:
        first, second = sorted(np.flatnonzero(world["phone"] == phone), key=lambda i: world["opened"][i])
        assert world["closed"][first] < world["opened"][second]


def test_behaviour_shows_hidden_traits_with_noise(small: Small) -> None:
    bytes_used = table(small, "usage_month").to_pandas().set_index("use_msisdn")["data_bytes"]
    intent = small.world["intent"][:, 2]
    phone = small.world["phone"].astype(str)
    seen = bytes_used.reindex(phone).to_numpy(dtype=float)
    ok = ~np.isnan(seen) & (seen > 0)
    correlation = np.corrcoef(np.log(seen[ok]), intent[ok])[0, 1]
    assert 0.4 < correlation < 0.95


def test_the_past_showed_no_slates_of_ours(small: Small) -> None:
    feed = small.plan.catalogue.feeds["banner_website"]
    period = Period(small.plan.start_day, small.plan.start_day + 1, small.plan.start_day)
    table = table_of(small.world, feed, period, small.folder)
    assert table.num_rows
    for name in ("banner_decision", "slate_rank", "slate_probability"):
        assert table[name].null_count == table.num_rows
