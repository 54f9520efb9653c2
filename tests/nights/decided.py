"""A night's tables made by hand: eligibility and scores from a seed, without Spark."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from conf.settings import Shares, Solve, load_settings
from jobs import assign
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

CENTRES = ["gz", "sz", "fs", "zh", "st", "zj"]


def fill_lake(night: Night, customers: int = 900, seed: int = 7) -> pa.Table:
    """Write ``eligible``, ``candidate`` and ``shift`` of the night; returns the attributes that limits look at."""
    random = np.random.default_rng(seed)
    catalogue = night.catalogue
    ids = np.arange(1, customers + 1) * 3
    width = len(catalogue.channels)
    masks = np.zeros((customers, width), np.int64)
    rows = []
    for i in range(customers):
        if random.random() < 0.05:
            continue
        for channel in catalogue.channels:
            products = [p.id for p in catalogue.products if random.random() < 0.3]
            masks[i, channel.id] = sum(1 << p for p in products)
            for product in products[:4]:
                value = int(random.exponential(1.0) * 3e5) - channel.cost_micro // 8
                rows.append((int(ids[i]), product, channel.id, value, float(random.random() * 0.05)))
    flat = pa.array(masks.ravel())
    eligible = pa.table(
        {
            "business_date": pa.array([night.date] * customers),
            "customer_id": ids,
            "draw_key": ids * 1_000_003,
            "masks": pa.ListArray.from_arrays(np.arange(customers + 1, dtype=np.int32) * width, flat),
            "masks_more": pa.nulls(customers, pa.list_(pa.int64())),
            "removed_more": pa.nulls(customers, pa.list_(pa.int64())),
            "reason": ["opted_out" if not m.any() else None for m in masks],
            "outbound_reason": ["opted_out" if not m[:5].any() else None for m in masks],
            "removed": pa.array([[]] * customers, pa.list_(pa.int64())),
            "recent_milli": pa.array([0] * customers, pa.int32()),
            "eligible_hash": [str(int(m.sum())) for m in masks],
        }
    )
    night.lake.replace_arrow("eligible", eligible, partition=night.partition)
    schema = nullable(arrow_schema(night.lake.table("candidate")))
    candidate = [
        {
            "business_date": night.date,
            "customer_id": c,
            "product": p,
            "channel": ch,
            "value_micro": v,
            "p_convert": q,
            "cost_micro": 0,
            "seconds": 0,
            "model_version": "1",
        }
        for c, p, ch, v, q in rows
    ]
    night.lake.replace_arrow("candidate", pa.Table.from_pylist(candidate, schema=schema), partition=night.partition)
    write_shifts(night)
    return pa.table(
        {
            "customer_id": ids,
            "centre": [CENTRES[k] for k in random.integers(0, 6, customers)],
            **{f"segment_{name}": pa.array(random.random(customers) < 0.3) for name in catalogue.segments},
        }
    )


def write_shifts(night: Night) -> None:
    schema = nullable(arrow_schema(night.lake.table("shift")))
    at = dt.datetime(2025, 12, 1, tzinfo=dt.UTC)
    rows = [
        {
            "date": night.date + dt.timedelta(days=lag),
            "centre": centre,
            "service": service,
            "shift": "mid",
            "agents": 40,
            "minutes": 510,
            "meal_minutes": 30,
            "training_minutes": 20,
            "arrived_at": at,
            "schema": "shift_calendar",
            "feed": f"f_{centre}",
            "data_date": dt.date(2025, 12, 1),
            "delivery_id": "d",
            "line": 1,
        }
        for centre in CENTRES
        for service in ("10086", "outbound")
        for lag in range(4)
    ]
    night.lake.replace_arrow("shift", pa.Table.from_pylist(rows, schema=schema))


def tonight_of(home: Path) -> Night:
    """The night of 2026-01-09 in a home, with such shares that few customers show every role."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CPC_HOME", str(home))
        patch.delenv("CPC_DEMO", raising=False)
        patch.delenv("CPC_LANDING", raising=False)
        shares = Shares(control=0.1, explore=0.2)
        near = Solve(
            gap=0.03
        )  # so few customers have a true gap that only a MIP closes: tests/models/assignment/test_solve.py
        settings = load_settings("local").model_copy(update={"shares": shares, "solve": near})
        assert settings.home == home
        return Night(dt.date(2026, 1, 9), settings, settings.landing)


@pytest.fixture(scope="session")
def attributes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A home with the night's tables, made once, and what limits look at of its customers."""
    home = tmp_path_factory.mktemp("filled") / "home"
    return home, fill_lake(tonight_of(home))


@pytest.fixture(scope="session")
def decided_home(attributes: tuple[Path, pa.Table], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after `assign`, made once."""
    home = tmp_path_factory.mktemp("decided") / "home"
    shutil.copytree(attributes[0], home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assign, "read_limit_attributes", lambda night, eligible: attributes[1])
        figures = assign.run(tonight_of(home))
    (home / "figures.json").write_text(json.dumps(figures.as_json()))
    return home


@pytest.fixture
def filled(attributes: tuple[Path, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    """A night whose scores are in the lake and whose customers' attributes need no Spark; a copy of its own."""
    shutil.copytree(attributes[0], tmp_path / "home")
    monkeypatch.setattr(assign, "read_limit_attributes", lambda night, eligible: attributes[1])
    return tonight_of(tmp_path / "home")


@pytest.fixture
def decided(decided_home: Path, tmp_path: Path) -> Night:
    """The same night after `assign`; a copy of its own."""
    shutil.copytree(decided_home, tmp_path / "home")
    return tonight_of(tmp_path / "home")
