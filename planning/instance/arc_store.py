"""The compact form of an instance's arcs: what a pass reads, and nothing else, in memory or in files mapped into it.

A value is 4 bytes where it fits. What limits see of an arc is split in two: a *pair* (its key and the columns that vary between a customer's arcs) and the customer's *group* (the columns that do not). Limits that
treat two pairs or two groups alike make them one, so a byte each is usually enough: 8 arcs take 45 bytes a customer,
and 8 more for the id. Files are written as the arcs stream by; memory does not grow with them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from features.arrays import seal
from models.arrays import Ints
from models.assignment.arc_types import Numbering, narrow, reduce_rows
from models.assignment.problem import BLOCK, KEY_PARTS, Block, Kinds
from planning.limits.in_force import LimitsInForce
from planning.limits.takings import PartTakings, combine, take_parts

#: What `order_of_arcs` finds.
SORTED, UNSORTED, TWICE = 0, 1, 2
#: Groups x pairs up to which kinds are a grid of them.
GRID = 1 << 16


@dataclass(frozen=True)
class ArcChunk:
    """Whole customers in order.

    Attributes:
        customer: ids, int64 [n].
        first: where each customer's arcs begin, int64 [n + 1].
        value: micro-yuan, int64 [arcs]; arcs of a customer ascend by key.
        columns: the columns that limits use, any integers [arcs], by name.
    """

    customer: Ints
    first: Ints
    value: Ints
    columns: dict[str, np.ndarray]


def order_of_arcs(customer: np.ndarray, product: np.ndarray, rest: np.ndarray) -> int:
    """Whether arcs ascend by (customer, product, rest of the key); ``TWICE``: sorted so far, but one is there twice."""
    return int(_is_sorted(seal(customer), seal(product), seal(rest)))


def constant(column: np.ndarray, first: np.ndarray) -> bool:
    """Whether a column is the same for all arcs of each customer."""
    return bool(_constant(seal(column), seal(first)))


@njit(cache=True, nogil=True)
def _is_sorted(customer, product, channel):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for i in range(1, len(customer)):
        if customer[i] == customer[i - 1]:
            if product[i] < product[i - 1] or (product[i] == product[i - 1] and channel[i] < channel[i - 1]):
                return UNSORTED
            if product[i] == product[i - 1] and channel[i] == channel[i - 1]:
                return TWICE
    return SORTED


@njit(cache=True, nogil=True)
def _constant(column, first):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for i in range(len(first) - 1):
        for a in range(first[i] + 1, first[i + 1]):
            if column[a] != column[first[i]]:
                return False
    return True


class _Array:
    """Pieces of one array, one after the other, in memory or in a file."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.size = path, 0
        self.pieces: list[Any] = []

    def add(self, piece: np.ndarray) -> None:
        """One more piece; in a file it begins at a multiple of 8 bytes, as mapped integers must."""
        if self.path is None:
            self.pieces.append(piece.copy() if piece.base is not None else piece)
            return
        self.pieces.append((piece.dtype, self.size, len(piece)))
        with self.path.open("ab") as file:
            file.write(np.ascontiguousarray(piece).data)
            file.write(bytes(-piece.nbytes % 8))
        self.size += piece.nbytes + -piece.nbytes % 8

    def all(self) -> list[np.ndarray]:
        """The pieces; those of a file are mapped."""
        if self.path is None:
            return self.pieces
        if not self.size:
            return [np.empty(0, kind) for kind, _, _ in self.pieces]
        raw = np.memmap(self.path, np.uint8, mode="c").view(np.ndarray)
        return [raw[at : at + count * kind.itemsize].view(kind) for kind, at, count in self.pieces]

    def drop(self) -> None:
        """Leave nothing behind."""
        self.pieces = []
        if self.path is not None:
            self.path.unlink(missing_ok=True)


