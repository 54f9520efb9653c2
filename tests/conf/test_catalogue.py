"""The catalogue: as it was shipped (frozen: 242 contracts, honest schemas), and what holds of the live one whatever is
added; messages name file, line and remedy."""

import itertools
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from conf import documents
from conf.catalogue import ROOT, Catalogue, load_catalogue
from conf.errors import UserError
from conf.geography import GRADES, load_geography
from tests.fixtures.catalogue import FIXTURE, frozen

CATALOGUE, LIVE = frozen(), load_catalogue()


def test_there_are_204_hotline_and_38_echannel_feeds():
    assert Counter(feed.service for feed in CATALOGUE.feeds.values()) == {"hotline": 204, "echannel": 38}


def test_a_file_is_parsed_once():
    documents._read.cache_clear()
    assert len(Catalogue(ROOT).feeds) == len(LIVE.feeds)
    parsed = documents._read.cache_info().misses
    assert parsed > len(LIVE.feeds)
    assert len(Catalogue(ROOT).feeds) == len(LIVE.feeds)
    assert documents._read.cache_info().misses == parsed


def test_schemas_are_many_wide_and_distinct():
    schemas = {feed.schema_name for feed in CATALOGUE.feeds.values()}
    assert schemas == set(CATALOGUE.schemas)  # none lies idle
    assert len(schemas) >= 60
    assert sum(len(s.fields) for s in CATALOGUE.schemas.values()) / len(schemas) >= 12
    for one, other in itertools.combinations(CATALOGUE.schemas.values(), 2):
        left = {f.name for f in one.fields} - set(one.key)
        right = {f.name for f in other.fields} - set(other.key)
        assert len(left & right) < 0.5 * min(len(left), len(right)), f"{one.name} and {other.name} share too much"


def test_labels_and_types_differ_too():
    """Renamed copies would pass the test above: labels in 中文 may not repeat either."""
    for one, other in itertools.combinations(CATALOGUE.schemas.values(), 2):
        left, right = ({f.label for f in s.fields if f.name not in s.key} for s in (one, other))
        assert len(left & right) < 0.6 * min(len(left), len(right)), f"{one.name} and {other.name} are copies"


def test_most_feeds_reach_an_entity_and_few_are_unread():
    read = [f for f in CATALOGUE.feeds.values() if CATALOGUE.schemas[f.schema_name].conform]
    assert len(read) >= 120
    assert len(CATALOGUE.feeds) - len(read) <= len(CATALOGUE.feeds) / 5


def test_every_dialect_compression_and_granularity_is_used():
    used = {(f.dialect, f.layout, f.compression) for f in CATALOGUE.feeds.values()}
    assert used >= {
        ("avl", "delimited", "none"),
        ("avl", "delimited", "Z"),
        ("avl", "delimited", "gzip"),
        ("verf", "delimited", "none"),
        ("verf", "fixed", "none"),
        ("vgop", "delimited", "none"),
        ("jsonl", "delimited", "gzip"),
        ("jsonl", "delimited", "zstd"),
    }
    hourly = [f for f in CATALOGUE.feeds.values() if f.granularity == "hourly"]
    assert 1 <= len(hourly) <= 6
    assert all(f.dialect == "jsonl" for f in hourly)  # only its names carry an hour
    assert sum(f.granularity == "monthly" for f in CATALOGUE.feeds.values()) >= 10


@pytest.mark.parametrize("schema", CATALOGUE.schemas.values(), ids=lambda s: s.name)
def test_a_schema_conforms_to_columns_that_exist(schema):
    entities = {name for name, table in CATALOGUE.tables.items() if table.kind == "entity"}
    names = set(schema.by_name)
    for conform in schema.conform:
        assert conform.entity in entities
        table = {column.name for column in CATALOGUE.tables[conform.entity].columns}
        assert set(conform.columns) <= table
        if conform.subject:
            assert schema.by_name[conform.subject].type == "phone"
        for text in (conform.event_time, conform.where, *conform.columns.values()):
            bare = re.sub(r"'[^']*'", "", text)
            words = set(re.findall(r"(?<![\w.])[a-z_][a-z0-9_]*\b(?!\s*\()", bare))
            known = {
                "cast",
                "as",
                "bigint",
                "int",
                "true",
                "false",
                "not",
                "is",
                "null",
                "and",
                "or",
                "interval",
                "second",
            }
            assert words <= names | known, f"{schema.name}: {sorted(words - names - known)} are no fields"


