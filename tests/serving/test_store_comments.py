"""The store says of itself what its columns and figures mean."""

from __future__ import annotations

from collections.abc import Callable

from runtime.night import Night
from serving.store import connect, load
from serving.store_comments import comment

COMMENT = """
select col_description(c.oid, a.attnum), obj_description(c.oid) from pg_class c
join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
where n.nspname = 'cpc' and c.relname = 'kpi' and a.attname = 'value'
"""


def test_a_reader_of_the_store_sees_what_a_figure_means(planned: Callable[..., Night]) -> None:
    night = planned()
    table = night.lake.table("kpi")
    with connect(night.settings) as store:
        load(store, table, night.date, [])
        comment(store, [table], night.catalogue.figures)
        column, whole = store.execute(COMMENT).fetchone() or ("", "")
    assert "roi [yuan_per_yuan] margin for each 元 of cost 投入产出比: incremental margin over contact cost" in column
    assert whole == f"a row is {table.row}"
