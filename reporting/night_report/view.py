"""From facts to what the page shows: tiles, charts and tables, every text ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conf.catalogue import Catalogue
from conf.figure import Figure
from conf.money import MICRO
from conf.offer import Channel, Product
from planning.plan.reasons import REASONS
from reporting.feed_status import STATES, FeedState, counts
from reporting.figure_text import say, say_gap, say_yuan
from reporting.kpi import find_declared
from reporting.night_report import charts
from reporting.night_report.facts import PlanFacts, ReportFacts, list_stops
from reporting.night_report.operation import (
    POLICIES,
    campaign_section,
    change_section,
    goal_section,
    trend_section,
)
from reporting.night_report.words import WORDS
from runtime.figures import AssignFigures, ProveFigures, ScoreFigures

DIALECTS = ("avl", "verf", "vgop", "jsonl")
#: Parts of the names of figures that the clock decides; they are shown under *operational* only, if at all.
CLOCKED = ("seconds", "per_second")
#: What a role is called.
ROLES = {
    "exploit": "served the best 常规",
    "explore": "drawn to learn 探索",
    "control": "held out 对照",
    "usual": "served by the old rule 旧规则",
}
#: One product with a larger share of contacts is told above the charts.
MOST = 0.5
#: Limits shown before the rest is folded away.
SHOWN_LIMITS = 16


def view(facts: ReportFacts, catalogue: Catalogue, demo: str, *, operational: bool) -> dict[str, Any]:
    """Everything ``page.html.j2`` names."""
    products = {product.id: product for product in catalogue.products}
    channels = {channel.id: channel for channel in catalogue.channels}
    return {
        "date": facts.date.isoformat(),
        "run_id": facts.run_id,
        "demo": demo,
        "stops": list_stops(facts.funnel),
        "tiles": tiles(facts, catalogue.figures),
        "feeds": feed_section(facts.feeds),
        "checks": check_section(facts),
        "funnel": funnel_section(facts),
        "plan": plan_section(facts, products, channels),
        "limits": limit_section(facts.limits),
        "model": model_section(facts),
        "kpis": kpi_section(facts, catalogue.figures, catalogue.channels),
        "campaign": campaign_section(facts.kpis, catalogue.channels),
        "trend": trend_section(facts.history, catalogue.figures),
        "goals": goal_section(facts.kpis, catalogue.figures),
        "yesterday": yesterday_section(facts),
        "change": change_section(facts.record.read(AssignFigures)),
        "proof": proof(facts),
        "jobs": operational_section(facts) if operational else [],
    }


def yuan(micro: float) -> str:
    """Micro-元 as 元."""
    return f"{micro / MICRO:,.0f} 元"


def tile(figure: Figure, value: str, note: str = "", tone: str = "", of_note: str = "") -> dict[str, str]:
    """A figure at the top of the page, called what it is declared to be; ``of_note`` is the figure that the note tells."""
    words = {"label": figure.label, "label_zh": figure.label_zh, "figure": figure.name, "figure_of_note": of_note}
    return words | {"value": value, "note": note, "tone": tone}


def change(now: float, before: float) -> str:
    """Now against the night before, as people say it; nothing where there was no night before."""
    if not before:
        return "no night before 无前夜"
    return f"{(now - before) / abs(before):+.1%} vs last night 较前夜"


@dataclass(frozen=True)
class Proof:
    """What the solver and the checker say of the plan; the checker's word goes before the solver's."""

    gap: float | None
    bound: int | None
    primal: int | None
    lift: float | None
    lift_no_budget: float | None
    method: str | None
    checked: bool


def proof(facts: ReportFacts) -> Proof:
    """The proof of tonight's plan."""
    assign, prove = facts.record.read(AssignFigures), facts.record.read(ProveFigures)
    ran = facts.record.jobs.get(ProveFigures.job)
    return Proof(
        gap=assign.gap if prove.gap is None else prove.gap,
        bound=assign.bound if prove.bound is None else prove.bound,
        primal=assign.primal if prove.primal is None else prove.primal,
        lift=assign.lift,
        lift_no_budget=assign.lift_no_budget,
        method=assign.method,
        checked=ran is not None and ran.state != "failed",
    )


