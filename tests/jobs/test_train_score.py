"""Train and score on a small world written straight into the tables: registry, candidates, mendable errors."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conf.errors import MendableError
from conf.settings import Settings, load_settings
from jobs import registry, score, train
from jobs.every_arc import COLUMNS, every_arc
from jobs.lake import arrow_schema, nullable
from jobs.night import Night

pytestmark = pytest.mark.whole

CUSTOMERS, NIGHTS = 1500, 14
FIRST = dt.date(2025, 11, 3)
D = dt.date(2026, 1, 9)


def fill(night: Night, table: str, columns: dict[str, Any], partition: dict[str, Any]) -> None:
    """Write rows with the columns given and null elsewhere."""
    schema = nullable(arrow_schema(night.lake.table(table)))
    count = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[f.name], f.type, from_pandas=True) if f.name in columns
        else pa.array([partition[f.name]] * count, f.type) if f.name in partition else pa.nulls(count, f.type)
        for f in schema
    ]  # fmt: skip
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
    (home / "figures.json").write_text(json.dumps(train.run(tonight)))
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
    pinned = registry.champion(world.settings)
    assert (pinned.version, pinned.degraded) == ("1", "")
    assert registry.champion_text_hash(world.settings) == pinned.sha256
    again = train.fit(world, train.read(world))[0]
    assert again.bundle.text == (pinned.folder / "model.lgb").read_text()  # the same tables give the same model

    figures = score.run(world)
    rows = world.lake.arrow("candidate").to_pandas()
    assert figures["customers"] == CUSTOMERS - 10
    assert figures["arcs"] == (CUSTOMERS - 10) * 44
    assert figures["kept"] == len(rows)
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
    found, why = every_arc(world, 40, "1")
    assert why == ""
    assert len(found) == 44 > len(kept)
    for row in kept:
        again = found[row["product"], row["channel"]]
        assert {name: again[name] for name in COLUMNS} == {name: row[name] for name in COLUMNS}
    assert "has become champion" in every_arc(world, 40, "7")[1]
    assert every_arc(world, 5, "1")[0] == {}  # no arc of this customer passed the rules


def test_the_prices_of_the_last_night_decide_what_is_kept(world: Night) -> None:
    score.run(world)
    free = world.lake.arrow("candidate").to_pandas()
    limit = {
        "limit": ["sms_day"], "kind": ["at_most"], "unit": ["contacts"], "amount": [1], "used": [1],
        "price_pico": [90 * 10**12], "price_yuan": [90.0],
    }  # fmt: skip
    fill(world, "limit_price", limit, {"business_date": D - dt.timedelta(days=1)})
    figures = score.run(world)
    dear = world.lake.arrow("candidate").to_pandas()
    assert figures["prices_of"] == "2026-01-08"
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
    with pytest.raises(MendableError, match="no champion") as told:
        score.run(untrained)
    assert "cpc train" in told.value.remedy
    with pytest.raises(MendableError, match="no rows of 2026-01-07"):
        score.run(night(dt.date(2026, 1, 7)))


def test_changed_files_are_refused_and_a_lost_registry_is_survived(world: Night) -> None:
    folder = registry.champion(world.settings).folder
    text = (folder / "model.lgb").read_text()
    (folder / "model.lgb").write_text(text + "\n")
    with pytest.raises(MendableError, match="not those that were registered"):
        score.run(world)
    (folder / "model.lgb").write_text(text)
    source = world.settings.home / "mlflow.db"
    source.write_bytes(b"this is no database" * 1000)
    figures = score.run(world)
    assert "does not answer" in figures["degraded"]  # the kept champion serves
    assert figures["kept"] > 0


def test_one_class_and_no_outcomes(world: Night, night: Callable[..., Night]) -> None:
    lake = world.lake
    for date in [FIRST + dt.timedelta(days=k) for k in range(NIGHTS)]:
        rows = lake.arrow("outcome", partition={"business_date": date}).to_pandas()
        rows["ordered"], rows["converted"] = 0, False
        lake.replace_arrow(
            "outcome", pa.Table.from_pandas(rows, preserve_index=False), partition={"business_date": date}
        )
    with pytest.raises(MendableError, match="have the same answer"):
        train.run(world)
    with pytest.raises(MendableError, match="no decision has matured"):
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
    learnt, moved = train.fit(world, train.read(world))
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
    with pytest.raises(MendableError, match="plan_fee"):
        score.run(world)


def test_the_gate_decides_and_rollback_undoes(world: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.gate import evaluate

    small = world.settings.affinity.model_copy(update={"trees": 20, "min_leaf": 30, "rows": 20_000})
    object.__setattr__(world, "settings", _small(world.settings, world.settings.home))
    changed = world.settings.model_copy(update={"affinity": small})
    changed.__dict__["home"] = world.settings.home
    figures = train.run(replace(world, settings=changed))
    assert figures["version"] == "2"
    aliases = {row["version"]: row["aliases"] for row in registry.versions(world.settings)}
    assert aliases == {"2": ["challenger"], "1": ["champion"]}
    verdict = evaluate(world, "2")
    names = {check["check"]: check for check in verdict["checks"]}
    assert verdict["rounds"] > 10_000
    assert {"unsupported mass", "effective sample where they disagree", "calibration slope"} <= set(names)
    assert {name.split(" ")[0].rstrip(":") for name in names} >= {"centre", "grade"}  # slices are held too
    assert verdict["passed"] == all(check["passed"] for check in verdict["checks"])
    assert evaluate(world, "1")["checks"][0]["figure"] == 0.0  # the champion against itself
    with pytest.raises(MendableError, match="no version '9'"):
        evaluate(world, "9")
    with pytest.raises(MendableError, match="no earlier champion"):
        registry.rollback(world.settings)
    assert registry.promote(world.settings, "2").version == "2"
    assert registry.champion(world.settings).version == "2"
    assert registry.rollback(world.settings).version == "1"
    assert registry.champion(world.settings).version == "1"
