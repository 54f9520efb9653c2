import csv
import datetime as dt
import stat

import psycopg
import pyarrow as pa
import pytest

from conf.errors import UserError
from jobs import publish
from runtime import audit
from runtime.run_record import RunRecord
from serving import campaign_files, publication
from serving import store as serving
from serving.release import fault_of

pytestmark = pytest.mark.whole

GOOD = {"accepted": True, "gap": 3.1e-5}


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def stored(night, query):
    with serving.connect(night.settings) as store:
        return store.execute(query).fetchall()


def test_a_night_is_published_to_store_files_and_report(planned, said):
    night = planned(verdict=GOOD)
    said(night, (1, "marketing", "all", True))
    figures = publish.run(night)

    outbound = [row for row in night.lake.arrow("assignment").to_pylist() if row["channel"] is not None]
    files = {path.name: rows_of(path) for path in publication.publication_folder(night).glob("contacts-*.csv")}
    assert figures.contacts == len(outbound)
    assert sum(map(len, files.values())) == len(outbound) - figures.without_number
    assert figures.without_number == sum(row["customer_id"] == 13 for row in outbound) == 1
    numbers = {row["decision_id"]: row["phone"] for rows in files.values() for row in rows}
    for row in outbound:
        if row["customer_id"] != 13:
            assert numbers[row["decision_id"]] == f"1000{row['customer_id']:07d}"
    assert files["contacts-sms_hall.csv"][0]["message"].endswith("拒收请回复R")

    assert stored(night, "SELECT count(*), count(channel) FROM cpc.assignment")[0] == (240, len(outbound))
    assert stored(night, "SELECT state, run_id FROM cpc.night") == [("published", "2026-01-09-feed00c0ffee")]
    assert (publication.publication_folder(night) / "report.html").exists()
    served = {row["target"]: row["rows"] for row in night.lake.arrow("serving").to_pylist()}
    assert served["store:assignment"] == 240
    assert served["file:offers-website.csv"] == 480


