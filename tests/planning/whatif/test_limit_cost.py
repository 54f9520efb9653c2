"""What a limit costs tonight, against an independent run without it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from scipy import sparse
from scipy.optimize import linprog
from typer.testing import CliRunner

from cli.limits import app
from conf.catalogue import Catalogue
from conf.offer import Share
from jobs import assign
from planning.instance.run_folder import RunFolder, open_run
from planning.whatif.limit_cost import binds, cost_tonight, costs_tonight
from planning.whatif.whatif import Base, base_of
from runtime.night import Night
from runtime.run_id import run_id
from tests.nights.decided import fill_lake, tonight_of

pytestmark = pytest.mark.whole


@pytest.fixture
def base(decided: Night) -> Base:
    return base_of(open_run(decided.settings, run_id(decided)))


@pytest.fixture(scope="module", params=[(900, 7), (700, 23)], ids=["a night", "another"])
def night(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Two nights of other customers, arcs and values, on which a floor and a share from below bind too."""
    customers, seed = request.param
    night = tonight_of(tmp_path_factory.mktemp("priced") / "home")
    attributes = fill_lake(night, customers, seed)
    changed = Catalogue(night.catalogue.root)
    tight = {"floor_group_vnet": {"at_least": 40_000}}
    tight["share_low_arpu"] = {"share": Share(of={"segment": "low_arpu"}, percent=45)}
    rows = tuple(limit.model_copy(update=tight.get(limit.name, {})) for limit in changed.limits)
    changed.__dict__["limits"] = rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Night, "catalogue", property(lambda self: changed))
        patch.setattr(assign, "read_limit_attributes", lambda night, eligible: attributes)
        assign.run(night)
    return night


def solve_as_lp(run: RunFolder, without: set[str]) -> float:
    """The night's instance without some limits as an LP, from its files alone, by HiGHS: micro-yuan.

    Nothing of the solver, the evaluator or the checker takes part.
    """
    arcs = pq.read_table(run.instance / "arcs").to_pandas()
    limits = yaml.safe_load((run.instance / "limits.yml").read_text())["limits"]
    rows, amounts = [], []
    for limit in (row for row in limits if row["name"] not in without):
        use = np.ones(len(arcs)) if limit.get("counts", 1) == 1 else arcs[limit["counts"]].to_numpy(float)
        for column, values in limit.get("where", {}).items():
            use = use * arcs[column].isin(values).to_numpy()
        sign, amount = (1, limit["at_most"]) if "at_most" in limit else (-1, limit["at_least"])
        scale = max(1.0, float(np.abs(use).max(initial=0)))
        rows.append(sparse.csr_matrix(sign * use / scale))
        amounts.append(sign * amount / scale)
    own = arcs["customer"].astype("category").cat.codes.to_numpy()
    once = sparse.csr_matrix((np.ones(len(arcs)), (own, np.arange(len(arcs)))))
    solved = linprog(
        -arcs["value"].to_numpy(float) * 1e-6,
        A_ub=sparse.vstack([*rows, once]),
        b_ub=np.concatenate([amounts, np.ones(once.shape[0])]),
        bounds=(0, 1),
        method="highs",
    )
    assert solved.status == 0, solved.message
    return float(-solved.fun * 1e6)


def test_every_limit_costs_what_an_independent_run_without_it_gains(night: Night) -> None:
    """Each limit that costs is struck out of the files and solved by another solver; the others all at once cost nothing."""
    run = open_run(night.settings, run_id(night))
    base = base_of(run)
    costs, was = costs_tonight(base), base.certificate.primal
    assert set(costs) == {limit.name for limit in base.instance.limits.limits}
    solved = {name for name, cost in costs.items() if cost.solved}
    assert 3 <= len(solved) < len(costs)
    assert {"floor_group_vnet", "share_low_arpu"} <= solved
    assert min(costs[name].cost for name in ("floor_group_vnet", "share_low_arpu")) > 0
    for name in sorted(solved):
        cost, best = costs[name], solve_as_lp(run, {name})
        assert cost.least <= cost.cost <= cost.most
        assert cost.cost <= best - was + 1, name  # the LP is worth no less than any plan without the limit
        assert best - was <= cost.most + 1, name  # and no more than what is proved
    free = set(costs) - solved
    assert {costs[name].cost for name in free} == {0}
    assert solve_as_lp(run, free) <= base.certificate.bound + 1  # 0 without a solve: the bound holds without them


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


def test_the_proof_is_over_all_arcs_where_their_bounds_are_there(base: Base) -> None:
    name = next(x.name for x in base.instance.limits.limits if binds(base, x.name))
    narrow = cost_tonight(base, name)
    above = [base.certificate.bound + 3_000_000, base.certificate.bound + narrow.most + 5_000_000]
    wide = cost_tonight(base, name, lambda asked: above)
    assert not narrow.over_all
    assert wide.over_all
    assert wide.most > narrow.most
    assert wide.least == max(0, base.certificate.primal + wide.cost - above[0]) <= narrow.least
    assert cost_tonight(base, name, lambda asked: "no scorer") == narrow
