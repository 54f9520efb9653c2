"""The checker of what is published, on an instance made by hand: a test a refusal."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from certify.limits import InstanceRefused
from certify.published import check_published

#: customer, product, channel, value, cost: of those who are solved, and of explorers and controls
SOLVED = [(1, 1, 0, 500, 3), (2, 2, 1, 400, 2), (4, 1, 0, 90, 1)]
OTHERS = [(3, 2, 0, -50, 2), (5, 1, 1, 700, 5), (6, 2, 1, 10, 1)]
CONTACTS = [(1, 1, 0, 500, "exploit"), (2, 2, 1, 400, "exploit"), (3, 2, 0, -50, "explore")]
LIMITS = [
    {"name": "budget", "at_most": 8, "counts": "cost"},
    {"name": "floor_2", "at_least": 1, "where": {"product": [2]}},
    {"name": "messages", "at_most": 2, "where": {"channel": [0]}},
]
#: What customer 3 leaves: 2 of the budget, the floor met, one message.
LEFT = [6, 0, 1]


def table(rows: list[tuple[int, ...]]) -> pa.Table:
    names = ["customer", "product", "channel", "value", "cost"]
    kinds = [pa.int64(), pa.int16(), pa.int16(), pa.int64(), pa.int64()]
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)], names=names
    )


def contacts(rows: list[tuple[Any, ...]]) -> pa.Table:
    kinds = [pa.int64(), pa.int16(), pa.int16(), pa.int64(), pa.string()]
    names = ["customer", "product", "channel", "value", "role"]
    return pa.table([pa.array(c, k) for c, k in zip(zip(*rows, strict=True), kinds, strict=True)], names=names)


def said(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    digest = hashlib.sha256(b"".join(struct.pack("<qhhq", *row[:4]) for row in rows))
    return {
        "contacts": {"exploit": 2, "explore": 1, "usual": 0},
        "value": {"exploit": 900, "explore": -50, "usual": 0},
        "bound": 950,
        "limits": [
            {"name": "budget", "amount": 8, "used": {"exploit": 5, "explore": 2, "usual": 0}},
            {"name": "floor_2", "amount": 1, "used": {"exploit": 1, "explore": 1, "usual": 0}},
            {"name": "messages", "amount": 2, "used": {"exploit": 1, "explore": 1, "usual": 0}},
        ],
        "sha256": digest.hexdigest(),
    }


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "instance" / "arcs").mkdir(parents=True)
    (tmp_path / "plan" / "assignment").mkdir(parents=True)
    pq.write_table(table(SOLVED), tmp_path / "instance" / "arcs" / "part-00000.parquet")
    pq.write_table(table(OTHERS), tmp_path / "others.parquet")
    plan = contacts([row for row in CONTACTS if row[4] == "exploit"]).drop_columns(["role"])
    pq.write_table(plan, tmp_path / "plan" / "assignment" / "part-00000.parquet")
    (tmp_path / "whole.yml").write_text(yaml.safe_dump({"limits": LIMITS}))
    left = [{**row, next(k for k in row if k.startswith("at_")): b} for row, b in zip(LIMITS, LEFT, strict=True)]
    (tmp_path / "instance" / "limits.yml").write_text(yaml.safe_dump({"limits": left}))
    (tmp_path / "published.json").write_text(json.dumps(said(CONTACTS)))
    return tmp_path


def test_what_is_so_is_accepted(run: Path) -> None:
    assert check_published(run, contacts(CONTACTS), 1000) == said(CONTACTS)


def change(path: str, what: Callable[[Any], Any]) -> Callable[[Path], None]:
    def do(run: Path) -> None:
        file = run / path
        load, dump = (json.loads, json.dumps) if path.endswith("json") else (yaml.safe_load, yaml.safe_dump)
        file.write_text(dump(what(load(file.read_text()))))

    return do


def set_left(position: int, amount: int) -> Callable[[Any], Any]:
    def what(document: Any) -> Any:
        row = document["limits"][position]
        row[next(k for k in row if k.startswith("at_"))] = amount
        return document

    return what


@pytest.mark.parametrize(
    ("alter", "rows", "told"),
    [
        (None, [*CONTACTS, (5, 1, 1, 700, "explore")], "limit budget is broken by what is published: 12"),
        (None, [*CONTACTS, (6, 2, 1, 10, "control")], "label control"),
        (None, [*CONTACTS, (6, 1, 1, 10, "explore")], "customer 6 has no such arc"),
        (None, [*CONTACTS[:2], (3, 2, 0, -49, "explore")], "not the arc's"),
        (None, [*CONTACTS[:2], (3, 2, 0, -50, "exploit")], "not the one that the solve saw"),
        (None, [CONTACTS[0], CONTACTS[0], *CONTACTS[1:]], "contacted twice"),
        (None, CONTACTS[:1] + CONTACTS[2:], "exploiters' customer differs"),
        (None, [*CONTACTS, (6, 2, 1, 10, "explore")], "limit budget: 5 is left, not 6"),
        (None, [*CONTACTS[:2], (3, 2, 0, None, "explore")], "without value"),
        (change("instance/limits.yml", set_left(0, 7)), CONTACTS, "limit budget: 6 is left, not 7"),
        (change("instance/limits.yml", lambda d: {"limits": d["limits"][:2]}), CONTACTS, "other limits"),
        (change("whole.yml", set_left(2, 1)), CONTACTS, "limit messages is broken"),
        (change("whole.yml", set_left(1, 3)), CONTACTS, "limit floor_2 is broken"),
        (change("published.json", lambda d: d | {"bound": 951}), CONTACTS, "bound is 950, not 951"),
        (change("published.json", lambda d: d | {"more": 1}), CONTACTS, "unknown keys"),
        (change("published.json", lambda d: d | {"sha256": "0" * 64}), CONTACTS, "sha256 is"),
    ],
)
def test_anything_else_is_refused(run: Path, alter: Callable[[Path], None] | None, rows: list[Any], told: str) -> None:
    if alter:
        alter(run)
    with pytest.raises(InstanceRefused, match=told):
        check_published(run, contacts(rows), 1000)


def count_beside(run: Path, used: int) -> dict[str, Any]:
    """A limit that is reported only, broken by what is published."""
    limit = {"name": "few_messages", "at_most": 1, "where": {"channel": [0]}}
    (run / "reported.yml").write_text(yaml.safe_dump({"limits": [limit]}))
    row = {"name": "few_messages", "amount": 1, "used": {"exploit": used, "explore": 1, "usual": 0}}
    claims = said(CONTACTS) | {"reported": [row]}
    (run / "published.json").write_text(json.dumps(claims))
    return claims


def test_a_limit_that_is_reported_only_is_counted_and_may_be_broken(run: Path) -> None:
    assert check_published(run, contacts(CONTACTS), 1000) == said(CONTACTS)
    claims = count_beside(run, 1)
    assert check_published(run, contacts(CONTACTS), 1000) == claims
    count_beside(run, 2)
    with pytest.raises(InstanceRefused, match="reported is"):
        check_published(run, contacts(CONTACTS), 1000)
    count_beside(run, 1)
    (run / "reported.yml").unlink()
    with pytest.raises(InstanceRefused, match="unknown keys"):
        check_published(run, contacts(CONTACTS), 1000)


def test_a_column_that_a_limit_counts_must_be_there(run: Path) -> None:
    pq.write_table(table(OTHERS).drop_columns(["cost"]), run / "others.parquet")
    with pytest.raises(InstanceRefused, match="no column 'cost'"):
        check_published(run, contacts(CONTACTS), 1000)


def test_a_night_without_contacts_is_checked_too(run: Path) -> None:
    with pytest.raises(InstanceRefused, match="limit floor_2 is broken"):
        check_published(run, contacts(CONTACTS).slice(0, 0), 1000)


def give_slots(run: Path, logged: bool = True) -> pa.Table:
    """The run with slots: every arc in slot 1, customer 1's arc in slot 0 too; returns the contacts."""
    for path in (run / "instance" / "arcs" / "part-00000.parquet", run / "others.parquet"):
        rows = pq.read_table(path)
        rows = rows.append_column("slot", pa.array([1] * rows.num_rows, pa.int16()))
        again = rows.filter(pa.compute.equal(rows["customer"], 1))
        again = again.set_column(5, "slot", pa.array([0] * again.num_rows, pa.int16()))
        pq.write_table(pa.concat_tables([again, rows]), path)
    path = run / "plan" / "assignment" / "part-00000.parquet"
    rows = pq.read_table(path)
    pq.write_table(rows.append_column("slot", pa.array([1] * rows.num_rows, pa.int16())), path)
    records = b"".join(struct.pack("<qhhhq", *row[:3], 1, row[3]) for row in CONTACTS)
    document = said(CONTACTS) | ({"sha256": hashlib.sha256(records).hexdigest()} if logged else {})
    (run / "published.json").write_text(json.dumps(document))
    return contacts(CONTACTS).append_column("slot", pa.array([1] * len(CONTACTS), pa.int16()))