def tiles(facts: ReportFacts, figures: Mapping[str, Figure]) -> list[dict[str, str]]:
    """The figures that are read first."""
    due = [feed for feed in facts.feeds if feed.due]
    arrived = [feed for feed in due if feed.came]
    rows, aside = facts.loads.rows, facts.loads.quarantined
    evidence = proof(facts)
    plan, before = facts.plan, facts.before
    lift = evidence.lift if evidence.lift_no_budget is None else evidence.lift_no_budget
    part = aside / max(rows + aside, 1)
    later = "change_since_last_night"

    def make(name: str, value: str, note: str, tone: str = "", of_note: str = "") -> dict[str, str]:
        return tile(find_declared(name, figures), value, note, tone, of_note)

    return [
        make(
            "feeds_in",
            f"{len(arrived)} / {len(due)}",
            f"{rows:,} rows 行",
            "" if len(arrived) == len(due) else "warn",
            "rows_loaded",
        ),
        make("rows_set_aside", f"{aside:,}", f"{say(part, 'share')} of records 占记录", of_note="set_aside_share"),
        make("customers_decided", f"{plan.customers:,}", change(plan.customers, before.customers), of_note=later),
        make("contacts", f"{plan.contacts:,}", change(plan.contacts, before.contacts), of_note=later),
        make(
            "predicted_value_yuan", yuan(plan.value_micro), tell_value(plan, before, facts.record.read(AssignFigures))
        ),
        make("certified_gap", *tell_gap(evidence), of_note="certified_gap_yuan"),
        make("lift_over_caps", _format_lift(lift), _lift_note(evidence.lift, evidence.lift_no_budget)),
        make(
            "certificate",
            "accepted 通过" if evidence.checked else "not checked 未验",
            "by an independent program 独立校验",
            "good" if evidence.checked else "warn",
        ),
    ]


def tell_value(plan: PlanFacts, before: PlanFacts, assign: AssignFigures) -> str:
    """What belongs beside a plan's value: its interval, what was paid to learn, the change."""
    words = []
    if assign.value_low_yuan is not None and assign.value_high_yuan is not None:
        words.append(f"95 %: {say_yuan(assign.value_low_yuan)} … {say_yuan(assign.value_high_yuan)}")
    if assign.learning_yuan is not None:
        words.append(f"paid to learn 学习成本 {say_yuan(assign.learning_yuan)}")
    return "; ".join([*words, change(plan.value_micro, before.value_micro)])


def _format_lift(lift: float | None) -> str:
    return "–" if lift is None else f"{lift:+.1%}"


def tell_gap(evidence: Proof) -> tuple[str, str]:
    """How far the plan may be from the best, in percent and in 元."""
    if evidence.gap is None:
        return "–", "no bound 无上界"
    text = "any other plan earns at most {} more 任何方案最多可多得"
    if evidence.bound is None or evidence.primal is None:
        return say_gap(evidence.gap), "at most this far from the best plan 距最优上界"
    return say_gap(evidence.gap), text.format(say_yuan((evidence.bound - evidence.primal) / MICRO))


def _lift_note(lift: float | None, rich: float | None) -> str:
    """What the lift is of. It is told with budgets open: one that binds makes arbitrate-then-cap look poor."""
    apart = "" if rich is None or lift is None else f", budgets open 不计预算; {lift:+.1%} with them"
    return f"of predicted value, not measured 预测值{apart}"


def feed_section(feeds: Sequence[FeedState]) -> dict[str, Any]:
    """A cell a feed by dialect, a legend, and a table of those that need a look."""
    groups = []
    for dialect in DIALECTS:
        members = [feed for feed in feeds if feed.feed.dialect == dialect]
        if members:
            cells = [
                (colour(member.state), tip(member), f"{member.feed.code} {member.feed.label}") for member in members
            ]
            groups.append(
                {"name": dialect, "count": len(members), "svg": charts.cells(cells, label=f"feeds of {dialect}")}
            )
    number = counts(feeds)
    worst = [*STATES][::-1]
    odd = sorted((f for f in feeds if f.odd), key=lambda f: (worst.index(f.state), -f.quarantined, f.feed.code))
    return {
        "groups": groups,
        "legend": [(colour(state), text, number[state]) for state, text in STATES.items() if number[state]],
        "odd": [
            {
                "code": f.feed.code,
                "label": f.feed.label,
                "state": colour(f.state),
                "tip": tip(f),
                "required": f.feed.required,
                "owner": f.feed.owner,
            }
            for f in odd[:20]
        ],
        "more": max(len(odd) - 20, 0),
    }


