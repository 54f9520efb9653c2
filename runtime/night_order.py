"""The order of the night, derived in one place from what each job says it READS and WRITES.

``compile_night`` gives what is committed as ``conf/generated/night.json``: the Airflow DAG, ``cpc nightly``, the
picture in the docs and the lineage all come from it. Tables of one family (``raw_*``, ``customer_day_*``) are
named by the family.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from conf.catalogue import ROOT
from conf.errors import UserError
from runtime.figures import JobFigures
from runtime.night import Night

#: The jobs of each run, in no order: order is derived.
RUNS: dict[str, tuple[str, ...]] = {
    "nightly": (
        "scan",
        "ingest",
        "quality",
        "conform",
        "partials",
        "snapshot",
        "eligibility",
        "score",
        "assign",
        "prove",
        "publish",
    ),
    "training": ("feedback", "train"),
}
GENERATED = ROOT / "generated" / "night.json"
PICTURE = ROOT.parent / "docs" / "night.md"


class Job(Protocol):
    """What a job module offers."""

    READS: tuple[str, ...]
    WRITES: tuple[str, ...]

    def run(self, night: Night) -> JobFigures:
        """Do it for one decision date."""
        ...


@dataclass(frozen=True)
class JobStep:
    """A job in its place: what it reads and writes, and the jobs of the same run that must have ended before."""

    job: str
    purpose: str
    reads: tuple[str, ...]
    reads_previous: tuple[str, ...]
    writes: tuple[str, ...]
    after: tuple[str, ...]


def load(name: str) -> Job:
    """The module of job ``name``.

    Raises:
        UserError: there is no such job.
    """
    if name not in {job for jobs in RUNS.values() for job in jobs}:
        known = ", ".join(job for jobs in RUNS.values() for job in jobs)
        raise UserError(f"no job {name!r}", where="the name of a job", remedy=f"choose one of: {known}")
    return cast(Job, importlib.import_module(f"jobs.{name}"))


def derive(names: Sequence[str]) -> list[JobStep]:
    """Sort jobs so that every table is written before it is read; ties keep the alphabet.

    Raises:
        UserError: two jobs write one table, or the tables make a circle.
    """
    modules = {name: load(name) for name in names}
    writer: dict[str, str] = {}
    for name, module in modules.items():
        for table in module.WRITES:
            if table in writer:
                raise UserError(
                    f"{name} and {writer[table]} both write {table}",
                    where=f"jobs/{name}.py",
                    remedy="one writer a table",
                )
            writer[table] = name
        if early := set(getattr(module, "ADDS", ())) - set(module.READS):
            raise UserError(
                f"{name} adds to {', '.join(sorted(early))}, and might do so before it is written",
                where=f"jobs/{name}.py",
                remedy="what a job adds to is among what it READS",
            )
    after = {
        name: sorted({writer[table] for table in module.READS if writer.get(table, name) != name})
        for name, module in modules.items()
    }
    ordered: list[JobStep] = []
    done: set[str] = set()
    while len(done) < len(modules):
        ready = sorted(name for name in modules if name not in done and set(after[name]) <= done)
        if not ready:
            circle = sorted(set(modules) - done)
            raise UserError(
                f"these jobs wait for each other: {', '.join(circle)}",
                where="READS and WRITES",
                remedy="what a job reads of earlier nights belongs in READS_PREVIOUS",
            )
        name = ready[0]
        module = modules[name]
        purpose = (cast(Any, module).__doc__ or "").strip().splitlines()[0]
        previous = tuple(getattr(module, "READS_PREVIOUS", ()))
        ordered.append(JobStep(name, purpose, tuple(module.READS), previous, tuple(module.WRITES), tuple(after[name])))
        done.add(name)
    return ordered


def compile_night() -> str:
    """The JSON of ``conf/generated/night.json``, from the jobs as they are."""
    runs = {
        run: [
            {
                "job": step.job,
                "purpose": step.purpose,
                "after": list(step.after),
                "reads": list(step.reads),
                "reads_previous": list(step.reads_previous),
                "writes": list(step.writes),
            }
            for step in derive(names)
        ]
        for run, names in RUNS.items()
    }
    return json.dumps(runs, indent=2, ensure_ascii=False) + "\n"


def read_compiled(run: str, path: Path = GENERATED) -> list[JobStep]:
    """The steps of a run as committed: reading them imports no job."""
    steps = json.loads(path.read_text(encoding="utf-8"))[run]
    return [
        JobStep(
            step["job"],
            step["purpose"],
            tuple(step["reads"]),
            tuple(step["reads_previous"]),
            tuple(step["writes"]),
            tuple(step["after"]),
        )
        for step in steps
    ]


def picture() -> str:
    """``docs/night.md``: the runs as Mermaid pictures and their tables, from the jobs as they are."""
    lines = ["# The night", "", "Generated by `make generate` from what each job says it reads and writes.", ""]
    for run, names in RUNS.items():
        steps = derive(names)
        writer = {table: step.job for step in steps for table in step.writes}
        lines += [f"## {run}", "", "```mermaid", "flowchart TD"]
        lines += [f'    {step.job}["{step.job}"]' for step in steps]
        for step in steps:
            for before in step.after:
                tables = [table for table in step.reads if writer.get(table) == before]
                label = ", ".join(tables[:3]) + (" …" if len(tables) > 3 else "")
                lines.append(f'    {before} -->|"{label}"| {step.job}')
        lines += ["```", "", "| job | what it does | reads | of earlier nights | writes |", "|---|---|---|---|---|"]
        for step in steps:
            cells = (", ".join(cell) for cell in (step.reads, step.reads_previous, step.writes))
            lines.append(f"| `{step.job}` | {step.purpose} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)
