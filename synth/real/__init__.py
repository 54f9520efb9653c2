"""Real data that nobody here made, as landing files of the dialects: the same jobs take them in as any night's.

Each set has an overlay ``conf/demo/NAME/`` (feeds, schemas, features, products, channels, rules, limits) that replaces
the operator's catalogue, ``assumptions.yml`` with what the set does not say, and a module here that writes its
files. What came of the last slice is held back in ``truth/``: no job opens it; the demo's report compares.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from conf.errors import UserError
from synth.real.facts import DataSetFacts, read_assumptions

__all__ = ["NAMES", "DataSetFacts", "read_assumptions", "write"]

#: The sets, in the order in which ``cpc demo --help`` shows them.
NAMES = ("bank", "pega", "starbucks", "megaline", "comcast")


def write(name: str, out: Path) -> DataSetFacts:
    """Write the landing files of a set below ``out``, and what is held back below ``out/../truth``.

    Args:
        name: one of ``NAMES``.
        out: the landing folder.

    Returns:
        the night to run, the snapshots to build, and what was written.

    Raises:
        UserError: there is no such set, or its file is absent.
    """
    if name not in NAMES:
        raise UserError(f"no data set {name!r}", where="--data", remedy=f"choose one of: {', '.join(NAMES)}")
    facts: DataSetFacts = importlib.import_module(f"synth.real.{name}").write(out)
    return facts
