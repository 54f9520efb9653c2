"""``python -m benchmarks NAME [--size S] [--json]``: peers and ours in one run.

A benchmark is a module of this room with ``SIZES`` (names, the first is the default) and ``run(size) -> Result``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from typing import Any

from benchmarks.result import Result, machine

NAMES = (
    "ingest",
    "features",
    "scoring",
    "response",
    "uplift",
    "ope",
    "province",
    "assignment",
    "whatif",
    "nights",
    "figures",
    "serving",
    "night",
    "synth",
)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table; floats with four figures."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else ("yes" if value else "no")
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def main(argv: list[str]) -> int:
    """Run one benchmark and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--size", help="one of the benchmark's sizes; the first is the default")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(argv)
    module = importlib.import_module(f"benchmarks.{asked.name}")
    size = asked.size or module.SIZES[0]
    if size not in module.SIZES:
        parser.error(f"--size {size}: choose one of {', '.join(module.SIZES)}")
    result: Result = module.run(size)
    if asked.json:
        told = {"name": asked.name, "size": size, "machine": machine(), **vars(result)}
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(f"{asked.name}, size {size}, on {machine()}\n\n{table(result.rows)}\n")
        print("\n".join(f"ratio {name}: {value:.3g}" for name, value in result.ratio.items()))
        print("\n".join(result.notes))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
