"""What a benchmark says: a row a contestant, ratios between them, and the machine it ran on."""

from __future__ import annotations

import os
import platform
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Result:
    """Figures of one run.

    Attributes:
        rows: one a contestant: ``who``, ``version``, ``seconds`` and whatever else was measured.
        ratio: named ratios of ours to peers in the same run.
        notes: what a reader must know to read the rows.
    """

    rows: list[dict[str, Any]]
    ratio: dict[str, float]
    notes: tuple[str, ...] = field(default=())


def machine() -> str:
    """Cores, memory, system and Python, without a name."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        "unknown CPU",
    )
    return f"{os.cpu_count()} cores ({cpu}), {pages / 2**30:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def peak_bytes() -> int:
    """Largest resident memory of this process so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