def colour(state: str) -> str:
    """The name of a state's colour in the page."""
    return state.replace(" ", "-")


def tip(feed: FeedState) -> str:
    """What has become of a feed, in a line."""
    words = STATES[feed.state]
    if not feed.came:
        return " ".join(
            word for word in (f"{words}:" if feed.code or feed.reason else words, feed.code, feed.reason) if word
        )
    loaded = f"{feed.rows:,} rows, {feed.quarantined:,} set aside"
    hours = f"; {feed.periods[0]} of {feed.periods[1]} hours 小时" if feed.state == "partly" else ""
    return loaded + hours + (f"; {feed.reason} 超时到达" if feed.code == "94" else "")


def check_section(facts: ReportFacts) -> dict[str, int]:
    """Quality checks passed, and failed by how much they matter."""
    return {
        "passed": sum(n for (_, success), n in facts.checks.items() if success),
        "stop": facts.checks[("stop", False)],
        "warn": facts.checks[("warn", False)] + facts.checks[("info", False)],
    }


def funnel_section(facts: ReportFacts) -> dict[str, Any]:
    """The funnel's chart: rules that removed something, then what is left."""
    steps = [
        (f"{row['reason']} {row['reason_zh']}", row["arcs_before"], row["arcs_removed"])
        for row in facts.funnel
        if row["arcs_removed"]
    ]
    last = facts.funnel[-1] if facts.funnel else {"arcs_before": 0, "arcs_removed": 0, "customers_left": 0}
    return {
        "svg": charts.funnel(steps, label="arcs left by each rule"),
        "idle": [row["rule"] for row in facts.funnel if not row["arcs_removed"]],
        "start": facts.funnel[0]["arcs_before"] if facts.funnel else 0,
        "left": last["arcs_before"] - last["arcs_removed"],
        "customers": last["customers_left"],
    }


def plan_section(
    facts: ReportFacts, products: Mapping[int, Product], channels: Mapping[int, Channel]
) -> dict[str, Any]:
    """Who gets what: by channel, by product, both, roles, reasons for nothing, and the offers of those who come."""
    plan, before = facts.plan, facts.before
    outbound = [c for c in channels.values() if c.direction == "outbound"]
    per_channel, was = plan.by(1), before.by(1)
    value = plan.by(1, plan.value)
    rows = [
        (f"{c.label} {c.label_zh}", float(per_channel.get(c.id, 0)), f"{yuan(value.get(c.id, 0))} predicted")
        for c in outbound
    ]
    per_product, product_was = plan.by(0), before.by(0)
    product_value = plan.by(0, plan.value)
    best = sorted(per_product, key=lambda p: (-per_product[p], p))
    shown = [products[p] for p in best if p in products]
    rules = {row["rule"]: (row["reason"], row["reason_zh"]) for row in facts.funnel}

    def words(code: str) -> str:
        return " ".join(rules.get(code) or REASONS.get(code, (code, ""))).strip()

    return {
        "channels": charts.bars(rows, label="contacts by channel", before=_ticks(outbound, was, before.contacts)),
        "products": charts.bars(
            [(f"{p.label_zh}", float(per_product[p.id]), f"{p.label}: {yuan(product_value[p.id])}") for p in shown],
            label="contacts by product",
            before=_ticks(shown, product_was, before.contacts),
        ),
        "heat": charts.heat(
            [f"{p.label_zh} {p.label}" for p in shown],
            [c.label_zh for c in outbound],
            [[float(plan.arcs.get((p.id, c.id), 0)) for c in outbound] for p in shown],
            label="contacts by product and channel",
        ),
        "remarks": remark(plan, shown, outbound),
        "roles": [
            (ROLES.get(role, role), plan.roles[role], plan.roles[role] / max(plan.customers, 1))
            for role in sorted(plan.roles)
        ],
        "reasons": [(words(code), count) for code, count in plan.reasons.most_common()],
        "losses": losses(facts.record.read(AssignFigures), words),
        "support": support(facts.record.read(AssignFigures), outbound),
        "offers": [
            (f"{channels[c].label} {channels[c].label_zh}", count)
            for c, count in facts.offers.items()
            if c in channels and channels[c].direction == "inbound"  # the others are alternates of contacts
        ],
        "has_before": bool(before.customers),
    }


