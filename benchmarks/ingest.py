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

import gzip
import json
import multiprocessing as mp
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.ingest_files import DATE, control, feed, schema, write
from benchmarks.result import Result

SIZES = ("1gb", "400mb", "tiny", "4gb")
_BYTES = {"1gb": 1_000_000_000, "400mb": 400_000_000, "4gb": 4_000_000_000}
ROUNDS = {"1gb": 3, "400mb": 3, "4gb": 1}
_SQL = {"string": "VARCHAR", "code": "VARCHAR", "phone": "VARCHAR", "short": "SMALLINT", "int": "INTEGER",
        "long": "BIGINT", "timestamp": "TIMESTAMP"}  # fmt: skip


def run(size: str) -> Result:
    """Generate, run every side in alternation, and compare the medians."""
    folder = Path(tempfile.mkdtemp(prefix="cpc-ingest-"))
    try:
        return _tiny(folder) if size == "tiny" else _one_file(folder, size)
    finally:
        shutil.rmtree(folder)


def _one_file(folder: Path, size: str) -> Result:
    path, peer, records = write(folder / "plain", _BYTES[size])
    packed = _pack(path, folder / "gzip", records)
    quarter, _, _ = write(folder / "quarter" / "plain", _BYTES[size] // 4)
    megabytes = path.stat().st_size / 1e6
    sides: dict[str, Callable[[], dict[str, Any]]] = {
        "duckdb": lambda: _apart(_duckdb, folder, peer, folder / "duckdb.parquet"),
        "cpc": lambda: _apart(_ours, folder / "home", path.parent, False),
        "polars": lambda: _apart(_polars, folder, peer, folder / "polars.parquet"),
        "cpc, one gzip": lambda: _apart(_ours, folder / "home", packed.parent, True),
    }
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for _ in range(ROUNDS[size]):
        for name, side in sides.items():
            seen[name].append(side())
            if seen[name][-1]["rows"] != records:
                raise RuntimeError(f"{name} found {seen[name][-1]['rows']} of {records} records")
    small = _apart(_ours, folder / "home", quarter.parent, False)
    rows = [
        {
            "who": name, "version": rounds[0]["version"], "seconds": _median(rounds, "seconds"),
            "mb_per_s": megabytes / _median(rounds, "seconds"), "cpu_seconds": _median(rounds, "cpu"),
            "peak_gb": max(r["peak"] for r in rounds) / 1e9, "rounds": ", ".join(f"{r['seconds']:.1f}" for r in rounds),
            "others_cpu_seconds": ", ".join(f"{r['others']:.1f}" for r in rounds),
        }
        for name, rounds in seen.items()
    ]  # fmt: skip
    ours = _median(seen["cpc"], "seconds")
    ratio = {
        "duckdb": ours / _median(seen["duckdb"], "seconds"), "polars": ours / _median(seen["polars"], "seconds"),
        "duckdb_cpu": _median(seen["cpc"], "cpu") / _median(seen["duckdb"], "cpu"),
        "gzip": _median(seen["cpc, one gzip"], "seconds") / ours,
        "memory": max(r["peak"] for r in seen["cpc"]) / small["peak"],
    }  # fmt: skip
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


class Clock:
    """Wall time, CPU time of this process and its descendants, and of all others, since it was made."""

    def __init__(self) -> None:
        self._began, self._own, self._all = time.perf_counter(), _cpu(), _busy()

    def read(self) -> dict[str, float]:
        """Seconds: wall, ours, others'."""
        own = _cpu() - self._own
        return {"seconds": time.perf_counter() - self._began, "cpu": own, "others": max(0.0, _busy() - self._all - own)}


def _cpu() -> float:
    """CPU seconds of this process and its descendants that are alive or have been waited for."""
    ticks = 0
    for pid in _family(os.getpid()):
        try:
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        except OSError:  # it ended meanwhile
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def _busy() -> float:
    """CPU seconds that the machine has worked, iowait not counted."""
    user, nice, system, _, _, irq, soft, *_ = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


# -- sides: each in a process of its own -------------------------------------------------------------------------


def _apart(side: Callable[..., dict[str, Any]], home: Path, *given: Any) -> dict[str, Any]:
    """Run a side in a fresh process, watching the memory of it and its children (proportional set size)."""
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(theirs, side, home, given))
    process.start()
    theirs.close()
    peak, done = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
    watcher.start()
    try:
        told = ours.recv()
    finally:
        process.join()
        done.set()
        watcher.join()
    return {**told, "peak": peak[0]}


def _tell(pipe: Any, side: Callable[..., dict[str, Any]], home: Path, given: tuple[Any, ...]) -> None:
    os.environ.update(CPC_HOME=str(home), POLARS_MAX_THREADS="2")
    shutil.rmtree(home / "lake", ignore_errors=True)
    pipe.send(side(*given))
    pipe.close()


def _watch(pid: int, peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.2):
        peak[0] = max(peak[0], sum(_proportional(one) for one in _family(pid)))


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(entry.read_text().rpartition(")")[2].split()[1]), []).append(int(entry.parent.name))
        except OSError:  # it ended meanwhile
            continue
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # it ended meanwhile
        return 0
    return 0


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

    night, works = _night(landing, packed)
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


def _night(landing: Path, packed: bool) -> tuple[Any, list[Any]]:
    """A night with one delivery: the file in ``landing``, with what its control file says."""
    import datetime as dt

    from conf.settings import load_settings
    from jobs.loading.work import File, Work
    from jobs.night import Night

    night = Night(DATE + dt.timedelta(days=1), load_settings(), landing)
    line = next(landing.glob("*.verf")).read_text(encoding="ascii")
    name = line[:40].strip()
    contract = feed().model_copy(update={"compression": "gzip"}) if packed else feed()
    arrived = dt.datetime(2026, 1, 8, 17, tzinfo=dt.UTC)
    file = File(name, name, int(line[40:60]), int(line[60:80]))
    return night, [Work(contract, schema(), DATE, -1, 0, arrived, (file,))]


# -- many small files --------------------------------------------------------------------------------------------


def _tiny(folder: Path) -> Result:
    """A delivery of 20 kB of every feed of the catalogue, in its own dialect: scan to ledger, after session start."""
    told = [_apart(_small_files, folder / f"home{n}") for n in range(3)]
    seconds = _median(told, "seconds")
    rows = [
        {"who": "cpc", "version": "this", "seconds": seconds, "files": told[0]["files"], "rows": told[0]["rows"],
         "peak_gb": max(one["peak"] for one in told) / 1e9, "rounds": ", ".join(f"{t['seconds']:.1f}" for t in told)}
    ]  # fmt: skip
    notes = [f"{told[0]['files']} files of about 20 kB, {told[0]['bytes'] / 1e6:.1f} MB; the bar is 30 s"]
    return Result(rows, {"bar": seconds / 30}, notes)


def _small_files() -> dict[str, Any]:
    from benchmarks.ingest_small import small_night
    from jobs import ingest, scan

    night = small_night()
    night.spark  # noqa: B018
    began = time.perf_counter()
    scan.run(night)
    figures = ingest.run(night)
    seconds = time.perf_counter() - began
    night.spark.stop()
    return {"version": "this", "seconds": seconds, **{name: figures[name] for name in ("files", "rows", "bytes")}}
