"""What there is not is refused: runs, slices, customers; and each says which it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from cli.explain import app, fold_arcs
from conf.errors import UserError
from runtime.night import Night
from tests.nights.published import put

D = dt.date(2026, 1, 9)
RUN, OLD = "2026-01-09-aaaaaaaaaaaa", "2026-01-09-bbbbbbbbbbbb"


@pytest.fixture
def told(night: Callable[..., Night]) -> Night:
    """A night with a plan of one run, and another that it took the place of."""
    tonight = night(D)
    for table in ("funnel", "kpi", "eligible"):
        key = {"funnel": {"rule": "minor"}, "kpi": {"kpi": "contacts", "slice": "all"}, "eligible": {"customer_id": 1}}
        put(tonight, table, [{"business_date": D, **key[table]}])
    put(tonight, "assignment", [{"business_date": D, "customer_id": 1, "run_id": RUN}])
    put(
        tonight,
        "ops_run",
        [{"business_date": D, "run_id": run, "job": "assign"} for run in (RUN, OLD, f"{D}-unpinned")],
    )
    return tonight


def refused(*command: str) -> str:
    done = CliRunner().invoke(app, list(command))
    assert isinstance(done.exception, UserError), done.output
    return done.exception.what


@pytest.mark.parametrize("command", [("funnel",), ("kpi",), ("explain", "1", "--why", "a test")])
def test_a_run_that_there_is_not_is_refused(told: Night, command: tuple[str, ...]) -> None:
    assert refused(*command, "--run", "2026-01-09-cccccccccccc") == "there is no run '2026-01-09-cccccccccccc'"
    assert "no run" in refused(*command, "--run", "2026-01-09-unpinned")
    assert "another run" in refused(*command, "--run", OLD)


def test_the_run_of_the_night_is_answered(told: Night) -> None:
    assert CliRunner().invoke(app, ["funnel", "--run", RUN]).exit_code == 0


def test_a_slice_that_there_is_not_is_refused(told: Night) -> None:
    assert refused("kpi", "--slice", "nosuch") == "no slice 'nosuch'"


def test_a_customer_that_there_is_not_is_refused_as_one(told: Night) -> None:
    assert refused("explain", "77", "--why", "a test") == "there is no customer 77"


def test_without_all_arcs_that_were_put_out_are_counted() -> None:
    """Seen: `--json` told the same with and without `--all`."""
    removed = {"state": "removed", "rule": "minor", "reason": "a minor", "reason_zh": "未成年人"}
    arcs = [{"state": "chosen"}, {"state": "considered"}, removed, removed]
    arcs += [{"state": "closed", "limit": "stock"}, {"state": "pruned"}]
    folded = fold_arcs({"customer_id": 1, "arcs": arcs})
    assert [arc["state"] for arc in folded["arcs"]] == ["chosen", "considered"]
    assert folded["removed"] == [{"rule": "minor", "reason": "a minor", "reason_zh": "未成年人", "arcs": 2}]
    assert (folded["closed"], folded["pruned"]) == ([{"limit": "stock", "arcs": 1}], 1)
    counted = len(folded["arcs"]) + 2 + 1 + folded["pruned"]
    assert counted == len(arcs)  # none is lost
