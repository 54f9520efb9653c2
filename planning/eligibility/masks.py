"""Arcs as sets of bits: what is left after each step of the funnel, without a row for any arc. Arrays in, arrays out.

A step removes products or channels, never a single pair; so after step k the arcs of a customer are, for each
direction, (products left) × (channels left):

    arcs_k = Σ_direction |P − ∪_{j≤k} products_j| · |C_direction − ∪_{j≤k} channels_j|
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.arrays import Ints
from models.bit_sets import count_words, split_words, widen

Direction = Literal["outbound", "inbound", "both"]
PUSHED: tuple[Direction, Direction] = ("outbound", "inbound")


@dataclass(frozen=True)
class Shape:
    """What bits mean on a night.

    Attributes:
        names: the steps in order.
        scopes: ``product``, ``channel`` or ``customer`` (bits of channels) of each step.
        directions: the channels each step is about.
        products: ids of all products.
        channels: direction of each channel id that exists.
    """

    names: tuple[str, ...]
    scopes: tuple[str, ...]
    directions: tuple[Direction, ...]
    products: tuple[int, ...]
    channels: dict[int, Direction]

    @property
    def every_product(self) -> int:
        """Bits of all products."""
        return sum(1 << product for product in self.products)

    @property
    def words(self) -> int:
        """Words that sets of products take."""
        return count_words(max(self.products, default=0))

    def of_direction(self, direction: Direction) -> int:
        """Bits of the channels of a direction."""
        return sum(1 << c for c, its in self.channels.items() if direction in ("both", its))


@dataclass(frozen=True)
class Left:
    """What is left of customers.

    Attributes:
        masks: (n, channels, words) products left on each channel, position = channel id.
        arcs: (steps + 1, n) arcs before the first step and after each, on all channels.
        outbound: the same on outbound channels.
    """

    masks: Ints
    arcs: Ints
    outbound: Ints


def leave(removed: Ints, shape: Shape) -> Left:
    """What the steps leave.

    Args:
        removed: (n, steps, words) sets that each step removes.
        shape: what the bits mean.
    """
    removed, n = widen(removed, shape.words), removed.shape[0]
    every = np.array(split_words(shape.every_product, removed.shape[2]), np.int64)
    gone = {(d, kind): np.zeros((n, len(every)), np.int64) for d in PUSHED for kind in ("product", "channel")}
    arcs, outbound = [], []
    for k in range(-1, len(shape.names)):
        if k >= 0:
            kind = "product" if shape.scopes[k] == "product" else "channel"
            for direction in PUSHED:
                if shape.directions[k] in ("both", direction):
                    gone[direction, kind] |= removed[:, k]
        each = {
            d: np.bitwise_count(every & ~gone[d, "product"]).sum(axis=1, dtype=np.int64)
            * np.bitwise_count(shape.of_direction(d) & ~gone[d, "channel"][:, 0])
            for d in PUSHED
        }
        outbound.append(each["outbound"])
        arcs.append(each["outbound"] + each["inbound"])
    masks = np.zeros((n, max(shape.channels, default=-1) + 1, len(every)), np.int64)
    for channel, direction in shape.channels.items():
        closed = (gone[direction, "channel"][:, :1] >> channel & 1).astype(bool)
        masks[:, channel] = np.where(closed, 0, every & ~gone[direction, "product"])
    return Left(masks, np.array(arcs, np.int64), np.array(outbound, np.int64))


def first_empty(arcs: Ints, names: Sequence[str]) -> list[str | None]:
    """The step after which nothing was left, None where something is.

    Args:
        arcs: (steps + 1, n) as in `Left`.
        names: the steps.
    """
    empty = arcs[1:] == 0
    first = np.where(empty.any(axis=0), empty.argmax(axis=0), len(names))
    known: list[str | None] = [*names, None]
    return [known[k] for k in first.tolist()]


def hashes(masks: Ints) -> list[str]:
    """SHA-256 of each customer's masks (words in little-endian int64, in order of channel id), 32 hex digits."""
    rows = np.ascontiguousarray(masks.reshape(len(masks), -1).astype("<i8"))
    if not rows.size:
        return [hashlib.sha256(b"").hexdigest()[:32]] * rows.shape[0]
    keys, inverse = np.unique(rows.view(np.dtype((np.void, rows.shape[1] * 8))).ravel(), return_inverse=True)
    known = [hashlib.sha256(key.tobytes()).hexdigest()[:32] for key in keys]
    return [known[i] for i in inverse.tolist()]


def totals(left: Left) -> Ints:
    """(4, steps + 1) sums over customers: arcs, customers with an arc, and the same outbound; additive over parts."""
    parts = (left.arcs, left.arcs > 0, left.outbound, left.outbound > 0)
    return np.array([part.sum(axis=1) for part in parts], np.int64)


def first_remover(removed: Sequence[int], shape: Shape, product: int, channel: int) -> int | None:
    """The position of the first step that removes an arc of one customer, None where it is left.

    Args:
        removed: what each step removes, a bit an id, in integers of any size.
        shape: what the bits mean.
        product, channel: the arc.
    """
    direction = shape.channels[channel]
    for k, bits in enumerate(removed):
        if shape.directions[k] in ("both", direction):
            bit = product if shape.scopes[k] == "product" else channel
            if bits >> bit & 1:
                return k
    return None
