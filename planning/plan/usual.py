"""The operator's usual rule: who is served as before is given arcs in a declared order, within its share of each limit.

The rule (``conf/usual.yml``) orders all eligible outbound arcs of the customers labelled *usual*, whatever our models
keep of them. From the first to the last an arc is given where its customer has none yet and the limits' share for these
customers carries it. What they use is taken off every limit, share and floor before the one solve.
docs/developer/assignment.md, "Business as usual".
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numba import njit

from conf.catalogue import Catalogue
from conf.errors import UserError
from features.arrays import seal
from models.arrays import Ints
from models.assignment.roles import USUAL, key
from models.hashing import draw_keys, hashes
from planning.instance.decision_inputs import DecisionInputs
from planning.limits.arc_classes import Arcs
from planning.scoring import blocks, menu_of, plan
from runtime import spark_tables
from runtime.night import Night

#: What the rule may name of an arc, and its type for Spark.
ARC_COLUMNS = {
    "product": "string",
    "product_group": "string",
    "product_price": "double",
    "product_margin": "double",
    "channel": "string",
    "channel_cost": "double",
    "channel_seconds": "int",
}
#: Parts that a share of a limit is rounded down to.
_PARTS = 1_000_000


def take_share(amount: int, share: float) -> int:
    """The part of a limit's amount that is for customers served as before, rounded down."""
    return amount * round(share * _PARTS) // _PARTS


def describe_arcs(arcs: pa.Table, catalogue: Catalogue) -> pa.Table:
    """Arcs ``customer, product, channel`` with what the rule may name of them; the ids are kept as ``_product``, ``_channel``."""
    products = {row.id: row for row in catalogue.products}
    channels = {row.id: row for row in catalogue.channels}
    offer, way = arcs["product"].to_pylist(), arcs["channel"].to_pylist()
    return pa.table(
        {
            "customer_id": arcs["customer"],
            "_product": arcs["product"],
            "_channel": arcs["channel"],
            "product": pa.array([products[p].code for p in offer], pa.string()),
            "product_group": pa.array([products[p].group for p in offer], pa.string()),
            "product_price": pa.array([float(products[p].price) for p in offer], pa.float64()),
            "product_margin": pa.array([float(products[p].margin) for p in offer], pa.float64()),
            "channel": pa.array([channels[c].code for c in way], pa.string()),
            "channel_cost": pa.array([float(channels[c].cost) for c in way], pa.float64()),
            "channel_seconds": pa.array([channels[c].seconds for c in way], pa.int32()),
        }
    )


def rank(night: Night, population: pa.Table, arcs: pa.Table) -> pa.Table:
    """``customer, product, channel`` of the eligible outbound arcs of usual customers, in the order of the rule.

    Args:
        night: tonight.
        population: with label and draw key.
        arcs: ``customer, product, channel`` of all labels.

    Raises:
        UserError: no rule is declared.
    """
    rule = night.catalogue.usual
    if not rule:
        raise UserError(
            "customers are to be served as before, and no order is declared",
            where=str(night.catalogue.root / "usual.yml"),
            remedy="declare `order:` there, or set shares.usual to 0",
        )
    ids = population["customer_id"].to_numpy()
    row = np.searchsorted(ids, arcs["customer"].to_numpy())
    usuals = arcs.filter(pa.array(population["role"].to_numpy()[row] == USUAL)).select(
        ["customer", "product", "channel"]
    )
    columns = _read_keys(night, describe_arcs(usuals, night.catalogue), [each.by for each in rule])
    at = np.searchsorted(ids, columns["customer_id"].to_numpy())
    luck = hashes(draw_keys(population), key(night.settings.seed, "usual order", night.date))[at]
    columns = columns.append_column("_luck", pa.array(luck))
    order = [(f"_key_{k}", "descending" if each.first == "highest" else "ascending") for k, each in enumerate(rule)]
    last = [(name, "ascending") for name in ("_luck", "customer_id", "_product", "_channel")]
    ranked = columns.sort_by([*order, *last])
    return ranked.select(["customer_id", "_product", "_channel"]).rename_columns(["customer", "product", "channel"])


def _read_keys(night: Night, arcs: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The arcs with the value of each key (``_key_0`` …), computed by Spark over snapshot and arc."""
    with tempfile.TemporaryDirectory(dir=night.settings.home) as folder:
        path = Path(folder) / "arcs.parquet"
        pq.write_table(arcs, path)
        snapshot = night.tonight("customer_features").drop("business_date")
        names = [name for name in snapshot.columns if name == "customer_id" or name not in ARC_COLUMNS]
        rows = night.spark.read.parquet(str(path)).join(snapshot.select(*names), "customer_id", "left")
        values = [f"({sql}) as _key_{k}" for k, sql in enumerate(keys)]
        staged = spark_tables.stage(
            rows.selectExpr("customer_id", "_product", "_channel", *values), Path(folder) / "keys", ()
        )
        return pa.concat_tables([pq.read_table(Path(folder) / "keys" / file.path) for file in staged])


def score_eligible(night: Night, population: pa.Table) -> tuple[pa.Table | None, str]:
    """``customer, product, channel, value, p_convert`` of every eligible outbound arc of usual customers, as scored tonight.

    Returns:
        The arcs, and why there are none where they cannot be scored.
    """
    usuals = population["customer_id"].to_numpy()[population["role"].to_numpy() == USUAL]
    try:
        task, files, _ = plan(night)
    except UserError as error:
        return None, error.what
    menu = menu_of(task)
    product, channel, outbound = menu.product(), menu.channel(), menu.outbound()
    parts = []
    for path in files:
        for block in blocks(task, path, only=usuals.tolist()):
            who, arc = np.nonzero(block.eligible & outbound)
            parts.append(
                pa.table(
                    {
                        "customer": block.customers[who],
                        "product": pa.array(product[arc], pa.int16()),
                        "channel": pa.array(channel[arc], pa.int16()),
                        "value": block.scores.value[who, arc],
                        "p_convert": block.scores.p_convert[who, arc].astype(np.float64),
                    }
                )
            )
    return (pa.concat_tables(parts) if parts else None), "" if parts else "nobody is served as before"


def serve(arcs: Arcs, population: pa.Table, ranked: pa.Table, inputs: DecisionInputs) -> Ints:
    """The arc that each usual customer is given, a place in ``arcs``; -1 none, int64 [n].

    Args:
        arcs: outbound arcs and classes of the population, with what limits take of them.
        population: ascending.
        ranked: as of `rank`.
        inputs: the frozen inputs.
    """
    capped = np.flatnonzero(np.array(inputs.capped, bool))
    room = np.array([take_share(inputs.amounts[m], inputs.usual) for m in capped], np.int64)
    row = np.searchsorted(population["customer_id"].to_numpy(), ranked["customer"].to_numpy())
    place = arcs.of(*(ranked[name].to_numpy().astype(np.int64) for name in ("product", "channel")))
    given = np.full(population.num_rows, -1, np.int64)
    uses = np.maximum(arcs.uses[capped], 0)
    _serve(seal(row.astype(np.int64)), seal(place), seal(arcs.classes), seal(uses), room, given)
    return given


@njit(cache=True, nogil=True)
def _serve(row, place, classes, uses, room, given):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """In order: give an arc to who has none where every limit has room for it."""
    for k in range(len(row)):
        who, arc = row[k], place[k]
        if given[who] >= 0:
            continue
        fits = True
        for m in range(len(room)):
            if uses[m, classes[who], arc] > room[m]:
                fits = False
                break
        if fits:
            given[who] = arc
            for m in range(len(room)):
                room[m] -= uses[m, classes[who], arc]
