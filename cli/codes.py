"""``cpc list``: the codes that other commands take: products, channels, limits, rules, segments, figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from cli.output import EnvOption, JsonOption, SetOption, print_json, print_table
from conf.catalogue import Catalogue
from conf.errors import UserError, suggest
from conf.settings import load_settings

app = typer.Typer()
Rows = list[dict[str, Any]]


def list_products(catalogue: Catalogue) -> Rows:
    """Products with group, price and dates of sale; prices and margins in 元."""
    return [
        {
            "code": product.code,
            "label": product.label,
            "label_zh": product.label_zh,
            "group": product.group,
            "price": float(product.price),
            "margin": float(product.margin),
            "from": product.launch_date,
            "until": product.end_date,
        }
        for product in catalogue.products
    ]


def list_channels(catalogue: Catalogue) -> Rows:
    """Channels with their direction and what an attempt costs, in 元 and seconds."""
    return [
        {
            "code": channel.code,
            "label": channel.label,
            "label_zh": channel.label_zh,
            "direction": channel.direction,
            "cost": float(channel.cost),
            "seconds": channel.seconds,
        }
        for channel in catalogue.channels
    ]


def list_limits(catalogue: Catalogue) -> Rows:
    """Limits with their side and what they count; amounts of a night are told by `cpc prices`."""
    return [
        {
            "code": limit.name,
            "label": limit.label,
            "label_zh": limit.label_zh,
            "side": limit.side,
            "counts": f"share of {limit.share.percent} %" if limit.share else limit.counts,
            "reported_only": limit.reported_only,
        }
        for limit in catalogue.limits
    ]


def list_rules(catalogue: Catalogue) -> Rows:
    """Rules with their reasons."""
    return [
        {"code": rule.name, "label": rule.reason, "label_zh": rule.reason_zh, "direction": rule.direction}
        for rule in catalogue.rules
    ]


def list_segments(catalogue: Catalogue) -> Rows:
    """Segments with who is a member."""
    return [{"code": name, "who": segment.who} for name, segment in sorted(catalogue.segments.items())]


def list_figures(catalogue: Catalogue) -> Rows:
    """Figures with unit and goal."""
    return [
        {"code": name, "label": known.label, "label_zh": known.label_zh, "unit": known.unit, "goal": known.goal}
        for name, known in sorted(catalogue.figures.items())
    ]


KINDS: dict[str, Callable[[Catalogue], Rows]] = {
    "products": list_products,
    "channels": list_channels,
    "limits": list_limits,
    "rules": list_rules,
    "segments": list_segments,
    "figures": list_figures,
}


@app.command("list")
def list_codes(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(KINDS)}.")],
    env: EnvOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """The codes that other commands take, with what they are called. Example: cpc list products."""
    if kind not in KINDS:
        raise UserError(f"no list of {kind!r}", where="KIND", remedy=suggest(kind, KINDS))
    rows = KINDS[kind](load_settings(env, tuple(set_ or ())).catalogue)
    if as_json:
        print_json({kind: rows})
        return
    columns = list(rows[0]) if rows else ["code"]
    print_table(kind, columns, [[row[name] for name in columns] for row in rows])
