"""How many processors this process may use: a machine may have more than it was given."""

from __future__ import annotations

import os


def cores() -> int:
    """Processors that this process may use: more threads than these would wait for each other."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
