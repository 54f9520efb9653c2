"""``cpc solve``, ``cpc certify`` and ``cpc replay``: plans and proofs."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import EnvOption, JsonOption, console, print_figures, print_json
from conf.bounds import OptionReader, RealRange
from conf.errors import UserError

if TYPE_CHECKING:
    from models.assignment.dual_evaluation import Engine
    from models.assignment.problem import Problem

app = typer.Typer()


@app.command()
def solve(
    instance: Annotated[Path, typer.Argument(help="folder with arcs/*.parquet and limits.yml")],
    out: Annotated[Path, typer.Option("--out", help="folder for the plan and its certificate")],
    gap: Annotated[
        float, typer.Option("--gap", parser=OptionReader("--gap", RealRange(0, 1)), help="stop at this certified gap")
    ] = 1e-4,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            parser=OptionReader("--seconds", RealRange(0.01, 1e6)),
            help="stop after so long, reading included, or at most a second or a tenth of it later; "
            "without it the clock decides nothing",
        ),
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="local or spark")] = "local",
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Solve an assignment instance from files. Example: cpc solve INSTANCE --out PLAN --gap 1e-5."""
    from models.assignment.solve import NoPlan, SolveOptions
    from planning.instance.plan_files import write_plan
    from planning.instance.reader import read_instance
    from planning.instance.solve import solve_instance

    if engine not in {"local", "spark"}:
        raise UserError(f"no engine {engine!r}", where="--engine", remedy="use local or spark")
    if not instance.is_dir():
        raise UserError("no such instance", where=str(instance), remedy="give a folder with arcs/ and limits.yml")

    def tell(stage: str, at: float, bound: int, primal: int | None) -> None:
        if not as_json:
            wide = "" if primal is None else f"  gap {(bound - primal) / max(1, abs(bound)):.2e}"
            console.print(f"  {at:7.2f} s  {stage:<22} bound {bound / 1e6:,.2f} 元{wide}")

    began = time.perf_counter()
    work = out.with_name(out.name + ".work")  # the compact form, beside the plan: on the disk that the user chose
    try:
        read = read_instance(instance, work)
        if not as_json:
            console.print(read.problem.shape)
            for warning in read.warnings:
                console.print(f"warning: {warning}")
        with _engine(engine, read.problem, env) as passes:
            left = leave_seconds(seconds, time.perf_counter() - began)
            goal = SolveOptions(gap=gap, seconds=left, report=tell)
            solution = solve_instance(read, goal, str(instance), passes)
        proof = write_plan(out, read.problem, solution)
    except NoPlan as error:
        console.print(f"no plan: {error}")
        raise typer.Exit(1) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures = {key: value for key, value in proof.as_json().items() if key != "limits"} | {
        "warnings": list(read.warnings)
    }
    if as_json:
        print_json(proof.as_json() | {"warnings": list(read.warnings)})
    else:
        print_figures(f"plan in {out}", figures)


def leave_seconds(seconds: float | None, reading: float) -> float:
    """Seconds that are left for the solve once the instance is read; infinite where none are given.

    Writing the plan takes less than half of the time that reading took.

    Raises:
        NoPlan: reading alone took longer.
    """
    from models.assignment.solve import NoPlan

    if seconds is None:
        return math.inf
    if reading >= seconds:
        raise NoPlan(f"not known: reading the instance alone took {reading:.1f} s, --seconds gives {seconds:g}")
    return max(0.01, seconds - 1.5 * reading)


@contextlib.contextmanager
def _engine(name: str, problem: Problem, env: str | None) -> Iterator[Engine | None]:
    """Who makes the passes: None for the threads of this process, or tasks of Spark over files in the home."""
    if name == "local":
        yield None
        return
    from conf.settings import load_settings
    from planning.instance.spark_engine import OnSpark
    from runtime.spark import session

    settings = load_settings(env)
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.home, prefix="solve-") as folder:
        yield OnSpark(problem, session(settings), Path(folder))


@app.command()
def certify(
    instance: Annotated[Path | None, typer.Argument(help="the instance")] = None,
    out: Annotated[Path | None, typer.Argument(help="the plan")] = None,
    run: Annotated[str | None, typer.Option("--run", help="a night's run instead")] = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a plan and its bound, independently. Example: cpc certify INSTANCE PLAN, or cpc certify --run R."""
    from planning.instance.solve import check_plan

    if run is not None:
        from conf.settings import load_settings
        from planning.instance.run_folder import certify_run

        figures = certify_run(load_settings(env), run).as_json()
    elif instance is None or out is None:
        raise UserError("nothing to check", where="cpc certify", remedy="give INSTANCE and OUT, or --run R")
    else:
        figures = check_plan(instance, out).as_json()
    shown = {key: value for key, value in figures.items() if key != "used"}
    if as_json:
        print_json({"verdict": "accepted", **figures})
    else:
        print_figures("accepted", shown)


@app.command()
def replay(
    run: Annotated[str, typer.Argument(help="the run")], env: EnvOption = None, as_json: JsonOption = False
) -> None:
    """Rebuild the assignment of a run and compare the bytes. Example: cpc replay 2026-01-09-0123456789ab."""
    from conf.settings import load_settings
    from planning.whatif import replay as job

    result = job.replay(load_settings(env), run)
    if as_json:
        print_json({"identical": result.identical, "verdict": result.verdict(), **result.__dict__})
    else:
        console.print(f"{result.verdict()}\n  written  {result.written}\n  rebuilt  {result.rebuilt}")
    if not result.identical:
        raise typer.Exit(1)
