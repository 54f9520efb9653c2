"""Whether the figures of money hold the truth: provinces in which what every contact caused is known.

*Provinces*: many small ones, each with its own customers, products and past policy. Its decisions, contacts and orders
are written into the lake of a home, ``reporting.earned`` counts them as a night does, and the truth beside them (the same
province without contacts) says what the interval of incremental margin, and of ROI, should hold.
*Redraws*: ten of them in which labels alone are drawn again a hundred times each: how often the interval holds the truth,
how wide it is beside Welch's of SciPy.
*Null*: the same where contacts change nothing.

What is finished is kept below ``CPC_HOME/benchmarks`` and not done again by the same sources.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import ttest_ind

from benchmarks.result import Result
from conf.catalogue import ROOT, load_catalogue
from conf.dates import UTC_OFFSET
from conf.money import MICRO
from conf.preset import load_preset
from conf.settings import load_settings
from models.affinity.two_groups import Difference, GroupSums, compare
from reporting import earned
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.run_id import sources
from synth.aftermath import ACTIONS, cancellations
from synth.events import Table
from synth.history import Course, live
from synth.ledger_columns import decision_ids
from synth.plan import Ints, LoggedPlan, date_of
from synth.policy import ROLES, PolicyNight
from synth.redraw import PeriodTruth, redraw, relabel
from synth.twin import Window, orders_of_both
from synth.world import World, make_world

START = dt.date(2026, 1, 1)
DAYS = 8  # the past policy ends 31 days before START: by then all orders and cancellations of its period are in
POLICY = "policy:logged"


@dataclass(frozen=True)
class Extent:
    """How much is tried: customers a province, provinces of either preset, provinces redrawn and redraws of each."""

    customers: int
    seeds: int
    null_seeds: int
    lives: int
    redraws: int


EXTENTS = {"full": Extent(5_000, 40, 20, 10, 100), "small": Extent(3_000, 2, 1, 1, 100)}
SIZES = tuple(EXTENTS)


def run(size: str) -> Result:
    """A row a province, a row a hundred redraws; ratios say how many intervals hold the truth."""
    extent, done = EXTENTS[size], Finished(size)
    rows = []
    for preset, seeds in (("real", extent.seeds), ("null", extent.null_seeds)):
        for seed in range(1, seeds + 1):
            rows.append(done.or_do(f"province {preset} {seed}", lambda p=preset, s=seed: measure(p, s, extent)))
        for seed in range(1, extent.lives + 1):
            rows.append(done.or_do(f"redraws {preset} {seed}", lambda p=preset, s=seed: measure_redraws(p, s, extent)))
    ratio: dict[str, float] = {}
    for preset in ("real", "null"):
        own = [row for row in rows if row["preset"] == preset and row["who"] == "province"]
        for name in ("margin", "roi"):
            ratio[f"{preset}: provinces whose interval of {name} holds the truth, of {len(own)}"] = float(
                sum(row[f"{name}_holds"] for row in own)
            )
        off = [(row["margin"] - row["margin_true"]) / row["treated"] for row in own if row["margin"] is not None]
        ratio[f"{preset}: mean of measured less true, 元 a treated customer"] = float(np.mean(off))
        drawn = [row for row in rows if row["preset"] == preset and row["who"] == "redraws"]
        for name in ("coverage", "width_over_welch"):
            total = f"{preset}: {name}, {sum(row['redraws'] for row in drawn):,} redraws"
            ratio[total] = float(np.mean([row[name] for row in drawn]))
    return Result(rows, ratio, ("Money in 元 of the whole period; intervals are of 95 %.",))


class Finished:
    """What was measured before, by name."""

    def __init__(self, size: str) -> None:
        folder = load_settings("local").home / "benchmarks"
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"figures-{size}-{name_code()}.jsonl"
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        self._rows = {row.pop("name"): row for row in map(json.loads, lines)}

    def or_do(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The row of that name, measured now where it was not."""
        if name not in self._rows:
            began = time.perf_counter()
            self._rows[name] = measure() | {"seconds": round(time.perf_counter() - began, 2)}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"name": name, **self._rows[name]}, ensure_ascii=False) + "\n")
        return self._rows[name]


def name_code() -> str:
    """Which code measures: the shipped sources, the province's and these."""
    house = Path(__file__).parents[1]
    asked = [Path(__file__), *sorted((house / "synth").rglob("*.py"))]
    return hashlib.sha256(sources().encode() + b"".join(path.read_bytes() for path in asked)).hexdigest()[:12]


