"""A page of a snapshot's features: distribution, missing values and drift of each, for people to look at.

One file without script or outside address: it opens from a folder. Rows are those of ``feature_profile``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

#: PSI from which a shift is worth a look, and from which it is one (Siddiqi, Credit Risk Scorecards, 2006).
LOOK, SHIFT = 0.1, 0.25
_WIDTH, _HEIGHT = 220, 54
_STYLE = """
:root { color-scheme: light dark; --ink: #1b2733; --quiet: #6b7a88; --bar: #2f6fb2; --before: #c9a227; --bad: #b3372f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf2; --quiet: #9aa8b5; --bar: #6aa5e0; } }
body { font: 14px/1.45 system-ui, "Noto Sans CJK SC", sans-serif; color: var(--ink); margin: 2rem auto; max-width: 76rem; }
h2 { margin: 2.2rem 0 .4rem; } p, small { color: var(--quiet); }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(236px, 1fr)); gap: 14px 18px; }
figure { margin: 0; } figcaption { font-size: 12px; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; } .bar { fill: var(--bar); } .before { stroke: var(--before); stroke-width: 2; }
.look { color: var(--before); } .shift { color: var(--bad); font-weight: 600; }
"""


def page(
    date: str, rows: Sequence[Mapping[str, Any]], before: Mapping[str, Sequence[int]], docs: Mapping[str, str]
) -> str:
    """The page.

    Args:
        date: the decision date, as shown.
        rows: the profile of every column, in the order of the snapshot.
        before: feature → counts of its bins in the snapshot before (drawn as ticks).
        docs: feature → one line.
    """
    shifted = sorted((r for r in rows if (r["psi"] or 0) >= LOOK), key=lambda r: (-r["psi"], r["feature"]))
    families: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        families.setdefault(row["family"], []).append(row)
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>",
        f"<title>Features of {escape(date)}</title><style>{_STYLE}</style><body>",
        f"<h1>Features of {escape(date)} 特征分布</h1>",
        f"<p>{len(rows):,} columns of {rows[0]['customers'] if rows else 0:,} customers. Bars: ten bins of equal shares "
        "of the snapshot in which the column was first looked at, then missing values. Ticks: the snapshot before. "
        f"PSI from {LOOK} is worth a look, from {SHIFT} a shift.</p>",
    ]
    if shifted:
        parts.append(f"<h2>Moved 变化 <small>{len(shifted)}</small></h2><main>")
        parts += [_figure(row, before, docs) for row in shifted]
        parts.append("</main>")
    for family, columns in families.items():
        parts.append(f"<h2>{escape(family)} <small>{len(columns)}</small></h2><main>")
        parts += [_figure(row, before, docs) for row in columns]
        parts.append("</main>")
    return "\n".join(parts) + "</body></html>\n"


def _figure(row: Mapping[str, Any], before: Mapping[str, Sequence[int]], docs: Mapping[str, str]) -> str:
    bins = json.loads(row["bins"])
    share = row["missing"] / max(row["customers"], 1)
    psi = row["psi"]
    tone = "" if psi is None or psi < LOOK else "look" if psi < SHIFT else "shift"
    drift = "no snapshot before" if psi is None else f"PSI {psi:.3f}"
    return (
        f"<figure title='{escape(docs.get(row['feature'], ''), quote=True)}'>"
        f"{_histogram(_names(bins), bins['counts'], before.get(row['feature'], ()))}"
        f"<figcaption>{escape(row['feature'])}<br><small>missing {share:.1%} · <span class='{tone}'>{drift}</span>"
        f"{_middle(row)}</small></figcaption></figure>"
    )


def _names(bins: Mapping[str, Any]) -> list[str]:
    if "codes" in bins:
        return [*bins["codes"], "missing"]
    bounds = [f"{bound:,.6g}" for bound in bins["bounds"]]
    return [*(f"up to {bound}" for bound in bounds), "above", "missing"]


def _middle(row: Mapping[str, Any]) -> str:
    return "" if row["mean"] is None else f" · mean {row['mean']:,.4g}"


def _histogram(names: Sequence[str], counts: Sequence[int], before: Sequence[int]) -> str:
    total, earlier = max(sum(counts), 1), max(sum(before), 1)
    shares = [count / total for count in counts]
    ticks = [count / earlier for count in before] if len(before) == len(counts) else []
    top = max([*shares, *ticks, 1e-9])
    step = _WIDTH / max(len(counts), 1)
    parts = []
    for i, share in enumerate(shares):
        height = share / top * (_HEIGHT - 4)
        tip = f"{escape(names[i])}: {share:.1%}"
        parts.append(
            f"<rect class='bar' x='{i * step + 1:.1f}' y='{_HEIGHT - height:.1f}' width='{step - 2:.1f}' "
            f"height='{height:.1f}'><title>{tip}</title></rect>"
        )
        if ticks:
            y = _HEIGHT - ticks[i] / top * (_HEIGHT - 4)
            parts.append(
                f"<line class='before' x1='{i * step + 1:.1f}' x2='{(i + 1) * step - 1:.1f}' y1='{y:.1f}' y2='{y:.1f}'/>"
            )
    return f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='distribution'>{''.join(parts)}</svg>"
