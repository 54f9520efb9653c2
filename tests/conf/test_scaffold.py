"""Drafts load as they are, decide nothing yet, and never overwrite."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from conf.catalogue import ROOT, Catalogue
from conf.errors import UserError
from conf.scaffold import KINDS, draft, main
from tests.fixtures.catalogue import FIXTURE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the catalogue to write into."""
    made = tmp_path / "conf"
    shutil.copytree(FIXTURE, made)
    return made


def test_a_feed_gets_its_own_unit_code_and_schema(root):
    before = Catalogue(root).feeds
    written = draft("feed", "drone_visit", root)
    feed = Catalogue(root).feeds["drone_visit"]
    assert {path.parent.name for path in written} == {"hotline", "schemas"}
    assert feed.unit_code not in {known.unit_code for known in before.values()}
    assert Catalogue(root).schemas["drone_visit"].conform[0].entity == "contact"


def test_a_product_gets_the_next_id_and_is_not_on_sale(root):
    before = Catalogue(root).products
    draft("product", "data_pack_1t", root)
    product = Catalogue(root).products[-1]
    assert product.id == before[-1].id + 1
    assert product.launch_date.year == 2099
    assert set(product.attributes) == set(before[0].attributes)


def test_a_rule_removes_nothing_yet(root):
    draft("rule", "rainy_day", root)
    assert Catalogue(root).rules[-1].name == "rainy_day"
    assert Catalogue(root).rules[-1].removes == "false"


def test_a_family_of_features_is_declared(root):
    draft("feature", "weather", root)
    assert "weather_events_count_30d" in {feature.name for feature in Catalogue(root).features.features}


def test_a_group_gets_the_next_id(root):
    draft("group", "cloud", root)
    assert [(g.id, g.code) for g in Catalogue(root).groups][-1] == (4, "cloud")


def test_a_limit_binds_nothing_yet(root):
    draft("limit", "sms_per_night", root)
    limit = Catalogue(root).limits[-1]
    assert (limit.name, limit.side) == ("sms_per_night", "at_most")
    assert limit.scale_amount(limit.amount, 5_000) == 5_000  # at most one contact a customer: never reached


def test_a_channel_comes_with_its_capacity_and_the_feed_of_its_results(root):
    written = draft("channel", "drone", root)
    assert [path.name for path in written] == ["channels.yml", "limits.yml", "drone_result.yml"]
    found = Catalogue(root)
    assert (found.channels[-1].id, found.channels[-1].eligible) == (len(found.channels) - 1, "false")
    assert found.limits[-1].where == {"channel": "drone"}
    assert found.feeds["drone_result"].holds == {"attempt_channel": ("drone",)}
    assert "drone" in found.schemas["marketing_consent"].codes["consent_channel"]


def test_a_job_reads_a_table_writes_its_own_and_has_a_test(root, monkeypatch):
    shutil.copytree(ROOT / "tables", root / "tables")
    module, _, test = draft("job", "channel_load", root)
    assert Catalogue(root).tables["channel_load"].writer == "channel_load"
    spec = importlib.util.spec_from_file_location("jobs.channel_load", module)
    job = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(job)
    assert (job.READS, job.WRITES) == (("assignment",), ("channel_load",))
    assert all(word in job.__doc__ for word in ("*Reads*", "*Writes*", "*Cost*"))
    compile(test.read_text(encoding="utf-8"), str(test), "exec")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("group", "voice"),
        ("limit", "sms_day"),
        ("channel", "wechat"),
        ("feed", "bill_month"),
        ("product", "ring_tone"),
        ("rule", "opt_out"),
        ("feature", "complaint"),
    ],
)
def test_what_exists_is_not_overwritten(root, kind, name):
    with pytest.raises(UserError, match="already"):
        draft(kind, name, root)


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_does_not_fit_is_refused(root, kind):
    with pytest.raises(UserError, match="cannot be a name"):
        draft(kind, "Größe", root)


def test_a_draft_that_breaks_the_catalogue_is_taken_back(root):
    path = root / "schemas" / "sunspot.yml"
    path.write_text("name: sunspots\n", encoding="utf-8")  # broken before we came
    with pytest.raises(UserError):
        draft("rule", "rainy_day", root)
    assert "rainy_day" not in (root / "rules.yml").read_text(encoding="utf-8")


def test_the_command_line_says_what_is_wrong(capsys):
    assert main(["rule", "opt_out"]) == 2
    assert "already" in capsys.readouterr().err
