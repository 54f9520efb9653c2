"""Inline SVG charts of the night report: numbers in, markup out; no script, no outside file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from markupsafe import Markup

INK, QUIET, RULE = "var(--ink)", "var(--quiet)", "var(--rule)"
#: On a phone a chart is no narrower than this, nor than this part of itself: it is scrolled, and its text stays legible.
LEGIBLE, LEGIBLE_PART = 560, 0.85
BLUE, DEEP, AMBER, RED, GREEN = "var(--blue)", "var(--deep)", "var(--amber)", "var(--red)", "var(--green)"


def short(value: float) -> str:
    """A number as a label: 1,234 · 12.3 k · 4.5 M."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:,.1f} M"
    if size >= 1e4:
        return f"{value / 1e3:,.1f} k"
    return f"{value:,.0f}" if float(value).is_integer() or size >= 100 else f"{value:,.2f}"


def _svg(width: float, height: float, parts: Sequence[str], label: str) -> Markup:
    body = "".join(parts)
    return Markup(  # noqa: S704  (all text inside went through escape)
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}" '
        f'style="max-width:{width:g}px;--w:{max(min(width, LEGIBLE), LEGIBLE_PART * width):g}px">{body}</svg>'
    )


def measure(names: Sequence[str], least: float) -> float:
    """Room for names right-aligned at the left of a chart, in pixels: none is cut."""
    return max([least, *(sum(12.5 if ord(c) > 0x2E7F else 6.8 for c in name) + 16 for name in names)])


def _text(x: float, y: float, text: str, *, anchor: str = "start", fill: str = INK, size: float = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size:g}">{escape(text)}</text>'
    )


def _rect(x: float, y: float, width: float, height: float, fill: str, tip: str = "", round_: float = 2) -> str:
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" rx="{round_:g}" '
        f'fill="{fill}">{title}</rect>'
    )


def bars(
    rows: Sequence[tuple[str, float, str]],
    *,
    label: str,
    before: Sequence[float | None] = (),
    width: int = 520,
    left: int = 190,
) -> Markup:
    """Horizontal bars, one a row; ``before`` draws last night's value as a tick.

    Args:
        rows: name, value (≥ 0), tip.
        label: what the chart shows, for readers of screens.
        before: last night's values, None where there were none.
        width: of the whole chart.
        left: room for the names.
    """
    room = measure([name for name, _, _ in rows], left)
    width, left = int(width + room - left), int(room)
    right, step, thick = 64, 26, 15
    top = max([value for _, value, _ in rows] + [value for value in before if value] + [1e-12])
    scale = (width - left - right) / top
    parts = []
    for i, (name, value, tip) in enumerate(rows):
        y = i * step + 4
        parts.append(_text(left - 10, y + 12, name, anchor="end"))
        parts.append(_rect(left, y, value * scale, thick, BLUE, tip or f"{name}: {value:,.0f}"))
        parts.append(_text(left + max(value, 0) * scale + 6, y + 12, short(value), fill=QUIET))
        if i < len(before) and before[i] is not None:
            x = left + (before[i] or 0) * scale
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 2}" y2="{y + thick + 2}" stroke="{AMBER}" stroke-width="2"/>'
            )
    return _svg(width, len(rows) * step + 6, parts, label)


def funnel(steps: Sequence[tuple[str, int, int]], *, label: str, width: int = 1080, left: int = 430) -> Markup:
    """What each rule left (solid) and removed (pale), on the scale of the first step.

    Args:
        steps: name, arcs before, arcs removed.
        label: what the chart shows.
        width: of the whole chart.
        left: room for the names.
    """
    room = measure([name for name, _, _ in steps], left)
    width, left = int(width + room - left), int(room)
    right, step, thick = 150, 26, 16
    top = max([before for _, before, _ in steps] + [1])
    scale = (width - left - right) / top
    parts = []
    for i, (name, before, removed) in enumerate(steps):
        y = i * step + 4
        after = before - removed
        parts.append(_text(left - 10, y + 12, name, anchor="end"))
        parts.append(_rect(left, y, after * scale, thick, DEEP, f"{name}: {after:,} left", 1))
        parts.append(_rect(left + after * scale, y, removed * scale, thick, "var(--pale)", f"{removed:,} removed", 1))
        note = f"{short(after)}  (−{short(removed)})" if removed else short(after)
        parts.append(_text(left + before * scale + 8, y + 13, note, fill=QUIET))
    return _svg(width, len(steps) * step + 6, parts, label)


