"""Off-policy evaluation: equal to the reference, right on a known log, and each fault named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conf.errors import UserError
from models.lifecycle.experiments.off_policy import off_policy

DATA = Path(os.environ["CPC_DATA"]) / "obd_random_all"


@pytest.mark.whole
@pytest.mark.skipif(not DATA.is_dir(), reason="the folder CPC_DATA has no obd_random_all")
@pytest.mark.parametrize("per_round", [True, False])
def test_equal_to_the_reference(tmp_path: Path, per_round: bool) -> None:
    reference = json.loads((DATA / "reference.json").read_text())
    raw = pd.read_csv(DATA / "all.csv.gz", index_col=0)
    n = len(raw)
    pd.DataFrame(
        {
            "round": range(n),
            "action": raw["item_id"],
            "reward": raw["click"],
            "pscore": raw["propensity_score"],
            "position": raw["position"],
        }
    ).to_csv(tmp_path / "log.csv.gz", index=False)
    for name, column in (("policy", "probability"), ("reward_model", "value")):
        values = reference[name]
        part = pd.DataFrame({"action": [int(k) for k in values], column: list(values.values())})
        if per_round:
            part = part.merge(pd.DataFrame({"round": range(n)}), how="cross").sample(frac=1, random_state=0)
        part.to_parquet(tmp_path / f"{name}.parquet")
    values = reference["values"]
    for tau in (1.0, 5.0):
        found = off_policy(
            tmp_path / "log.csv.gz",
            tmp_path / "policy.parquet",
            tmp_path / "reward_model.parquet",
            tau=tau,
            lam=1.0,
            repeats=50,
        )
        expected = {name: values[name] for name in ("ips", "snips", "dm", "dr", "sndr")}
        expected |= {"switch_dr": values[f"switch_dr_tau{tau:.0f}"], "dros": values["dros_lambda1"]}
        for name, value in expected.items():
            assert abs(found.values[name] - value) < 1e-9, name
    assert found.rounds == n
    assert found.unsupported_mass == pytest.approx(0.0)


def logged(folder: Path, n: int = 6000, seed: int = 2, **columns: object) -> tuple[Path, Path, float]:
    """A log of a known policy over three actions, a better policy, and what that one is worth."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    e = np.column_stack([np.full(n, 0.5), np.full(n, 0.3), np.full(n, 0.2)])
    action = (rng.random(n)[:, None] > e.cumsum(axis=1)).sum(axis=1)
    mean = np.column_stack([0.1 + 0 * x, 0.2 + 0.1 * (x > 0), 0.4 - 0.2 * (x > 0)])
    reward = (rng.random(n) < mean[np.arange(n), action]).astype(float)
    log = pd.DataFrame(
        {"round": range(n), "action": action, "reward": reward, "pscore": e[np.arange(n), action], "x": x, **columns}
    )
    target = np.where(x > 0, 1, 2)
    log.to_csv(folder / "log.csv", index=False, sep=";")
    pd.DataFrame({"round": range(n), "action": target, "probability": 1.0}).to_csv(folder / "policy.csv", index=False)
    return folder / "log.csv", folder / "policy.csv", float(mean[np.arange(n), target].mean())


def test_a_known_policy_is_inside_the_intervals_and_a_model_narrows_them(tmp_path: Path) -> None:
    log, policy, worth = logged(tmp_path)
    found = off_policy(log, policy, None, tau=100.0, lam=1e9, repeats=200)
    for name in ("ips", "snips", "dr", "sndr", "switch_dr", "dros"):
        low, high = found.intervals[name]
        assert low < worth < high, name
    assert np.diff(found.intervals["dr"]) < np.diff(found.intervals["ips"])
    assert 1000 < found.ess < 6000
    assert found.max_weight == pytest.approx(5.0)


@pytest.mark.whole
def test_clusters_widen_the_intervals(tmp_path: Path) -> None:
    log, policy, _ = logged(tmp_path)
    alone = off_policy(log, policy, None, tau=5, lam=1, repeats=200)
    table = pd.read_csv(log, sep=";")
    pd.concat([table.assign(customer=table["round"], round=table["round"] + k * 10_000) for k in range(4)]).to_csv(
        log, index=False
    )
    rows = pd.read_csv(policy)
    pd.concat([rows.assign(round=rows["round"] + k * 10_000) for k in range(4)]).to_csv(policy, index=False)
    together = off_policy(log, policy, None, tau=5, lam=1, repeats=200)
    ratio = np.diff(together.intervals["ips"]) / np.diff(alone.intervals["ips"])
    assert 0.8 < ratio < 1.25  # four copies of a customer are one customer


def test_mass_outside_the_eligible_set_is_unsupported(tmp_path: Path) -> None:
    log, policy, _ = logged(tmp_path, 1000, eligible=["0 1"] * 1000)
    rows = pd.read_csv(policy)
    rows.loc[:99, "action"] = 7  # never logged at all
    rows.to_csv(policy, index=False)
    found = off_policy(log, policy, None, tau=5, lam=1, repeats=20)
    assert found.unsupported_mass == pytest.approx((rows["action"] != 1).mean())


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("pscore", 0.0, "no probability above 0"), ("reward", np.nan, "no finite number"), ("round", 1, "given twice")],
)
def test_a_bad_log_is_named_by_row_and_column(tmp_path: Path, column: str, value: float, message: str) -> None:
    log, policy, _ = logged(tmp_path, 100)
    table = pd.read_csv(log, sep=";")
    table.loc[7, column] = value
    table.to_csv(log, index=False)
    with pytest.raises(UserError, match=message) as told:
        off_policy(log, policy, None, tau=5, lam=1)
    assert column in told.value.where


def test_a_bad_policy_is_named(tmp_path: Path) -> None:
    log, policy, _ = logged(tmp_path, 100)
    rows = pd.read_csv(policy)
    pd.concat([rows, rows.iloc[[3]].assign(action=0, probability=0.5)]).to_csv(policy, index=False)
    with pytest.raises(UserError, match="more than 1") as told:
        off_policy(log, policy, None, tau=5, lam=1)
    assert "round 3" in told.value.where
    rows.rename(columns={"probability": "p"}).to_csv(policy, index=False)
    with pytest.raises(UserError, match="no column 'probability'"):
        off_policy(log, policy, None, tau=5, lam=1)
    with pytest.raises(UserError, match="no file"):
        off_policy(log, tmp_path / "absent.csv", None, tau=5, lam=1)


def test_rounds_that_no_draw_gave_are_left_out_and_counted(tmp_path: Path) -> None:
    log, policy, _ = logged(tmp_path, 1200)
    drawn = off_policy(log, policy, None, tau=5, lam=1, repeats=20)
    table = pd.read_csv(log, sep=";")
    table["pscore"] = table["pscore"].astype(object)
    more = table.head(200).assign(round=table["round"].head(200) + 50_000, pscore="", reward=1.0)
    pd.concat([more, table]).to_csv(log, index=False)
    both = off_policy(log, policy, None, tau=5, lam=1, repeats=20)
    assert (drawn.without_pscore, both.without_pscore) == (0, 200)
    assert both.rounds == drawn.rounds == 1200
    assert both.values["ips"] == drawn.values["ips"]
    table.assign(pscore="").to_csv(log, index=False)
    with pytest.raises(UserError, match="no round has a pscore"):
        off_policy(log, policy, None, tau=5, lam=1)
