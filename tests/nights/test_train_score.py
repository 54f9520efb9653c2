"""Train and score on a small world written straight into the tables: registry, candidates, mendable errors."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conf.errors import UserError
from conf.settings import Settings, load_settings
from jobs import score, train
from models.lifecycle import fit as fitting
from models.lifecycle import registry
from models.lifecycle.arcs import money as money_of
from models.lifecycle.model_card import card
from models.lifecycle.training_data import read
from planning import scoring
from planning.rescoring import COLUMNS, score_all_arcs
from runtime import model_pointer
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

pytestmark = pytest.mark.whole

CUSTOMERS, NIGHTS = 1500, 14
FIRST = dt.date(2025, 11, 3)
D = dt.date(2026, 1, 9)


def fill(night: Night, table: str, columns: dict[str, Any], partition: dict[str, Any]) -> None:
    """Write rows with the columns given and null elsewhere."""
    schema = nullable(arrow_schema(night.lake.table(table)))
    count = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[f.name], f.type, from_pandas=True)
        if f.name in columns
        else pa.array([partition[f.name]] * count, f.type)
        if f.name in partition
        else pa.nulls(count, f.type)
        for f in schema
    ]
    night.lake.replace_arrow(table, pa.Table.from_arrays(arrays, schema=schema), partition=partition)


def snapshot(night: Night, date: dt.date, rng: np.random.Generator, taste: np.ndarray, **more: Any) -> None:
    n = len(taste)
    columns = {
        "customer_id": np.arange(1, n + 1),
        "plan_fee": 40 + 20 * taste,
        "star": rng.integers(0, 8, n),
        "grade": rng.choice(["gold", "standard"], n),
        "centre": rng.choice(["gz", "sz"], n),
        "city": rng.choice(["gz", "sz"], n),
        "tenure_months": rng.integers(1, 200, n),
        "household_size": rng.integers(1, 5, n),
        "terminal_5g": rng.random(n) < 0.5,
        "profiled": np.ones(n, bool),
        **more,
    }
    fill(night, "customer_features", columns, {"business_date": date})


def past(night: Night, rng: np.random.Generator, taste: np.ndarray) -> None:
    """Twelve percent of the contacted who like it order; without a contact one percent."""
    n = len(taste)
    role = rng.choice(["exploit", "explore", "control"], n, p=[0.6, 0.25, 0.15])
    for k in range(NIGHTS):
        contacted = (role != "control") & (rng.random(n) < 0.4)
        product, channel = rng.choice([5, 11, 13], n), rng.integers(0, 3, n)
        chance = np.where(contacted, 0.06 + 0.05 * taste, 0.008)
        order = rng.random(n) < np.clip(chance, 0.002, 1)
        fill(
            night,
            "outcome",
            {
                "decision_id": [f"d{k}-{i}" for i in range(n)],
                "run_id": ["old"] * n,
                "customer_id": np.arange(1, n + 1),
                "role": role,
                "product": np.ma.array(product, mask=~contacted).filled(0),
                "channel": channel,
                "pscore": np.where(contacted, 0.05, 0.6),
                "attempted": contacted,
                "reached": contacted,
                "converted": order & contacted,
                "reversed": order & (rng.random(n) < 0.1),
                "opted_out": rng.random(n) < 0.002,
                "complained": rng.random(n) < 0.002,
                "ordered": np.where(order, 1 << product, 0),
                "margin_micro": np.where(order, 8_000_000, 0),
                "matured": np.ones(n, bool),
            }
            | _none(contacted, product, channel),
            {"business_date": FIRST + dt.timedelta(days=k)},
        )


def _none(contacted: np.ndarray, product: np.ndarray, channel: np.ndarray) -> dict[str, Any]:
    return {
        "product": [int(p) if c else None for p, c in zip(product, contacted, strict=True)],
        "channel": [int(p) if c else None for p, c in zip(channel, contacted, strict=True)],
    }


def offered(night: Night, masks: np.ndarray) -> None:
    """Tonight's eligible arcs: the same masks on every channel."""
    n = len(masks)
    columns = {
        "customer_id": np.arange(1, n + 1),
        "masks": [[int(m)] * 11 for m in masks],
        "eligible_hash": ["h"] * n,
    }
    fill(night, "eligible", columns, night.partition)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the world's tables and a trained champion: made once, copied for each test."""
    home = tmp_path_factory.mktemp("world") / "home"
    settings = load_settings("local")
    tonight = Night(D, _small(settings, home), home / "landing")
    rng = np.random.default_rng(7)
    taste = rng.normal(size=CUSTOMERS)
    for date in (FIRST, FIRST + dt.timedelta(days=7), D):
        snapshot(tonight, date, rng, taste)
    past(tonight, rng, taste)
    masks = np.full(CUSTOMERS, (1 << 5) | (1 << 11) | (1 << 13) | (1 << 16), np.int64)
    masks[:10] = 0
    offered(tonight, masks)
    (home / "figures.json").write_text(json.dumps(train.run(tonight).as_json()))
    return home


