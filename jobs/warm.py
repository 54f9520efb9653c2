"""Compiles the numba kernels once, at set-up, so that the first night does not pay for it.

Every module with kernels offers ``warm()``, which calls them on a few rows; run as ``python -m jobs.warm``.
"""

from __future__ import annotations

import importlib

#: Modules that hold compiled kernels.
KERNELS: tuple[str, ...] = ()


def main() -> None:
    """Call ``warm()`` of each."""
    for name in KERNELS:
        importlib.import_module(name).warm()


if __name__ == "__main__":
    main()
