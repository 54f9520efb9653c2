"""The loop closed: what a made province answers to a plan is taken in next night and joins the plan's decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from jobs import conform, feedback, ingest, quality, scan
from runtime.night import Night
from synth.answer import answer
from tests.synth.answered import DAY, make_box

pytestmark = [pytest.mark.spark, pytest.mark.whole]


def test_outcomes_of_the_next_night_are_what_the_province_answered(night: Callable[..., Night], spark: object) -> None:
    box = make_box(night(DAY), customers=400)
    run_id = box.publish()
    landing = box.home.landing
    summary = answer(box.night(), run_id, landing, days=3)
    last = box.night(DAY + dt.timedelta(3))
    for job in (scan, ingest, quality, conform, feedback):
        job.run(last)
    contacts = last.lake.arrow("contact", columns=["decision_id", "customer_id", "reached", "data_date"]).to_pylist()
    sent = {row["decision_id"]: row for row in contacts if row["decision_id"]}
    assert len(sent) == summary["contacts"] > 100
    assert all(name == f"{run_id}:{row['customer_id']}" for name, row in sent.items())
    outcomes = last.lake.arrow("outcome", partition={"business_date": DAY}).to_pylist()
    planned = last.lake.arrow("assignment", partition={"business_date": DAY}).to_pylist()
    assert {row["decision_id"] for row in outcomes} == {row["decision_id"] for row in planned}
    by_id = {row["decision_id"]: row for row in outcomes}
    assert {name for name, row in by_id.items() if row["attempted"]} == set(sent)
    assert all(bool(by_id[name]["reached"]) == row["reached"] for name, row in sent.items())
    truth = pq.read_table(landing / "truth" / "answers" / DAY.isoformat() / "order.parquet").to_pandas()
    seen = truth["time"] < (DAY + dt.timedelta(3) - dt.date(1970, 1, 1)).days * 86400
    made = truth[truth["here"] & ~truth["twin"] & seen & (truth["cancelled"] < 0)]
    assert len(made) > 3
    assert all(by_id[name]["converted"] for name in made["decision_id"])
    control = [row for row in outcomes if row["role"] == "control"]
    assert control
    assert not any(row["attempted"] for row in control)
