"""Compiles the numba kernels once, at set-up, so that the first night does not pay for it: ``python -m cli.warm``.

A room's kernels are compiled by its own use in the small: a delivery of every dialect is written and loaded, a small
model scored and pruned, a small instance solved, a few partials merged. Nothing is kept but numba's cache.

Cost: some ten seconds of compiling where the cache is empty, a second where it is not.
"""

from __future__ import annotations

import datetime as dt
import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from conf.catalogue import Catalogue, load_catalogue
from conf.feed import Feed
from conf.partial import inputs_with_value
from conf.schema import Field, Schema
from dialects import write_delivery
from features.check import family_snapshot
from jobs.ingest.deliveries import Delivery, File
from jobs.ingest.task import Loader
from models.affinity.prune import prune
from models.affinity.trees import pack, parse, resolve, score_arcs
from models.assignment.active_set import active_set, box_of
from models.assignment.arc_types import Numbering, Use, reduce_kinds
from models.assignment.baseline import arbitrate_then_cap
from models.assignment.curvature import step_within
from models.assignment.dual_evaluation import choices
from models.assignment.problem import Block, Limits, Problem
from models.assignment.resolve import solve_again
from models.assignment.small_instances import improve_plan
from models.assignment.solve import SolveOptions, solve
from planning.instance.arc_store import constant, order_of_arcs
from planning.limits.takings import combine, take_parts

DAY = dt.date(2026, 1, 8)
AT = dt.datetime(2026, 1, 8, 17, tzinfo=dt.UTC)


def main() -> None:
    """Use every room's kernels once."""
    for room in ROOMS:
        room()


def dialects() -> None:
    """Load a delivery of each way to write files, of the schema with the most types among its feeds."""
    catalogue = load_catalogue()
    widest: dict[tuple[str, str, str, bool], tuple[int, Feed]] = {}
    for feed in catalogue.feeds.values():
        way = (feed.dialect, feed.layout, feed.compression, feed.quoted)
        types = len({field.type for field in catalogue.schemas[feed.schema_name].fields})
        widest[way] = max(widest.get(way, (0, feed)), (types, feed), key=lambda pair: pair[0])
    with tempfile.TemporaryDirectory() as folder:
        for _, feed in widest.values():
            load(catalogue, feed, Path(folder))


def load(catalogue: Catalogue, feed: Feed, folder: Path) -> None:
    """Write two records of a feed as a delivery, and load them."""
    schema = catalogue.schemas[feed.schema_name]
    *parts, _ = write_delivery(
        feed, schema, two_records(schema), folder, DAY, hour=0 if feed.granularity == "hourly" else -1
    )
    files = tuple(File(path.name, path.name, path.stat().st_size, 2) for path in parts)
    Loader(folder, folder / "lake", folder, bytes(32), catalogue.phones).load(
        Delivery(feed, schema, DAY, -1, 0, AT, files)
    )


def two_records(schema: Schema) -> pa.Table:
    """Two records with a value in every field."""
    return pa.table({field.name: _column(schema, field) for field in schema.fields})


def _column(schema: Schema, field: Field) -> pa.Array:
    if field.type == "code":
        return pa.array([next(iter(schema.codes[field.codes]))] * 2)
    values: dict[str, tuple[Any, pa.DataType]] = {
        "phone": ("10000000001", pa.string()),
        "date": (DAY, pa.date32()),
        "timestamp": (AT, pa.timestamp("us", "UTC")),
        "decimal": (1, pa.decimal128(18, field.scale)),
        "double": (1.0, pa.float64()),
        "bool": (True, pa.bool_()),
        "short": (1, pa.int16()),
        "int": (1, pa.int32()),
        "long": (1, pa.int64()),
    }
    value, kind = values.get(field.type, ("1", pa.string()))
    return pa.array([value, value], kind)


def features() -> None:
    """Fold and merge two events of every family."""
    as_of = dt.date(2026, 1, 9)
    for family in load_catalogue().features.families:
        types = {
            source.name: pa.string() if source.type == "string" else pa.int64() for source in inputs_with_value(family)
        }
        events = pa.table(
            {
                "business_date": pa.array([as_of, as_of]),
                "customer_id": [0, 0],
                "day": pa.array([DAY, DAY]),
                "feed": ["a", "a"],
                "inputs": [1, 1],
                "at": [1, 2],
                **{name: pa.nulls(2, of) for name, of in types.items()},
            }
        )
        family_snapshot(family, events, as_of, 1)


def affinity() -> None:
    """Score and prune two arcs with a small model."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 3))
    data = lgb.Dataset(rows, rows[:, 0] > 0)
    trees = parse(lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 2).model_to_string())
    scores = score_arcs(resolve(trees, rows[:2, 2:]), rows[:4, :2], pack(np.ones((4, 2), np.bool_)))
    value, flags = np.rint(scores * 1e6).astype(np.int64), np.ones((4, 2), np.bool_)
    prune(value, value, flags, flags[0], np.zeros(2, np.int64), flags[:1], keep=1)


def assignment() -> None:
    """Solve a small instance with a cap and a floor, as a what-if too, and the baseline; choose as ``decide`` does."""
    random, customers = np.random.default_rng(0), 3_000
    product = np.tile(np.arange(2, dtype=np.int64), customers)
    uses = [Use(np.where(product == m, 1, 0), sign) for m, sign in ((0, 1), (1, -1))]
    kinds, _ = reduce_kinds(product, np.zeros(2 * customers, np.int64), uses)
    kind = Numbering(1).number(product[:, None])
    value = random.integers(1, 1_000_000, 2 * customers).astype(np.int32)
    first = np.arange(customers + 1, dtype=np.int64) * 2
    block = Block(np.arange(customers, dtype=np.int64), first, value, kind.astype(np.uint16))
    limits = Limits(("cap", "floor"), np.array([customers // 4, -customers // 4]), np.array([1, -1]))
    problem = Problem([block], kinds, limits, False, int(value.max()))
    solution = solve(problem, SolveOptions(gap=1e-3))
    step_within(csr_array(np.eye(2)), np.ones(2), np.zeros(2), np.ones(2))
    taken = take_parts((), {}, 2)
    combine(taken, np.arange(2), taken, np.arange(2), np.zeros(0, np.int64))
    improve_plan(problem, solution.dual, solution.plan, gap=0.0, seconds=math.inf)
    prices = solution.dual.prices
    active = active_set(problem, prices, box_of(problem, prices, limits))
    assert active is not None
    solve_again(problem, active, SolveOptions(gap=1e-3))
    arbitrate_then_cap(problem)
    wide = replace(block, value=value.astype(np.int64), kind=kind.astype(np.uint32))
    for variant in (block, wide):
        choices(replace(problem, blocks=[variant]), prices)
    for kind_of_column in (np.int16, np.int32, np.int64):
        constant(product.astype(kind_of_column), first)
    order_of_arcs(np.repeat(block.customer, 2), product.astype(np.int16), product.astype(np.int16))


ROOMS: tuple[Callable[[], None], ...] = (dialects, features, affinity, assignment)

if __name__ == "__main__":
    main()
