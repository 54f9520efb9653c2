"""The frozen inputs of a night's decision, in ``$CPC_HOME/runs/<run_id>/``: what a replay, a what-if and the checker read.

``whole.yml`` has tonight's limits, ``reported.yml`` those that are counted and not kept, where there are any; ``instance/`` the exploiters' problem as `cpc solve` reads it, on what explorers leave of
them; ``plan/`` what was solved and proved, ``published.json`` what all parts of the plan use together;
``population.parquet`` every active customer with label, masks and what limits see of them; ``others.parquet`` the arcs
of explorers and controls; ``taken_back.parquet`` arcs that pruning had dropped, from which nobody draws;
``usual.parquet`` the arcs of those who are served as before, in the order of the operator's rule;
``inbound.parquet`` scored offers of inbound channels; ``inputs.json`` the rest.
``active/`` is what what-ifs made for the next ones (`planning.whatif.active_sets`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.errors import UserError
from conf.settings import Settings
from models.assignment.problem import KEY_PARTS
from models.assignment.roles import EXPLOIT
from planning.instance.certificate import Checked
from planning.instance.decision_inputs import DecisionInputs, read_inputs, write_inputs
from planning.instance.solve import check_plan, check_published_plan
from planning.limits.in_force import LimitsInForce, read_limits, write_limits
from runtime.atomic_files import file_draft, folder_draft
from runtime.lake import Lake


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

    def whole_limits(self) -> LimitsInForce:
        """The limits with their whole amounts, of exploiters and explorers together."""
        inputs = self.inputs()
        if inputs.labels_first:
            return read_limits(self.path / "whole.yml")
        limits = self.limits()
        pairs = zip(limits.limits, inputs.amounts, strict=True)
        return LimitsInForce(choose=limits.choose, limits=tuple(x.with_amount(x.sign * amount) for x, amount in pairs))

    def read_reported(self) -> LimitsInForce:
        """Limits that are counted and not kept, with their whole amounts; none in runs of releases up to 0.2."""
        path = self.path / "reported.yml"
        return read_limits(path) if path.exists() else LimitsInForce()

    def read_kept(self) -> pa.Table:
        """``customer, product, channel`` of the outbound arcs that pruning kept, of every label, in no order."""
        columns = ["customer", "product", "channel"]
        sources = (self.instance / "arcs", self.path / "others.parquet")
        arcs = pa.concat_tables([pq.read_table(source, columns=columns) for source in sources])
        late = self.path / "taken_back.parquet"
        return arcs.join(pq.read_table(late), columns, join_type="left anti") if late.exists() else arcs

    def read_ranked(self) -> pa.Table | None:
        """Arcs of customers labelled usual in the order of the operator's rule; None where nobody is."""
        path = self.path / "usual.parquet"
        return pq.read_table(path) if path.exists() else None

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
    folder: Path,
    inputs: DecisionInputs,
    tonight: LimitsInForce,
    left: LimitsInForce,
    arcs: pa.Table,
    tables: dict[str, pa.Table],
    reported: LimitsInForce | None = None,
) -> RunFolder:
    """Write a run's inputs, whole or not at all; what an earlier attempt left is replaced.

    Args:
        folder: of the run.
        inputs: what goes into ``inputs.json``.
        tonight: the's limits.
        left: what explorers leave of them.
        arcs: of exploiters.
        tables: the rest, by name.
        reported: limits that are counted and not kept.
    """
    with folder_draft(folder) as draft:
        (draft / "instance" / "arcs").mkdir(parents=True)
        pq.write_table(arcs, draft / "instance" / "arcs" / "part-00000.parquet", compression="zstd")
        write_limits(draft / "instance" / "limits.yml", left)
        write_limits(draft / "whole.yml", tonight)
        if reported is not None and reported.limits:
            write_limits(draft / "reported.yml", reported)
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
    late, more = run.path / "taken_back.parquet", arcs.select(["customer", "product", "channel"])
    before = [pq.read_table(late)] if late.exists() else []
    with file_draft(late) as draft:
        pq.write_table(pa.concat_tables([*before, more]), draft, compression="zstd")


def certify_run(settings: Settings, run: str) -> Checked:
    """The checker's figures on a run's frozen instance and plan (the stored set of arcs: what pruning kept).

    Of a run whose rows are in the lake, all limits are counted again over what is published, explorers included; runs of
    releases up to 0.2 kept to the limits part by part and have no such proof.

    Raises:
        UserError: there is no such run, or the checker refuses its plan.
    """
    folder = open_run(settings, run)
    verdict = check_plan(folder.instance, folder.plan).model_copy(update={"run_id": run, "covers": "stored arcs"})
    inputs = folder.inputs()
    if not inputs.labels_first:
        return verdict.model_copy(update={"published": "not checked: of a release that reserved limits for explorers"})
    rows = read_published(settings, inputs.date)
    if others := sorted(set(rows["run_id"].to_pylist()) - {run}):
        return verdict.model_copy(update={"published": f"not checked: the night was decided again by run {others[0]}"})
    counted = check_published_plan(folder.path, rows.drop_columns(["run_id"]), verdict.bound)
    used = {limit["name"]: sum(limit["used"].values()) for limit in counted["limits"]}
    contacts = sum(counted["contacts"].values())
    verdict = verdict.model_copy(
        update={"published": "accepted", "contacts": contacts, "published_bound": counted["bound"], "used": used}
    )
    if "reported" in counted:
        reported = {limit["name"]: sum(limit["used"].values()) for limit in counted["reported"]}
        verdict = verdict.model_copy(update={"reported": reported})
    return verdict


def read_published(settings: Settings, date: dt.date) -> pa.Table:
    """``customer, product, channel, slot, variant, value, role, run_id`` of a night's contacts in the lake, customers ascending."""
    names = ["customer_id", "product", "channel", *KEY_PARTS, "decision_value", "role", "run_id"]
    rows = Lake(settings.lake, settings.catalogue).arrow("assignment", partition={"business_date": date})
    rows = rows.filter(pc.is_valid(rows["product"])).sort_by("customer_id")
    for name in set(names) - set(rows.column_names):  # a table that no night of this release has written yet
        rows = rows.append_column(name, pa.nulls(rows.num_rows, pa.int64()))
    return rows.select(names).rename_columns({"customer_id": "customer", "decision_value": "value"})