def losses(assign: AssignFigures, words: Callable[[str], str]) -> list[tuple[str, int, str]]:
    """Contacts made at a loss: why, how many, and what they cost; none where the record of the run does not tell."""
    costs = assign.loss_yuan or {}
    return [(words(code), count, yuan(round(costs[code] * MICRO))) for code, count in (assign.at_a_loss or {}).items()]


def support(assign: AssignFigures, outbound: Sequence[Channel]) -> list[tuple[str, int, float | None, float | None]]:
    """By channel: arcs that passed the rules, and which part explorers can draw of them and of those kept."""
    known = assign.support or {}
    rows = [(channel, known[channel.code]) for channel in outbound if channel.code in known]
    return [
        (
            f"{channel.label} {channel.label_zh}",
            counts["eligible"],
            counts["supported"] / counts["eligible"] if counts["eligible"] else None,
            counts["supported"] / counts["kept"] if counts["kept"] else None,
        )
        for channel, counts in rows
    ]


def remark(plan: PlanFacts, best: Sequence[Product], outbound: Sequence[Channel]) -> list[dict[str, str]]:
    """What a reader should not have to look for: one product with most contacts, channels without any."""
    remarks = []
    if best and plan.contacts:
        product = best[0]
        part = plan.by(0)[product.id] / plan.contacts
        if part > MOST:
            name = f"{product.label} {product.label_zh}"
            remarks.append(
                {
                    "figure": "product_share",
                    "text": f"{say(part, 'share')} of contacts are one product 触达集中于: {name}",
                }
            )
    contacted = plan.by(1)
    idle = [f"{channel.label} {channel.label_zh}" for channel in outbound if not contacted.get(channel.id)]
    if idle and plan.contacts:
        remarks.append({"figure": "contacts", "text": f"no contacts tonight 今晚无触达: {', '.join(idle)}"})
    return remarks


def _ticks(rows: Sequence[Product] | Sequence[Channel], was: Mapping[int, int], any_before: int) -> list[float | None]:
    return [float(was.get(row.id, 0)) if any_before else None for row in rows]


