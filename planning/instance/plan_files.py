"""Writes what `cpc solve` promises: the plan as Parquet and its certificate, whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import UserError
from models.arrays import Ints
from models.assignment.problem import Block, Kinds, Problem
from models.assignment.solve import Solution
from planning.instance.certificate import VERSION, Certificate, LimitCertificate, write_certificate
from runtime.atomic_files import folder_draft

SCHEMA = pa.schema([("customer", pa.int64()), ("product", pa.int16()), ("channel", pa.int16()), ("value", pa.int64())])
_RECORD = np.dtype([("customer", "<i8"), ("product", "<i2"), ("channel", "<i2"), ("value", "<i8")])


def write_plan(out: Path, problem: Problem, solution: Solution) -> Certificate:
    """Write ``assignment/`` and ``certificate.json`` into ``out``; returns the certificate.

    Both are made in a folder beside and moved in place, so nobody sees half a plan.
    """
    if out.exists() and any(p.name not in {"assignment", "certificate.json"} for p in out.iterdir()):
        raise UserError("the folder holds other things", where=str(out), remedy="give an empty or a new folder")
    digest = hashlib.sha256()
    with folder_draft(out) as draft:
        (draft / "assignment").mkdir()
        with pq.ParquetWriter(draft / "assignment" / "part-00000.parquet", SCHEMA, compression="zstd") as writer:
            for block, arc in zip(problem.blocks, solution.plan.arcs, strict=True):
                product, channel, value = read_chosen(block, arc, problem.kinds)
                digest.update(records(block.customer, product, channel, value))
                writer.write_table(plan_table(block.customer, product, channel, value))
            if not problem.blocks:
                writer.write_table(SCHEMA.empty_table())
        document = certificate(problem, solution, digest.hexdigest())
        write_certificate(draft, document)
    return document


def read_chosen(block: Block, arc: Ints, kinds: Kinds) -> tuple[Ints, Ints, Ints]:
    """Product, channel and value of each customer's arc; -1, -1, 0 for none."""
    has = arc >= 0
    product, channel = np.full(len(block), -1, np.int64), np.full(len(block), -1, np.int64)
    value = np.zeros(len(block), np.int64)
    kind = block.kinds_of(np.flatnonzero(has), arc[has])
    product[has], channel[has], value[has] = kinds.product[kind], kinds.channel[kind], block.value[arc[has]]
    return product, channel, value


def records(customer: Ints, product: Ints, channel: Ints, value: Ints) -> bytes:
    """The little-endian records that the plan's hash is of."""
    rows = np.empty(len(customer), _RECORD)
    rows["customer"], rows["product"], rows["channel"], rows["value"] = customer, product, channel, value
    return rows.tobytes()


def plan_table(customer: Ints, product: Ints, channel: Ints, value: Ints) -> pa.Table:
    """Rows of ``assignment/``: nulls where there is no arc."""
    none = product < 0
    return pa.table(
        [
            pa.array(customer),
            pa.array(product, pa.int16(), mask=none),
            pa.array(channel, pa.int16(), mask=none),
            pa.array(value, pa.int64(), mask=none),
        ],
        schema=SCHEMA,
    )


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
