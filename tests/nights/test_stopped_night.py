"""A night whose refusals have no owner, from scan to publish: nobody is contacted, inbound offers go out, all say why."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from cli.feeds import app
from cli.report import summary
from jobs import assign, conform, eligibility, ingest, prove, publish, quality, scan
from runtime import runner
from runtime.figures import EligibilityFigures
from runtime.holds import OUTBOUND_STOP
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.run_record import line, night_record
from tests.nights.decided import write_shifts
from tests.nights.published import put
from tests.nights.test_refusals import FEED, D, at, number, people, send_refusals

pytestmark = [pytest.mark.spark, pytest.mark.whole]
PEOPLE, STRANGE = 120, 7
#: The jobs of a night that this test lets run as they are; the others are features and models.
JOBS = {
    "scan": scan,
    "ingest": ingest,
    "quality": quality,
    "conform": conform,
    "eligibility": eligibility,
    "assign": assign,
    "prove": prove,
    "publish": publish,
}
WORDS = f"{STRANGE} of {STRANGE} refusals of 2026-01-08 without owner"


def snapshot(night: Night) -> None:
    """Everybody as a customer whom no rule keeps out, by what a snapshot tells."""
    rows = [
        {"customer_id": n + 1, "draw_key": (n + 1) * 7919, "real_name": True, "minor": False} for n in range(PEOPLE)
    ]
    put(night, "customer_features", [{**row, "business_date": night.date} for row in rows], night.partition)


def score(night: Night) -> None:
    """A value for each eligible arc of the first products."""
    rows = []
    for row in night.lake.arrow("eligible", partition=night.partition).to_pylist():
        for channel, mask in enumerate(row["masks"]):
            for product in [p for p in range(20) if mask >> p & 1][:3]:
                value = 400_000 + 1_000 * ((row["customer_id"] * 31 + product * 7 + channel) % 97)
                arc = {"customer_id": row["customer_id"], "product": product, "channel": channel, "value_micro": value}
                rows.append({**arc, "business_date": night.date, "p_convert": 0.02, "model_version": "1"})
    schema = nullable(arrow_schema(night.lake.table("candidate")))
    filled = [{"cost_micro": 0, "seconds": 0, **row} for row in rows]
    night.lake.replace_arrow("candidate", pa.Table.from_pylist(filled, schema=schema), partition=night.partition)


def run(night: Night, *names: str) -> dict[str, Any]:
    return {name: runner.run_job(name, night) for name in names}


@pytest.fixture
def tonight(night: Callable[..., Night], store_address: str, monkeypatch: pytest.MonkeyPatch, spark: object) -> Night:
    """Customers with consents to profiling, and last night's register of refusals of numbers that nobody holds."""
    monkeypatch.setattr(quality.docs, "build", lambda *_: None)
    monkeypatch.setattr("planning.plan.full_bound._pass_over", lambda *_: "these scores are no model's")
    monkeypatch.setenv("CPC_VAULT_KEY", Fernet.generate_key().decode())
    plain = night(D)
    serving = plain.settings.serving.model_copy(update={"url": store_address})
    made = Night(D, plain.settings.model_copy(update={"serving": serving}), plain.landing)
    people(made, PEOPLE)
    known = [number(n) for n in range(PEOPLE)]
    before = D - dt.timedelta(days=2)
    send_refusals(made, known, before, at(D - dt.timedelta(days=1), 1), kind="profiling", granted=True)
    send_refusals(made, [f"1399999{n:04d}" for n in range(STRANGE)], D - dt.timedelta(days=1), at(D, 1))
    write_shifts(made)
    return made


def contacts(night: Night) -> int:
    plan = night.lake.arrow("assignment", partition=night.partition)
    return int(plan.num_rows - plan["channel"].null_count)


def count_outbound(night: Night) -> int:
    """Customers and outbound channels with an eligible product."""
    outbound = [channel.id for channel in night.catalogue.channels if channel.direction == "outbound"]
    masks = night.lake.arrow("eligible", partition=night.partition)["masks"].to_pylist()
    return sum(bool(row[channel]) for row in masks for channel in outbound)


def test_a_night_with_outbound_stopped_publishes_its_offers(tonight: Night) -> None:
    run(tonight, "scan", "ingest", "quality", "conform")
    snapshot(tonight)
    done = run(tonight, "eligibility")
    score(tonight)
    done |= run(tonight, "assign", "prove", "publish")

    # nobody is contacted, and what limits ask for at least does not stand in the way
    assert contacts(tonight) == 0
    assert done["prove"].figures.verdict == "accepted"
    assert count_outbound(tonight) == 0

    # inbound offers are out
    folder = tonight.settings.home / "published" / D.isoformat()
    texts = {path.name: path.read_text(encoding="utf-8-sig") for path in folder.glob("*.csv")}
    lines = {name: len(list(csv.reader(text.splitlines()))) for name, text in texts.items()}
    assert lines
    assert {count for name, count in lines.items() if name.startswith("contacts-")} == {1}  # the header alone
    assert any(count > 1 for name, count in lines.items() if name.startswith("offers-"))

    # message, run record, alarm and page say feed and count
    record = night_record(tonight, D)
    assert record.jobs["eligibility"].state == done["eligibility"].state == "degraded"
    assert record.read(EligibilityFigures).served_by_less == f"no outbound contact tonight: {FEED}: {WORDS}"
    assert summary(tonight)["served_by_less"] == {"eligibility": f"no outbound contact tonight: {FEED}: {WORDS}"}
    checks = tonight.lake.arrow("ops_quality", partition=tonight.partition).to_pylist()
    alarms = [row for row in checks if row["check"].startswith("without owner · consent") and not row["success"]]
    assert [(row["subject"], row["observed"], row["severity"]) for row in alarms] == [(FEED, float(STRANGE), "stop")]
    page = Path(folder / "report.html").read_text(encoding="utf-8")
    [first_words] = re.findall(r'</header>\s*<p class="remark" data-name>([^<]*)</p>', page)
    assert f"{STRANGE} refusals of {FEED}" in first_words
    assert "今晚不外呼" in first_words
    reasons = tonight.lake.arrow("assignment", partition=tonight.partition)["reason"]
    assert pc.sum(pc.equal(reasons, OUTBOUND_STOP)).as_py() > PEOPLE / 2

    # somebody who looked at them releases them: people may be contacted
    released = CliRunner().invoke(app, ["feeds", "release", FEED, "--why", "numbers of another operator"])
    assert released.exit_code == 0, released.output
    assert run(tonight, "eligibility")["eligibility"].state == "done"
    assert count_outbound(tonight) > PEOPLE


def test_the_line_of_the_job_says_why() -> None:
    figures = EligibilityFigures.load({"outbound_stopped": f"{FEED}: {WORDS}", "customers": 120})
    assert line("eligibility", "degraded", 1.0, figures).endswith(f"no outbound contact tonight: {FEED}: {WORDS}")