@pytest.mark.parametrize("schema", LIVE.schemas.values(), ids=lambda s: s.name)
def test_what_is_personal_is_marked(schema):
    marks = {field.personal for field in schema.fields}
    for field in schema.fields:
        if re.search(r"(_text$|_words|_note|_remark|_summary|_address|address_digest|birth)", field.name):
            assert field.personal != "none", f"{schema.name}.{field.name} is not marked"
    if schema.conform and schema.conform[0].subject:
        assert "phone" in marks


def test_sensitive_fields_reach_no_entity():
    """Free text, places, addresses and devices may not become features."""
    barred = {"free_text", "location", "address", "device", "identity", "name", "account"}
    for schema in LIVE.schemas.values():
        fields = {f.name for f in schema.fields if f.personal in barred}
        for conform in schema.conform:
            for column, text in conform.columns.items():
                hit = fields & set(re.findall(r"[a-z_][a-z0-9_]*", text))
                assert not hit, f"{schema.name}.{column} carries {sorted(hit)}"


def test_a_feed_of_a_centre_holds_its_own_centre_only():
    for feed in CATALOGUE.feeds.values():
        tail = feed.code.rsplit("_", 1)[-1]
        if tail in {"gz", "sz", "fs", "zh", "st", "zj"}:
            assert feed.holds, f"{feed.code} does not say what it holds"
            assert any(tail in codes for codes in feed.holds.values())


def test_feeds_of_one_interface_do_not_overlap():
    """Two daily feeds of one schema that could carry the same record would count it twice."""
    by_schema: dict[str, list] = {}
    for feed in LIVE.feeds.values():
        if feed.granularity != "monthly":
            by_schema.setdefault(feed.schema_name, []).append(feed)
    for feeds in by_schema.values():
        for one, other in itertools.combinations(feeds, 2):
            apart = any(not set(one.holds[k]) & set(other.holds.get(k, one.holds[k])) for k in one.holds)
            assert apart, f"{one.code} and {other.code} may carry the same record"


def test_a_quiet_night_is_some_256_bytes_a_customer():
    """Rows a night: the volume that synth makes by default must stay near what the design sizes for."""
    rows = sum(
        feed.rows_per_1000 * (24 if feed.granularity == "hourly" else 1)
        for feed in CATALOGUE.feeds.values()
        if feed.granularity != "monthly"
    )
    assert 1500 <= rows <= 2500


def test_products_and_channels_are_complete():
    products, channels = CATALOGUE.products, CATALOGUE.channels
    assert len(products) >= 16
    assert {p.group for p in products} == {"voice", "message", "data", "terminal"}
    assert [c.id for c in channels] == list(range(len(channels)))
    codes = {p.code for p in products}
    assert all(set(p.excludes) <= codes for p in products)
    keys = [frozenset(p.attributes) for p in products]
    assert len(set(keys)) == 1  # a rule may name an attribute of any product
    assert all(p.margin_micro > 0 for p in products)
    pushed = {c.code for c in channels if c.direction == "outbound"}
    assert pushed == {"agent_out", "sms_hall", "wechat", "ivr_out", "account_manager"}
    assert all(c.block_days > 0 for c in channels if c.direction == "outbound")


def test_rules_speak_both_languages():
    assert len(CATALOGUE.rules) >= 20
    for rule in (*CATALOGUE.rules, *LIVE.rules):
        assert rule.reason
        assert re.search(r"[\u4e00-\u9fff]", rule.reason_zh), rule.name