def limit_section(limits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every limit: its use by the whole plan, the price of one unit more, and what it costs tonight.

    Those that are reported only say so.
    """
    rows = [
        {
            "name": row["limit"],
            "label_zh": row["label_zh"],
            "kind": "≤" if row["kind"] == "at_most" else "≥",
            "amount": amount(row["shown_amount"]),
            "used": amount(row["shown_used"]),
            "unit": row["shown_unit"],
            "meter": charts.meter(row["shown_used"], row["shown_amount"], floor=row["kind"] == "at_least"),
            "price": price(row["shown_price_yuan"]),
            "cost": "–" if row["cost_micro"] is None else price(row["cost_micro"] / MICRO),
            "reported_only": bool(row["reported_only"]),
            "before": "–" if row["price_before"] is None else price(row["price_before"]),
        }
        for row in limits
    ]
    dear = [
        (f"{row['limit']} {row['label_zh']}".strip(), row["cost_micro"] / MICRO, "")
        for row in limits
        if (row["cost_micro"] or 0) >= MICRO // 2
    ]
    return {
        "rows": rows[:SHOWN_LIMITS],
        "folded": rows[SHOWN_LIMITS:],
        "binding": sum(bool(row["price_pico"]) for row in limits),
        "svg": charts.bars(dear[:10], label="what the dearest limits cost tonight, 元", left=230) if dear else "",
    }


def amount(value: float) -> str:
    """An amount in its unit: whole, or to a hundredth."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def price(value: float) -> str:
    """A price in 元; prices below a fen keep their digits."""
    return "0" if not value else f"{value:,.2f}" if abs(value) >= 0.01 else f"{value:.2g}"


def model_section(facts: ReportFacts) -> dict[str, Any]:
    """Figures of the last training, and its calibration where training logged one."""
    points = [(point["predicted"], point["observed"], point["weight"]) for point in facts.training.reliability or []]
    return {
        "figures": [
            (WORDS.get(key, key), f"{v:,.4g}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else v)
            for key, v in facts.training.simple().items()
            if not _format_clock(key)
        ],
        "calibration": charts.calibration(points, label="calibration") if points else "",
        "score": [
            (WORDS.get(key, key), value)
            for key, value in facts.record.read(ScoreFigures).simple().items()
            if isinstance(value, int | str) and not _format_clock(key)
        ][:8],
    }


def _format_clock(name: str) -> bool:
    return any(part in name for part in CLOCKED)


def kpi_section(facts: ReportFacts, figures: Mapping[str, Figure], channels: Sequence[Channel]) -> dict[str, Any]:
    """Contact figures of matured decisions, for all and by the channels that have some; and against control."""
    values = {(row["kpi"], row["slice"]): row["value"] for row in facts.kpis}
    measured = {
        s for (name, s), value in values.items() if name in figures and figures[name].over and value is not None
    }
    names = {"all": "all 全部"} | {f"channel:{c.code}": f"{c.label} {c.label_zh}" for c in channels}
    slices = [name for name in names if name in measured]
    table = [
        {
            "figure": figure.name,
            "label": figure.label,
            "label_zh": figure.label_zh,
            "cells": [say(values.get((figure.name, s)), figure.unit) for s in slices],
        }
        for figure in sorted(figures.values(), key=lambda known: known.position)
        if figure.over and values.get((figure.name, "all")) is not None
    ]
    return {
        "slices": [names[s] for s in slices],
        "table": table,
        "earned": list_earned(facts.kpis, figures),
    }


def list_earned(kpis: Sequence[Mapping[str, Any]], figures: Mapping[str, Figure]) -> list[dict[str, Any]]:
    """What each policy earned over its period: whose, when, and each figure of money with its interval or why not."""
    policies = sorted({row["slice"] for row in kpis if row["slice"].startswith("policy:") and "/" not in row["slice"]})
    sections = []
    for policy in policies:
        rows = [row for row in kpis if row["slice"] == policy and row["kpi"] in figures]
        rows.sort(key=lambda row: (figures[row["kpi"]].position, row["kpi"]))
        dates = next(row for row in rows if row["first_date"])
        sections.append(
            {
                "policy": POLICIES.get(policy.removeprefix("policy:"), policy),
                "first": dates["first_date"].isoformat(),
                "last": dates["last_date"].isoformat(),
                "note": next((row["note"] for row in rows if row["note"]), ""),
                "rows": rows,
            }
        )
    return sections


def yesterday_section(facts: ReportFacts) -> list[tuple[str, str, str, str, str]]:
    """Tonight against the night before: figure, label, tonight, before, change."""
    now, then = facts.plan, facts.before
    if not then.customers:
        return []
    pairs = [
        ("customers_decided", "customers decided 决策客户", now.customers, then.customers),
        ("contacts", "contacts 触达", now.contacts, then.contacts),
        ("products_in_plan", "products in the plan 涉及产品", len(now.by(0)), len(then.by(0))),
        ("role_customers", "explored 探索", now.roles["explore"], then.roles["explore"]),
        ("role_customers", "control 对照", now.roles["control"], then.roles["control"]),
    ]
    rows = [(figure, name, f"{a:,}", f"{b:,}", change(a, b).split(" ")[0]) for figure, name, a, b in pairs]
    value = (yuan(now.value_micro), yuan(then.value_micro), change(now.value_micro, then.value_micro).split(" ")[0])
    rows.insert(2, ("predicted_value_yuan", "predicted value 预测价值", *value))
    assign = facts.record.read(AssignFigures)
    gap, was = assign.gap, facts.record_before.read(AssignFigures).gap
    if gap is not None and was is not None:
        rows.append(("certified_gap", "certified gap 认证差距", say_gap(gap), say_gap(was), ""))
    if assign.churn is not None:
        rows.append(("churn", "customers whose offer changed 方案变更", say(assign.churn, "share"), "", ""))
    return rows


def operational_section(facts: ReportFacts) -> list[tuple[str, float, float]]:
    """Seconds a job took, and the share of the night."""
    seconds = {job: record.seconds for job, record in facts.record.jobs.items()}
    total = sum(seconds.values()) or 1.0
    return [(WORDS.get(job, job), value, value / total) for job, value in seconds.items()]
