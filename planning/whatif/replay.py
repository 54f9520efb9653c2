"""Rebuilds the assignment of a run from its frozen inputs and compares it with what the lake holds, byte by byte.

The code at hand decides again. Where that is another code than decided the run, a difference need not be a fault: both are named, and
the sources that the run was decided by replay it identically.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from conf.errors import UserError
from conf.settings import Settings
from planning.instance.run_folder import open_run
from planning.plan.decide import decide, fill_known_values
from planning.plan.decision import assignment_table, table_hash
from runtime.lake import Lake
from runtime.run_id import sources


@dataclass(frozen=True)
class Replay:
    """A replay against what was written.

    Attributes:
        written, rebuilt: hashes of the table.
        difference: the first one; empty where there is none.
        decided_by, replayed_by: the code that decided the run and the code at hand; ``decided_by`` is empty where the run was
            decided before that was kept.
    """

    written: str
    rebuilt: str
    difference: str
    decided_by: str
    replayed_by: str

    @property
    def identical(self) -> bool:
        """Whether every byte is the same."""
        return self.written == self.rebuilt

    @property
    def other_code(self) -> bool:
        """Whether the run was decided by another code than replays it, as far as is known."""
        return self.decided_by != self.replayed_by

    def verdict(self) -> str:
        """In a sentence."""
        if self.identical:
            return "identical"
        if not self.other_code:
            return f"different: {self.difference}"
        before = f"code {self.decided_by}" if self.decided_by else "a code that was not recorded"
        return f"decided by {before}, replayed by code {self.replayed_by}, which decides otherwise: {self.difference}"


def replay(settings: Settings, run: str) -> Replay:
    """Decide again.

    Raises:
        UserError: the run has no frozen inputs, or its rows are no longer in the lake.
    """
    folder = open_run(settings, run)
    inputs = folder.inputs()
    night = decide(folder)
    fill_known_values(night, folder)
    rebuilt = assignment_table(night, inputs)
    lake = Lake(settings.lake, settings.catalogue)
    date = inputs.date
    written = lake.arrow("assignment", partition={"business_date": date}).sort_by("customer_id")
    if written.num_rows and written["run_id"][0].as_py() != run:
        raise UserError(
            f"the night of {date} was decided again by run {written['run_id'][0].as_py()}",
            where=f"run {run}",
            remedy="replay that run; of this one only the frozen inputs are left",
        )
    written = written.select(rebuilt.column_names)
    return Replay(
        table_hash(written),
        table_hash(rebuilt),
        first_difference(written, rebuilt),
        inputs.code,
        sources()[:12],
    )


def first_difference(written: pa.Table, rebuilt: pa.Table) -> str:
    """The first row and column that differ; empty where none does."""
    if written.num_rows != rebuilt.num_rows:
        return f"{written.num_rows} rows were written, {rebuilt.num_rows} rebuilt"
    for name in rebuilt.column_names:
        ours: list[Any] = rebuilt[name].to_pylist()
        theirs: list[Any] = written[name].to_pylist()
        if ours != theirs:
            at = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
            customer = rebuilt["customer_id"][at].as_py()
            return f"customer {customer}: {name} was {theirs[at]!r}, rebuilt {ours[at]!r}"
    return ""