def test_limits_bind_people_money_and_shares():
    limits = CATALOGUE.limits
    assert len(limits) == 60
    assert {limit.side for limit in limits} == {"at_most", "at_least"}
    assert {limit.counts for limit in limits} >= {"contacts", "seconds", "cost_micro", "callback_0", "callback_2"}
    assert any(limit.share for limit in limits)
    assert all(re.search(r"[\u4e00-\u9fff]", limit.label_zh) for limit in limits)


def test_rows_with_for_each_are_the_limits_that_were_written_out():
    """The list as it stood when every centre had a row of its own: names, order and amounts are the same."""
    written_out = json.loads((FIXTURE.parent / "limits.json").read_text(encoding="utf-8"))
    assert [json.loads(limit.model_dump_json(exclude={"reported_only"})) for limit in CATALOGUE.limits] == written_out


def test_the_live_catalogue_loads_whole_and_in_order():
    """Properties that any operator's catalogue has."""
    assert LIVE.feeds
    assert LIVE.limits
    assert LIVE.segments
    assert [p.id for p in LIVE.products] == sorted({p.id for p in LIVE.products})
    assert [g.id for g in LIVE.groups] == sorted({g.id for g in LIVE.groups})
    assert [c.id for c in LIVE.channels] == list(range(len(LIVE.channels)))
    assert {p.group for p in LIVE.products} <= {g.code for g in LIVE.groups}
    assert load_geography().cities


