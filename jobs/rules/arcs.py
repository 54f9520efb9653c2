"""Arcs as bits: what is left after each step of the funnel, without a row for any arc.

A step removes products or channels, never a single pair; so after step k the arcs of a customer are, for each
direction, (products left) × (channels left):

    arcs_k = Σ_direction |P − ∪_{j≤k} products_j| · |C_direction − ∪_{j≤k} channels_j|
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from conf.offer import Channel, Product
from jobs.rules.steps import Step, channel_mask

Pushed = Literal["outbound", "inbound"]
DIRECTIONS: tuple[Pushed, Pushed] = ("outbound", "inbound")


@dataclass(frozen=True)
class Arcs:
    """SQL over ``removed`` (array of bigint, a position a step) of one customer."""

    steps: Sequence[Step]
    products: Sequence[Product]
    channels: Sequence[Channel]

    @cached_property
    def every_product(self) -> int:
        """Bits of all products."""
        return sum(1 << product.id for product in self.products)

    def removed_products(self, k: int, direction: Pushed) -> str:
        """SQL of the products gone after step ``k`` on channels of ``direction``."""
        return self._gone(k, direction, products=True)

    def removed_channels(self, k: int, direction: Pushed) -> str:
        """SQL of the channels of ``direction`` gone after step ``k``."""
        return self._gone(k, direction, products=False)

    def _gone(self, k: int, direction: Pushed, *, products: bool) -> str:
        terms = [
            f"removed[{j}]"
            for j, step in enumerate(self.steps[: k + 1])
            if (step.scope == "product") == products and step.direction in ("both", direction)
        ]
        return "(" + (" | ".join(terms) or "0L") + ")"

    def left(self, k: int, direction: Pushed) -> str:
        """SQL of the number of arcs of ``direction`` left after step ``k`` (−1: before the first)."""
        products = f"bit_count({self.every_product}L & ~{self.removed_products(k, direction)})"
        of_direction = channel_mask(self.channels, direction)
        channels = f"bit_count({of_direction}L & ~{self.removed_channels(k, direction)})"
        return f"({products} * {channels})"

    def masks(self) -> str:
        """SQL of one mask a channel, in order of id: the products left on it in the end."""
        last = len(self.steps) - 1
        by_id = {channel.id: channel for channel in self.channels}
        found = []
        for position in range(max(by_id, default=-1) + 1):
            channel = by_id.get(position)
            if channel is None:
                found.append("0L")
                continue
            gone = self.removed_channels(last, channel.direction)
            left = f"{self.every_product}L & ~{self.removed_products(last, channel.direction)}"
            found.append(f"if(({gone} & {1 << position}L) <> 0L, 0L, {left})")
        return f"array({', '.join(found)})"

    def reason(self, directions: Sequence[Pushed] = DIRECTIONS) -> str:
        """SQL of the first step after which no arc of ``directions`` was left, null where one is."""
        whens = []
        for k, step in enumerate(self.steps):
            left = " + ".join(self.left(k, direction) for direction in directions)
            whens.append(f"when {left} = 0 then '{step.name}'")
        return f"case {' '.join(whens)} end"

    def counts(self) -> list[str]:
        """SQL aggregates of the funnel: before the first step and after each, all arcs, then outbound ones.

        Names: ``a<k>`` arcs, ``c<k>`` customers with an arc, ``oa<k>`` and ``oc<k>`` the same outbound; k = −1 is
        written ``_``.
        """
        found = []
        for k in range(-1, len(self.steps)):
            name = "_" if k < 0 else str(k)
            outbound = self.left(k, "outbound")
            every = f"({outbound} + {self.left(k, 'inbound')})"
            for prefix, arcs in (("", every), ("o", outbound)):
                found.append(f"sum(cast({arcs} as bigint)) as {prefix}a{name}")
                found.append(f"count_if({arcs} > 0) as {prefix}c{name}")
        return found
