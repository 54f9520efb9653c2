"""Look at what has landed: every file with its control facts, none of them opened.

*Reads* the landing folder. *Writes* landing.
*Cost* one folder listing and one small read a control file; grows with the number of files that lie there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import pyarrow as pa

from conf.errors import UserError
from jobs.scan.arrivals import NO_DATE, look
from runtime.figures import ScanFigures
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.parquet_files import write_partitions

READS = ()
WRITES = ("landing",)
READS_PREVIOUS = ()


def run(night: Night) -> ScanFigures:
    """Replace the rows of every data date that lies in the landing folder."""
    if not night.landing.is_dir():
        raise UserError(
            "nothing has landed: the folder does not exist",
            where=str(night.landing),
            remedy="point CPC_LANDING at the landing folder, or make a province with `cpc demo` or `cpc synth`",
        )
    arrivals = look(night.landing, night.catalogue.feeds)
    if not arrivals:
        raise UserError(
            "the landing folder is empty",
            where=str(night.landing),
            remedy="wait for the feeds, or point CPC_LANDING elsewhere",
        )
    schema = nullable(arrow_schema(night.lake.table("landing")))
    rows = pa.Table.from_pylist([asdict(arrival) for arrival in arrivals], schema=schema)
    files = write_partitions(night.lake.path("landing"), rows, ["data_date"])
    # a name that tells no date is forgotten as soon as its file is gone
    dates = sorted({NO_DATE, *(arrival.data_date for arrival in arrivals)})
    night.lake.commit_files("landing", files, replace=[{"data_date": date} for date in dates])
    states = Counter(arrival.state for arrival in arrivals)
    return ScanFigures(
        files=len(arrivals),
        ready=states["ready"],
        waiting=states["waiting"],
        refused=states["refused"],
        unknown=states["unknown"],
        dates=len({arrival.data_date for arrival in arrivals}),
    )
