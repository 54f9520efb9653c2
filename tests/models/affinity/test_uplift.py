"""Uplift metrics equal scikit-uplift's; learners find an effect that is there and none that is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklift.metrics import qini_auc_score
from typer.testing import CliRunner

from conf.errors import UserError
from models.affinity import meta_learners
from models.affinity.meta_learners import LEARNERS, Size, Training, cross_fit
from models.affinity.uplift import CROSS_FITTED, auuc, deciles, effect, perfect, qini, quality, rank
from models.lifecycle.experiments.uplift import load
from tests.examples import examples


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([3, 50, 100_000]))
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_qini_equals_scikit_uplift(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(50, 800))
    y, t = (rng.random(n) < 0.3).astype(float), (rng.random(n) < 0.6).astype(float)
    t[:2] = 0, 1
    score = rng.integers(0, levels, n) / levels
    ours, _ = qini(rank(y, t, score), perfect(y, t))
    assert ours == pytest.approx(float(qini_auc_score(y, score, t)), abs=1e-9)


def experiment(
    n: int = 8000, seed: int = 0, size: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    t = (rng.random(n) < 0.5).astype(float)
    tau = size * 0.15 * (X[:, 0] > 0)
    y = (rng.random(n) < 0.1 + 0.05 * (X[:, 1] > 0) + t * tau).astype(float)
    return X, t, y, tau


SMALL = Size(trees=40, leaf_rows=100, effect_trees=40, effect_leaf_rows=200)


@pytest.mark.whole
def test_learners_rank_by_the_true_effect_and_a_weighted_copy_changes_nothing() -> None:
    X, t, y, tau = experiment()
    found = cross_fit(X, t, y, folds=3, size=SMALL)
    assert set(found.scores) == set(LEARNERS)
    for name, score in found.scores.items():
        assert np.corrcoef(score, tau)[0, 1] > 0.6, name
        assert quality(y, t, score, repeats=40).qini_ci[0] > 0, name
    _, (low, high) = effect(y, t)
    assert low < tau.mean() < high
    rows = deciles(y, t, found.scores["dr"])
    assert rows[0]["effect"] > rows[-1]["effect"] + 0.05
    assert auuc(rank(y, t, tau)) > auuc(rank(y, t, -tau))


def test_a_learner_is_one_entry_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transformed outcome (Jaskowski and Jaroszewicz 2012), fitted by least squares on one column."""

    def transformed(of: Training) -> np.ndarray:
        z = of.y * (of.t - of.e) / (of.e * (1 - of.e))
        slope, level = np.polyfit(of.X[:, 0], z, 1)
        return level + slope * of.X_at[:, 0]

    monkeypatch.setitem(LEARNERS, "z", transformed)
    X, t, y, tau = experiment(4000)
    found = cross_fit(X, t, y, folds=2, size=SMALL, learners=("z", "t"))
    assert list(found.scores) == ["z", "t"]
    assert np.corrcoef(found.scores["z"], tau)[0, 1] > 0.6


def test_what_learners_share_is_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []
    monkeypatch.setattr(meta_learners, "_nuisance", lambda *a: fitted.append(1) or (a[2] * 0 + 0.2, a[2] * 0 + 0.1))
    X, t, y, _ = experiment(800)
    given = meta_learners.effects(X, t, y, X[:50], (), SMALL, 0, ("blend", "x", "dr", "r"))
    assert fitted == [1]
    assert all(len(effect) == 50 for effect in given.values())


@pytest.mark.whole
def test_no_effect_is_found_where_there_is_none() -> None:
    covered = 0
    for seed in range(5):
        X, t, y, _ = experiment(3000, seed, size=0.0)
        score = cross_fit(X, t, y, folds=3, size=SMALL, learners=("dr",)).scores["dr"]
        q = quality(y, t, score, repeats=60, spread=CROSS_FITTED)
        covered += q.qini_ci[0] <= 0 <= q.qini_ci[1]
    assert covered >= 3


def table(folder: Path, **columns: object) -> Path:
    X, t, y, _ = experiment(3000)
    arm = np.where(t > 0, np.where(X[:, 2] > 0, "call", "sms"), "none")
    frame = pd.DataFrame(
        {"a": X[:, 0], "b": X[:, 1], "city": np.where(X[:, 3] > 0, "gz", "sz"), "arm": arm, "y": y, **columns}
    )
    frame.to_csv(folder / "e.csv.gz", index=False, sep="|")
    return folder / "e.csv.gz"


@pytest.mark.whole
def test_the_command_prints_the_contract_and_the_policy_of_several_arms(tmp_path: Path) -> None:
    from cli.experiments import app

    path = table(tmp_path)
    told = CliRunner().invoke(
        app,
        [
            "uplift",
            str(path),
            "--treatment",
            "arm",
            "--outcome",
            "y",
            "--repeats",
            "20",
            "--folds",
            "2",
            "--json",
            "--plot",
            str(tmp_path / "q.png"),
        ],
    )
    assert told.exit_code == 0, told.output
    found = json.loads(told.output)
    assert {"ate", "ate_ci", "learners", "best", "deciles", "arms", "policy"} <= set(found)
    assert {"qini_sklift", "qini_area", "qini_ci", "auuc"} <= set(found["learners"][found["best"]])
    assert set(found["arms"]) == {"call", "sms"}
    assert sum(found["policy"]["shares"].values()) == pytest.approx(1)
    assert (tmp_path / "q.png").stat().st_size > 10_000
    assert found["warnings"] == []


def test_what_was_measured_after_the_treatment_is_warned_about(tmp_path: Path) -> None:
    _, t, y, _ = experiment(3000)
    spend = np.where(y > 0, np.random.default_rng(0).random(3000) < 0.3, 0) * 5.0
    opened = t * 0.5 + np.random.default_rng(1).normal(size=3000)
    found = load(table(tmp_path, spend=spend, opened=opened), "arm", "y")
    assert any(warning.startswith("spend ") for warning in found.warnings)
    assert any(warning.startswith("opened ") for warning in found.warnings)
    assert load(table(tmp_path, spend=spend), "arm", "y", drop=["spend"]).warnings == ()


def test_costs_are_taken_from_the_treated(tmp_path: Path) -> None:
    path = table(tmp_path, cost=np.full(3000, 0.5))
    net, gross = load(path, "arm", "y", cost="cost"), load(path, "arm", "y", drop=["cost"])
    np.testing.assert_allclose(gross.y - net.y, np.where(net.arm > 0, 0.5, 0.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"treatment": "nothing"}, "no column"),
        ({"control": "email"}, "which value"),
        ({"arm": "post"}, "no value 'post'"),
        ({"outcome": "city"}, "not numeric"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, options: dict[str, str], message: str) -> None:
    path = table(tmp_path)
    with pytest.raises(UserError, match=message):
        load(path, **({"treatment": "arm", "outcome": "y"} | options))  # type: ignore[arg-type]
