"""A figure is declared once; all that shows it takes label, unit and formula from there."""

from __future__ import annotations

import shutil
from pathlib import Path

from conf.catalogue import ROOT, Catalogue
from conf.figure import GOALS
from reporting.kpi import describe, figure, ratios
from serving.store_comments import describe_column


def test_every_figure_names_a_table_and_column_that_are() -> None:
    catalogue = Catalogue(ROOT)
    assert len(catalogue.figures) > 50
    assert {declared.goal for declared in catalogue.figures.values()} - {""} <= set(GOALS)


def test_changing_the_file_changes_what_is_shown_and_what_is_computed(tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "conf")
    path = tmp_path / "conf" / "figures" / "orders_per_contact.yml"
    text = path.read_text(encoding="utf-8")
    changed = text.replace("单次接触订单", "每次触达订单").replace("unit: share", "unit: per_10000")
    path.write_text(changed.replace("over: [converted, attempted]", "over: [kept, attempted]"), encoding="utf-8")
    figures = Catalogue(tmp_path / "conf").figures
    row = describe([figure("orders_per_contact", "all", 1.0, 2.0)], figures)[0]
    assert (row["label_zh"], row["unit"]) == ("每次触达订单", "per_10000")
    sums = dict.fromkeys(("attempted", "reached", "converted", "cost_micro"), 4) | {"kept": 1}
    assert {r["kpi"]: r["value"] for r in ratios({"all": sums}, figures)}["orders_per_contact"] == 2_500
    table = Catalogue(ROOT).written_tables["kpi"]
    value = next(column for column in table.columns if column.name == "value")
    assert any("每次触达订单" in line and "[per_10000]" in line for line in describe_column(table, value, figures))
