"""How many examples a property test draws: all of them in ``make test``, a share (%) in ``make check``."""

from __future__ import annotations

import os

SHARE = int(os.environ.get("CPC_EXAMPLES", "100"))


def examples(count: int) -> int:
    """``count`` of ``make test``; the share that ``CPC_EXAMPLES`` asks for, five at the least."""
    return max(min(count, 5), count * SHARE // 100)
