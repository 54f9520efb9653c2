"""The pictures of the data model are current, and draw the catalogue."""

import re

from conf.catalogue import ROOT, load_catalogue
from conf.data_model import REFERENCES, draw, write_page
from conf.table import Column, Table

CATALOGUE = load_catalogue()


def table(name: str, *columns: str, key: tuple[str, ...] = ()) -> Table:
    return Table(
        name=name,
        row="",
        writer="conform",
        kind="entity",
        key=key,
        columns=tuple(Column(name=column, type="bigint", doc="") for column in columns),
    )


def test_every_table_is_on_a_picture_and_in_the_list():
    text = write_page(CATALOGUE)
    declared = {path.stem for path in (ROOT / "tables").glob("*.yml")}
    assert set(re.findall(r'^    (\w+)\["', text, re.M)) == declared
    assert re.findall(r"^\| `(\w+)` \|", text, re.M) == sorted(declared)


def test_a_reference_is_drawn_once_and_only_to_a_table_of_the_picture():
    tables = [table("customer", "customer_id", key=("customer_id",)), table("visit", "customer_id", "delivery_id")]
    drawn = list(draw(tables))
    assert [line for line in drawn if "||--" in line] == ['    customer ||--o{ visit : "customer_id"']
    assert "        bigint customer_id PK" in drawn
    assert "        bigint delivery_id FK" in drawn


def test_what_is_named_exists():
    assert set(REFERENCES.values()) <= set(CATALOGUE.tables)
