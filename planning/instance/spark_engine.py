"""The dual's passes as Spark tasks: a task gets file names, maps the arcs into memory and runs the shared kernel.

The sums are of integers, so any split of the blocks among tasks gives the same bytes as the threads of one process.
The repair, which looks at a few thousand customers, stays with the driver.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from models.arrays import Ints
from models.assignment.curvature import zero_curve
from models.assignment.dual_evaluation import Sum, scale_uses, sum_block
from models.assignment.problem import Block, Kinds, Problem

ARRAYS = ("customer", "first", "value", "kind", "group", "width")


@dataclass(frozen=True)
class Pass:
    """What a task needs besides its files: kinds, their prices and scaled uses, and the shape of the sum."""

    kinds: Kinds
    price: Ints
    grains: Ints
    limits: int
    must: bool
    shift: int

    def over(self, folders: Iterable[str]) -> Iterator[Sum]:
        """The sum over the blocks in ``folders``; nothing where there are none."""
        parts = [
            sum_block(read_block(Path(f)), self.kinds, self.price, self.grains, self.limits, self.must, self.shift)
            for f in folders
        ]
        if parts:
            yield reduce(add, parts)


def write_block(block: Block, folder: Path) -> None:
    """A block in its compact form, one file an array."""
    folder.mkdir(parents=True)
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(block, name))


def read_block(folder: Path) -> Block:
    """A block of ``write_block``, mapped into memory."""
    customer, first, value, kind, group, width = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS)
    return Block(customer, first, value, kind, group, int(width))


class OnSpark:
    """Passes by the tasks of a Spark session; ``folder`` must be visible to all of them."""

    def __init__(self, problem: Problem, spark: SparkSession, folder: Path) -> None:
        self.problem, self.spark, self.folder = problem, spark, folder
        self.grains = scale_uses(problem.kinds, problem.scale)
        self.folders = [str(folder / f"{number:06d}") for number in range(len(problem.blocks))]
        for block, path in zip(problem.blocks, self.folders, strict=True):
            write_block(block, Path(path))

    def over(self, problem: Problem) -> OnSpark:
        """Passes by the same session over another problem, whose blocks lie beside."""
        return OnSpark(problem, self.spark, Path(tempfile.mkdtemp(dir=self.folder, prefix="part-")))

    def sum(self, prices: Ints, shift: int) -> Sum:
        """One pass. What comes back to the driver is a sum a task, of kinds integers and the curve."""
        kinds, limits = self.problem.kinds, len(self.problem.limits)
        work = Pass(kinds, kinds.price(prices), self.grains, limits, self.problem.exactly_one, shift)
        context = self.spark.sparkContext
        tasks = max(1, min(len(self.folders), context.defaultParallelism))
        parts = context.parallelize(self.folders, tasks).mapPartitions(work.over).collect()
        nothing = Sum(0, np.zeros(len(kinds), np.int64), zero_curve(limits), 0)
        return reduce(add, parts, nothing)
