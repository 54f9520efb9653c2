"""LightGBM's trees as flat arrays, and a compiled walk over them for many arcs of one customer at once.

A customer × product × channel row is the customer's features followed by the arc's attributes. Attributes are the
same for every customer, so a split on one of them only divides the set of arcs. The walk therefore goes down a
tree once per customer with a *set* of arcs (bits): at a split on a customer feature the whole set takes one side,
at a split on an attribute the set is divided by a mask made beforehand. A tree that never looks at product or
channel costs one walk instead of one per arc, and arcs that are not eligible cost nothing. Leaves are added in the
order of the trees, so the sums are LightGBM's own (``raw_score``) to the last bit.

Decision rules follow LightGBM's ``src/io/tree.cpp`` (NumericalDecision, CategoricalDecision).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.arrays import Floats, Ints

Words = NDArray[np.uint64]

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_ZERO, _MISSING_NAN = 1, 2
_ZERO = 1e-35  # LightGBM's kZeroThreshold


@dataclass(frozen=True)
class Trees:
    """All trees of a booster, nodes one after another.

    A child ≥ 0 is a node (index over all trees), a child < 0 is leaf ``-child - 1`` (index over all trees). A tree
    of a single leaf has its root below zero likewise.

    Attributes:
        roots: (trees,) where each tree starts.
        feature, threshold, decision, left, right: (nodes,).
        leaf: (leaves,) values.
        cat_start: (nodes + 1,) range of ``cat_bits`` words of a categorical node.
        cat_bits: 32-bit words of the categories that go left.
        features: number of columns of a row.
    """

    roots: Ints
    feature: Ints
    threshold: Floats
    decision: Ints
    left: Ints
    right: Ints
    leaf: Floats
    cat_start: Ints
    cat_bits: NDArray[np.uint32]
    features: int


def parse(text: str) -> Trees:
    """Read LightGBM's model text.

    Raises:
        ValueError: no such text, several outputs a row, linear leaves, or averaged output (random forests).
    """
    head, *blocks = text.split("\nTree=")
    facts = _facts(head)
    if "max_feature_idx" not in facts:
        raise ValueError("this is no LightGBM model text")
    if facts.get("num_tree_per_iteration", "1") != "1" or "average_output" in head.splitlines():
        raise ValueError("one output a row and summed trees are needed")
    parts = [_tree(_facts(block)) for block in blocks]
    roots, nodes, leaves = [], 0, 0
    columns: dict[str, list[NDArray]] = {name: [] for name in ("feature", "threshold", "decision", "left", "right")}
    values, bits, lengths = [], [], []
    for part in parts:
        count = len(part["feature"])
        roots.append(nodes if count else -leaves - 1)
        for name in ("feature", "threshold", "decision"):
            columns[name].append(part[name])
        for name in ("left", "right"):
            child = part[name]
            columns[name].append(np.where(child >= 0, child + nodes, child - leaves))
        values.append(part["leaf"])
        bits.append(part["bits"])
        lengths.append(part["lengths"])
        nodes += count
        leaves += len(part["leaf"])
    joined = {name: np.concatenate(arrays) if arrays else np.zeros(0) for name, arrays in columns.items()}
    start = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]) if parts else np.zeros(1)
    return Trees(
        roots=np.array(roots, np.int64),
        feature=joined["feature"].astype(np.int64),
        threshold=joined["threshold"].astype(np.float64),
        decision=joined["decision"].astype(np.int64),
        left=joined["left"].astype(np.int64),
        right=joined["right"].astype(np.int64),
        leaf=np.concatenate(values) if values else np.zeros(0),
        cat_start=start.astype(np.int64),
        cat_bits=np.concatenate(bits).astype(np.uint32) if bits else np.zeros(0, np.uint32),
        features=int(facts["max_feature_idx"]) + 1,
    )


def _facts(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _numbers(facts: dict[str, str], name: str, kind: type) -> NDArray:
    text = facts.get(name, "")
    return np.array([float(word) for word in text.split()] if text else [], np.float64).astype(kind)


def _tree(facts: dict[str, str]) -> dict[str, NDArray]:
    """One tree's arrays; ``bits`` and ``lengths`` hold the categories of its nodes in the order of nodes."""
    if facts.get("is_linear", "0") != "0":
        raise ValueError("linear leaves are not supported")
    feature = _numbers(facts, "split_feature", np.int64)
    threshold = _numbers(facts, "threshold", np.float64)
    decision = _numbers(facts, "decision_type", np.int64)
    bounds = _numbers(facts, "cat_boundaries", np.int64)
    words = _numbers(facts, "cat_threshold", np.int64)
    lengths = np.zeros(len(feature), np.int64)
    bits: list[NDArray] = []
    for node in np.flatnonzero(decision & _CATEGORICAL):
        which = int(threshold[node])
        bitset = words[bounds[which] : bounds[which + 1]]
        bits.append(bitset)
        lengths[node] = len(bitset)
    return {
        "feature": feature,
        "threshold": threshold,
        "decision": decision,
        "lengths": lengths,
        "left": _numbers(facts, "left_child", np.int64),
        "right": _numbers(facts, "right_child", np.int64),
        "leaf": _numbers(facts, "leaf_value", np.float64),
        "bits": np.concatenate(bits) if bits else np.zeros(0, np.int64),
    }


