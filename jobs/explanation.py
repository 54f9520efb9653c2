"""Why one customer was decided as they were: every arc with the rule that removed it, or its value and what it paid.

All comes from the tables of that night (`eligible` keeps what each rule removed, `funnel` what the rules were)
and from the frozen instance of the run: neither Spark nor tonight's rules are needed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from conf.catalogue import Catalogue
from conf.dates import parse_date
from conf.errors import MendableError
from conf.offer import MICRO
from jobs.instance import InstanceLimit, read_limits
from jobs.night import Night
from jobs.rules.arcs import Shape, first_remover

#: What `reason` of an assignment means where no arc was taken, and where one was, in both languages.
PICO_PER_MICRO = 1_000_000


@dataclass(frozen=True)
class Facts:
    """What the tables of a night hold of one customer.

    Attributes:
        funnel: the rules in order.
        removed: bits that each rule removed.
        candidates: scored arcs that were kept.
        assignment: the decision, None before the night's assignment.
        offers: ranked offers for inbound channels.
        prices: ``price_pico`` by limit.
        limits: the limits of the frozen instance; empty where it is not kept any more.
        instance: the customer's arcs in it, with what they use.
    """

    date: dt.date
    customer: int
    funnel: Sequence[Mapping[str, Any]]
    removed: Sequence[int]
    candidates: Sequence[Mapping[str, Any]]
    assignment: Mapping[str, Any] | None
    offers: Sequence[Mapping[str, Any]]
    prices: Mapping[str, int]
    limits: Sequence[InstanceLimit]
    instance: Sequence[Mapping[str, Any]]


def date_of_run(run: str) -> dt.date:
    """The decision date that a run id begins with."""
    try:
        return parse_date(run[:10])
    except MendableError as error:
        raise MendableError(f"{run!r} is no run id", where="--run", remedy="`cpc runs` lists them") from error


def read(night: Night, customer: int, run: str | None = None) -> Facts:
    """Everything a night knows of a customer.

    Raises:
        MendableError: the night has not decided on this customer, or another run than ``run`` is in the lake.
    """
    eligible = rows_of(night, "eligible", customer)
    if not eligible:
        raise MendableError(
            f"customer {customer} was not among the active customers of {night.date}", where="eligible",
            remedy="check the id (cpc explain takes a customer_id) and the date, or run that night first",
        )  # fmt: skip
    assignment = next(iter(rows_of(night, "assignment", customer)), None)
    if run and assignment and assignment["run_id"] != run:
        raise MendableError(
            f"the plan of {night.date} in the lake is that of another run", where=f"--run {run}",
            remedy=f"it is {assignment['run_id']}; `cpc replay {run}` rebuilds the one you named",
        )  # fmt: skip
    funnel = night.lake.arrow("funnel", partition=night.partition).sort_by("position").to_pylist()
    prices = night.lake.arrow("limit_price", partition=night.partition, columns=["limit", "price_pico"]).to_pylist()
    limits, instance = frozen(night, assignment["run_id"], customer) if assignment else ([], [])
    offers = sorted(rows_of(night, "recommendation", customer), key=lambda row: (row["channel"], row["rank"]))
    return Facts(
        night.date, customer, funnel, eligible[0]["removed"] or [], rows_of(night, "candidate", customer), assignment,
        offers, {row["limit"]: row["price_pico"] for row in prices}, limits, instance,
    )  # fmt: skip


def rows_of(night: Night, table: str, customer: int) -> list[dict[str, Any]]:
    """A customer's rows of a night's partition of a table."""
    if not night.lake.exists(table):
        return []
    mine = (ds.field("business_date") == pa.scalar(night.date)) & (ds.field("customer_id") == customer)
    rows: list[dict[str, Any]] = night.lake.delta(table).to_pyarrow_dataset().to_table(filter=mine).to_pylist()
    return rows


def frozen(night: Night, run: str, customer: int) -> tuple[list[InstanceLimit], list[dict[str, Any]]]:
    """The limits of a run's frozen instance, and the customer's arcs in it."""
    folder = night.settings.home / "runs" / run / "instance"
    if not (folder / "limits.yml").exists():
        return [], []
    limits = list(read_limits(folder / "limits.yml").limits)
    files = sorted(str(path) for path in (folder / "arcs").glob("*.parquet"))
    rows = ds.dataset(files).to_table(filter=ds.field("customer") == customer).to_pylist() if files else []
    return limits, rows


def arc_price(arc: Mapping[str, Any], limits: Sequence[InstanceLimit], prices: Mapping[str, int]) -> dict[str, int]:
    """What each limit charges for an arc, in pico-元; limits that charge nothing are left out.

    Args:
        arc: a row of the instance.
        limits: its limits.
        prices: ``price_pico`` by limit.
    """
    found = {}
    for limit in limits:
        if all(arc.get(column) in values for column, values in limit.where.items()):
            use = 1 if limit.counts == 1 else int(arc[str(limit.counts)])
            if charge := prices.get(limit.name, 0) * use:
                found[limit.name] = charge
    return found


def explain(facts: Facts, catalogue: Catalogue) -> dict[str, Any]:
    """Every arc of the customer with what became of it, the decision, and a sentence in both languages."""
    shape = Shape(
        tuple(row["rule"] for row in facts.funnel),
        tuple(row["scope"] for row in facts.funnel),
        tuple(row["direction"] for row in facts.funnel),
        tuple(product.id for product in catalogue.products),
        {channel.id: channel.direction for channel in catalogue.channels},
    )
    scored = {(row["product"], row["channel"]): row for row in facts.candidates}
    in_plan = {(row["product"], row["channel"]): row for row in facts.instance}
    taken = facts.assignment or {}
    arcs = []
    for product in catalogue.products:
        for channel in catalogue.channels:
            pair = (product.id, channel.id)
            arc = {"product": product.code, "channel": channel.code, "direction": channel.direction}
            step = first_remover(facts.removed, shape, *pair)
            if step is not None:
                rule = facts.funnel[step]
                arc |= {
                    "state": "removed",
                    "rule": rule["rule"],
                    "reason": rule["reason"],
                    "reason_zh": rule["reason_zh"],
                }
            elif pair not in scored:
                arc |= {"state": "pruned"}
            else:
                arc |= {"state": "considered"} | figures(scored[pair], in_plan.get(pair), facts)
                if pair == (taken.get("product"), taken.get("channel")):
                    arc["state"] = "chosen"
            arcs.append(arc)
    decision = decided(taken, catalogue) if facts.assignment else None
    found = {
        "customer_id": facts.customer, "business_date": facts.date, "run_id": taken.get("run_id"), "decision": decision,
        "arcs": sorted(arcs, key=rank), "offers": [offered(row, catalogue) for row in facts.offers],
    }  # fmt: skip
    return found | {"sentence": sentences(found, catalogue)}


def figures(candidate: Mapping[str, Any], arc: Mapping[str, Any] | None, facts: Facts) -> dict[str, Any]:
    """Value, price by limit and reduced value of a scored arc; prices are null where the instance lacks the arc."""
    value = candidate["value_micro"]
    found = {
        "value_micro": value, "effect_micro": candidate["effect_micro"], "cost_micro": candidate["cost_micro"],
        "p_convert": candidate["p_convert"], "p_base": candidate["p_base"], "basis": candidate["basis"],
        "price_micro": None, "reduced_micro": None, "paid": {},
    }  # fmt: skip
    if arc is not None:
        paid = arc_price(arc, facts.limits, facts.prices)
        reduced = value * PICO_PER_MICRO - sum(paid.values())
        found |= {
            "price_micro": round(sum(paid.values()) / PICO_PER_MICRO), "reduced_micro": round(reduced / PICO_PER_MICRO),
            "paid": {name: round(charge / PICO_PER_MICRO) for name, charge in sorted(paid.items())},
        }  # fmt: skip
    return found


def rank(arc: Mapping[str, Any]) -> tuple[Any, ...]:
    """Chosen first, then considered by reduced value, pruned, removed."""
    order = ("chosen", "considered", "pruned", "removed").index(arc["state"])
    worth = arc.get("reduced_micro")
    worth = arc.get("value_micro", 0) if worth is None else worth
    return (order, -worth, arc["product"], arc["channel"])


def decided(row: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """The decision, with codes for ids."""
    codes = {"product": _code(catalogue.products, row["product"]), "channel": _code(catalogue.channels, row["channel"])}
    kept = ("decision_id", "value_micro", "price_micro", "role", "reason", "pscore", "marginal")
    return codes | {name: row[name] for name in kept}


def offered(row: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """A ranked inbound offer, with codes for ids."""
    return {
        "channel": _code(catalogue.channels, row["channel"]), "rank": row["rank"],
        "product": _code(catalogue.products, row["product"]), "value_micro": row["value_micro"],
    }  # fmt: skip


def sentences(found: Mapping[str, Any], catalogue: Catalogue) -> dict[str, str]:
    """Why this, or why nothing, in English and in Chinese."""
    decision, arcs = found["decision"], found["arcs"]
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
    value, price = yuan(decision["value_micro"]), yuan(decision["price_micro"])
    drawn = decision["role"] == "explore"
    why = "drawn to learn from" if drawn else "the best that the limits allow"
    why_zh = "为学习随机抽取" if drawn else "限制条件下最优"
    return {
        "en": f"{product.label} by {channel.label}: {why}, worth {value} yuan, {price} yuan of it paid for scarce "
        f"capacity; {len(left)} of {len(outbound)} outbound arcs passed every rule.",
        "zh": f"通过{channel.label_zh}推荐{product.label_zh}：{why_zh}，价值{value}元，其中占用紧缺资源{price}元；"
        f"{len(outbound)}个主动触达组合中{len(left)}个通过全部规则。",
    }


def nothing(
    decision: Mapping[str, Any], outbound: Sequence[Mapping[str, Any]], left: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
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
    best = max(
        (arc for arc in left if arc.get("reduced_micro") is not None),
        key=lambda arc: arc["reduced_micro"],
        default=None,
    )
    if decision["role"] == "explore":
        return {"en": "Not contacted: drawn to learn what happens without.", "zh": "不触达：为学习随机抽取为不触达。"}
    if best is None:
        return {"en": f"Not contacted: {decision['reason']}.", "zh": f"不触达：{decision['reason']}。"}
    value, price = yuan(best["value_micro"]), yuan(best["price_micro"])
    return {
        "en": f"Not contacted: the best arc ({best['product']} by {best['channel']}) is worth {value} yuan, and the "
        f"capacity it needs costs {price} yuan elsewhere.",
        "zh": f"不触达：最优组合（{best['product']}，{best['channel']}）价值{value}元，所需资源价格{price}元。",
    }


def yuan(micro: int | None) -> str:
    """Micro-元 as 元 with two digits."""
    return f"{(micro or 0) / MICRO:,.2f}"


def _code(entries: Sequence[Any], number: int | None) -> str | None:
    return next((entry.code for entry in entries if entry.id == number), None)