def test_slots_are_a_part_of_what_is_published(run: Path) -> None:
    assert check_published(run, give_slots(run), 1000)["value"] == said(CONTACTS)["value"]


def test_a_published_slot_that_was_not_planned_is_refused(run: Path) -> None:
    rows = give_slots(run)
    with pytest.raises(InstanceRefused, match="exploiters' slot differs"):
        check_published(run, rows.set_column(5, "slot", pa.array([0, 1, 1], pa.int16())), 1000)
    with pytest.raises(InstanceRefused, match="no such arc"):
        check_published(run, rows.set_column(5, "slot", pa.array([1, 1, 0], pa.int16())), 1000)
    with pytest.raises(InstanceRefused, match="without slot"):
        check_published(run, rows.drop_columns("slot"), 1000)


def test_a_hash_without_the_published_slots_is_refused(run: Path) -> None:
    with pytest.raises(InstanceRefused, match="sha256"):
        check_published(run, give_slots(run, logged=False), 1000)


def test_a_slot_that_the_arcs_do_not_have_is_refused(run: Path) -> None:
    nothing = contacts(CONTACTS).append_column("slot", pa.nulls(3, pa.int16()))
    assert check_published(run, nothing, 1000) == said(CONTACTS)
    with pytest.raises(InstanceRefused, match="the run's arcs have none"):
        check_published(run, nothing.set_column(5, "slot", pa.array([1, 1, 1], pa.int16())), 1000)
