"""The table catalogue: every column's type, unit and meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field as Key
from pydantic import model_validator

from conf.bounds import LONGEST_DAYS
from conf.documents import Misfit, Strict
from conf.errors import suggest
from conf.units import BY, name_fault

_NUMBERS = frozenset({"bigint", "int", "smallint", "double"})


class Column(Strict):
    """A column of a Delta table; ``type`` is a Spark DDL type.

    ``unit: by kind`` with ``units`` is of an amount whose unit depends on another column: on the value of ``kind``.
    """

    name: str = Key(pattern=r"^[a-z_][a-z0-9_]*$")
    type: str
    doc: str
    unit: str = ""
    units: dict[str, str] = {}
    nullable: bool = True
    personal: bool = False


class Table(Strict):
    """A table: what a row is, who writes it, how it is partitioned and for how long it is kept."""

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    row: str  # "a row is …"
    writer: str  # the one job that writes it
    kind: Literal["raw", "entity", "partial", "feature", "decision", "operation", "vault"]
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    retention_days: int = Key(default=400, ge=1, le=LONGEST_DAYS)
    columns: tuple[Column, ...]

    @model_validator(mode="after")
    def _check_references(self) -> Table:
        names = [column.name for column in self.columns]
        first = {name: i for i, name in reversed(list(enumerate(names)))}
        wrong = [
            Misfit(f"two columns are called {name!r}", "columns", i, "name", remedy="rename one")
            for i, name in enumerate(names)
            if first[name] < i
        ]
        wrong += [
            Misfit(f"no column {name!r}", key, i, remedy=suggest(name, names))
            for key, listed in (("key", self.key), ("partition_by", self.partition_by))
            for i, name in enumerate(listed)
            if name not in first
        ]
        for i, column in enumerate(self.columns if self.kind == "entity" else ()):
            wrong += _unit_misfits(column, i, names)
        Misfit.raise_all(wrong)
        return self


def _unit_misfits(column: Column, i: int, names: list[str]) -> Iterator[Misfit]:
    """What is wrong with the unit of an entity's column: mappings convert to it."""
    if column.type in _NUMBERS and (unit_fault := name_fault(column.name, column.unit)):
        what, remedy = unit_fault
        yield Misfit(what, "columns", i, "unit" if column.unit else "name", remedy=remedy)
    by = column.unit.removeprefix(BY) if column.unit.startswith(BY) else ""
    if bool(by) != bool(column.units):
        what = "`units` belong to a unit that another column says"
        yield Misfit(what, "columns", i, "unit", remedy="write `unit: by kind` and `units: {value of kind: unit}`")
    elif by and by not in names:
        yield Misfit(f"no column {by!r}", "columns", i, "unit", remedy=suggest(by, names))
