"""The night report: one self-contained HTML page, in English and Chinese, that a marketer opens at breakfast.

``facts`` gathers, ``view`` turns facts into what the page shows, ``charts`` draws, ``page.html.j2`` lays out.
The page is the same for the same night; only what stands under *operational* depends on the clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from conf.figure import Figure
from reporting.figure_text import say
from reporting.kpi import find_declared
from reporting.night_report.facts import ReportFacts, gather
from reporting.night_report.view import view
from runtime.atomic_files import write_atomic
from runtime.night import Night

FOLDER = Path(__file__).resolve().parent


def write(night: Night, run_id: str, path: Path) -> str:
    """Write the report of tonight's run; returns the SHA-256 of all but what the clock decides."""
    facts = gather(night, run_id)
    page = render(facts, night)
    write_atomic(path, page)
    return hashlib.sha256(render(facts, night, operational=False).encode()).hexdigest()


def render(facts: ReportFacts, night: Night, *, operational: bool = True) -> str:
    """The page as text.

    Args:
        facts: what to show.
        night: for the names of products and channels.
        operational: whether to show how long the jobs took.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.j2")
    return page.render(
        say=say,
        mark=marker(night.catalogue.figures),
        label=lambda name: " ".join((night.catalogue.figures[name].label, night.catalogue.figures[name].label_zh)),
        **view(facts, night.catalogue, night.settings.demo, operational=operational),
    )


def marker(figures: Mapping[str, Figure]) -> Callable[[str], Markup]:
    """What marks an element as showing a figure: its name, and its formula as a tip.

    What is not declared cannot be shown: naming it is a UserError.
    """

    def mark(name: str) -> Markup:
        declared = find_declared(name, figures)
        return Markup('data-figure="{}" title="{} {}"').format(name, declared.formula, declared.formula_zh)

    return mark
