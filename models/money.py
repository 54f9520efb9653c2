"""Units of money as the models compute in them (conf has its own: models import nothing of it)."""

from __future__ import annotations

#: Micro-yuan of a yuan.
MICRO = 1_000_000
#: Pico-yuan of a yuan: the unit of prices.
YUAN = 1e12
