"""The whole vector of p: it sums to 1, holds the logged p where the choice was, and flags what cannot be drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.explain import app
from conf.errors import UserError
from models.assignment.explore import LEAST
from planning.instance.run_folder import open_run
from planning.plan.propensities import rebuild
from reporting.explanation import read, tell_propensities
from runtime.night import Night
from runtime.run_id import run_id

pytestmark = pytest.mark.whole


def test_the_vector_sums_to_one_and_holds_the_logged_p(decided: Night) -> None:
    run = open_run(decided.settings, run_id(decided))
    plan = decided.lake.arrow("assignment", partition=decided.partition).sort_by("customer_id").to_pylist()
    drawn = [row for row in plan if row["role"] != "control"]
    epsilon, flagged, given = decided.settings.shares.explore, 0, 0
    for row in [*drawn[::40], *[row for row in drawn if row["role"] == "explore" and row["product"] is not None][:15]]:
        known = rebuild(run, row["customer_id"], (row["greedy_product"], row["greedy_channel"]))
        assert abs(known.sum - 1) < 1e-12
        assert known.of(row["product"], row["channel"]) == row["pscore"]
        greedy = (known.product == row["greedy_product"]) & (known.channel == row["greedy_channel"])
        assert (known.p[~known.supported & ~greedy] == 0).all()
        assert (known.p[known.supported] >= LEAST * (1 - 1e-9)).all()
        assert (known.p[greedy] >= 1 - epsilon - 1e-12).all()
        flagged, given = flagged + int((~known.supported).sum()), given + (row["product"] is not None)
    assert flagged
    assert given


def test_the_counts_of_the_run_are_those_of_the_vectors(decided: Night) -> None:
    figures = json.loads((decided.settings.home / "figures.json").read_text())["support"]
    run = open_run(decided.settings, run_id(decided))
    population = run.table("population")
    who = population["customer_id"].to_numpy()[np.flatnonzero(population["role"].to_numpy() != 2)]
    code = {channel.id: channel.code for channel in decided.catalogue.channels}
    kept = dict.fromkeys(figures, 0)
    table = run.read_kept().to_pandas()
    for channel, count in table[table["customer"].isin(who)]["channel"].value_counts().items():
        kept[code[channel]] += count
    assert kept == {name: counts["kept"] for name, counts in figures.items()}
    assert all(0 <= counts["supported"] <= counts["kept"] <= counts["eligible"] for counts in figures.values())
    assert any(counts["supported"] < counts["kept"] for counts in figures.values())


def test_who_is_not_drawn_has_no_vector(decided: Night) -> None:
    run = open_run(decided.settings, run_id(decided))
    plan = decided.lake.arrow("assignment", partition=decided.partition).to_pylist()
    held = next(row["customer_id"] for row in plan if row["role"] == "control")
    with pytest.raises(UserError, match="is control: the label decides"):
        rebuild(run, held, (None, None))
    with pytest.raises(UserError, match="has not decided on customer 1"):
        rebuild(run, 1, (None, None))


def test_explain_tells_it(decided: Night) -> None:
    plan = decided.lake.arrow("assignment", partition=decided.partition).to_pylist()
    row = next(row for row in plan if row["role"] == "explore" and row["product"] is not None)
    vector = tell_propensities(decided, read(decided, row["customer_id"]))
    given = [arc for arc in vector["arcs"] if arc["given"]]
    assert [arc["p"] for arc in given] == [row["pscore"]]
    assert sum(arc["greedy"] for arc in vector["arcs"]) == 1
    assert vector["arcs"][0]["greedy"]
    words = ["explain", str(row["customer_id"]), "--propensities", "--why", "test of p", "--date", "2026-01-09"]
    shown = CliRunner().invoke(app, words, env={"CPC_HOME": str(decided.settings.home)})
    assert shown.exit_code == 0, shown.output
    assert "sum 1.000000000000" in shown.output
    assert "not supported" in shown.output or all(arc["supported"] for arc in vector["arcs"])