def plan_of(preset: str, seed: int, customers: int) -> LoggedPlan:
    """A province of the catalogue in force."""
    return LoggedPlan(load_catalogue(ROOT), load_preset(preset), customers, START, DAYS, seed)


# -- a province through the product's own ledger -----------------------------------------------------------------


def measure(preset: str, seed: int, extent: Extent) -> dict[str, Any]:
    """What the product says that a province's past policy earned, beside the truth."""
    world = make_world(plan_of(preset, seed, extent.customers))
    nights: list[tuple[int, PolicyNight, np.ndarray]] = []
    course = live(world, lambda day, decided, living: nights.append((day, decided, living)))
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings("local").at_home(Path(folder))
        night = Night(date_of(world.plan.end_day), settings, settings.landing)
        write_lake(night, world, course, nights)
        told = {row["kpi"]: row for row in earned.gather(night) if row["slice"] == POLICY}
    brought = told["incremental_margin_yuan"]
    cost, truth = told["contact_cost_yuan"]["value"], tell_truth(world, course, nights, settings.outcome)
    row: dict[str, Any] = {"who": "province", "preset": preset, "seed": seed}
    row |= {"treated": int(told["treated_customers"]["value"]), "control": int(told["control_customers"]["value"])}
    row |= {"margin_true": truth, "margin": brought["value"], "low": brought.get("low"), "high": brought.get("high")}
    row |= {"margin_holds": holds(brought, truth), "roi_true": truth / cost, "roi": told["roi"]["value"]}
    return row | {"roi_holds": holds(told["roi"], truth / cost)}


def holds(figure: dict[str, Any], truth: float) -> bool:
    """Whether a figure's interval holds the truth; one that is not told holds nothing."""
    return figure["value"] is not None and bool(figure["low"] <= truth <= figure["high"])


def tell_truth(world: World, course: Course, nights: list[tuple[int, PolicyNight, np.ndarray]], outcome: Any) -> float:
    """元 that contacts brought in the period, of all who were decided for and are not control."""
    days = world.plan.night_days
    window = Window(days.start, days.stop + outcome.conversion_days, outcome.cancel_days)
    both = orders_of_both(world, course)
    caused = window.sum_by_customer(both, world.size) - window.sum_by_customer(both, world.size, twin=True)
    treated = np.zeros(world.size, bool)
    for _, decided, living in nights:
        treated |= living & (decided.role != ROLES.index("control"))
    return float(caused[treated].sum()) / MICRO


def write_lake(night: Night, world: World, course: Course, nights: list[tuple[int, PolicyNight, np.ndarray]]) -> None:
    """The province's decisions, contacts and orders as entities, and a snapshot with nothing but the city."""
    plan = world.plan
    product, channel = (np.array([row.code for row in rows]) for rows in (plan.products, plan.channels))
    parts = []
    for day, decided, living in nights:
        who = np.flatnonzero(living)
        at = np.full(len(who), day)
        parts.append(
            {
                "customer_id": who,
                "event_time": _instants(at * 86400 + 4 * 3600),
                "decision_id": decision_ids(at, who),
                "business_date": pa.array(np.full(len(who), day, np.int32), pa.date32()),
                "role": pa.array(np.array(ROLES)[decided.role[who]]),
                "product": _names(product, decided.product[who]),
                "channel": _names(channel, decided.channel[who]),
                "pscore": decided.pscore[who],
            }
        )
    _put(night, "decision", pa.concat_tables([pa.table(part) for part in parts]))
    told = course.contacts
    contact = {
        "customer_id": told["customer"],
        "event_time": _instants(told["time"]),
        "decision_id": decision_ids(told["night"], told["customer"]),
        "direction": pa.array(["out"] * len(told["time"])),
        "channel": _names(channel, told["channel"]),
        "attempted": np.ones(len(told["time"]), bool),
        "reached": told["reached"],
        "refused": told["refused"],
    }
    _put(night, "contact", pa.table(contact))
    _put(night, "order", _orders(world, course, product, channel))
    everyone = {"customer_id": np.arange(world.size), "city": pa.array(world["city"].astype(str))}
    _put(night, "customer_features", pa.table(everyone), night.partition)


