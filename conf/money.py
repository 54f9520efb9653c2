"""Units of money."""

from __future__ import annotations

#: Micro-yuan of a yuan: what amounts of money are whole numbers of.
MICRO = 1_000_000
