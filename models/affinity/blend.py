"""Several boosters over the same columns as one: a weighted sum, with other weights where a flag column is 0.

The sum of tree ensembles is a tree ensemble: leaves are multiplied by the weight. Each tree gets a new root that asks
for the flag: on its right (1) the tree times one weight, on its left (0) the tree times the other, or a leaf of 0. The
result is LightGBM's model text again, so that whatever scores, explains or stores a booster does so with a blend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Fields = dict[str, str]
_NODES = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")
_INNER = ("internal_value", "internal_weight", "internal_count")
_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")


@dataclass(frozen=True)
class Part:
    """A booster's model text, and its weight where the flag is 1 and where it is 0."""

    text: str
    with_flag: float
    without: float


def blend(parts: Sequence[Part], flag: int, constant: float = 0.0) -> str:
    """Model text of Σ weight · raw score, plus a constant where the flag is 1.

    Args:
        parts: boosters trained on the same columns.
        flag: position of the flag column, 0 or 1 in every row.
        constant: added where the flag is 1.

    Raises:
        ValueError: no parts, or parts of other columns.
    """
    heads, trees, tails = [], [], []
    for part in parts:
        head, *blocks = part.text.split("\nTree=")
        last, tail = blocks[-1].split("\nend of trees", 1) if blocks else ("", head.partition("\nend of trees")[2])
        heads.append([line for line in head.partition("\nend of trees")[0].splitlines() if line[:10] != "tree_sizes"])
        tails.append(tail)
        trees += [_gated(_fields(block), flag, part) for block in [*blocks[:-1], last] if block]
    if constant:
        trees.append(_gated({"num_leaves": "1", "leaf_value": "1"}, flag, Part("", constant, 0.0)))
    names = {line for head in heads for line in head if line.startswith("feature_names=")}
    if len(names) != 1:
        raise ValueError(f"{len(parts)} parts over {len(names)} sets of columns")
    lines = [*heads[0], ""]
    for number, fields in enumerate(trees):
        lines += [f"Tree={number}", *(f"{name}={value}" for name, value in fields.items()), "", ""]
    return "\n".join(lines) + "\nend of trees" + tails[0]


def _fields(block: str) -> Fields:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _gated(tree: Fields, flag: int, part: Part) -> Fields:
    """The tree under a root that asks for the flag."""
    one = {name: tree[name].split() for name in (*_NODES, *_INNER, *_LEAVES) if tree.get(name)}
    nodes, leaves = len(one.get("split_feature", ())), int(tree["num_leaves"])
    both = part.without != 0.0
    weight = one.get("leaf_weight", ["1"] * leaves)
    count = one.get("leaf_count", ["1"] * leaves)
    whole = {"internal_value": "0", "internal_weight": one.get("internal_weight", weight)[0],
             "internal_count": one.get("internal_count", count)[0]}  # fmt: skip
    copies = [(part.without, 1, 0)] * both + [(part.with_flag, 1 + nodes * both, leaves if both else 1)]
    starts = [_child("0", *at, nodes) if nodes else str(-1 - at[1]) for at in ((n, k) for _, n, k in copies)]
    out: dict[str, list[str]] = {
        "split_feature": [str(flag)], "split_gain": ["0"], "threshold": ["0.5"], "decision_type": ["2"],
        "left_child": [starts[0] if both else "-1"], "right_child": [starts[-1]],
    }  # fmt: skip
    out |= {name: [whole[name]] for name in _INNER}
    out |= {"leaf_value": [], "leaf_weight": [], "leaf_count": []}
    if not both:
        out |= {"leaf_value": ["0"], "leaf_weight": [whole["internal_weight"]], "leaf_count": [whole["internal_count"]]}
    for scale, first, leaf in copies:
        for name in ("split_feature", "threshold", "decision_type"):
            out[name] += one.get(name, [])
        out["split_gain"] += [repr(scale * scale * float(gain)) for gain in one.get("split_gain", [])]
        for name in ("left_child", "right_child"):
            out[name] += [_child(child, first, leaf, nodes) for child in one.get(name, [])]
        for name in _INNER:
            out[name] += one.get(name, [])
        out["leaf_value"] += [repr(scale * float(value)) for value in one["leaf_value"]]
        out["leaf_weight"] += weight
        out["leaf_count"] += count
    fields = {"num_leaves": str(leaves * len(copies) + (not both)), "num_cat": tree.get("num_cat", "0")}
    fields |= {name: " ".join(out[name]) for name in _NODES}
    fields |= {name: tree[name] for name in ("cat_boundaries", "cat_threshold") if name in tree}
    fields |= {name: " ".join(out[name]) for name in (*_LEAVES, *_INNER)}
    return fields | {"is_linear": "0", "shrinkage": "1"}


def _child(child: str, first: int, leaf: int, nodes: int) -> str:
    """A child's number when its tree's nodes start at ``first`` and its leaves at ``leaf``; 0 of no nodes is a leaf."""
    number = int(child)
    return str(number + first if number >= 0 and nodes else number - leaf)