@njit(cache=True, nogil=True, inline="always")
def _goes_left(value, threshold, decision, bits, start, stop):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    if decision & _CATEGORICAL:
        if np.isnan(value):
            return False
        category = np.int64(value)
        word = category >> 5
        if category < 0 or word >= stop - start:
            return False
        return (np.int64(bits[start + word]) >> (category & 31)) & 1 == 1
    missing = (decision >> 2) & 3
    if np.isnan(value):
        if missing == _MISSING_NAN:
            return (decision & _DEFAULT_LEFT) != 0
        value = 0.0
    if missing == _MISSING_ZERO and abs(value) <= _ZERO:
        return (decision & _DEFAULT_LEFT) != 0
    return value <= threshold


@njit(cache=True, nogil=True)
def _sides(feature, threshold, decision, cat_start, cat_bits, first, arcs, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for node in range(feature.shape[0]):
        column = feature[node] - first
        if column < 0:
            continue
        for arc in range(arcs.shape[0]):
            if _goes_left(
                arcs[arc, column], threshold[node], decision[node], cat_bits, cat_start[node], cat_start[node + 1]
            ):
                out[node, arc >> 6] |= np.uint64(1) << np.uint64(arc & 63)


@dataclass(frozen=True)
class ArcTrees:
    """Trees with the arcs' attributes resolved: ``sides[node]`` holds the arcs that go left at an attribute split.

    Attributes:
        trees: the trees.
        first: how many columns are the customer's; the arc's attributes follow.
        sides: (nodes, words) bits of arcs.
        arcs: number of arcs.
    """

    trees: Trees
    first: int
    sides: Words
    arcs: int

    @property
    def words(self) -> int:
        """64-bit words of a set of arcs."""
        return self.sides.shape[1]


def resolve(trees: Trees, attributes: Floats) -> ArcTrees:
    """Resolve the splits on arc attributes.

    Args:
        trees: trees over rows (customer features, arc attributes).
        attributes: (arcs, columns) attributes of each arc; NaN is missing.

    Raises:
        ValueError: more attribute columns than the trees have features.
    """
    arcs, columns = attributes.shape
    first = trees.features - columns
    if first < 0:
        raise ValueError(f"the trees have {trees.features} columns, the arcs {columns}")
    sides = np.zeros((len(trees.feature), max(1, (arcs + 63) // 64)), np.uint64)
    _sides(
        trees.feature,
        trees.threshold,
        trees.decision,
        trees.cat_start,
        trees.cat_bits,
        first,
        np.ascontiguousarray(attributes, np.float64),
        sides,
    )
    return ArcTrees(trees, first, sides, arcs)


@njit(cache=True, nogil=True)
def _walk(model, rows, wanted, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    roots, feature, threshold, decision, left, right, leaf, cat_start, cat_bits, sides, first = model
    words = sides.shape[1]
    depth = 256
    stack = np.empty(depth, np.int64)
    sets = np.empty((depth, words), np.uint64)
    here = np.empty(words, np.uint64)
    zero, bit = np.uint64(0), np.uint64(1)
    for row in range(rows.shape[0]):
        for tree in range(roots.shape[0]):
            top = 0
            stack[0] = roots[tree]
            sets[0, :] = wanted[row, :]
            top = 1
            while top > 0:
                top -= 1
                node = stack[top]
                for word in range(words):
                    here[word] = sets[top, word]
                while node >= 0:
                    if feature[node] < first:
                        if _goes_left(
                            rows[row, feature[node]],
                            threshold[node],
                            decision[node],
                            cat_bits,
                            cat_start[node],
                            cat_start[node + 1],
                        ):
                            node = left[node]
                        else:
                            node = right[node]
                        continue
                    goes, stays = False, False
                    for word in range(words):
                        aside = here[word] & ~sides[node, word]
                        sets[top, word] = aside
                        here[word] &= sides[node, word]
                        goes |= here[word] != zero
                        stays |= aside != zero
                    if goes and stays:
                        stack[top] = right[node]
                        top += 1
                        node = left[node]
                    elif goes:
                        node = left[node]
                    else:
                        for word in range(words):
                            here[word] = sets[top, word]
                        node = right[node]
                value = leaf[-node - 1]
                for word in range(words):
                    bits = here[word]
                    base = word << 6
                    while bits != zero:
                        low = bits & (~bits + bit)
                        # position of the lowest bit
                        position = 0
                        probe = low
                        if probe & np.uint64(0xFFFFFFFF00000000):
                            position += 32
                        if probe & np.uint64(0xFFFF0000FFFF0000):
                            position += 16
                        if probe & np.uint64(0xFF00FF00FF00FF00):
                            position += 8
                        if probe & np.uint64(0xF0F0F0F0F0F0F0F0):
                            position += 4
                        if probe & np.uint64(0xCCCCCCCCCCCCCCCC):
                            position += 2
                        if probe & np.uint64(0xAAAAAAAAAAAAAAAA):
                            position += 1
                        out[row, base + position] += value
                        bits ^= low


def score_arcs(model: ArcTrees, rows: Floats, wanted: Words) -> Floats:
    """Raw scores of the wanted arcs of each customer; 0 where an arc is not wanted.

    Args:
        model: resolved trees.
        rows: (customers, customer features), NaN missing.
        wanted: (customers, words) bits of arcs to score.

    Returns:
        (customers, arcs) of raw scores, equal to LightGBM's ``predict(raw_score=True)``.
    """
    trees = model.trees
    out = np.zeros((len(rows), model.words * 64), np.float64)
    arrays = (
        trees.roots,
        trees.feature,
        trees.threshold,
        trees.decision,
        trees.left,
        trees.right,
        trees.leaf,
        trees.cat_start,
        trees.cat_bits,
        model.sides,
        model.first,
    )
    _walk(arrays, np.ascontiguousarray(rows, np.float64), np.ascontiguousarray(wanted, np.uint64), out)
    return out[:, : model.arcs]


def score_rows(trees: Trees, rows: Floats) -> Floats:
    """Raw scores of plain rows (no arcs), equal to LightGBM's ``predict(raw_score=True)``.

    Args:
        trees: the trees.
        rows: (rows, features).
    """
    model = ArcTrees(trees, trees.features, np.zeros((len(trees.feature), 1), np.uint64), 1)
    return score_arcs(model, rows, np.ones((len(rows), 1), np.uint64))[:, 0]


def pack(flags: NDArray[np.bool_]) -> Words:
    """Bits of a (customers, arcs) table of flags: (customers, words) of uint64, arc ``a`` at bit ``a``."""
    customers, arcs = flags.shape
    words = max(1, (arcs + 63) // 64)
    padded = np.zeros((customers, words * 64), np.uint8)
    padded[:, :arcs] = flags
    packed = np.packbits(padded.reshape(customers, words, 64), axis=2, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").reshape(customers, words).astype(np.uint64)
