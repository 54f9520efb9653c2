"""Records of one key in one delivery: which of them is loaded hangs on what they say, never on their lines or files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dialects import write_delivery
from jobs.ingest import deliveries
from tests.jobs.ingest.conftest import CREATED, DAY, Desk, rows_of

NUMBERS = [*range(1, 60), 17, 23, 23]
#: What each record says of its number: those of one number differ.
WORDS = [f"w{place:02d}" for place in range(len(NUMBERS))]


def send(desk: Desk, feed: str, order: list[int], resend: int = 0) -> None:
    """The records in some order of lines."""
    night = desk.night()
    rows = rows_of([NUMBERS[place] for place in order])
    at = rows.column_names.index("word")
    rows = rows.set_column(at, "word", [[WORDS[place] for place in order]])
    write_delivery(
        night.catalogue.feeds[feed],
        night.catalogue.schemas["every"],
        rows,
        Path(night.landing),
        DAY,
        resend=resend,
        created=CREATED,
    )


@pytest.mark.parametrize("span", [1 << 26, 600])
@pytest.mark.parametrize("feed", ["plain_avl", "day_json"])
def test_the_same_records_count_in_any_order_of_lines(
    desk: Desk, feed: str, span: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SPAN", span)
    told = []
    for resend in range(3):
        order = list(range(len(NUMBERS)))
        random.Random(resend).shuffle(order) if resend else None
        send(desk, feed, order, resend)
        desk.load()
        told.append([(no, word) for no, word in desk.rows("no", "word") if no in (17, 23)])
        assert len(desk.numbers(feed)) == 59
    assert told == [[(17, WORDS[59]), (23, WORDS[61])]] * 3
