"""The LP of a case by solvers of the field: OR-Tools PDLP, HiGHS's simplex and interior point."""

from __future__ import annotations

import time
from typing import Any

import highspy
import numpy as np
import ortools
from ortools.pdlp import solve_log_pb2, solvers_pb2
from ortools.pdlp.python import pdlp
from scipy import sparse

from models.assignment.dual_evaluation import Local, best_arcs, evaluate
from models.assignment.highs_models import Choice, model
from models.assignment.problem import Problem
from models.assignment.repair import gather
from models.cores import cores
from models.money import YUAN


def matrix(problem: Problem) -> tuple[sparse.csc_matrix, np.ndarray]:
    """Rows: limits (scaled by their largest use), then customers; columns: arcs. And the arcs' values in yuan."""
    kinds, scale = problem.kinds, problem.scale
    uses = sparse.csr_matrix(
        (kinds.use / scale[kinds.limit], kinds.limit, kinds.first), shape=(len(kinds), len(problem.limits))
    )
    owner = [np.repeat(np.arange(len(b)), np.diff(b.first.astype(np.int64))) for b in problem.blocks]
    kind = np.concatenate([b.kinds_of(o, slice(None)) for b, o in zip(problem.blocks, owner, strict=True)])
    start = np.cumsum([0, *(len(b) for b in problem.blocks)])
    customer = np.concatenate([o + s for o, s in zip(owner, start, strict=False)])
    own = sparse.csr_matrix(
        (np.ones(len(kind)), (customer, np.arange(len(kind)))), shape=(problem.customers, len(kind))
    )
    value = np.concatenate([b.value for b in problem.blocks]) * 1e-6
    return sparse.vstack([uses[kind].T, own]).tocsc(), value


def by_pdlp(problem: Problem, accuracy: float) -> dict[str, Any]:
    """PDLP on all cores to a relative accuracy; its prices give an exact bound by the same pass as ours."""
    columns, value = matrix(problem)
    limits = len(problem.limits)
    program = pdlp.QuadraticProgram()
    program.resize_and_initialize(columns.shape[1], columns.shape[0])
    program.objective_vector = -value
    program.constraint_matrix = columns
    upper = np.concatenate((problem.limits.amount / problem.scale, np.ones(problem.customers)))
    program.constraint_lower_bounds = np.full(len(upper), -np.inf)
    program.constraint_upper_bounds = upper
    program.variable_lower_bounds, program.variable_upper_bounds = np.zeros(len(value)), np.ones(len(value))
    asked = solvers_pb2.PrimalDualHybridGradientParams()
    asked.num_threads = cores()
    aim = asked.termination_criteria.simple_optimality_criteria
    aim.eps_optimal_absolute, aim.eps_optimal_relative = 0.0, accuracy
    begun = time.perf_counter()
    found = pdlp.primal_dual_hybrid_gradient(program, asked)
    seconds = time.perf_counter() - begun
    prices = problem.round_prices(np.maximum(-found.dual_solution[:limits], 0.0) * (YUAN / problem.scale))
    over = columns[:limits] @ found.primal_solution - upper[:limits]
    return {
        "who": f"PDLP (LP, {accuracy:g})",
        "version": ortools.__version__,
        "threads": cores(),
        "seconds": seconds,
        "value_yuan": float(value @ found.primal_solution),
        "bound_yuan": evaluate(problem, Local(problem), prices).bound * 1e-6,
        "limits_broken": int((over > 1e-9 * np.maximum(1.0, np.abs(upper[:limits]))).sum()),
        "worst_excess": float((over / np.maximum(1.0, np.abs(upper[:limits]))).max()),
        "method": solve_log_pb2.TerminationReason.Name(found.solve_log.termination_reason),
    }


def by_highs(problem: Problem, method: str, seconds: float = 300.0) -> dict[str, Any]:
    """HiGHS's ``simplex`` or ``ipm`` on one thread, default options."""
    zero = np.zeros(len(problem.limits), np.int64)
    options = gather(problem, zero, 1 << 61, best_arcs(problem, zero), 1 << 40)
    assert options is not None
    choice = Choice(options.group, options.kind, options.value, problem.limits.amount)
    solver = model(choice, problem.kinds, problem.scale, integer=False)
    solver.setOptionValue("solver", method)
    solver.setOptionValue("time_limit", seconds)
    begun = time.perf_counter()
    solver.run()
    return {
        "who": f"HiGHS {method} (LP)",
        "version": highspy.Highs().version(),
        "threads": 1,
        "seconds": time.perf_counter() - begun,
        "bound_yuan": solver.getObjectiveValue(),
        "method": solver.modelStatusToString(solver.getModelStatus()),
    }
