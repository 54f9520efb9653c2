"""The frozen inputs of a night's decision, in ``$CPC_HOME/runs/<run_id>/``: what a replay, a what-if and the checker read.

``instance/`` is the exploiters' problem as `cpc solve` reads it; ``plan/`` what was solved and proved;
``population.parquet`` every active customer with role, masks and what limits see of them; ``others.parquet`` the arcs
of explorers and controls; ``inbound.parquet`` scored offers of inbound channels; ``inputs.json`` the rest.
``active/`` is what what-ifs made for the next ones (`planning.whatif.active_sets`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.errors import UserError
from conf.settings import Settings
from models.assignment.roles import EXPLOIT
from planning.instance.certificate import Checked
from planning.instance.decision_inputs import DecisionInputs, read_inputs, write_inputs
from planning.instance.solve import check_plan
from planning.limits.in_force import LimitsInForce, read_limits, write_limits
from runtime.atomic_files import file_draft, folder_draft


@dataclass(frozen=True)
class RunFolder:
    """A night's frozen decision inputs.

    Attributes:
        path: ``$CPC_HOME/runs/<run_id>``.
    """

    path: Path

    @property
    def instance(self) -> Path:
        """The exploiters' assignment instance."""
        return self.path / "instance"

    @property
    def plan(self) -> Path:
        """The plan and its certificate."""
        return self.path / "plan"

    def inputs(self) -> DecisionInputs:
        """Date, seed, shares, amounts, channels, prices to start from."""
        return read_inputs(self.path / "inputs.json")

    def limits(self) -> LimitsInForce:
        """The exploiters' limits."""
        return read_limits(self.instance / "limits.yml")

    def table(self, name: str) -> pa.Table:
        """``population``, ``others`` or ``inbound``."""
        return pq.read_table(self.path / f"{name}.parquet")


def open_run(settings: Settings, run: str) -> RunFolder:
    """The frozen inputs of a run.

    Raises:
        UserError: there are none.
    """
    folder = RunFolder(settings.home / "runs" / run)
    if not run or "/" in run or not (folder.path / "inputs.json").exists():
        known = sorted(p.parent.name for p in (settings.home / "runs").glob("*/inputs.json"))
        raise UserError(
            f"no frozen inputs of run {run!r}",
            where=str(settings.home / "runs"),
            remedy=f"choose one of: {', '.join(known[-5:])}" if known else "run a night first: `cpc nightly`",
        )
    return folder


def freeze(
    folder: Path, inputs: DecisionInputs, limits: LimitsInForce, arcs: pa.Table, tables: dict[str, pa.Table]
) -> RunFolder:
    """Write a run's inputs, whole or not at all; what an earlier attempt left is replaced."""
    with folder_draft(folder) as draft:
        (draft / "instance" / "arcs").mkdir(parents=True)
        pq.write_table(arcs, draft / "instance" / "arcs" / "part-00000.parquet", compression="zstd")
        write_limits(draft / "instance" / "limits.yml", limits)
        for name, rows in tables.items():
            pq.write_table(rows, draft / f"{name}.parquet", compression="zstd")
        write_inputs(draft / "inputs.json", inputs)
    return RunFolder(folder)


def take_back(run: RunFolder, arcs: pa.Table) -> None:
    """Add arcs to a run's problem: those of exploiters to the instance, the others' beside it; customers stay ascending.

    Args:
        run: the run.
        arcs: with the columns of the instance's arcs; none that is there already.
    """
    population = run.table("population")
    place = pc.index_in(arcs["customer"], value_set=population["customer_id"].combine_chunks())
    exploit = pc.equal(population["role"].take(place), EXPLOIT)
    order = [(name, "ascending") for name in ("customer", "product", "channel")]
    for path, more in (
        (run.instance / "arcs" / "part-00000.parquet", arcs.filter(exploit)),
        (run.path / "others.parquet", arcs.filter(pc.invert(exploit))),
    ):
        rows = pq.read_table(path)
        joined = pa.concat_tables([rows, more.select(rows.column_names).cast(rows.schema)]).sort_by(order)
        with file_draft(path) as draft:
            pq.write_table(joined, draft, compression="zstd")


def certify_run(settings: Settings, run: str) -> Checked:
    """The checker's figures on a run's frozen instance and plan (the stored set of arcs: what pruning kept).

    Raises:
        UserError: there is no such run, or the checker refuses its plan.
    """
    folder = open_run(settings, run)
    verdict = check_plan(folder.instance, folder.plan)
    return verdict.model_copy(update={"run_id": run, "covers": "stored arcs"})
