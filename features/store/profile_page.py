"""What a snapshot's features look like and how they moved: figures, and a page with a plot of each.

Read from ``feature_profile``, which the snapshot job writes; nothing is computed from customers here.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.errors import UserError
from features.listing import rows as listing
from features.page import page
from runtime.night import Night


def drift_of(night: Night) -> dict[str, Any]:
    """Columns of tonight's snapshot by how far they moved against the one before (PSI), with missing shares.

    Raises:
        UserError: the night has no snapshot.
    """
    now = profile(night, night.date)
    before = {row["feature"]: row for row in _before(night)}
    moved = [
        {
            "feature": row["feature"],
            "family": row["family"],
            "psi": None if row["psi"] is None else round(row["psi"], 4),
            "missing_share": _share(row),
            "missing_before": _share(before[row["feature"]]) if row["feature"] in before else None,
        }
        for row in sorted(now, key=lambda row: (-(row["psi"] or 0.0), row["feature"]))
    ]
    return {"date": night.date, "columns": len(now), "customers": now[0]["customers"], "moved": moved}


def write_page(night: Night, out: Path | None = None) -> Path:
    """Write the page; returns where."""
    now = {row["feature"]: row for row in profile(night, night.date)}
    columns = listing(night.catalogue.features)
    rows = [now[row["name"]] for row in columns if row["name"] in now]
    before = {row["feature"]: json.loads(row["bins"])["counts"] for row in _before(night)}
    path = out or night.settings.home / "docs" / "features" / f"{night.date}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(night.date.isoformat(), rows, before, {row["name"]: row["doc"] for row in columns}), "utf-8")
    return path


def profile(night: Night, date: dt.date) -> list[dict[str, Any]]:
    """The profile of ``date``'s snapshot: a row a column.

    Raises:
        UserError: there is none.
    """
    rows = night.lake.arrow("feature_profile", partition={"business_date": date}).to_pylist()
    if not rows:
        raise UserError(
            f"no snapshot of {date} has been looked at",
            where=str(night.lake.root),
            remedy=f"run `cpc nightly --date {date} --until snapshot` first",
        )
    return rows


def _before(night: Night) -> list[dict[str, Any]]:
    dates = night.lake.arrow("feature_profile", columns=["business_date"])["business_date"]
    last = pc.max(dates.filter(pc.less(dates, pa.scalar(night.date, pa.date32())))).as_py()
    return profile(night, last) if last else []


def _share(row: dict[str, Any]) -> float:
    return round(row["missing"] / max(row["customers"], 1), 4)
