"""Why a customer's row of the plan is as it is: the codes, their words, and the reason of contacts made at a loss."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from models.arrays import Ints
from models.assignment.roles import EXPLORE, USUAL
from planning.plan.decision import Decision

#: Code → words in English and Chinese; names of rules are reasons too, and have their own words.
REASONS: dict[str, tuple[str, str]] = {
    "best": ("the best that the limits allow", "限制条件下最优"),
    "moved": (
        "a near best arc: whole contacts do not fit the limits exactly",
        "次优组合：触达次数为整数，限额无法完全贴合",
    ),
    "share": ("made at a loss: a share of contacts asks for it", "亏损触达：占比要求"),
    "floor": ("made at a loss: a floor asks for it", "亏损触达：保底要求"),
    "stays": ("made at a loss: another arc than last night's would cost a switch", "亏损触达：更换方案有切换成本"),
    "learn": ("made at a loss, by chance, to learn from", "亏损触达：随机学习"),
    "explored": ("drawn by chance, to learn from", "随机抽取，用于学习"),
    "explore_none": ("drawn by chance to get nothing, to learn from", "随机抽取为不触达，用于学习"),
    "explore_quota": ("drawn by chance, but beyond what was kept for learning", "随机抽取，但超出学习预留"),
    "explore_withdrawn": ("drawn by chance, but a limit could not carry it", "随机抽取，但限额不足"),
    "control": ("in the control group", "对照组"),
    "usual": ("served by the operator's usual rule", "按原有规则服务"),
    "usual_none": ("the usual rule had no contact left for this customer", "原有规则下无可用触达"),
    "no_value": ("no contact would pay", "触达均不划算"),
    "priced_out": ("the capacity it needs is worth more elsewhere", "所需资源用于其他客户价值更高"),
    "capacity": ("limits were full: whole contacts do not fit them exactly", "限额已满"),
    "not_scored": ("nothing was scored for this customer", "未评分"),
}
#: Reasons of contacts that are made at a loss.
AT_A_LOSS = ("share", "floor", "stays", "learn")


def tell_losses(night: Decision, shares: Collection[str]) -> None:
    """Give contacts whose mean value is negative the reason why they are made all the same.

    Args:
        night: with values in money.
        shares: the columns that limits on shares of contacts count.
    """
    loss = np.flatnonzero((night.given >= 0) & night.known & (night.value < 0) & (night.role != USUAL))
    drawn = night.role[loss] == EXPLORE
    night.reason[loss[drawn]] = "learn"
    rest = loss[~drawn]
    if not len(rest):
        return
    night.reason[rest] = np.where(
        night.decision_value[rest] >= 0, "stays", np.where(_is_for_share(night, rest, shares), "share", "floor")
    )


def _is_for_share(night: Decision, rows: Ints, shares: Collection[str]) -> np.ndarray:
    """Whether it is a share that pays most for the contacts of some rows, bool [rows]; else a floor does.

    Where prices pay for none, the repair made the contact: whatever asks for it is named.
    """
    use = night.arcs.uses[:, night.arcs.classes[rows], night.given[rows]]
    paid = np.where(use < 0, -use * night.solution.dual.prices[:, None], 0)
    share = np.array([limit.counts in shares for limit in night.instance.limits.limits], bool)
    by_share, by_floor = paid[share].max(axis=0, initial=0), paid[~share].max(axis=0, initial=0)
    asks = (use[share] < 0).any(axis=0) & ~(use[~share] < 0).any(axis=0)
    return np.where((by_share > 0) | (by_floor > 0), by_share > by_floor, asks)