def line(values: Sequence[float], *, label: str, width: int = 180, height: int = 34) -> Markup:
    """A figure over nights, the last one dotted; the scale is from its least to its greatest value."""
    pad, low = 5, min(values)
    span = (max(values) - low) or 1.0
    step = (width - 2 * pad) / max(len(values) - 1, 1)
    points = [
        (pad + i * step if len(values) > 1 else width / 2, height - pad - (value - low) / span * (height - 2 * pad))
        for i, value in enumerate(values)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    parts = [
        f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="1.6"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{DEEP}"/>',
    ]
    return _svg(width, height, parts, label)


def cells(states: Sequence[tuple[str, str, str]], *, label: str, columns: int = 51, size: int = 20) -> Markup:
    """A cell an item: key of the colour (a CSS variable), tip, name."""
    parts = [
        _rect((i % columns) * size, (i // columns) * size, size - 3, size - 3, f"var(--{colour})", f"{name}: {tip}", 3)
        for i, (colour, tip, name) in enumerate(states)
    ]
    rows = -(-len(states) // columns)
    return _svg(columns * size, max(rows, 1) * size, parts, label)


def heat(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]], *, label: str) -> Markup:
    """A matrix of counts: darker is more (by square root, so that small counts are seen)."""
    left, top, wide, high = int(measure(rows, 200)), 30, 84, 24
    peak = max([value for row in values for value in row] + [1.0])
    parts = [_text(left + (j + 0.5) * wide, 18, name, anchor="middle", fill=QUIET) for j, name in enumerate(columns)]
    for i, name in enumerate(rows):
        y = top + i * high
        parts.append(_text(left - 10, y + 16, name, anchor="end"))
        for j, _ in enumerate(columns):
            value = values[i][j]
            share = (value / peak) ** 0.5
            x = left + j * wide
            tip = f"{name} × {columns[j]}: {value:,.0f}"
            parts.append(
                f'<rect x="{x + 1}" y="{y + 1}" width="{wide - 2}" height="{high - 2}" rx="3" fill="{BLUE}" '
                f'fill-opacity="{0.06 + 0.8 * share:.3f}"><title>{escape(tip)}</title></rect>'
            )
            if value:
                fill = "#fff" if share > 0.55 else INK
                parts.append(_text(x + wide / 2, y + 16, short(value), anchor="middle", fill=fill, size=11))
    return _svg(left + len(columns) * wide, top + len(rows) * high + 4, parts, label)


def meter(used: float, amount: float, *, floor: bool) -> Markup:
    """How far a limit is used: full is amber for a ceiling; a floor that is not met is red."""
    share = min(used / amount, 1.0) if amount > 0 else float(used > 0)
    colour = (GREEN if used >= amount else RED) if floor else AMBER if share >= 0.995 else BLUE
    return _svg(
        120, 12, [_rect(0, 2, 120, 8, RULE, round_=4), _rect(0, 2, 120 * share, 8, colour, round_=4)], f"{share:.0%}"
    )


def calibration(points: Sequence[tuple[float, float, float]], *, label: str, size: int = 300) -> Markup:
    """Predicted against observed rate, a dot a bin, its area by the rows in it; on the diagonal is right.

    Args:
        points: predicted rate, observed rate, rows.
        label: what the chart shows.
        size: of the square.
    """
    pad = 44
    top = max([max(predicted, observed) for predicted, observed, _ in points] + [1e-9]) * 1.08
    peak = max([rows for _, _, rows in points] + [1.0])
    scale = (size - pad - 10) / top

    def at(predicted: float, observed: float) -> tuple[float, float]:
        return pad + predicted * scale, size - pad - observed * scale

    far = at(top, top)
    parts = [
        f'<line x1="{pad}" y1="{size - pad}" x2="{far[0]:.1f}" y2="{far[1]:.1f}" stroke="{RULE}" '
        'stroke-dasharray="4 4"/>',
        f'<line x1="{pad}" y1="{size - pad}" x2="{size - 8}" y2="{size - pad}" stroke="{QUIET}"/>',
        f'<line x1="{pad}" y1="{size - pad}" x2="{pad}" y2="8" stroke="{QUIET}"/>',
        _text(size / 2, size - 8, "predicted 预测", anchor="middle", fill=QUIET),
        _text(4, 16, "observed 实际", fill=QUIET),
        _text(size - 8, size - pad + 15, f"{top:.2%}", anchor="end", fill=QUIET, size=10),
    ]
    for predicted, observed, rows in points:
        x, y = at(predicted, observed)
        tip = f"predicted {predicted:.3%}, observed {observed:.3%}, {rows:,.0f} rows"
        radius = 3 + 5 * (rows / peak) ** 0.5
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{BLUE}" fill-opacity="0.75">'
            f"<title>{escape(tip)}</title></circle>"
        )
    return _svg(size, size, parts, label)