class ArcStore:
    """Arcs on their way into the compact form.

    Args:
        arc_columns: ``product``, ``channel``, the other parts of the key and the columns that vary between a customer's
            arcs.
        group_columns: the columns that do not.
        work: where the files go; None keeps everything in memory, a kind an arc.
    """

    def __init__(self, arc_columns: tuple[str, ...], group_columns: tuple[str, ...], work: Path | None) -> None:
        self.arc_columns, self.group_columns, self.work = arc_columns, group_columns, work
        self.parts = tuple(name for name in KEY_PARTS if name in arc_columns)
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
        self.pair, self.group = Numbering(len(arc_columns)), Numbering(max(1, len(group_columns)))
        self.most = 0
        self.arrays = {name: self._array(name) for name in ("customer", "first", "value", "pair", "member")}

    def _array(self, name: str) -> _Array:
        return _Array(None if self.work is None else self.work / name)

    def add(self, chunk: ArcChunk) -> None:
        """Put whole customers behind those that are there."""
        pair = self.pair.number(_rows(chunk.columns, self.arc_columns, slice(None), len(chunk.value)))
        begin = chunk.first[:-1]
        member = self.group.number(_rows(chunk.columns, self.group_columns, begin, len(begin)))
        most = max(int(chunk.value.max(initial=0)), -int(chunk.value.min(initial=0)))
        self.most = max(self.most, most)
        value = chunk.value.astype(np.int32 if most < 1 << 31 else np.int64)
        for low in range(0, len(chunk.customer), BLOCK):
            high = min(len(chunk.customer), low + BLOCK)
            arcs = slice(int(chunk.first[low]), int(chunk.first[high]))
            first = chunk.first[low : high + 1] - arcs.start
            for name, piece in (
                ("customer", chunk.customer[low:high]),
                ("value", value[arcs]),
                ("first", first.astype(np.int64 if self.work is None or first[-1] >= 1 << 32 else np.uint32)),
                ("pair", narrow(pair[arcs], self.pair.count)),
                ("member", narrow(member[low:high], self.group.count)),
            ):
                self.arrays[name].add(piece)

    def finish(self, limits: LimitsInForce) -> tuple[Kinds, list[Block]]:
        """The kinds and the blocks, once all arcs are there."""
        signs = np.array([limit.sign for limit in limits.limits], np.int64)
        pairs, groups = self._pairs(limits), self._groups(limits)
        parts = {name: array.all() for name, array in self.arrays.items()}
        if self.work is not None and len(groups) * len(pairs) <= GRID and len(groups):
            kinds = _grid(pairs, groups, signs)
            kind, group = self._array("kind"), self._array("group")
            for pair, member in zip(parts["pair"], parts["member"], strict=True):
                kind.add(_tiny(pairs.of[pair], len(pairs)))
                group.add(_tiny(groups.of[member], len(groups)))
            width = len(pairs)
            columns = kind.all(), group.all()
        else:
            kinds, kind = self._flat(pairs, groups, parts, signs)
            width = 0
            columns = kind.all(), [np.empty(0, np.uint8)] * len(parts["first"])
        for name in ("pair", "member"):
            self.arrays[name].drop()
        wholes = zip(parts["customer"], parts["first"], parts["value"], *columns, strict=True)
        return kinds, [Block(*arrays, width) for arrays in wholes]

    def _pairs(self, limits: LimitsInForce) -> _Reduced:
        """Distinct pairs: key and part of each use."""
        arc = dict(zip(self.arc_columns, self.pair.known.T, strict=True))
        key = np.stack([arc[name] for name in ("product", "channel", *self.parts)], 1)
        return _reduce(take_parts(limits.limits, arc, self.pair.count), key, self.parts)

    def _groups(self, limits: LimitsInForce) -> _Reduced:
        """Distinct groups: part of each use."""
        own = dict(zip(self.group_columns, self.group.known.T, strict=False))
        return _reduce(take_parts(limits.limits, own, self.group.count), np.empty((self.group.count, 0), np.int64), ())

    def _flat(
        self, pairs: _Reduced, groups: _Reduced, parts: dict[str, list[Any]], signs: Ints
    ) -> tuple[Kinds, _Array]:
        """A kind an arc, of the combinations of group and pair that there are."""
        seen = Numbering(1)
        numbers = self._array("number")
        for pair, member, first in zip(parts["pair"], parts["member"], parts["first"], strict=True):
            code = np.repeat(groups.of[member], np.diff(first.astype(np.int64))) * len(pairs) + pairs.of[pair]
            numbers.add(narrow(seen.number(code[:, None]), seen.count))
        group, pair = np.divmod(seen.known[:, 0], max(1, len(pairs)))
        uses = combine(pairs.takings, pair, groups.takings, group, signs)
        key = pairs.key[pair]
        others = {name: key[:, i + 2].copy() for i, name in enumerate(self.parts)}
        kinds, kind_of = reduce_rows(key[:, 0].copy(), key[:, 1].copy(), *uses, others)
        kind = self._array("kind")
        for number in numbers.all():
            kind.add(narrow(kind_of[number], len(kinds)))
        numbers.drop()
        return kinds, kind


@dataclass(frozen=True)
class _Reduced:
    """Pairs or groups that limits tell apart.

    Attributes:
        key: int64 [n, k].
        parts: names of the key's columns from the third on.
        takings: what limits take of each.
        of: which one each row seen is.
    """

    key: Ints
    parts: tuple[str, ...]
    takings: PartTakings
    of: Ints

    def __len__(self) -> int:
        return len(self.key)


def _reduce(takings: PartTakings, key: Ints, parts: tuple[str, ...]) -> _Reduced:
    index, of = takings.distinct(key)
    return _Reduced(key[index], parts, takings.pick(index), of)


def _grid(pairs: _Reduced, groups: _Reduced, signs: Ints) -> Kinds:
    """Kinds of every group and pair, a group's together: a use is the product of the group's part and the pair's."""
    pair = np.tile(np.arange(len(pairs)), len(groups))
    group = np.repeat(np.arange(len(groups)), len(pairs))
    uses = combine(pairs.takings, pair, groups.takings, group, signs)
    key = pairs.key[pair]
    others = {name: key[:, i + 2].copy() for i, name in enumerate(pairs.parts)}
    return Kinds(key[:, 0].copy(), key[:, 1].copy(), *uses, others)


def _rows(columns: dict[str, np.ndarray], names: Sequence[str], at: Any, count: int) -> Ints:
    """Columns as rows, int64 [count, names]; one of zeros where there are none."""
    rows = np.zeros((count, max(1, len(names))), np.int64)
    for i, name in enumerate(names):
        rows[:, i] = columns[name][at]
    return rows


def _tiny(number: Ints, count: int) -> np.ndarray:
    """Numbers below ``count`` in as few bytes as they need."""
    return number.astype(np.uint8) if count <= 1 << 8 else narrow(number, count)