def _orders(world: World, course: Course, product: np.ndarray, channel: np.ndarray) -> pa.Table:
    """Orders and cancellations, named and led back to decisions as the province's files have them."""
    rows: Table = cancellations(world, {name: value for name, value in course.orders().items() if name != "origin"})
    placed = rows["action"] == 0
    number = pc.utf8_lpad(pa.array(rows["number"]).cast(pa.string()), 10, "0")
    prefix = pa.array(np.where(placed, "O", "C"))
    return pa.table(
        {
            "customer_id": rows["customer"],
            "event_time": _instants(rows["time"]),
            "order_id": pc.binary_join_element_wise(prefix, number, ""),
            "product": _names(product, rows["product"]),
            "channel": _names(channel, rows["channel"]),
            "action": pa.array(np.array(ACTIONS)[rows["action"]]),
            "margin_micro": rows["margin"],
            "decision_id": decision_ids(np.where(placed, rows["night"], -1), rows["customer"]),
        }
    )


def _put(night: Night, name: str, rows: pa.Table, partition: dict[str, Any] | None = None) -> None:
    """Rows as an entity that came in one delivery, an hour after what they tell of."""
    schema = nullable(arrow_schema(night.lake.table(name)))
    columns = {field: rows[field] for field in rows.column_names}
    if "event_time" in columns:
        time = rows["event_time"].combine_chunks()
        hour = pa.scalar(dt.timedelta(hours=1), pa.duration("us"))
        columns |= {"arrived_at": pc.add(time, hour), "data_date": time.cast(pa.date32())}
        columns |= {"delivery_id": _same("d", rows), "schema": _same("s", rows), "feed": _same("log", rows)}
        columns["line"] = pa.array(np.arange(rows.num_rows))
    else:
        columns["business_date"] = _same(night.date, rows)
    arrays = [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(rows.num_rows, f.type) for f in schema]
    night.lake.replace_arrow(name, pa.table(arrays, schema=schema), partition=partition)


def _same(value: Any, rows: pa.Table) -> pa.Array:
    return pa.repeat(value, rows.num_rows)


def _instants(seconds: Ints) -> pa.Array:
    """Instants of local seconds."""
    utc = (seconds.astype(np.int64) - int(UTC_OFFSET.total_seconds())) * 1_000_000
    return pa.array(utc).cast(pa.timestamp("us", tz="UTC"))


def _names(codes: np.ndarray, index: np.ndarray) -> pa.Array:
    return pa.array(codes.tolist()).take(pa.array(index.astype(np.int64), mask=index < 0))


# -- labels drawn again ---------------------------------------------------------------------------------------------


def measure_redraws(preset: str, seed: int, extent: Extent) -> dict[str, Any]:
    """How often the interval holds the truth when labels are drawn again, and its width beside SciPy's Welch."""
    world = make_world(plan_of(preset, seed, extent.customers))
    share = world.plan.preset.policy.control
    everyone = redraw(world, 1, control=0.0)
    covered, width, off = 0, [], []
    for k in range(extent.redraws):
        drawn = relabel(everyone, share, k)
        treated = int(drawn.treated.sum())
        found = compare_labels(drawn)
        truth = drawn.true_effect * treated
        covered += found.low <= truth <= found.high
        welch = ttest_ind(drawn.margin[drawn.treated], drawn.margin[~drawn.treated], equal_var=False)
        ends = welch.confidence_interval(0.95)
        width.append((found.high - found.low) / treated / (ends.high - ends.low))
        off.append((found.total - truth) / treated / MICRO)
    row: dict[str, Any] = {"who": "redraws", "preset": preset, "seed": seed, "redraws": extent.redraws}
    row |= {"coverage": covered / extent.redraws, "width_over_welch": float(np.mean(width))}
    return row | {"measured_less_true": float(np.mean(off)), "its_error": float(np.std(off) / len(off) ** 0.5)}


def compare_labels(drawn: PeriodTruth) -> Difference:
    """The product's comparison of a redraw's groups.

    Raises:
        ValueError: a group has nobody to compare.
    """
    sums = {}
    for arm in (True, False):
        rows = drawn.treated == arm
        margin, unmoved = drawn.margin[rows].tolist(), drawn.unmoved[rows].tolist()
        squares = [sum(value * value for value in values) for values in (margin, unmoved)]
        sums[0, arm] = GroupSums(len(margin), sum(margin), squares[0], sum(unmoved), squares[1])
    found = compare(sums)
    if found is None:
        raise ValueError("a group of a redraw is empty")
    return found
