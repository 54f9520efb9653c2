"""Sections of the page that are about more than tonight: the last campaign so far, trends, the twelve goals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conf.figure import GOALS, Figure
from conf.money import MICRO
from conf.offer import Channel
from reporting.night_report import charts
from runtime.figures import AssignFigures

#: Whose decisions a period is made of.
POLICIES = {"logged": "the system before this one 前任系统", "ours": "this system 本系统"}
#: Why a predicted value changes.
CAUSES = {
    "population": "customers, their roles, what is known of them 客户、角色与特征",
    "eligibility": "what rules allow 资格规则",
    "prices": "margins and costs 毛利与成本",
    "model": "the model 模型",
    "limits": "limits 限额",
}
#: Figures whose trend is shown, and the nights of a period that is set against the same period before.
TREND = (
    "contacts",
    "predicted_value_yuan",
    "learning_yuan",
    "loss_yuan",
    "certified_gap",
    "churn",
    "withdrawn",
    "campaign_orders",
    "feeds_in",
)
PERIOD = 7


def campaign_section(kpis: Sequence[Mapping[str, Any]], channels: Sequence[Channel]) -> dict[str, Any]:
    """What the last campaign came to so far: its date, and a row for all and for each channel that it used."""
    columns = ("campaign_sent", "campaign_reached", "campaign_refused", "campaign_orders")
    values = {(row["kpi"], row["slice"]): row for row in kpis if row["kpi"] in columns}
    names = {"all": "all 全部"} | {f"channel:{c.code}": f"{c.label} {c.label_zh}" for c in channels}
    rows = [
        (label, [(name, values[name, slice_]["value"]) for name in columns if (name, slice_) in values])
        for slice_, label in names.items()
        if (columns[0], slice_) in values
    ]
    dates = {row["first_date"] for row in values.values()} - {None}
    return {"date": max(dates).isoformat() if dates else "", "columns": columns, "rows": rows}


def change_section(assign: AssignFigures) -> dict[str, Any]:
    """Why the predicted value is another than the night before: 元 by cause, and what cannot be told."""
    parts = assign.change_micro or {}
    rows = [(CAUSES.get(name, name), micro / MICRO) for name, micro in parts.items()]
    before = None if assign.value_before_micro is None else assign.value_before_micro / MICRO
    total = sum(parts.values()) / MICRO
    now = None if before is None else before + total
    return {"rows": rows, "before": before, "now": now, "total": total, "note": assign.change_note or ""}


def trend_section(history: Sequence[Mapping[str, Any]], figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Figures night by night, and the mean of the last nights against that of as many nights before.

    A period is ``PERIOD`` nights, or half of those there are.
    """
    rows = []
    nights = sorted({row["business_date"] for row in history})
    period = min(PERIOD, len(nights) // 2)
    recent, earlier = nights[-period:] if period else [], nights[-2 * period : -period] if period else []
    for name in TREND:
        values = {row["business_date"]: row["value"] for row in history if row["kpi"] == name}
        values = {date: value for date, value in values.items() if value is not None}
        if len(values) < 2 or name not in figures:
            continue
        now, before = _mean_of(values, recent), _mean_of(values, earlier)
        moved = None if now is None or not before else (now - before) / abs(before)
        rows.append(
            {
                "figure": name,
                "label": figures[name].label,
                "label_zh": figures[name].label_zh,
                "unit": figures[name].unit,
                "svg": charts.line([values[date] for date in sorted(values)], label=f"{figures[name].label} by night"),
                "last": values[max(values)],
                "now": now,
                "before": before,
                "change": "–" if moved is None else f"{moved:+.1%}",
            }
        )
    return {"rows": rows, "period": period, "nights": len(nights)}


def _mean_of(values: Mapping[Any, float], nights: Sequence[Any]) -> float | None:
    chosen = [values[night] for night in nights if night in values]
    return sum(chosen) / len(chosen) if chosen else None


def goal_section(kpis: Sequence[Mapping[str, Any]], figures: Mapping[str, Figure]) -> list[dict[str, Any]]:
    """The twelve goals with the figures that measure them: of all of the operation, else of our own policy."""
    rows = []
    for goal, (label, label_zh) in GOALS.items():
        own = sorted((f for f in figures.values() if f.goal == goal), key=lambda known: (known.position, known.name))
        measured = []
        for figure in own:
            known = [row for row in kpis if row["kpi"] == figure.name]
            ranked = {"all": 0, "policy:ours": 1, "policy:logged": 2}
            best = min((row for row in known if row["slice"] in ranked), key=_absent_last(ranked), default=None)
            whose = POLICIES.get(best["slice"].removeprefix("policy:"), "") if best else ""
            note = best["note"] if best and best["value"] is None else whose
            measured.append(
                (figure, best["value"] if best else None, note or ("" if best else "no night has it yet 尚无"))
            )
        rows.append({"goal": label, "goal_zh": label_zh, "figures": measured})
    return rows


def _absent_last(ranked: Mapping[str, int]) -> Callable[[Mapping[str, Any]], tuple[bool, int]]:
    return lambda row: (row["value"] is None, ranked[row["slice"]])