def test_geography_is_closed():
    geography = load_geography(FIXTURE)
    assert (len(geography.cities), len(geography.centres)) == (21, 6)
    assert geography.centre_of["dg"] == "sz"
    night = next(shift for shift in geography.shifts if shift.code == "night7")
    assert (night.paid_minutes, night.meal_minutes) == (480, 30)
    profile = CATALOGUE.schemas["subscriber_profile"]
    assert set(profile.codes["city"]) == {city.code for city in geography.cities}
    assert set(profile.codes["centre"]) == {centre.code for centre in geography.centres}
    assert set(profile.codes["grade"]) == set(GRADES)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A catalogue of our own to break."""
    for name in (
        "groups.yml",
        "products.yml",
        "channels.yml",
        "rules.yml",
        "limits.yml",
        "segments.yml",
        "geography.yml",
    ):
        shutil.copy(FIXTURE / name, tmp_path / name)
    for folder, name in (
        ("feeds/hotline", "bill_month.yml"),
        ("feeds/hotline", "order_counter.yml"),
        ("schemas", "bill_month.yml"),
        ("schemas", "product_order.yml"),
    ):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(FIXTURE / folder / name, tmp_path / folder / name)
    return tmp_path


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "ask", "says"),
    [
        ("feeds/hotline/bill_month.yml", "schema: bill_month", "schema: bill_moth", "feeds", "no schema 'bill_moth'"),
        ("feeds/hotline/bill_month.yml", "owner:", "colour: red\nowner:", "feeds", "colour"),
        (
            "feeds/hotline/bill_month.yml",
            "dialect: verf",
            "dialect: verf\ndelimiter: '||'",
            "feeds",
            "delimiter '||' is none",
        ),
        ("feeds/hotline/bill_month.yml", "code: bill_month", "code: bills", "feeds", "declares 'bills'"),
        ("feeds/hotline/bill_month.yml", "owner:", "holds: {pay_way: [7]}\nowner:", "feeds", "holds"),
        ("schemas/bill_month.yml", "key: [bill_no]", "key: [bill]", "schemas", "key names no field"),
        ("schemas/bill_month.yml", "codes: pay_way", "codes: pay", "schemas", "no code list"),
        ("schemas/bill_month.yml", "subject: bill_msisdn", "subject: nobody", "schemas", "subject names no field"),
        ("products.yml", "id: 1,", "id: 0,", "products", "twice"),
        ("products.yml", "group: voice", "group: voices", "products", "did you mean 'voice'"),
        ("groups.yml", "code: terminal", "code: terminals", "products", "no group 'terminal'"),
        ("groups.yml", "id: 3", "id: 2", "groups", "twice"),
        ("limits.yml", "for_each: centre", "for_each: centres", "limits", "did you mean 'centre'"),
        ("limits.yml", "for_each: {centre: [gz, sz]}", "for_each: {centre: [gz, xx]}", "limits", "no centre 'xx'"),
        ("limits.yml", "for_each: {centre: [gz, sz]}", "for_each: {centre: gz}", "limits", "a list of codes"),
        ("limits.yml", "{gz: 620, sz", "{sz", "limits", "no value for centre 'gz'"),
        ("limits.yml", "{gz: 620, sz", "{gd: 1, gz: 620, sz", "limits", "'gd' is no centre"),
        ("limits.yml", '"managers_{centre}"', "managers", "limits", "twice"),
        ("schemas/product_order.yml", "{order_channel: channel}", "{order_channel: way}", "schemas", "order_channel"),
        ("feeds/hotline/order_counter.yml", '"wechat"', '"wechatt"', "feeds", "no code 'wechatt'"),
        ("limits.yml", "at_most: 210000", "at_most: 210000, at_least: 1", "limits", "exactly one"),
        ("limits.yml", "channel: sms_hall", "channel: smshall", "limits", "no channel 'smshall'"),
        ("limits.yml", "segment: rural", "segment: rurall", "limits", "rurall"),
        ("limits.yml", "percent: 20", "percent: 200", "limits", "percent"),
        ("rules.yml", "name: minor", "name: opt_out", "rules", "twice"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(copy, file, old, new, ask, says):
    _edit(copy / file, old, new)
    with pytest.raises(UserError) as caught:
        getattr(Catalogue(copy), ask)
    text = "\n".join(caught.value.lines())
    assert says in text
    assert Path(file).name in text
    assert "remedy" in text


def test_a_weight_that_does_not_add_up_is_refused(copy):
    _edit(copy / "geography.yml", "weight: 148", "weight: 149")
    with pytest.raises(UserError, match="1001"):
        load_geography(copy)


def test_a_channel_taken_out_is_refused_as_its_masks_would_shift(tmp_path: Path):
    text = (FIXTURE / "channels.yml").read_text(encoding="utf-8")
    (tmp_path / "channels.yml").write_text(re.sub(r"  - \{id: 3,.*\n", "", text), encoding="utf-8")
    with pytest.raises(UserError, match="no channel has id 3") as caught:
        _ = Catalogue(tmp_path).channels
    assert 'eligible: "false"' in caught.value.remedy


def test_channels_are_in_the_code_lists_that_take_them(copy):
    _edit(
        copy / "channels.yml",
        "channels:\n",
        "channels:\n  - {id: 11, code: drone, label: D, label_zh: 无人机, direction: inbound}\n",
    )
    found = Catalogue(copy)
    assert found.schemas["product_order"].codes["order_channel"]["drone"] == "无人机"
    assert "drone" in found.feeds["order_counter"].holds["accept_channel"]
    assert list(CATALOGUE.feeds["order_counter"].holds["accept_channel"]) == [
        "agent_out",
        "ivr_out",
        "account_manager",
        "shop",
        "agent_in",
    ]


def test_a_row_may_stand_for_channels_groups_and_products(copy):
    rows = """limits:
  - {for_each: channel, name: "day_{channel}", label: "{channel_en} a day", label_zh: "{channel_zh}日上限", at_most: 9,
     where: {channel: "{channel}"}}
  - {for_each: {group: [voice, data]}, name: "cap_{group}", at_most: {voice: 5, data: 7}, where: {group: ["{group}"]}}
"""
    (copy / "limits.yml").write_text(rows, encoding="utf-8")
    (copy / "features").mkdir()
    limits = Catalogue(copy).limits
    assert [limit.name for limit in limits[:2]] == ["day_agent_out", "day_sms_hall"]
    assert (limits[1].label, limits[1].label_zh, limits[1].where) == (
        "SMS hall a day",
        "短厅日上限",
        {"channel": "sms_hall"},
    )
    assert [(limit.name, limit.amount, limit.where) for limit in limits[-2:]] == [
        ("cap_voice", 5, {"group": ["voice"]}),
        ("cap_data", 7, {"group": ["data"]}),
    ]
