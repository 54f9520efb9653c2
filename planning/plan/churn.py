"""How much of the plan changed since the night before, and how much of that without any reason of the customer's own."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_ARC = ("product", "channel")


def stability(plan: pa.Table, before: pa.Table | None, arcs: pa.Table, arcs_before: pa.Table) -> dict[str, Any]:
    """Churn of the plan over customers who exploited on both nights.

    ``churn`` is the share whose arc is another one. ``churn_unchanged`` is that share among the ``unchanged``: the same arcs passed
    the rules on both nights, and every arc scored on both is worth the same, so that only prices, limits and other
    customers can have moved them.

    Args:
        plan: tonight's ``customer_id, product, channel, role, eligible_hash``.
        before: the same of the night before; None where there was none.
        arcs: tonight's candidates, ``customer_id, product, channel, value_micro``.
        arcs_before: those of the night before.
    """
    if before is None:
        return {"churn": None, "churn_unchanged": None, "unchanged": 0}
    both = _exploiters(plan).join(_exploiters(before), "customer_id", right_suffix="_was", join_type="inner")
    same = pa.scalar(True)
    for name in _ARC:
        same = pc.and_(same, pc.equal(pc.fill_null(both[name], -1), pc.fill_null(both[f"{name}_was"], -1)))
    stayed = both.filter(pc.equal(both["eligible_hash"], both["eligible_hash_was"]))["customer_id"]
    revalued = count_changed_values(arcs, arcs_before)
    quiet = pc.and_(
        pc.is_in(both["customer_id"], value_set=stayed.combine_chunks()),
        pc.invert(pc.is_in(both["customer_id"], value_set=revalued)),
    )
    return {
        "churn": _share_moved(same),
        "churn_unchanged": _share_moved(same.filter(quiet)),
        "unchanged": pc.sum(quiet).as_py() or 0,
    }


def count_changed_values(arcs: pa.Table, before: pa.Table) -> pa.Array:
    """Customers with an arc that was scored on both nights and is not worth the same."""
    keys = ["customer_id", *_ARC]
    both = arcs.join(before, keys, right_suffix="_was", join_type="inner")
    return pc.unique(both.filter(pc.not_equal(both["value_micro"], both["value_micro_was"]))["customer_id"])


def _exploiters(plan: pa.Table) -> pa.Table:
    return plan.filter(pc.equal(plan["role"], "exploit")).select(["customer_id", *_ARC, "eligible_hash"])


def _share_moved(same: pa.ChunkedArray) -> float | None:
    return 1.0 - pc.mean(pc.cast(same, pa.float64())).as_py() if len(same) else None
