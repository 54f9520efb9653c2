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
class BlendPart:
    """A booster's model text, and its weight where the flag is 1 and where it is 0."""

    text: str
    with_flag: float
    without: float


def blend(parts: Sequence[BlendPart], flag: int, constant: float = 0.0) -> str:
    """Model text of Σ weight · raw score, plus a constant where the flag is 1.

    Args:
        parts: boosters trained on the same columns.
        flag: position of the flag column, 0 or 1 in every row.
        constant: added where the flag is 1.

    Raises:
        ValueError: no parts, or parts of other columns.
    """
    heads, trees, tail = [], [], ""
    for part in parts:
        body, tail = part.text.split("\nend of trees", 1)
        head, *blocks = body.split("\nTree=")
        heads.append([line for line in head.splitlines() if not line.startswith("tree_sizes=")])
        trees += [_gate_tree(_fields(block), flag, part) for block in blocks]
    if constant:
        trees.append(_gate_tree({"num_leaves": "1", "leaf_value": "1"}, flag, BlendPart("", constant, 0.0)))
    names = {line for head in heads for line in head if line.startswith("feature_names=")}
    if len(names) != 1:
        raise ValueError(f"{len(parts)} parts over {len(names)} sets of columns")
    lines = [*heads[0], ""]
    for number, fields in enumerate(trees):
        lines += [f"Tree={number}", *(f"{name}={value}" for name, value in fields.items()), "", ""]
    return "\n".join(lines) + "\nend of trees" + tail


def _fields(block: str) -> Fields:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _gate_tree(tree: Fields, flag: int, part: BlendPart) -> Fields:
    """The tree under a root that asks for the flag."""
    left, right = (_scale_tree(tree, weight) for weight in (part.without, part.with_flag))
    nodes, leaves = len(left["split_feature"]), len(left["leaf_value"])
    out = {name: ["0"] + left[name] + right[name] for name in (*_NODES, *_INNER)}
    out |= {name: left[name] + right[name] for name in _LEAVES}
    out |= {"split_feature": [str(flag), *out["split_feature"][1:]], "threshold": ["0.5", *out["threshold"][1:]]}
    out["decision_type"][0] = "2"  # a number, missing goes left
    for name, child in (
        ("left_child", _shift_child("0" if nodes else "-1", 1, 0)),
        ("right_child", _shift_child("0" if right["split_feature"] else "-1", 1 + nodes, leaves)),
    ):
        out[name] = [child] + [_shift_child(c, 1, 0) for c in left[name]]
        out[name] += [_shift_child(c, 1 + nodes, leaves) for c in right[name]]
    for name in ("weight", "count"):
        out[f"internal_{name}"][0] = (right[f"internal_{name}"] or right[f"leaf_{name}"])[0]
    fields = {"num_leaves": str(len(out["leaf_value"])), "num_cat": tree.get("num_cat", "0")}
    fields |= {name: " ".join(out[name]) for name in _NODES}
    fields |= {name: tree[name] for name in ("cat_boundaries", "cat_threshold") if name in tree}
    fields |= {name: " ".join(out[name]) for name in (*_LEAVES, *_INNER)}
    return fields | {"is_linear": "0", "shrinkage": "1"}


def _scale_tree(tree: Fields, weight: float) -> dict[str, list[str]]:
    """The tree's columns with leaves times a weight; a weight of 0 leaves one leaf of 0."""
    columns = {name: tree.get(name, "").split() for name in (*_NODES, *_INNER, *_LEAVES)}
    for name in ("leaf_weight", "leaf_count"):
        columns[name] = columns[name] or ["1"] * len(columns["leaf_value"])
    if weight == 0.0:
        total = {name: (columns[name.replace("leaf", "internal")] or columns[name])[:1] for name in _LEAVES}
        return {name: [] for name in columns} | total | {"leaf_value": ["0"]}
    columns["leaf_value"] = [repr(weight * float(value)) for value in columns["leaf_value"]]
    columns["split_gain"] = [repr(weight * weight * float(gain)) for gain in columns["split_gain"]]
    return columns


def _shift_child(child: str, first: int, leaf: int) -> str:
    """A child's number when its tree's nodes start at ``first`` and its leaves at ``leaf``."""
    number = int(child)
    return str(number + first if number >= 0 else number - leaf)
