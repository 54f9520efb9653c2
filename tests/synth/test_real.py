import datetime as dt
import gzip

import pandas as pd
import pyarrow.parquet as pq
import pytest

from conf.catalogue import ROOT, load_catalogue
from conf.errors import UserError
from synth.real import NAMES, read_assumptions, write
from synth.real import bank as banking
from synth.real import comcast as tickets
from synth.real import pega as hub
from synth.real import starbucks as coffee
from synth.real.facts import NUMBERS, source

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    out = tmp_path_factory.mktemp("bank") / "landing"
    return write("bank", out), out


@pytest.fixture(scope="module")
def pega(tmp_path_factory):
    out = tmp_path_factory.mktemp("pega") / "landing"
    return write("pega", out), out


@pytest.mark.parametrize("name", NAMES)
def test_an_overlay_is_a_whole_catalogue(name):
    catalogue = load_catalogue(ROOT / "demo" / name)
    assert catalogue.features.families
    assert catalogue.limits
    read = {schema.name for schema in catalogue.schemas.values() if schema.conform}
    assert {feed.schema_name for feed in catalogue.feeds.values()} == read
    if len(catalogue.feeds) >= 4:
        assert {feed.dialect for feed in catalogue.feeds.values()} == {"avl", "verf", "vgop", "jsonl"}
    assumptions, absent = read_assumptions(name)
    assert len(assumptions) > 3
    assert absent


def test_every_call_of_the_bank_is_written_or_held_back(bank):
    facts, _ = bank
    later = pq.read_table(facts.held_back)
    assert facts.records == 41_188
    assert facts.written["bank_contact"] + later.num_rows == 41_188
    assert facts.written["bank_order"] + sum(later["converted"].to_pylist()) == 4_640  # all who said yes
    assert facts.written["bank_decision"] == facts.written["bank_contact"]


def test_dates_of_calls_keep_order_month_and_weekday():
    rows = banking.read()
    days = pd.to_datetime(rows["called_on"])
    assert (days.dt.month == rows["month"].map(banking._MONTHS)).all()
    assert (days.dt.weekday == rows["day_of_week"].map(banking._WEEKDAYS)).all()
    assert rows["year"].tolist()[0] == 2008
    assert rows["year"].max() == 2010
    assert rows["list"].is_monotonic_increasing


def test_a_day_is_the_first_that_fits():
    may = dt.date(2008, 5, 1)  # a Thursday
    assert banking.days([may] * 3, [0, 0, 2]) == [dt.date(2008, 5, 5), dt.date(2008, 5, 5), dt.date(2008, 5, 7)]
    assert banking.days([may] * 12, [3, 0] * 6)[-1] <= dt.date(2008, 5, 31)


def test_no_list_knows_an_indicator_of_its_own_month():
    rows = banking.read()
    macro = banking.shift_indicators(rows)
    months = sorted(set(rows["list"]))
    assert macro.loc[months[0]].isna().all()
    before = rows[rows["list"] == months[4]]["euribor3m"].iloc[-1]
    assert macro.loc[months[5], "euribor_3m"] == before


def test_what_leaks_reaches_no_feature_of_the_bank():
    catalogue = load_catalogue(ROOT / "demo" / "bank")
    contact = catalogue.schemas["bank_contact"]
    assert {"talk_seconds", "calls_made"} <= set(contact.by_name)  # loaded
    sources = {family.source for family in catalogue.features.families}
    assert sources == {"life"}  # features read the list only
    client = catalogue.schemas["bank_client"]
    assert not {"duration", "talk_seconds", "calls_made", "answer"} & set(client.by_name)
    rows = banking.read().head(50)
    missing = banking.profiles(rows, banking.shift_indicators(banking.read()), dt.date(2008, 6, 1))[
        "days_since_previous"
    ]
    assert missing.null_count == 50  # 999 in the set


def test_tonights_clients_answer_nowhere_in_the_files(bank):
    facts, out = bank
    numbers = set(pq.read_table(facts.held_back)["number"].to_pylist())
    assert len(numbers) == 1_620
    for path in out.iterdir():
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        held = sum(number.encode() in data for number in list(numbers)[:200])
        expected = 200 if path.name.startswith("a700012010040") and path.suffix == ".gz" else 0
        assert held == expected, path.name


def test_the_same_set_gives_the_same_bytes(bank, tmp_path):
    _, out = bank
    write("bank", tmp_path / "landing")
    for path in out.iterdir():
        assert (tmp_path / "landing" / path.name).read_bytes() == path.read_bytes(), path.name


def test_every_offer_of_the_hub_is_written_or_held_back(pega):
    facts, _ = pega
    rows = hub.read()
    offers = rows[rows["pyChannel"] != ""]
    kept = offers[offers["night"] < hub.HELD_FROM]
    assert facts.records == 127_123
    assert facts.written["pega_decision"] == len(kept)
    assert facts.written["pega_contact"] + facts.written["pega_view"] == len(kept)
    assert facts.written["pega_order"] == kept["pyOutcome"].isin(hub.POSITIVE).sum()
    later = pq.read_table(facts.held_back)
    assert later.num_rows == len(
        offers[offers["night"] >= hub.HELD_FROM].drop_duplicates(["row", "pyName", "pyChannel"])
    )


