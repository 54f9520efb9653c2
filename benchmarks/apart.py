"""Sides of a benchmark, each in a process of its own: wall time, CPU time, memory of it and its descendants."""

from __future__ import annotations

import multiprocessing as mp
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


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


def apart(side: Callable[..., dict[str, Any]], home: Path, *given: Any) -> dict[str, Any]:
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