def _small(settings: Settings, home: Path) -> Settings:
    affinity = settings.affinity.model_copy(update={"trees": 40, "min_leaf": 30, "rows": 30_000})
    changed = settings.model_copy(update={"affinity": affinity})
    changed.__dict__["home"] = home  # not computed from the environment
    return changed


@pytest.fixture
def world(made: Path, night: Callable[..., Night]) -> Night:
    tonight = night(D)
    shutil.copytree(made, tonight.settings.home, dirs_exist_ok=True)
    return replace(tonight, settings=_small(tonight.settings, tonight.settings.home))


@pytest.fixture
def untrained(world: Night) -> Night:
    (world.settings.home / "mlflow.db").unlink()
    return world


def test_train_registers_a_champion_and_score_writes_candidates(world: Night) -> None:
    figures = json.loads((world.settings.home / "figures.json").read_text())
    assert figures["auc"] > 0.6
    assert 0.8 < figures["ratio"] < 1.2
    pinned = model_pointer.champion(world.settings)
    assert (pinned.version, pinned.degraded) == ("1", "")
    assert model_pointer.champion_text_hash(world.settings) == pinned.sha256
    again = fitting.fit(world, read(world))[0]
    assert again.bundle.text == (pinned.folder / "model.lgb").read_text()  # the same tables give the same model

    figures = score.run(world)
    rows = world.lake.arrow("candidate").to_pandas()
    assert figures.customers == CUSTOMERS - 10
    assert figures.arcs == (CUSTOMERS - 10) * 44
    assert figures.kept == len(rows)
    assert set(rows["product"]) == {5, 11, 13, 16}  # 16 has a floor and no history
    assert rows["customer_id"].min() == 11
    assert rows.duplicated(["customer_id", "product", "channel"]).sum() == 0
    outbound = rows[rows["channel"] < 5].groupby("customer_id").size()
    assert outbound.max() <= 8 + 5  # keep_arcs and one a floor
    inbound = rows[rows["channel"] >= 5].groupby(["customer_id", "channel"]).size()
    assert (inbound == 3).all()
    contact = rows[(rows["channel"] < 3) & (rows["product"] == 11)]
    assert 0.03 < contact["p_convert"].mean() < 0.2
    assert contact["p_base"].mean() < 0.03
    assert set(rows["basis"]) <= {"effect", "group", "prior"}
    fee = (
        world.lake.arrow("customer_features", partition=world.partition)
        .to_pandas()
        .set_index("customer_id")["plan_fee"]
    )
    assert np.corrcoef(contact["p_convert"], fee[contact["customer_id"]])[0, 1] > 0.5  # it learnt the taste

    before = world.lake.arrow("candidate").sort_by(
        [("customer_id", "ascending"), ("product", "ascending"), ("channel", "ascending")]
    )
    score.run(world)
    after = world.lake.arrow("candidate").sort_by(
        [("customer_id", "ascending"), ("product", "ascending"), ("channel", "ascending")]
    )
    assert after.equals(before)  # replaced, not appended


def test_one_customer_is_scored_again_with_what_pruning_dropped(world: Night) -> None:
    score.run(world)
    kept = [row for row in world.lake.arrow("candidate").to_pylist() if row["customer_id"] == 40]
    found, why = score_all_arcs(world, 40, "1")
    assert why == ""
    assert len(found) == 44 > len(kept)
    for row in kept:
        again = found[row["product"], row["channel"]]
        assert {name: again[name] for name in COLUMNS} == {name: row[name] for name in COLUMNS}
    assert "has become champion" in score_all_arcs(world, 40, "7")[1]
    assert score_all_arcs(world, 5, "1")[0] == {}  # no arc of this customer passed the rules


