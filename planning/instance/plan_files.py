"""Writes what `cpc solve` promises: the plan as Parquet and its certificate, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import UserError
from models.arrays import Ints
from models.assignment.problem import Block, Kinds, Problem
from models.assignment.solve import Solution
from planning.instance.certificate import VERSION, Certificate, LimitCertificate, write_certificate
from runtime.atomic_files import folder_draft


class Chosen(NamedTuple):
    """What customers are given: the arc's key, -1 for none, and its value, 0 for none.

    Attributes:
        product, channel, value: int64 [customers].
        parts: the other parts of the key, where the instance has them.
    """

    product: Ints
    channel: Ints
    value: Ints
    parts: Mapping[str, Ints] = MappingProxyType({})


def write_plan(out: Path, problem: Problem, solution: Solution) -> Certificate:
    """Write ``assignment/`` and ``certificate.json`` into ``out``; returns the certificate.

    Both are made in a folder beside and moved in place, so nobody sees half a plan.
    """
    if out.exists() and any(p.name not in {"assignment", "certificate.json"} for p in out.iterdir()):
        raise UserError("the folder holds other things", where=str(out), remedy="give an empty or a new folder")
    digest = hashlib.sha256()
    with folder_draft(out) as draft:
        (draft / "assignment").mkdir()
        schema = plan_schema(problem.kinds.parts)
        with pq.ParquetWriter(draft / "assignment" / "part-00000.parquet", schema, compression="zstd") as writer:
            for block, arc in zip(problem.blocks, solution.plan.arcs, strict=True):
                chosen = read_chosen(block, arc, problem.kinds)
                digest.update(records(block.customer, chosen))
                writer.write_table(plan_table(block.customer, chosen))
            if not problem.blocks:
                writer.write_table(schema.empty_table())
        document = certificate(problem, solution, digest.hexdigest())
        write_certificate(draft, document)
    return document


def read_chosen(block: Block, arc: Ints, kinds: Kinds) -> Chosen:
    """Key and value of each customer's arc."""
    has = arc >= 0
    kind = block.kinds_of(np.flatnonzero(has), arc[has])

    def spread(values: Ints, none: int) -> Ints:
        column = np.full(len(block), none, np.int64)
        column[has] = values
        return column

    parts = {name: spread(part[kind], -1) for name, part in kinds.parts.items()}
    product, channel = spread(kinds.product[kind], -1), spread(kinds.channel[kind], -1)
    return Chosen(product, channel, spread(block.value[arc[has]], 0), parts)


def records(customer: Ints, chosen: Chosen) -> bytes:
    """The little-endian records that the plan's hash is of: customer, key, value; parts that the key lacks are not there."""
    key = {"product": chosen.product, "channel": chosen.channel, **chosen.parts}
    rows = np.empty(len(customer), [("customer", "<i8"), *((name, "<i2") for name in key), ("value", "<i8")])
    for name, column in ({"customer": customer, "value": chosen.value} | key).items():
        rows[name] = column
    return rows.tobytes()


def plan_schema(parts: Iterable[str]) -> pa.Schema:
    """Columns of ``assignment/``, given the parts of the key beside product and channel."""
    key = [(name, pa.int16()) for name in ("product", "channel", *parts)]
    return pa.schema([("customer", pa.int64()), *key, ("value", pa.int64())])


def plan_table(customer: Ints, chosen: Chosen) -> pa.Table:
    """Rows of ``assignment/``: nulls where there is no arc."""
    none = chosen.product < 0
    key = [chosen.product, chosen.channel, *chosen.parts.values()]
    columns = [pa.array(part, pa.int16(), mask=none) for part in key]
    value = pa.array(chosen.value, pa.int64(), mask=none)
    return pa.table([pa.array(customer), *columns, value], schema=plan_schema(chosen.parts))


def certificate(problem: Problem, solution: Solution, digest: str) -> Certificate:
    """What `certify` will check: plan, bound and prices as integers."""
    limits, plan, dual, claimed = problem.limits, solution.plan, solution.dual, solution.bound_claimed
    return Certificate(
        version=VERSION,
        primal=plan.primal,
        bound=dual.bound,
        gap=solution.gap,
        customers=problem.customers,
        arcs=problem.arcs,
        limits=tuple(
            LimitCertificate(name=name, used=int(s) * u, amount=int(s * b), price_pico=int(s * p))
            for name, s, u, b, p in zip(limits.names, limits.sign, plan.used, limits.amount, dual.prices, strict=True)
        ),
        assignment_sha256=digest,
        seconds=round(solution.seconds, 3),
        passes=solution.passes,
        method=solution.method,
        bound_claimed=claimed,
        gap_claimed=None if claimed is None else (claimed - plan.primal) / max(1, abs(claimed)),
    )
