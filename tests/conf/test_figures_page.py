"""The page lists every figure once, and each of the twelve goals with what measures it."""

from __future__ import annotations

from conf.catalogue import load_catalogue
from conf.figure import GOALS
from conf.figures_page import write_page


def test_every_figure_and_goal_is_on_the_page() -> None:
    page = write_page(load_catalogue())
    assert all(page.count(f"- **`{name}`**") == 1 for name in load_catalogue().figures)
    assert len(GOALS) == 12
    assert all(f"| {label_zh} |" in page for _, label_zh in GOALS.values())
    assert "| no table measures it yet |" not in page  # seen in seven of twelve
