"""What an arc has that limits count: the units of its channel and of the shares of the plan."""

from __future__ import annotations

from typing import Literal

from conf.documents import Strict

#: Prefix of the column of a share's units.
SHARE = "share_"


class ChannelUnits(Strict):
    """A channel as limits see it: ``units`` that an attempt uses, by what a limit counts (``seconds``, ``cost_micro`` …)."""

    id: int
    direction: Literal["outbound", "inbound"]
    units: dict[str, int]


class ShareUnits(Strict):
    """A share of contacts as units: an arc that is ``of`` uses 100 - ``percent`` of it, any other -``percent``."""

    of: dict[str, list[int]]
    percent: int


class ArcUnits(Strict):
    """The arcs that there may be, products x channels, and what each has that limits count.

    Attributes:
        products: ids.
        channels: with their units.
        shares: by the name of the column of their units.
    """

    products: tuple[int, ...]
    channels: tuple[ChannelUnits, ...]
    shares: dict[str, ShareUnits]