def test_who_was_asked_of_late_answers_less(world: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contacts of late are charged as the champion says; an `eligible` that does not count them scores as rested."""
    score.run(world)
    keys = ["customer_id", "product", "channel"]
    rested = world.lake.arrow("candidate").to_pandas().set_index(keys)["p_convert"]

    def counted(milli: int) -> Callable[[pa.Table], pa.Table]:
        def change(rows: pa.Table) -> pa.Table:
            column = rows.schema.get_field_index("recent_milli")
            return rows.set_column(column, "recent_milli", pa.array([milli] * rows.num_rows, pa.int32()))

        return change

    fatigue = 0.3
    load = scoring.load
    monkeypatch.setattr(scoring, "load", lambda folder: replace(load(folder), fatigue=fatigue))
    scoring._scorer.cache_clear()
    rewritten(world, "eligible", counted(2000))
    score.run(world)
    fatigued = world.lake.arrow("candidate").to_pandas().set_index(keys)["p_convert"].reindex(rested.index)
    both = fatigued.notna()
    assert both.mean() > 0.5
    odds = (fatigued / (1 - fatigued) / (rested / (1 - rested)))[both]
    assert odds.to_numpy() == pytest.approx(np.exp(-2 * fatigue), rel=1e-6)
    rewritten(world, "eligible", lambda rows: rows.drop_columns(["recent_milli"]))
    score.run(world)
    again = world.lake.arrow("candidate").to_pandas().set_index(keys)["p_convert"]
    scoring._scorer.cache_clear()
    assert again.equals(rested)


def test_the_prices_of_the_last_night_decide_what_is_kept(world: Night) -> None:
    score.run(world)
    free = world.lake.arrow("candidate").to_pandas()
    limit = {
        "limit": ["sms_day"],
        "kind": ["at_most"],
        "unit": ["contacts"],
        "amount": [1],
        "used": [1],
        "price_pico": [90 * 10**12],
        "price_yuan": [90.0],
    }
    fill(world, "limit_price", limit, {"business_date": D - dt.timedelta(days=1)})
    figures = score.run(world)
    dear = world.lake.arrow("candidate").to_pandas()
    assert figures.prices_of == "2026-01-08"
    assert (free["channel"] == 1).sum() > 1.3 * (dear["channel"] == 1).sum()  # a quarter is kept whatever the prices
    same = free.merge(dear, on=["customer_id", "product", "channel"])
    assert (
        same["value_micro_x"] == same["value_micro_y"]
    ).all()  # prices choose, they do not change what an arc is worth


def test_what_a_customer_is_worth_on_other_nights_is_charged_for_blocking_them(world: Night) -> None:
    score.run(world)
    before = world.lake.arrow("candidate").to_pandas()
    n = CUSTOMERS
    rich = np.where(np.arange(n) < 100, 5_000_000, 0)
    fill(
        world,
        "assignment",
        {
            "run_id": ["r"] * n,
            "decision_id": [str(i) for i in range(n)],
            "customer_id": np.arange(1, n + 1),
            "role": ["exploit"] * n,
            "value_micro": rich,
            "price_micro": np.zeros(n, int),
            "reason": [""] * n,
            "pscore": np.ones(n),
            "marginal": np.zeros(n, bool),
        },
        {"business_date": D - dt.timedelta(days=1)},
    )
    score.run(world)
    after = world.lake.arrow("candidate").to_pandas()
    both = before.merge(after, on=["customer_id", "product", "channel"])
    change = both["value_micro_y"] - both["value_micro_x"]
    wechat = both["channel"] == 2  # blocks three nights
    charged = change[wechat & (both["customer_id"] <= 100)]
    assert (charged < 0).all()  # three nights of what the own best contact brings a night, at most
    assert (change[wechat & (both["customer_id"] > 100)] >= 0).all()
    assert (change[both["channel"] >= 5] == 0).all()  # inbound offers block nothing


def test_no_champion_and_nothing_eligible(untrained: Night, night: Callable[..., Night]) -> None:
    with pytest.raises(UserError, match="no champion") as told:
        score.run(untrained)
    assert "cpc train" in told.value.remedy
    with pytest.raises(UserError, match="no rows of 2026-01-07"):
        score.run(night(dt.date(2026, 1, 7)))


def test_changed_files_are_refused_and_a_lost_registry_is_survived(world: Night) -> None:
    folder = model_pointer.champion(world.settings).folder
    text = (folder / "model.lgb").read_text()
    (folder / "model.lgb").write_text(text + "\n")
    with pytest.raises(UserError, match="not those that were registered"):
        score.run(world)
    (folder / "model.lgb").write_text(text)
    source = world.settings.home / "mlflow.db"
    source.write_bytes(b"this is no database" * 1000)
    figures = score.run(world)
    assert "does not answer" in figures.degraded  # the kept champion serves
    assert figures.kept > 0


def test_one_class_and_no_outcomes(world: Night, night: Callable[..., Night]) -> None:
    lake = world.lake
    for date in [FIRST + dt.timedelta(days=k) for k in range(NIGHTS)]:
        rows = lake.arrow("outcome", partition={"business_date": date}).to_pandas()
        rows["ordered"], rows["converted"] = 0, False
        lake.replace_arrow(
            "outcome", pa.Table.from_pandas(rows, preserve_index=False), partition={"business_date": date}
        )
    with pytest.raises(UserError, match="have the same answer"):
        train.run(world)
    with pytest.raises(UserError, match="no decision has matured"):
        train.run(night(dt.date(2025, 1, 1)))


def test_drifted_and_empty_features_are_left_out(world: Night) -> None:
    rng = np.random.default_rng(1)
    snapshot(
        world,
        D,
        rng,
        rng.normal(size=CUSTOMERS),
        star=rng.integers(0, 8, CUSTOMERS) + 20,
        household_size=pa.nulls(CUSTOMERS),
    )
    learnt, moved = fitting.fit(world, read(world))
    used = {feature.name for feature in learnt.bundle.features}
    assert "plan_fee" in used
    assert not {"star", "household_size"} & used
    assert {d.name for d in moved if d.empty} >= {"household_size"}


def test_a_feature_missing_at_scoring_is_named(world: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    paths = world.lake.files("customer_features", world.partition)
    for path in paths:
        rows = pq.read_table(path, partitioning=None)
        pq.write_table(rows.drop_columns(["plan_fee"]), path)
    with pytest.raises(UserError, match="plan_fee"):
        score.run(world)


def test_the_gate_decides_and_rollback_undoes(world: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.lifecycle.promotion import evaluate

    small = world.settings.affinity.model_copy(update={"trees": 20, "min_leaf": 30, "rows": 20_000})
    object.__setattr__(world, "settings", _small(world.settings, world.settings.home))
    changed = world.settings.model_copy(update={"affinity": small})
    changed.__dict__["home"] = world.settings.home
    figures = train.run(replace(world, settings=changed))
    assert figures.version == "2"
    aliases = {row["version"]: row["aliases"] for row in registry.versions(world.settings)}
    assert aliases == {"2": ["challenger"], "1": ["champion"]}
    verdict = evaluate(world, "2")
    names = {check["check"]: check for check in verdict["checks"]}
    assert verdict["rounds"] > 10_000
    assert {"unsupported mass", "effective sample where they disagree", "calibration slope"} <= set(names)
    assert {name.split(" ")[0].rstrip(":") for name in names} >= {"centre", "grade"}  # slices are held too
    assert verdict["passed"] == all(check["passed"] for check in verdict["checks"])
    assert evaluate(world, "1")["checks"][0]["figure"] == 0.0  # the champion against itself
    with pytest.raises(UserError, match="no version '9'"):
        evaluate(world, "9")
    with pytest.raises(UserError, match="no earlier champion"):
        registry.rollback(world.settings)
    assert registry.promote(world.settings, "2").version == "2"
    assert model_pointer.champion(world.settings).version == "2"
    assert registry.rollback(world.settings).version == "1"
    assert model_pointer.champion(world.settings).version == "1"


def told(world: Night, *words: str) -> Any:
    """``cpc`` with these words on the world's home."""
    from typer.testing import CliRunner

    from cli import app

    return CliRunner().invoke(app, list(words), env={"CPC_HOME": str(world.settings.home)})


def test_mlflow_the_run_record_and_the_card_say_the_same(made: Path, world: Night) -> None:
    settings = _small(world.settings, made)
    store = model_pointer.client(settings)
    version = store.get_model_version(settings.mlflow.model, "1")
    metrics = store.get_run(version.run_id).data.metrics
    record = json.loads((made / "figures.json").read_text())
    shared = {"decisions", "contacts", "sampled", "features", "left_out", "auc", "auc_within", "ratio", "lift"}
    assert {name: metrics.get(name) for name in shared} == {name: record[name] for name in shared}
    folder = Path(store.download_artifacts(version.run_id, "report"))
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    assert f"**Left out** ({record['left_out']} features" in card  # seen on the demo: 97 against 351


def test_the_run_shows_data_metrics_plots_and_card(made: Path, world: Night) -> None:
    import mlflow

    settings = _small(world.settings, made)
    store = model_pointer.client(settings)
    version = store.get_model_version(settings.mlflow.model, "1")
    run = store.get_run(version.run_id)
    params, metrics = run.data.params, run.data.metrics
    assert {
        "trees",
        "leaves",
        "data.outcome_version",
        "data.features_version",
        "data.conversion_days",
        "data.horizon_days",
        "data.first_decision",
        "data.last_decision",
    } <= set(params)
    assert {"auc_contact", "auc_within_contact", "logloss_contact", "ratio_contact", "slope_contact", "lift"} <= set(
        metrics
    )
    assert any(name.startswith("slice.grade.") for name in metrics)
    assert metrics["qini_explorers_low"] < metrics["qini_explorers"] < metrics["qini_explorers_high"]
    assert metrics["qini_explorers"] > 0  # who likes it orders more often when contacted
    report = {Path(file.path).name for file in store.list_artifacts(version.run_id, "report")}
    assert report == {
        "model_card.md",
        "model.png",
        "qini.png",
        "shap.png",
        "gain.json",
        "lifts.json",
        "slices.json",
        "drift.json",
        "reliability.json",
    }
    model = {Path(file.path).name for file in store.list_artifacts(version.run_id, "model")}
    assert {"MLmodel", "requirements.txt", "python_env.yaml", "bundle.json", "model.lgb"} <= model
    info = mlflow.models.Model.load(model_pointer.champion(settings).folder)
    assert "plan_fee" in info.signature.inputs.input_names()
    card = next((made / "mlruns").rglob("report/model_card.md")).read_text(encoding="utf-8")
    assert "Among explorers" in card
    assert re.search(r"differ by channel\*\* .*sms_hall \d\.\d\d", card)


def test_a_search_is_a_run_with_a_nested_run_a_trial(world: Night) -> None:
    found = told(
        world,
        "train",
        "--date",
        str(D),
        "--trials",
        "3",
        "--set",
        "affinity.trees=15",
        "--set",
        "affinity.rows=8000",
        "--json",
    )
    assert found.exit_code == 0, found.output
    figures = json.loads(found.output)
    assert figures["goal_best"] >= figures["goal_now"]
    store = model_pointer.client(world.settings)
    runs = store.search_runs([store.get_experiment_by_name(world.settings.mlflow.experiment).experiment_id])
    parent = next(run for run in runs if run.info.run_name.startswith("tuning"))
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    trials = sorted((run for run in nested if run.info.run_name.startswith("trial")), key=lambda run: run.info.run_name)
    assert len(trials) == 3
    assert {"leaves", "learning_rate", "min_leaf", "features"} == set(trials[0].data.params)
    assert trials[0].data.params["leaves"] == str(world.settings.affinity.leaves)  # what is set now is tried first
    kept = next(run for run in nested if run.info.run_name.startswith("affinity"))
    assert store.get_model_version(world.settings.mlflow.model, figures["version"]).run_id == kept.info.run_id
    assert kept.data.params["leaves"] == str(figures["best"]["leaves"])
    assert "two trials" in told(world, "train", "--date", str(D), "--trials", "1").exception.what


def test_promotion_goes_through_the_gate_and_rollback_is_one_command(world: Night) -> None:
    options = ("--date", str(D), "--set", "affinity.trees=20", "--set", "affinity.rows=20000")
    assert told(world, "train", *options).exit_code == 0
    refused = told(world, "models", "promote", "challenger", "--date", str(D), "--set", "gate.ess=1e9")
    assert "does not pass the gate" in refused.exception.what
    assert "effective sample" in refused.exception.what
    assert model_pointer.champion(world.settings).version == "1"  # the champion stays
    wide = ("gate.delta=1e3", "gate.ess=0", "gate.slice_delta=1e3", "gate.ratio=10", "gate.slope=[-9, 9]")
    sets = [word for bound in wide for word in ("--set", bound)]
    passed = told(world, "models", "promote", "challenger", "--date", str(D), *sets, "--json")
    assert passed.exit_code == 0, passed.output
    assert json.loads(passed.output)["version"] == "2"
    scored = score.run(world)
    assert (scored.model_version, scored.model_sha256) == (
        "2",
        model_pointer.champion(world.settings).sha256[:16],
    )
    assert set(world.lake.arrow("candidate")["model_version"].to_pylist()) == {"2"}
    back = told(world, "models", "rollback", "--json")
    assert json.loads(back.output)["champion"] == "1"
    listed = {row["version"]: row["aliases"] for row in json.loads(told(world, "models", "list", "--json").output)}
    assert listed["1"] == ["champion"]


def test_training_is_due_weekly_or_days_after_an_alarm(world: Night, untrained: Night) -> None:
    from models.lifecycle import training_schedule

    def on(days: int) -> str:
        return training_schedule.reason(replace(world, date=D + dt.timedelta(days=days)))

    assert on(0) == "no model was trained yet"
    version = model_pointer.client(world.settings)
    version.create_registered_model(world.settings.mlflow.model)
    version.create_model_version(world.settings.mlflow.model, "file:///nowhere", tags={"date": str(D)})
    assert [on(days) for days in (1, 3, 6)] == ["", "", ""]
    assert on(7) == "the last training is 7 days old"
    alarm = {
        "subject": ["model affinity"],
        "check": ["PSI of p_convert call"],
        "success": [False],
        "severity": ["warn"],
    }
    fill(world, "ops_quality", alarm, {"business_date": D + dt.timedelta(days=2)})
    assert [bool(on(days)) for days in (1, 2, 3, 6)] == [False, False, True, True]
    assert on(3) == "alarms: PSI of p_convert call"


def test_an_alias_that_is_not_there_is_named(world: Night) -> None:
    refused = told(world, "models", "promote", "favourite", "--date", str(D))
    assert refused.exception.what == "model 'affinity' has no alias 'favourite'"
    assert "cpc models list" in refused.exception.remedy


def test_a_registry_over_the_network_that_is_down_lets_the_last_champion_serve(world: Night) -> None:
    from runtime.runner import run_job

    score.run(world)  # keeps a copy of the champion
    away = world.settings.mlflow.model_copy(update={"uri": "http://127.0.0.1:9"})
    alone = replace(world, settings=world.settings.model_copy(update={"mlflow": away}))
    figures = score.run(alone)
    assert "last champion kept: the model registry does not answer" in figures.degraded
    assert figures.model_version == "1"
    assert figures.kept > 0
    assert run_job("score", alone).state == "degraded"  # what the run record and the night's summary say
    shutil.rmtree(world.settings.home / "models")
    with pytest.raises(UserError, match="does not answer"):
        score.run(alone)


def test_the_notebook_runs_from_the_first_cell_to_the_last(world: Night, capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "scientist" / "try-an-idea.ipynb"
    cells = [cell for cell in json.loads(page.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)  # figures of some machine are not committed
    names: dict[str, Any] = {}
    for cell in cells:
        exec("".join(cell["source"]), names)
    said = capsys.readouterr().out
    assert "auc_within_contact" in said
    assert "its one-sided 95 % lower bound" in said
    assert names["version"] == "2"
    assert model_pointer.champion(world.settings).version == "1"


def test_money_of_a_candidate_follows_from_its_arc_and_its_chances_alone(world: Night) -> None:
    """Whatever a customer's grade or age: they may move a probability, never what an order is worth or costs."""
    from models.affinity.bundle import load
    from models.affinity.scorer import prepare
    from models.affinity.value import effects
    from models.lifecycle.arcs import menu

    score.run(world)
    rows = world.lake.arrow("candidate").to_pandas()
    table = menu(world.catalogue)
    money = prepare(load(model_pointer.champion(world.settings).folder), table, money_of(world.settings)).money
    place = {pair: k for k, pair in enumerate(zip(table.product(), table.channel(), strict=True))}
    arc = np.array([place[pair] for pair in zip(rows["product"], rows["channel"], strict=True)])
    chance, base = (np.zeros((len(rows), table.arcs)) for _ in range(2))
    chance[np.arange(len(rows)), arc], base[np.arange(len(rows)), arc] = rows["p_convert"], rows["p_base"]
    assert (effects(chance, base, money)[np.arange(len(rows)), arc] == rows["effect_micro"]).all()
    assert (money.cost[arc] == rows["cost_micro"]).all()


def rewritten(world: Night, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """The files of tonight's partition with other rows."""
    import pyarrow.parquet as pq

    for path in world.lake.files(table, world.partition):
        pq.write_table(change(pq.read_table(path, partitioning=None)), path)


class Cluster:
    """Stands for Spark: tasks and results travel as bytes, and what a task raises arrives in other words."""

    def __init__(self) -> None:
        self.sparkContext = self
        self.defaultParallelism = 2

    def parallelize(self, items: list[str], _: int) -> Cluster:
        self.items = items
        return self

    def map(self, task: Callable[[str], object]) -> Cluster:
        try:
            self.done = [pickle.loads(pickle.dumps(task(item))) for item in self.items]
        except Exception as error:
            raise RuntimeError("Job aborted due to stage failure") from error
        return self

    def collect(self) -> list[object]:
        return self.done


def test_a_fault_that_a_task_meets_on_another_machine_is_as_plain(
    world: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "_IN_PROCESS", -1)
    world.__dict__["spark"] = Cluster()
    here = score.run(world)
    assert here.kept
    rewritten(world, "customer_features", lambda rows: rows.drop_columns(["plan_fee"]))
    with pytest.raises(UserError, match="snapshot lacks: plan_fee") as raised:
        score.run(world)
    assert "cpc models rollback" in raised.value.remedy


def test_a_feature_that_became_text_is_named_with_both_types(world: Night) -> None:
    def spelled(rows: pa.Table) -> pa.Table:
        text = pa.array([f"{fee:.0f} yuan" for fee in rows["plan_fee"].to_pylist()])
        return rows.set_column(rows.schema.get_field_index("plan_fee"), "plan_fee", text)

    rewritten(world, "customer_features", spelled)
    with pytest.raises(UserError, match="plan_fee is string, a number when the model was trained") as raised:
        score.run(world)
    assert "cpc models rollback" in raised.value.remedy


def test_older_snapshots_of_other_columns_and_types_are_trained_on_without_them(world: Night) -> None:
    import pyarrow.parquet as pq

    for path in world.lake.files("customer_features", {"business_date": FIRST}):
        rows = pq.read_table(path, partitioning=None).drop_columns(["household_size"])
        text = pa.array(["7"] * rows.num_rows)
        pq.write_table(rows.set_column(rows.schema.get_field_index("star"), "star", text), path)
    learnt, moved = fitting.fit(world, read(world))
    missing = {d.name: d.missing_then for d in moved}
    assert 0.2 < missing["household_size"] == missing["star"] < 0.8
    assert "plan_fee" in {feature.name for feature in learnt.bundle.features}


def test_a_feature_newer_than_all_matured_decisions_waits_and_is_named(world: Night) -> None:
    """Until decisions of its time have matured no snapshot in training has it: for a month no training may fail for it."""
    import pyarrow.parquet as pq

    for path in world.lake.files("customer_features"):
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["household_size", "city"]), path)
    data = read(world)
    assert sorted(data.not_yet) == ["city", "household_size"]
    learnt, moved = fitting.fit(world, data)
    assert {"city", "household_size"}.isdisjoint(drift.name for drift in moved)
    page = card(learnt, moved, learnt.response.metrics, {})
    assert "declared since the snapshots of these decisions): city, household_size" in page


def test_what_is_not_finite_is_scored_as_missing(world: Night) -> None:
    def with_fee(value: float | None) -> Callable[[pa.Table], pa.Table]:
        def change(rows: pa.Table) -> pa.Table:
            fees = rows["plan_fee"].to_pylist()
            fees[100:103] = [value] * 3
            return rows.set_column(rows.schema.get_field_index("plan_fee"), "plan_fee", pa.array(fees, pa.float64()))

        return change

    kept = []
    for value in (None, float("nan"), float("inf"), float("-inf")):
        rewritten(world, "customer_features", with_fee(value))
        score.run(world)
        rows = world.lake.arrow("candidate").to_pandas().sort_values(["customer_id", "product", "channel"])
        kept.append(rows.reset_index(drop=True))
        assert np.isfinite(rows["p_convert"]).all()
    assert all(rows.equals(kept[0]) for rows in kept)
