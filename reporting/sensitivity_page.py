"""The sensitivity curve of a limit as a picture (SVG, PNG) and as one page that needs nothing else."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

#: A point of the curve as it is shown: ``amount, used, contacts, value_yuan, bound_yuan, price_yuan``, and why there is no plan.
Row = Mapping[str, Any]
_STYLE = (
    "body{font:15px/1.5 system-ui,'Noto Sans CJK SC',sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:right}"
    "tr.now{background:#fff3d6}svg{max-width:100%;height:auto}p.quiet{color:#666}"
)
_COLUMNS = ("amount", "used", "contacts", "value_yuan", "bound_yuan", "price_yuan")
_HEADS = (
    "amount 数量",
    "used 已用",
    "contacts 触达",
    "value 元 价值",
    "no plan is worth more 上界",
    "price 元/unit 影子价格",
)


def draw(name: str, unit: str, now: float, points: Sequence[Row]) -> tuple[bytes, bytes]:
    """SVG and PNG of value and price over the amount; the same points give the same bytes.

    Args:
        name: of the limit.
        unit: of its amount.
        now: tonight's amount.
        points: the curve, ascending; those without a plan are left out of the lines and marked below.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    solved = [at for at in points if at["value_yuan"] is not None]
    x = [at["amount"] for at in solved]
    value = [at["value_yuan"] for at in solved]
    bound = [at["bound_yuan"] or 0.0 for at in solved]
    with mpl.rc_context({"svg.hashsalt": "cpc", "font.size": 10}):
        figure, (top, low) = plt.subplots(
            2, 1, figsize=(8, 6), sharex=True, constrained_layout=True, height_ratios=[3, 1]
        )
        top.fill_between(x, value, bound, alpha=0.25, label="between plan and proof")
        top.plot(x, value, "o-", markersize=4, label="value of the plan")
        for axis in (top, low):
            axis.axvline(now, color="k", linestyle=":", linewidth=1)
            axis.grid(alpha=0.3)
        for at in points:
            if at["value_yuan"] is None:
                top.axvline(at["amount"], color="tab:red", alpha=0.5, linewidth=1)
        top.set(title=f"{name}: what the plan is worth", ylabel="yuan")
        top.legend()
        low.step(x, [at["price_yuan"] or 0.0 for at in solved], where="mid")
        low.set(xlabel=f"amount, {unit} (dotted: tonight)", ylabel="yuan a unit")
        pictures = []
        for kind, meta in (("svg", {"Date": None}), ("png", {"Software": None})):
            sink = io.BytesIO()
            figure.savefig(sink, format=kind, dpi=110, metadata=meta)
            pictures.append(sink.getvalue())
        plt.close(figure)
    return pictures[0], pictures[1]


def page(title: str, lead: str, svg: bytes, now: float, points: Sequence[Row]) -> str:
    """A self-contained page: the picture inline and the figures below it."""
    picture = svg.decode()[svg.decode().index("<svg") :]
    rows = []
    for at in points:
        cells = "".join(f"<td>{escape(_format_point(at[name]))}</td>" for name in _COLUMNS)
        if at.get("conflict"):
            cells = f"<td>{at['amount']:,}</td><td colspan={len(_COLUMNS) - 1}>{escape(at['conflict'])}</td>"
        rows.append(f'<tr class="{"now" if at["amount"] == now else ""}">{cells}</tr>')
    heads = "".join(f"<th>{head}</th>" for head in _HEADS)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>{escape(lead)}</p>{picture}<table><tr>{heads}</tr>{''.join(rows)}</table>"
        '<p class="quiet">Every row is a plan for everybody, solved and bounded again with this amount alone changed; '
        "the plan in force is not touched. 每行均为仅改动该限额后对全部客户重新求解的方案，不影响已生效方案。</p></html>\n"
    )


def write(folder: Path, run: str, name: str, unit: str, now: float, points: Sequence[Row]) -> Mapping[str, str]:
    """Write ``<name>.svg``, ``.png`` and ``.html`` into a folder; returns the paths by kind."""
    folder.mkdir(parents=True, exist_ok=True)
    svg, png = draw(name, unit, now, points)
    html = page(f"What {name} is worth", f"Run {run}; tonight's amount {now:,} {unit}.", svg, now, points)
    written: dict[str, str] = {}
    for kind, data in (("svg", svg), ("png", png), ("html", html.encode())):
        path = folder / f"{name}.{kind}"
        path.write_bytes(data)
        written[kind] = str(path)
    return written


def _format_point(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}" if abs(value) < 100 else f"{value:,.2f}"
