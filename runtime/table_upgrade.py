"""Tables that an older release wrote, brought to what this one declares: columns since, statistics of every file.

The night does it under its lease before its first job, ``cpc upgrade`` at any other time. No row changes. A table that
was brought up to date once costs one look at its log.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.lake import Lake


@dataclass(frozen=True)
class UpgradedTable:
    """What a table lacked.

    Attributes:
        table: its name.
        columns: declared since it was made, and added.
        files: whose statistics were told anew.
    """

    table: str
    columns: tuple[str, ...]
    files: int


def upgrade_tables(lake: Lake) -> list[UpgradedTable]:
    """Bring every table of ``lake`` up to date; returns those that were not, by name."""
    upgraded = []
    for name in sorted(path.parent.name for path in lake.root.glob("*/_delta_log")):
        columns, files = lake.upgrade(name)
        if columns or files:
            upgraded.append(UpgradedTable(name, tuple(columns), files))
    return upgraded
