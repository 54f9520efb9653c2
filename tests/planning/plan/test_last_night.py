"""What tonight is compared with: the first night says that there is nothing, the second adds up to the change."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pyarrow as pa
import pytest

from conf.catalogue import Catalogue
from jobs import assign
from models.affinity.scorer import Scores
from planning import scoring
from planning.plan import last_night
from planning.plan.last_night import list_prices, reprice, rescore, tell_change
from runtime.figures import AssignFigures
from runtime.night import Night
from runtime.run_id import run_id
from tests.nights.decided import fill_lake
from tests.nights.published import put

ARCS = pa.table(
    {
        "customer": [1, 1, 2],
        "product": pa.array([0, 1, 0], pa.int16()),
        "channel": pa.array([0, 0, 1], pa.int16()),
        "value": [3_200_000, 1_000_000, -50_000],
    }
)


def test_a_contact_brings_as_the_margin_says_and_costs_what_it_cost() -> None:
    def prices(margin: int, cost: int) -> pa.Table:
        rows = {"kind": ["product", "product", "channel", "channel"], "micro": [margin, 500_000, cost, 50_000]}
        return pa.table(rows | {"id": pa.array([0, 1, 0, 1], pa.int16())})

    again = reprice(ARCS, prices(500_000, 2_000_000), prices(1_000_000, 2_800_000))
    assert again["value"].to_pylist() == [6_000_000 // 2 - 2_000_000, 3_800_000 - 2_000_000, 0 // 2 - 50_000]
    same = prices(500_000, 2_000_000)
    assert reprice(ARCS, same, same).equals(ARCS)


def test_only_what_a_night_froze_of_prices_is_compared(filled: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    was = list_prices(filled.catalogue)
    dearer = [c.model_copy(update={"cost": c.cost * 2}) for c in filled.catalogue.channels]
    monkeypatch.setattr(Catalogue, "channels", property(lambda _: tuple(dearer)))
    now = list_prices(filled.catalogue)
    assert not was.equals(now)
    assert was.num_rows == len(filled.catalogue.products) + len(dearer)


def test_the_first_night_says_that_there_is_nothing_to_compare(filled: Night) -> None:
    figures = assign.run(filled)
    assert figures.change_micro is None
    assert figures.change_note is not None
    assert figures.change_note.startswith("first night")


def record(night: Night, figures: AssignFigures) -> None:
    row = {"run_id": run_id(night), "business_date": night.date, "job": "assign", "state": "done", "seconds": 1.0}
    put(night, "ops_run", [row | {"figures": json.dumps(figures.as_json())}], night.partition)


def test_the_second_night_s_parts_add_up_to_the_change_of_the_record(filled: Night) -> None:
    first = assign.run(filled)
    record(filled, first)
    second = replace(filled, date=filled.date + dt.timedelta(days=1))
    fill_lake(second, seed=8)
    figures = assign.run(second)
    assert figures.change_note is None
    assert figures.change_micro is not None
    assert figures.value_yuan is not None
    assert figures.value_before_micro == round((first.value_yuan or 0) * 1e6)
    assert figures.value_before_micro + sum(figures.change_micro.values()) == round(figures.value_yuan * 1e6)
    assert figures.change_micro["population"]
    assert figures.change_micro["eligibility"]
    assert (figures.change_micro["model"], figures.change_micro["prices"]) == (0, 0)  # neither is another
    put(filled, "ops_run", [], filled.partition)
    assert "release that kept no such value" in str(
        tell_change(second, last_night.open_run(second.settings, run_id(second)), 0)
    )


def test_a_model_that_is_gone_is_said(filled: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    task = scoring.ScoringTask(
        filled.date, str(filled.catalogue.root), "m", "2", "bbbb", (), (), (), scoring.money(filled.settings), 4, ""
    )
    monkeypatch.setattr(last_night, "plan", lambda night: (task, [], scoring.ValueBasis(None, "")))
    keep, note = last_night.find_last_model(filled, "aaaa", "bbbb")
    assert keep(ARCS) is ARCS
    assert "not there any more" in note
    assert last_night.find_last_model(filled, "bbbb", "bbbb")[1] == ""
    (filled.settings.home / "models" / "kept-aaaa").mkdir(parents=True)
    assert last_night.find_last_model(filled, "aaaa", "bbbb")[1] == ""


def test_the_last_model_values_tonight_s_arcs(filled: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers and arcs that it does not score keep their values."""
    import numpy as np

    width = len(filled.catalogue.products) * len(filled.catalogue.channels)
    value = np.arange(2 * width).reshape(2, width)
    scores = Scores(value * 0.0, value * 0.0, value, value)
    block = scoring.ScoredBlock(np.array([1, 3]), ARCS, value >= 0, scores, 0)
    monkeypatch.setattr(last_night, "blocks", lambda task, path: iter([block]))
    task = scoring.ScoringTask(
        filled.date, str(filled.catalogue.root), "m", "2", "b", (), (), (), scoring.money(filled.settings), 4, ""
    )
    given = rescore(task, ["file"], ARCS)["value"].to_pylist()
    assert given == [0, len(filled.catalogue.channels), -50_000]  # arcs go by product, then channel
