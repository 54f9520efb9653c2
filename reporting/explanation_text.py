"""Why this, why not that, in English and in Chinese: what `cpc explain` says of a decision and of each of its arcs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conf.catalogue import Catalogue
from conf.money import MICRO
from planning.plan.reasons import REASONS

Said = dict[str, str]


def yuan(micro: int | None) -> str:
    """Micro-元 as 元 with two digits."""
    return f"{(micro or 0) / MICRO:,.2f}"


def of_decision(answer: Mapping[str, Any], catalogue: Catalogue) -> Said:
    """Why this, or why nothing."""
    decision, arcs = answer["decision"], answer["arcs"]
    outbound = [arc for arc in arcs if arc["direction"] == "outbound"]
    left = [arc for arc in outbound if arc["state"] != "removed"]
    gone = len(outbound) - len(left)
    if decision is None:
        return {
            "en": f"No plan has been made for this night yet: rules removed {gone} of {len(outbound)} outbound arcs.",
            "zh": f"当晚尚未分配：规则去除了{len(outbound)}个主动触达组合中的{gone}个。",
        }
    if decision["product"] is None:
        return nothing(decision, outbound, left)
    product = next(p for p in catalogue.products if p.code == decision["product"])
    channel = next(c for c in catalogue.channels if c.code == decision["channel"])
    taken: Mapping[str, Any] = next((arc for arc in outbound if arc["state"] == "chosen"), {})
    known = decision["value_micro"] if decision["value_micro"] is not None else taken.get("value_micro")
    value, price = "an unknown number of" if known is None else yuan(known), yuan(decision["price_micro"])
    value_zh = "未知" if known is None else f"{value}元"
    why, why_zh = _reason(decision)
    return {
        "en": f"{product.label} by {channel.label}: {why}, worth {value} yuan; the scarce capacity that it takes is "
        f"priced at {price} yuan; {len(left)} of {len(outbound)} outbound arcs passed every rule.",
        "zh": f"通过{channel.label_zh}推荐{product.label_zh}：{why_zh}，价值{value_zh}，占用紧缺资源的价格{price}元；"
        f"{len(outbound)}个主动触达组合中{len(left)}个通过全部规则。",
    }


def _reason(decision: Mapping[str, Any]) -> tuple[str, str]:
    """The reason of a decision in English and Chinese; the code of one that has no words."""
    return REASONS.get(decision["reason"], (decision["reason"], decision["reason"]))


def nothing(
    decision: Mapping[str, Any], outbound: Sequence[Mapping[str, Any]], left: Sequence[Mapping[str, Any]]
) -> Said:
    """Why a customer is not contacted."""
    if decision["role"] == "control":
        return {"en": "Not contacted: in the control group.", "zh": "不触达：对照组客户。"}
    if not left:
        last: dict[str, int] = {}
        for arc in outbound:
            last[arc["rule"]] = last.get(arc["rule"], 0) + 1
        rule = max(sorted(last), key=lambda name: last[name])
        arc = next(arc for arc in outbound if arc["rule"] == rule)
        return {
            "en": f"Not contacted: no outbound arc passed the rules; most fell to {rule} ({arc['reason']}).",
            "zh": f"不触达：没有组合通过规则，主要因为：{arc['reason_zh']}（{rule}）。",
        }
    if decision["role"] == "explore":
        why, why_zh = _reason(decision)
        return {"en": f"Not contacted: {why}.", "zh": f"不触达：{why_zh}。"}
    priced = [arc for arc in left if arc.get("reduced_micro") is not None]
    if not priced:
        why, why_zh = _reason(decision)
        return {"en": f"Not contacted: {why}.", "zh": f"不触达：{why_zh}。"}
    best = max(priced, key=lambda arc: arc["reduced_micro"])
    value, price = yuan(best["value_micro"]), yuan(best["price_micro"])
    return {
        "en": f"Not contacted: the best arc ({best['product']} by {best['channel']}) is worth {value} yuan, and the "
        f"capacity it needs costs {price} yuan elsewhere.",
        "zh": f"不触达：最优组合（{best['product']}，{best['channel']}）价值{value}元，所需资源价格{price}元。",
    }


def of_arc(
    arc: Mapping[str, Any], decision: Mapping[str, Any] | None, chosen: Mapping[str, Any] | None, rank: int | None
) -> Said:
    """Why this arc, or why not: a sentence in each language, and ``short``, the reason without the figures.

    Args:
        arc: as `reporting.explanation` puts it together.
        decision: the customer's; None before the plan.
        chosen: the outbound arc that was taken; None where none was.
        rank: of an inbound arc among the offers of its channel; None where it is none.
    """
    if arc["state"] == "removed":
        text = f"removed by {arc['rule']}: {arc['reason']}"
        return {"en": text, "zh": f"规则{arc['rule']}去除：{arc['reason_zh']}", "short": text}
    if arc["state"] == "closed":
        text = f"closed for everybody: {arc['limit']} is 0"
        return {"en": text, "zh": f"限额{arc['limit']}为0，对所有客户关闭", "short": text}
    if arc.get("value_micro") is None:
        text = "passed every rule; its score is not known any more"
        return {"en": text, "zh": "通过全部规则；评分已不可得", "short": text}
    value, price, left = arc["value_micro"], arc.get("price_micro"), arc.get("reduced_micro")
    worth, worth_zh = f"worth {yuan(value)} yuan", f"价值{yuan(value)}元"
    if price is None or left is None:
        text = "prices are not known any more"
        return {"en": f"{worth}; {text}", "zh": f"{worth_zh}；影子价格已不可得", "short": text}
    charged = ", ".join(f"{name} {yuan(paid)}" for name, paid in arc["paid"].items())
    text = f"{worth}, limits charge {yuan(price)}" + (f" ({charged})" if charged else "")
    text_zh = f"{worth_zh}，资源价格{yuan(price)}元" + (f"（{charged}）" if charged else "")
    why, why_zh = _why(arc, decision, chosen, rank)
    return {"en": f"{text}: {why}", "zh": f"{text_zh}：{why_zh}", "short": why}


def _why(
    arc: Mapping[str, Any], decision: Mapping[str, Any] | None, chosen: Mapping[str, Any] | None, rank: int | None
) -> tuple[str, str]:
    left = arc["reduced_micro"]
    if decision is None:
        return "no plan yet", "尚未分配"
    if arc["direction"] == "inbound":
        if decision["role"] == "control":
            return "control customers are shown nothing personal", "对照组不展示个性化推荐"
        if rank is not None:
            return f"offer {rank} when the customer comes", f"客户到访时第{rank}位推荐"
        return (
            ("three others are worth more there", "该渠道有三个更优推荐")
            if left > 0
            else ("it would not pay", "得不偿失")
        )
    if arc["state"] == "chosen":
        return ("chosen", "已选") if decision["reason"] == "best" else _reason(decision)
    if decision["role"] == "control":
        return "in the control group", "对照组客户"
    if decision["role"] == "explore":
        return "another was drawn to learn from", "随机抽取了其他组合"
    if left <= 0:
        if arc["value_micro"] <= 0:
            return "contacting would lose money", "触达预计亏损"
        return "the capacity it needs is worth more elsewhere", "所需资源用于其他客户价值更高"
    if chosen is not None and chosen.get("reduced_micro") is not None:
        less = chosen["reduced_micro"] - left
        if less > 0:
            exact = f"{less / MICRO:,.4f}".rstrip("0").rstrip(".")
            return f"{exact} yuan less than the one chosen", f"比所选组合少{exact}元"
        if less == 0:
            return "as good as the one chosen; a keyed hash decides ties", "与所选组合相同，由密钥散列决定"
    return "limits were full: whole contacts do not fit them exactly", "限额已满：触达次数为整数，无法完全贴合限额"