def test_files_with_numbers_are_for_their_owner_only_and_each_leaves_an_audit_row(planned):
    night = planned(verdict=GOOD)
    publish.run(night)
    for path in publication.publication_folder(night).glob("contacts-*.csv"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = night.lake.arrow("ops_audit").to_pylist()
    assert len(written) == sum(channel.direction == "outbound" for channel in night.catalogue.channels)
    assert audit.broken(written) == ""
    assert {row["who"] for row in written} == {audit.name_user()}  # who ran the job, not the job
    assert all(row["what"].startswith("job publish: ") and row["why"].startswith("campaign of run ") for row in written)


def test_who_refused_since_eligibility_is_not_contacted(planned, said):
    night = planned(verdict=GOOD)
    before = publish.run(night)
    said(
        night,
        (2, "marketing", "all", False),  # no contact at all
        (4, "marketing", "all", False),
        (4, "marketing", "all", True),  # came back
        (5, "marketing", "wechat", False),  # planned on wechat: stopped
        (6, "marketing", "wechat", False),  # planned on agent_out: stays
        (8, "personalisation", "all", False),
    )
    figures = publish.run(night)
    contacted = {
        row["decision_id"].rsplit("-", 1)[1]
        for path in publication.publication_folder(night).glob("contacts-*.csv")
        for row in rows_of(path)
    }
    assert contacted.isdisjoint({"2", "5", "8"})
    assert {"4", "6"} <= contacted
    assert figures.withdrawn == 3
    assert figures.contacts == before.contacts - 3
    offers = {int(row["customer_id"]) for row in rows_of(publication.publication_folder(night) / "offers-website.csv")}
    assert 2 not in offers
    assert 5 in offers  # refused wechat only
    assert stored(night, "SELECT count(*) FROM cpc.assignment WHERE withdrawn")[0] == (3,)


def test_an_opt_out_made_on_the_store_counts_at_once(planned):
    night = planned(verdict=GOOD)
    publish.run(night)
    with serving.connect(night.settings) as store:
        store.execute("INSERT INTO cpc.stop (customer_id) VALUES (4)")
    assert publish.run(night).withdrawn == 1


@pytest.mark.parametrize(
    ("verdict", "state", "words"),
    [
        (None, "done", "has not been checked"),
        ({"error": "limit sms_day is overrun"}, "failed", "limit sms_day is overrun"),
        ({"accepted": False, "reason": "bound too low"}, "done", "bound too low"),
    ],
)
def test_a_plan_without_an_accepted_certificate_is_not_published(planned, said, verdict, state, words):
    eve = planned(dt.date(2026, 1, 8), verdict=GOOD)
    publish.run(eve)
    night = planned(verdict=verdict, state=state)
    said(night, (4, "marketing", "all", False))
    with pytest.raises(UserError, match=words) as refusal:
        publish.run(night)
    assert "cpc nightly --date 2026-01-09" in refusal.value.remedy
    assert not publication.publication_folder(night).exists()
    assert stored(night, "SELECT business_date::text, state FROM cpc.night ORDER BY 1") == [
        ("2026-01-08", "published"),
        ("2026-01-09", "refused"),
    ]
    # the night before stays in the store, without those who refused since
    assert stored(night, "SELECT customer_id FROM cpc.assignment WHERE withdrawn") == [(4,)]


def test_a_refused_rerun_does_not_unpublish_the_night(planned):
    publish.run(planned(verdict=GOOD))
    with pytest.raises(UserError):
        publish.run(planned(verdict={"accepted": False}))
    assert stored(planned(), "SELECT state FROM cpc.night") == [("published",)]


def test_the_plan_of_another_run_is_refused():
    checked = RunRecord("2026-01-09-a", dt.date(2026, 1, 9), "prove", "done", GOOD, dt.datetime(2026, 1, 9), 1.0)
    assert fault_of("2026-01-09-a", ["2026-01-09-b"], checked).endswith("is of run 2026-01-09-b")
    assert fault_of("2026-01-09-a", [], None) == "there is no assignment"
    assert fault_of("2026-01-09-a", ["2026-01-09-a"], checked) == ""


def test_publishing_again_changes_no_byte(planned):
    night = planned(verdict=GOOD)

    def content():
        return {
            path.name: path.read_bytes()
            for path in publication.publication_folder(night).iterdir()
            if path.suffix == ".csv"
        }

    publish.run(night)
    first, served = content(), night.lake.arrow("serving").to_pylist()
    publish.run(night)
    assert content() == first
    assert night.lake.arrow("serving").to_pylist() == served
    assert stored(night, "SELECT count(*) FROM cpc.assignment")[0] == (240,)


def test_readers_see_the_last_night_until_the_new_one_is_whole(planned):
    night = planned(verdict=GOOD)
    publish.run(night)
    table = night.lake.table("assignment")
    batches = list(publication.Publication(night, "r", pa.array([], pa.int64())).batches("assignment"))
    with serving.connect(night.settings) as store:
        address = store.info.dsn
        serving.load(store, table, night.date, [batches[0].slice(0, 7)], [publication.WITHDRAWN])
        with psycopg.connect(address) as reader:
            assert reader.execute("SELECT count(*) FROM cpc.assignment").fetchone() == (240,)
        serving.swap(store, table, night.date)
    assert stored(night, "SELECT count(*) FROM cpc.assignment")[0] == (7,)


def test_the_store_follows_a_catalogue_that_grows_and_shrinks(planned):
    night = planned(verdict=GOOD)
    publish.run(night)
    table = night.lake.table("limit_price")
    rows = night.lake.arrow("limit_price", partition=night.partition).select([c.name for c in table.columns])
    fewer = table.model_copy(update={"columns": tuple(c for c in table.columns if c.name != "unit")})
    more = table.model_copy(update={"columns": (*table.columns, publication.WITHDRAWN)})
    for entry, content in (
        (fewer, rows.drop_columns(["unit"])),
        (more, rows.append_column("withdrawn", pa.array([False] * rows.num_rows))),
    ):
        with serving.connect(night.settings) as store:
            serving.load(store, entry, night.date, content.to_batches())
            serving.swap(store, entry, night.date)
    assert stored(night, "SELECT count(*), count(unit), count(withdrawn) FROM cpc.limit_price") == [(3, 3, 3)]


def test_without_an_address_the_store_is_embedded(night):
    alone = night()
    with serving.connect(alone.settings) as store:
        assert store.execute("SELECT count(*) FROM cpc.night").fetchone() == (0,)
    assert (alone.settings.home / "serving" / "PG_VERSION").exists()


def test_a_store_that_does_not_answer_says_what_to_do(planned):
    night = planned(verdict=GOOD)
    away = night.settings.model_copy(
        update={
            "serving": night.settings.serving.model_copy(update={"url": "postgresql+psycopg://u:secret@127.0.0.1:9/x"})
        }
    )
    with pytest.raises(UserError) as error, serving.connect(away):
        pass
    assert "secret" not in str(error.value)
    assert "cpc publish" in error.value.remedy


def test_cells_that_a_spreadsheet_would_run_are_neutral():
    rows = pa.table({"text": ["=1+1", "+86", "-3", "@x", "\tx", "plain", "a=b", None], "n": [-1, 2, 3, 4, 5, 6, 7, 8]})
    neutral = campaign_files.neutral(rows)
    assert neutral["text"].to_pylist() == ["'=1+1", "'+86", "'-3", "'@x", "'\tx", "plain", "a=b", None]
    assert neutral["n"].to_pylist() == rows["n"].to_pylist()


def test_a_number_passed_on_is_the_new_holders():
    day = dt.datetime(2026, 1, 8, 16, tzinfo=dt.UTC)
    old, new = dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2025, 6, 1, tzinfo=dt.UTC)
    held = campaign_files.holders(
        pa.table(
            {
                "customer_id": pa.array([1, 2, 3], pa.int64()),
                "phone_pseudonym": [b"x", b"x", b"y"],
                "valid_from": pa.array([old, new, day + dt.timedelta(hours=1)], pa.timestamp("us", "UTC")),
                "valid_to": pa.array([new, None, None], pa.timestamp("us", "UTC")),
            }
        ),
        day,
    )
    assert held.to_pylist() == [{"customer_id": 2, "phone_pseudonym": b"x"}]


