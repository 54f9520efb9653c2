"""The curvature as a table and as a sparse matrix is one thing, and so is the step that it leads to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from benchmarks.assignment_cases import Case
from benchmarks.assignment_cases import problem as generated
from models.assignment import curvature, dual_evaluation
from models.assignment.curvature import box_qp, diagonal, sparse_box_qp, step_within
from models.assignment.dual_evaluation import Local, evaluate
from models.assignment.solve import SolveOptions, solve


def test_box_qp_meets_its_optimality_conditions() -> None:
    random = np.random.default_rng(3)
    root = random.normal(size=(6, 6))
    H, g = root @ root.T + np.eye(6), random.normal(size=6) * 5
    low, high = np.full(6, -0.4), np.full(6, 0.6)
    d = box_qp(H, g, low, high, 1000)
    slope = g + H @ d
    assert ((d > low + 1e-9) | (slope > -1e-6)).all()
    assert ((d < high - 1e-9) | (slope < 1e-6)).all()
    inside = (d > low + 1e-9) & (d < high - 1e-9)
    assert np.abs(slope[inside]).max(initial=0.0) < 1e-6
    assert inside.any()
    assert not inside.all()


def test_a_sparse_step_is_the_tables_step() -> None:
    random = np.random.default_rng(4)
    root = random.normal(size=(40, 40)) * (random.random((40, 40)) < 0.1)
    H, g = root @ root.T, random.normal(size=40)
    low, high = np.full(40, -0.3), np.full(40, 0.5)
    step, promise = step_within(H, g, low, high)
    other, same = step_within(csr_array(H), g, low, high)
    assert step == pytest.approx(other, abs=1e-12)
    assert promise == pytest.approx(same)
    assert promise > 0
    full = csr_array(H + np.eye(40))
    assert sparse_box_qp(full.indptr, full.indices, full.data, diagonal(full), g, low, high, 400) == pytest.approx(
        box_qp(full.toarray(), g, low, high, 400)
    )


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of limits is many."""
    for module in (curvature, dual_evaluation):
        monkeypatch.setattr(module, "SPARSE_FROM", 1)


@pytest.mark.usefixtures("many")
def test_a_pass_sums_the_same_curve_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = generated(Case(customers=3_000, arcs=6))
    prices = np.full(len(problem.limits), 10**5, np.int64)
    sparse = evaluate(problem, Local(problem), prices, 31)
    for module in (curvature, dual_evaluation):
        monkeypatch.setattr(module, "SPARSE_FROM", 1000)
    dense = evaluate(problem, Local(problem), prices, 31)
    assert sparse.curvature.toarray().tolist() == dense.curvature.tolist()
    assert sparse.near == dense.near > 100
    assert (sparse.bound, sparse.used) == (dense.bound, dense.used)
    assert diagonal(sparse.curvature).tolist() == diagonal(dense.curvature).tolist()


@pytest.mark.usefixtures("many")
def test_a_solve_by_sparse_steps_is_proved_too(monkeypatch: pytest.MonkeyPatch) -> None:
    solution = solve(generated(Case(customers=20_000, arcs=6)), SolveOptions(gap=1e-3))
    assert solution.plan.excess == 0
    assert solution.gap <= 1e-3
