"""The compact form says what the files say: a byte a pair and a byte a group where that is enough, or a kind an arc."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.assignment_cases import Case
from benchmarks.assignment_cases import problem as generated
from benchmarks.assignment_files import write as write_case
from models.assignment.dual_evaluation import Local, best_arcs, choices, evaluate, near_options
from models.assignment.kernels import tie
from models.assignment.problem import Problem
from models.assignment.sample import join, pick, sample, split
from models.assignment.solve import SolveOptions, solve
from planning.instance.plan_files import read_chosen
from planning.instance.reader import read_instance
from tests.planning.instance.test_reader import arcs, write


def rows(problem: Problem) -> dict[str, np.ndarray]:
    """Every arc with its customer, product, channel, value, and use of each limit."""
    kinds = problem.kinds
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("customer", "product", "channel", "value", "use")}
    dense = np.zeros((len(kinds), len(problem.limits)), np.int64)
    np.add.at(dense, (kinds.rows, kinds.limit), kinds.use)
    for block in problem.blocks:
        owner = np.repeat(np.arange(len(block)), np.diff(block.first.astype(np.int64)))
        kind = block.kinds_of(owner, slice(None))
        for name, values in (
            ("customer", block.customer[owner]),
            ("product", kinds.product[kind]),
            ("channel", kinds.channel[kind]),
            ("value", block.value.astype(np.int64)),
            ("use", dense[kind]),
        ):
            found[name].append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def same(one: Problem, other: Problem) -> None:
    a, b = rows(one), rows(other)
    assert all((a[name] == b[name]).all() for name in a)


def test_mapped_and_in_memory_hold_the_same_arcs(tmp_path: Path) -> None:
    instance = write(tmp_path / "a", arcs(2_000), pieces=3)
    here, mapped = read_instance(instance).problem, read_instance(instance, tmp_path / "work").problem
    block = mapped.blocks[0]
    assert (block.kind.dtype, block.group.dtype, block.value.dtype) == (np.uint8, np.uint8, np.int32)
    assert block.width == 6
    assert here.blocks[0].width == 0
    same(here, mapped)


@pytest.mark.whole
def test_a_case_on_disk_is_the_case_in_memory(tmp_path: Path) -> None:
    case = Case(3_000, seed=4)
    mapped = read_instance(write_case(case, tmp_path / "a"), tmp_path / "work").problem
    memory = generated(case)
    same(memory, mapped)
    assert mapped.blocks[0].nbytes <= 45 * 3_000 + 4
    one, other = solve(memory, SolveOptions(gap=1e-3)), solve(mapped, SolveOptions(gap=1e-3))
    assert (one.dual.prices == other.dual.prices).all()
    assert (one.dual.bound, one.plan.primal) == (other.dual.bound, other.plan.primal)
    plans = [
        [
            np.concatenate(part)
            for part in zip(
                *(read_chosen(b, a, p.kinds)[:3] for b, a in zip(p.blocks, s.plan.arcs, strict=True)), strict=True
            )
        ]
        for p, s in ((memory, one), (mapped, other))
    ]
    assert all((a == b).all() for a, b in zip(*plans, strict=True))


@pytest.mark.parametrize("late", [False, True])
def test_a_column_that_varies_within_a_customer_belongs_to_the_arcs(tmp_path: Path, late: bool) -> None:
    table = arcs(40_000 if late else 500)
    segment = table["segment"].to_numpy().copy()
    segment[-1] += 7 if table["customer"][-1] == table["customer"][-2] else 0
    assert segment[-1] != segment[-2]
    at = table.column_names.index("segment")
    table = table.set_column(at, "segment", pa.array(segment, pa.int32()))
    instance = write(tmp_path / "a", table)
    mapped = read_instance(instance, tmp_path / "work").problem
    same(read_instance(instance).problem, mapped)
    assert int(mapped.blocks[-1].customer[-1]) == table["customer"][-1].as_py()


def test_many_pairs_and_groups_take_more_bytes_or_a_kind_an_arc(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    for n, customers in ((300, 3_000), (100_000, 12_000)):
        table = arcs(customers)
        at = table.column_names.index("cost")
        many = table.set_column(at, "cost", pa.array(random.integers(1, n, table.num_rows)))
        instance = write(tmp_path / str(n), many)
        mapped = read_instance(instance, tmp_path / f"work{n}").problem
        same(read_instance(instance).problem, mapped)
        assert (mapped.blocks[0].kind.dtype, mapped.blocks[0].width > 0) == (np.uint16, n == 300)


def test_large_values_take_eight_bytes(tmp_path: Path) -> None:
    table = arcs(200)
    value = table["value"].to_numpy().copy()
    value[5] = 1 << 40
    large = table.set_column(3, "value", pa.array(value))
    mapped = read_instance(write(tmp_path / "a", large), tmp_path / "work").problem
    assert mapped.blocks[0].value.dtype == np.int64
    assert sorted(rows(mapped)["value"].tolist()) == sorted(value.tolist())


def test_no_limits_at_all(tmp_path: Path) -> None:
    instance = write(tmp_path / "a", arcs(50), limits=[])
    same(read_instance(instance).problem, read_instance(instance, tmp_path / "work").problem)


def grouped(tmp_path: Path, customers: int = 1_500) -> tuple[Problem, Problem]:
    instance = write(tmp_path / "a", rounded(arcs(customers)))
    return read_instance(instance).problem, read_instance(instance, tmp_path / "work").problem


def rounded(table: Any) -> Any:
    """Values with many ties, also with nothing."""
    value = table["value"].to_numpy() // 500_000 * 500_000
    return table.set_column(3, "value", pa.array(value))


def test_passes_choose_the_same_by_pair_and_group(tmp_path: Path) -> None:
    flat, grid = grouped(tmp_path)
    prices = np.array([500_000_000_000, 1_000_000, 0], np.int64)
    for shift in (-1, 30):
        a, b = (evaluate(p, Local(p), prices, shift) for p in (flat, grid))
        assert (a.bound, a.used, a.near) == (b.bound, b.used, b.near)
        assert (a.curvature == b.curvature).all()
    for a, b in zip(choices(flat, prices), choices(grid, prices), strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))
    held = best_arcs(flat, np.zeros(3, np.int64))
    one, other = (near_options(p, prices, 10**11, held, 10**6) for p in (flat, grid))
    assert one is not None
    assert other is not None
    assert all((x == y).all() for x, y in zip(one, other, strict=True))


def test_the_branch_free_choice_is_the_plain_one(tmp_path: Path) -> None:
    """Best reduced value, then the least hash; nothing before an arc that gains nothing."""
    flat, _ = grouped(tmp_path, 400)
    prices = np.array([500_000_000_000, 1_000_000, 0], np.int64)
    charge, block = flat.kinds.price(prices), flat.blocks[0]
    arc, reduced, margin = choices(flat, prices)[0]
    ties = 0
    for i in range(len(block)):
        worth = {
            a: 10**6 * int(block.value[a]) - int(charge[block.kind[a]])
            for a in range(block.first[i], block.first[i + 1])
        }
        best = max([0, *worth.values()])
        among = [a for a, w in worth.items() if w == best]
        ties += len(among) > 1
        label = flat.kinds.label
        expected = -1 if best == 0 else min(among, key=lambda a: int(tie(block.customer[i], label[block.kind[a]])))
        others = sorted([0, *worth.values()])
        assert (arc[i], reduced[i], margin[i]) == (expected, best, others[-1] - others[-2])
    assert ties > 10


def test_samples_and_pieces_keep_groups(tmp_path: Path) -> None:
    flat, grid = grouped(tmp_path)
    same(sample(flat, 400), sample(grid, 400))
    places = np.arange(0, len(grid.blocks[0]), 3)
    pieces = [p for b in grid.blocks for p in split(b, 100)]
    assert [int(p.group.size) for p in pieces] == [len(p) for p in pieces]
    again = join([pick(grid.blocks[0], places)])
    assert (again[0].group == grid.blocks[0].group[places]).all()
