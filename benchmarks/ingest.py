"""The loader with everything on against DuckDB and Polars reading the same records as UTF-8 to Parquet.

Everything on: hashes, GB18030 decoded strictly, separators told from trailing bytes, types and code lists checked,
quarantine, pseudonyms, key uniqueness, measures, statistics, one Delta commit, the ledger. The peers read UTF-8 that is
known to be good, type its columns, and write zstd Parquet. All sides run in alternation, each round in a process of
its own; the loader's Spark session is started before its clock (a night has one), its worker processes are not.

Ratios: ``duckdb`` and ``polars`` are the loader's wall time over the peer's (``duckdb_cpu``: CPU time of all processes);
``gzip`` is one gzip of the same file over the file itself; ``memory`` is the peak of the whole run over that of a quarter
of the file. Rows say MB/s of source, and what other processes of the machine took meanwhile: wall times of a round with
more than a second of it say little.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import linear_regression
from typing import Any

from benchmarks.apart import Clock, apart
from benchmarks.ingest_files import DATE, control, feed, schema, write
from benchmarks.result import Result

SIZES = ("1gb", "400mb", "tiny", "4gb", "cost", "night")
_BYTES = {"1gb": 1_000_000_000, "400mb": 400_000_000, "4gb": 4_000_000_000}
#: Bytes of all feeds together, before packing: three small nights, and a full one.
COST, NIGHT, FEEDS = (250_000_000, 500_000_000, 1_000_000_000), 23_000_000_000, 242
ROUNDS = {"1gb": 3, "400mb": 3, "4gb": 1}
_SQL = {
    "string": "VARCHAR",
    "code": "VARCHAR",
    "phone": "VARCHAR",
    "short": "SMALLINT",
    "int": "INTEGER",
    "long": "BIGINT",
    "timestamp": "TIMESTAMP",
}


def run(size: str) -> Result:
    """Generate, run every side in alternation, and compare the medians."""
    folder = Path(tempfile.mkdtemp(prefix="cpc-ingest-"))
    try:
        if size in ("cost", "night"):
            return _volumes(folder, COST if size == "cost" else (NIGHT,))
        return _tiny(folder) if size == "tiny" else _one_file(folder, size)
    finally:
        shutil.rmtree(folder)


def _one_file(folder: Path, size: str) -> Result:
    path, peer, records = write(folder / "plain", _BYTES[size])
    packed = _pack(path, folder / "gzip", records)
    quarter, _, _ = write(folder / "quarter" / "plain", _BYTES[size] // 4)
    megabytes = path.stat().st_size / 1e6
    sides: dict[str, Callable[[], dict[str, Any]]] = {
        "duckdb": lambda: apart(_duckdb, folder, peer, folder / "duckdb.parquet"),
        "cpc": lambda: apart(_ours, folder / "home", path.parent, False),
        "polars": lambda: apart(_polars, folder, peer, folder / "polars.parquet"),
        "cpc, one gzip": lambda: apart(_ours, folder / "home", packed.parent, True),
    }
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for _ in range(ROUNDS[size]):
        for name, side in sides.items():
            seen[name].append(side())
            if seen[name][-1]["rows"] != records:
                raise RuntimeError(f"{name} found {seen[name][-1]['rows']} of {records} records")
    small = apart(_ours, folder / "home", quarter.parent, False)
    rows = [
        {
            "who": name,
            "version": rounds[0]["version"],
            "seconds": _median(rounds, "seconds"),
            "mb_per_s": megabytes / _median(rounds, "seconds"),
            "cpu_seconds": _median(rounds, "cpu"),
            "peak_gb": max(r["peak"] for r in rounds) / 1e9,
            "rounds": ", ".join(f"{r['seconds']:.1f}" for r in rounds),
            "others_cpu_seconds": ", ".join(f"{r['others']:.1f}" for r in rounds),
        }
        for name, rounds in seen.items()
    ]
    ours = _median(seen["cpc"], "seconds")
    ratio = {
        "duckdb": ours / _median(seen["duckdb"], "seconds"),
        "polars": ours / _median(seen["polars"], "seconds"),
        "duckdb_cpu": _median(seen["cpc"], "cpu") / _median(seen["duckdb"], "cpu"),
        "gzip": _median(seen["cpc, one gzip"], "seconds") / ours,
        "memory": max(r["peak"] for r in seen["cpc"]) / small["peak"],
    }
    notes = [
        f"{megabytes:,.0f} MB of GB18030, {records:,} records of 15 columns; seconds are medians of {ROUNDS[size]} rounds",
        f"Spark session (not in the seconds): {seen['cpc'][0]['session']:.1f} s; a quarter of the file: "
        f"{small['seconds']:.1f} s, peak {small['peak'] / 1e9:.2f} GB",
    ]
    return Result(rows, ratio, notes)


def _median(rounds: list[dict[str, Any]], name: str) -> float:
    return float(statistics.median(one[name] for one in rounds))


def _pack(path: Path, folder: Path, records: int) -> Path:
    """The same file as one gzip (named as `avl` names packed files would be: the dialect is told by the feed)."""
    folder.mkdir(parents=True)
    packed = folder / f"{path.name}.gz"
    with path.open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as out:
        shutil.copyfileobj(source, out, 1 << 22)
    control(folder, packed, records)
    return packed


# -- sides: each in a process of its own -------------------------------------------------------------------------


def _duckdb(source: Path, out: Path) -> dict[str, Any]:
    import duckdb

    columns = json.dumps({field.name: _SQL[field.type] for field in schema().fields}).replace('"', "'")
    reading = (
        f"read_csv('{source}', delim='|', header=false, quote='', escape='', auto_detect=false, "
        f"timestampformat='%Y%m%d%H%M%S', columns={columns})"
    )
    clock = Clock()
    with duckdb.connect(config={"threads": 2}) as base:
        base.execute("SET enable_progress_bar = false")
        base.execute(f"COPY (SELECT * FROM {reading}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")
        told = clock.read()
        [rows] = base.execute(f"SELECT count(*) FROM '{out}'").fetchone() or (0,)
    return {"version": duckdb.__version__, **told, "rows": rows}


def _polars(source: Path, out: Path) -> dict[str, Any]:
    import polars as pl

    kinds = {"short": pl.Int16, "int": pl.Int32, "long": pl.Int64}
    wanted = {field.name: kinds.get(field.type, pl.String) for field in schema().fields}
    times = [field.name for field in schema().fields if field.type == "timestamp"]
    clock = Clock()
    lazy = pl.scan_csv(source, separator="|", has_header=False, quote_char=None, schema=wanted)
    lazy = lazy.with_columns(pl.col(name).str.to_datetime("%Y%m%d%H%M%S") for name in times)
    lazy.sink_parquet(out, compression="zstd")
    told = clock.read()
    return {"version": pl.__version__, **told, "rows": pl.scan_parquet(out).select(pl.len()).collect().item()}


def _ours(landing: Path, packed: bool) -> dict[str, Any]:
    from jobs import ingest

    night, works = _one_delivery(landing, packed)
    began = time.perf_counter()
    night.spark  # noqa: B018  (made when first asked for)
    session = time.perf_counter() - began
    clock = Clock()
    loaded = ingest.read_all(night, works)
    accepted, rows, _, _ = ingest.judge(loaded, {})
    ingest.publish(night, accepted)
    ingest.keep_ledger(night, [], rows)
    told = clock.read()
    table = night.lake.delta("raw_hotline_call").to_pyarrow_dataset()
    night.spark.stop()
    return {"version": "this", **told, "session": session, "rows": table.count_rows()}


def _one_delivery(landing: Path, packed: bool) -> tuple[Any, list[Any]]:
    """A night with one delivery: the file in ``landing``, with what its control file says."""
    from conf.settings import load_settings
    from jobs.ingest.deliveries import Delivery, File
    from runtime.night import Night

    night = Night(DATE + dt.timedelta(days=1), load_settings(), landing)
    line = next(landing.glob("*.verf")).read_text(encoding="ascii")
    name = line[:40].strip()
    contract = feed().model_copy(update={"compression": "gzip"}) if packed else feed()
    arrived = dt.datetime(2026, 1, 8, 17, tzinfo=dt.UTC)
    file = File(name, name, int(line[40:60]), int(line[60:80]))
    return night, [Delivery(contract, schema(), DATE, -1, 0, arrived, (file,))]


# -- many small files --------------------------------------------------------------------------------------------


def _tiny(folder: Path) -> Result:
    """A delivery of 20 kB of every feed of the catalogue, in its own dialect: scan to ledger, after session start."""
    told = [night(folder / f"home{n}", 20_000) for n in range(3)]
    seconds = _median(told, "seconds")
    rows = [_told("cpc", told)]
    notes = [f"{told[0]['files']} files of about 20 kB, {told[0]['bytes'] / 1e6:.1f} MB; the bar is 30 s"]
    return Result(rows, {"bar": seconds / 30}, notes)


def _volumes(folder: Path, volumes: tuple[int, ...]) -> Result:
    """Nights of all feeds, each with the same number of bytes before packing: time and memory against volume."""
    told = []
    for volume in volumes:
        told.append(night(folder / "home", volume // FEEDS))
        shutil.rmtree(folder / "home")
    rows = [_told(f"cpc, {volume / 1e9:g} GB", [one]) for volume, one in zip(volumes, told, strict=True)]
    notes = [
        f"{FEEDS} feeds of {volumes[-1] // FEEDS / 1e6:.1f} MB at most; the written files are made before the clock"
    ]
    if len(volumes) == 1:
        return Result(rows, {"memory_bar": told[0]["peak"] / 6e9}, notes)
    for name, measured in (("wall", "seconds"), ("CPU", "cpu")):
        slope, base = linear_regression([one["source"] / 1e9 for one in told], [one[measured] for one in told])
        whole = base + slope * NIGHT / 1e9
        notes.append(f"{name}: {base:.1f} s + {slope:.1f} s a GB; a night of {NIGHT / 1e9:g} GB: {whole:,.0f} s")
    return Result(rows, {"memory": told[-1]["peak"] / told[0]["peak"]}, notes)


def _told(who: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    first, seconds = rounds[0], _median(rounds, "seconds")
    return {
        "who": who,
        "version": "this",
        "seconds": seconds,
        "mb_per_s": first["source"] / 1e6 / seconds,
        "cpu_seconds": _median(rounds, "cpu"),
        "files": first["files"],
        "rows": first["rows"],
        "peak_gb": max(one["peak"] for one in rounds) / 1e9,
        "rounds": ", ".join(f"{t['seconds']:.1f}" for t in rounds),
        "others_cpu_seconds": ", ".join(f"{one['others']:.1f}" for one in rounds),
    }


def night(home: Path, size: int) -> dict[str, Any]:
    """A night of all feeds, written by one process and loaded by another, so that memory is the loader's."""
    written = apart(_landed, home, size)
    return {**written, **apart(_loaded, home)}


def _landed(size: int) -> dict[str, Any]:
    from benchmarks.ingest_small import night_of

    return {"source": night_of(size)[1]}


def _loaded() -> dict[str, Any]:
    from benchmarks.ingest_small import DATE as DATA_DATE
    from conf.settings import load_settings
    from jobs import ingest, scan
    from runtime.night import Night

    settings = load_settings()
    night = Night(DATA_DATE + dt.timedelta(days=1), settings, settings.home / "landing")
    night.spark  # noqa: B018
    clock = Clock()
    scan.run(night)
    figures = ingest.run(night).as_json()
    told = clock.read()
    night.spark.stop()
    if figures["deliveries"] != FEEDS or figures["quarantined"]:
        raise RuntimeError(f"not every delivery was accepted whole: {figures}")
    return {"version": "this", **told, **{name: figures[name] for name in ("files", "rows", "bytes")}}
