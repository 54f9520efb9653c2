"""The figures a night ends with: what was loaded, scored, assigned, proved, and where to look next."""

from __future__ import annotations

import json
from typing import Any

from jobs.cli.output import console, print_table
from jobs.night import Night


def figures(night: Night) -> dict[str, dict[str, Any]]:
    """Figures by job, of the latest run of the night."""
    rows = night.lake.arrow("ops_run", partition=night.partition).to_pylist()
    latest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["started_at"]):
        latest[row["job"]] = {**json.loads(row["figures"]), "seconds": row["seconds"], "run_id": row["run_id"]}
    return latest