def test_actions_are_named_alike_in_code_and_conf():
    catalogue = load_catalogue(ROOT / "demo" / "pega")
    assert sorted(hub.ACTIONS.values()) == sorted(product.code for product in catalogue.products)
    for schema in ("pega_decision", "pega_contact", "pega_view", "pega_order"):
        said = catalogue.schemas[schema].conform[0].columns["product"]
        for action, code in hub.ACTIONS.items():
            assert f"when '{action}' then '{code}'" in said


def test_a_score_is_not_taken_for_a_probability_of_logging(pega):
    columns = load_catalogue(ROOT / "demo" / "pega").schemas["pega_decision"].conform[0].columns
    assert columns["pscore"] == "1.0D"
    assert any("no logging probability" in line for line in pega[0].absent)


def test_numbers_are_from_a_range_that_no_network_has(pega):
    numbers = pq.read_table(pega[0].held_back)["number"].to_pylist()
    assert all(NUMBERS <= int(number) < NUMBERS + 10_000_000 for number in numbers)


@pytest.fixture(scope="module")
def starbucks(tmp_path_factory):
    try:
        source("starbucks_offers", "portfolio.json")
    except UserError as absent:
        pytest.skip(str(absent))
    out = tmp_path_factory.mktemp("starbucks") / "landing"
    return write("starbucks", out), out


def test_every_offer_of_the_programme_is_written_or_held_back(starbucks):
    facts, _ = starbucks
    rows = coffee.read_offers()
    later = rows[rows["offer_received_time"] >= coffee.HELD_HOUR]
    assert facts.records == len(rows) == 76_358
    assert facts.written["starbucks_offer"] == facts.written["starbucks_send"] == len(rows) - len(later)
    assert facts.written["starbucks_redeem"] == (rows.drop(later.index)["offer_completed"] == 1).sum()
    assert pq.read_table(facts.held_back).num_rows == len(later.drop_duplicates(["row", "product", "ways"]))


def test_offers_are_named_alike_in_the_set_and_in_conf(starbucks):
    catalogue = load_catalogue(ROOT / "demo" / "starbucks")
    offers = coffee.portfolio()
    assert {code for code, *_ in offers.values()} == {product.code for product in catalogue.products}
    assert {ways for _, ways, *_ in offers.values()} == {channel.code for channel in catalogue.channels}
    closed = {
        (tuple(limit.where["product"]), limit.where["channel"]) for limit in catalogue.limits if limit.at_most == 0
    }
    for code, ways, *_ in offers.values():  # what was never sent together is closed, what was is open
        for products, channel in closed:
            assert (code in products) == (channel != ways)


def test_what_is_unknown_of_a_member_is_missing(starbucks):
    people = coffee.members()
    assert people["age"].isna().sum() == people["income"].isna().sum() == 2_175
    assert not (people["age"] == 118).any()


def from_the_folder(name, tmp_path_factory):
    """A set that is read from the folder of public data; where that is absent the test says so."""
    try:
        out = tmp_path_factory.mktemp(name) / "landing"
        return write(name, out), out
    except UserError as absent:
        pytest.skip(str(absent))


def test_every_ticket_is_written_and_dates_are_those_of_the_month_column(tmp_path_factory):
    facts, _ = from_the_folder("comcast", tmp_path_factory)
    rows = tickets.read()
    assert facts.records == facts.written["comcast_ticket"] == len(rows) == 2_224
    assert facts.until == "eligibility"
    assert facts.expected == {
        "complaints_count_365d": 2224.0,
        "complaints_internet_count_365d": 1105.0,
        "reason:open_complaint": 517.0,
    }
    mixed = rows[rows["Date"] == "2015-04-08"]  # day and month swapped in that column
    assert len(mixed) > 0
    assert set(mixed["day"]) == {dt.date(2015, 8, 4)}
    assert rows["opened_at"].iloc[0].hour == pd.to_datetime(rows["Time"].iloc[0]).hour


def test_every_record_of_use_is_written_and_those_who_left_are_closed(tmp_path_factory):
    facts, _ = from_the_folder("megaline", tmp_path_factory)
    assert facts.written["megaline_call"] == 137_735
    assert facts.written["megaline_session"] == 104_825
    assert facts.written["megaline_message"] == 76_051
    assert facts.written["megaline_user"] == 500 + 34
    assert facts.records == 137_735 + 104_825 + 76_051 + 500
    assert facts.expected["calls_missed_count_30d"] > 0
    assert 0 < facts.expected["reason:has_ultimate"] < 161


def test_an_unknown_set_and_an_absent_file_are_mendable(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no data set 'moon'"):
        write("moon", tmp_path)
    monkeypatch.setenv("CPC_DATA", str(tmp_path))
    with pytest.raises(UserError, match="starbucks_offers is not here"):
        source("starbucks_offers", "portfolio.json")
