"""What a limit costs tonight, against an independent run without it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.limits import app
from models.assignment.solve import SolveOptions, solve
from planning.instance.reader import read_instance
from planning.instance.run_folder import open_run
from planning.limits.in_force import LimitsInForce, write_limits
from planning.whatif.limit_cost import binds, cost_tonight, costs_tonight
from planning.whatif.whatif import Base, base_of
from runtime.night import Night
from runtime.run_id import run_id

pytestmark = pytest.mark.whole


@pytest.fixture
def base(decided: Night) -> Base:
    return base_of(open_run(decided.settings, run_id(decided)))


def value_without(base: Base, name: str, folder: Path) -> tuple[int, int]:
    """Plan and bound of the night's instance from which a limit is struck out, solved cold from its files."""
    shutil.copytree(base.run.instance, folder)
    rest = tuple(limit for limit in base.instance.limits.limits if limit.name != name)
    write_limits(folder / "limits.yml", LimitsInForce(limits=rest))
    solution = solve(read_instance(folder).problem, SolveOptions(gap=1e-3))
    return solution.plan.primal, solution.dual.bound


def test_every_limit_costs_what_an_independent_run_without_it_gains(base: Base, tmp_path: Path) -> None:
    costs, was, bound = costs_tonight(base), base.certificate.primal, base.certificate.bound
    assert set(costs) == {limit.name for limit in base.instance.limits.limits}
    solved = 0
    for name, cost in costs.items():
        primal, above = value_without(base, name, tmp_path / name)
        assert cost.least <= cost.cost <= cost.most
        assert primal - was <= cost.most, name  # nothing that a plan gains without it is beyond what was proved
        assert cost.least <= above - was, name
        if not cost.solved:
            assert primal <= bound, name  # 0 without a solve: the night's bound holds without the limit too
        solved += cost.solved
    assert 3 <= solved < len(costs)


def test_a_share_costs_what_the_table_says(decided: Night, base: Base) -> None:
    rows = {row["limit"]: row for row in decided.lake.arrow("limit_price", partition=decided.partition).to_pylist()}
    shares = [x for x in base.instance.limits.limits if base.is_share(x) and binds(base, x.name)]
    assert shares
    for share in shares:
        cost, row = cost_tonight(base, share.name), rows[share.name]
        assert (row["cost_micro"], row["cost_least_micro"], row["cost_most_micro"]) == (
            cost.cost,
            cost.least,
            cost.most,
        )
    budget = rows["budget_day"]
    assert budget["shown_unit"] == "元"
    assert budget["shown_amount"] == budget["amount"] / 1e6
    assert budget["shown_used"] == (budget["used"] + budget["used_explore"]) / 1e6
    assert budget["shown_price_yuan"] == pytest.approx(budget["price_yuan"] * 1e6)
    assert all(row["cost_least_micro"] <= row["cost_micro"] <= row["cost_most_micro"] for row in rows.values())


def test_the_command_tells_what_limits_cost(decided: Night, base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPC_HOME", str(decided.settings.home))
    name = next(x.name for x in base.instance.limits.limits if binds(base, x.name))
    spoken = CliRunner().invoke(app, ["prices", "--costs", "--limit", name, "--json"])
    assert spoken.exit_code == 0, spoken.output
    (row,) = json.loads(spoken.stdout)["limits"]
    assert row["cost_yuan"] == pytest.approx(cost_tonight(base, name).cost * 1e-6)


def test_the_proof_is_over_all_arcs_where_their_bound_is_there(base: Base) -> None:
    name = next(x.name for x in base.instance.limits.limits if binds(base, x.name))
    narrow = cost_tonight(base, name)
    wide = cost_tonight(base, name, lambda prices: base.certificate.bound + narrow.most + 5_000_000)
    assert not narrow.over_all
    assert wide.over_all
    assert wide.most > narrow.most
    assert wide.least == narrow.least