def test_the_audit_chain_shows_what_was_changed_or_removed():
    at = dt.datetime(2026, 1, 9, tzinfo=dt.UTC)
    rows = audit.chain_events(
        [{"at": at, "who": "w", "what": f"file {i}", "why": "y", "rows": i} for i in range(4)], ""
    )
    assert audit.broken(rows) == ""
    assert audit.broken(rows[::-1]) == ""  # order of storage does not matter
    assert "was changed" in audit.broken([rows[0], {**rows[1], "rows": 99}, *rows[2:]])
    assert "does not follow" in audit.broken([rows[0], *rows[2:]])


def test_a_table_is_exported_with_codes(planned, monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from cli import publish as commands

    night = planned(verdict=GOOD)
    monkeypatch.setattr(commands, "open_night", lambda date, env, overrides: night)
    monkeypatch.setattr(commands, "run_id", lambda night: "2026-01-09-feed00c0ffee")

    def call(*arguments):
        return CliRunner().invoke(commands.app, ["export", "--run", "2026-01-09-feed00c0ffee", *arguments])

    with pytest.raises(UserError, match="needs its purpose"):
        raise call("--out", str(tmp_path / "none.csv")).exception
    assert not (tmp_path / "none.csv").exists()
    assert call("--what", "funnel", "--out", str(tmp_path / "funnel.csv")).exit_code == 0  # nobody is in it

    out = tmp_path / "sms.csv"
    why = ("--why", "check of the campaign")
    assert call("--channel", "sms_hall", "--out", str(out), *why, "--json").exit_code == 0
    rows = rows_of(out)
    assert {row["channel"] for row in rows} == {"sms_hall"}
    assert {row["product"] for row in rows} <= {product.code for product in night.catalogue.products}
    assert [int(row["customer_id"]) for row in rows] == sorted(int(row["customer_id"]) for row in rows)
    for wrong, words in (
        (("--what", "vault", "--out", str(out)), "is not exported"),
        (("--channel", "fax", "--out", str(out), *why), "no channel 'fax'"),
        (("--out", str(tmp_path / "x.doc"), *why), "cannot write"),
        (("--what", "funnel", "--channel", "wap", "--out", str(out)), "funnel has no channel"),
    ):
        assert words in str(call(*wrong).exception)
    log = audit.in_order(night.lake.arrow("ops_audit").to_pylist())
    assert [(row["rows"], "refused" in row["what"]) for row in log] == [(len(rows), False), (0, True), (0, True)]
    assert {row["why"] for row in log} == {why[1]}
    assert audit.broken(log) == ""
    with pytest.raises(UserError, match="is run 2026-01-09-feed00c0ffee now"):
        commands.night_of("2026-01-09-0ther", None, None)
