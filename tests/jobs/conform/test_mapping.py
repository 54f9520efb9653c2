"""An impression is a place of a slate of ours that a channel logged: with decision, place and probability."""

from __future__ import annotations

import datetime as dt

import pytest

from jobs.conform.work import sources_by_entity
from tests.fixtures.catalogue import frozen


@pytest.mark.spark
def test_banners_of_our_slates_become_impressions(spark) -> None:  # type: ignore[no-untyped-def]
    from jobs.conform.mapping import rows_of

    catalogue = frozen()
    (source,) = sources_by_entity(catalogue)["impression"]
    at = dt.datetime(2026, 1, 9, 2, 0)
    line = (b"p", at, "website", "data_pack_10g", "run:1", 2, 0.25, "yes", "f", dt.date(2026, 1, 9), "d")
    others = [
        (*line[:4], None, *line[5:]),  # not a decision of ours
        (*line[:5], None, *line[6:]),  # no place
        (*line[:6], None, *line[7:]),  # a slate that nobody drew
    ]
    rows = [line, (*line[:7], "no", *line[8:]), *others]
    raw = spark.createDataFrame(
        [(*row, i) for i, row in enumerate(rows)],
        "exposed_line binary, exposed_at timestamp, banner_channel string, banner_product string, banner_decision string, "
        "slate_rank smallint, slate_probability double, was_clicked string, feed string, data_date date, delivery_id string, "
        "line bigint",
    )
    found = rows_of(raw, source, catalogue.tables["impression"], catalogue).orderBy("line").collect()
    assert [(r.decision_id, r.slot, r.product, r.slate_probability, r.clicked) for r in found] == [
        ("run:1", 2, "data_pack_10g", 0.25, True),
        ("run:1", 2, "data_pack_10g", 0.25, False),
    ]
    assert found[0].shown_at == found[0].event_time == at
    assert {r.channel for r in found} == {"website"}
