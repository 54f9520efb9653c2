"""`cpc solve` and `cpc certify` on files: identical bytes however the rows lie, and every malformed input refused."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from cli.assignment import app
from conf.errors import UserError
from models.assignment import dual_evaluation
from planning.instance.reader import read_instance
from planning.instance.spark_engine import OnSpark

LIMITS: list[dict[str, Any]] = [
    {"name": "calls", "at_most": 300, "counts": 1, "where": {"channel": [0]}},
    {"name": "budget", "at_most": 900_000, "counts": "cost"},
    {"name": "floor", "at_least": 120, "counts": 1, "where": {"product": [2], "segment": [1, 3]}},
]


def arcs(customers: int = 3_000, seed: int = 1) -> pa.Table:
    random = np.random.default_rng(seed)
    customer = np.repeat(np.arange(customers) * 7 + 3, 6)
    product, channel = np.tile(np.arange(6) % 3, customers), np.tile(np.arange(6) // 3, customers)
    kept = random.random(len(customer)) < 0.7
    value = (random.exponential(1.0, len(customer)) * 1e6).astype(np.int64) // 100_000 * 100_000 - 200_000
    table = pa.table(
        {
            "customer": pa.array(customer),
            "product": pa.array(product, pa.int16()),
            "channel": pa.array(channel, pa.int16()),
            "value": pa.array(value),
            "segment": pa.array(np.repeat(random.integers(0, 5, customers), 6), pa.int32()),
            "cost": pa.array(np.where(channel == 0, 2_000, 150)),
        }
    )
    return table.filter(pa.array(kept))


def write(folder: Path, table: pa.Table, pieces: int = 1, limits: Any = LIMITS, **head: Any) -> Path:
    (folder / "arcs").mkdir(parents=True)
    cuts = np.linspace(0, table.num_rows, pieces + 1).astype(int)
    for i, (low, high) in enumerate(itertools.pairwise(cuts)):
        pq.write_table(table.slice(low, high - low), folder / "arcs" / f"{i:03d}.parquet", row_group_size=777)
    (folder / "limits.yml").write_text(yaml.safe_dump({**head, "limits": limits}, sort_keys=False))
    return folder


def shuffled_within(table: pa.Table) -> pa.Table:
    """A customer's arcs in another order."""
    random = np.random.default_rng(5)
    return table.take(np.lexsort((random.random(table.num_rows), table["customer"].to_numpy())))


def solved(instance: Path, out: Path, *options: str) -> dict[str, Any]:
    told = CliRunner().invoke(app, ["solve", str(instance), "--out", str(out), "--json", *options])
    assert told.exit_code == 0, told.output
    said: dict[str, Any] = json.loads((out / "certificate.json").read_text())
    return said


def essence(said: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in said.items() if k != "seconds"}


@pytest.mark.whole
def test_shuffles_shards_and_threads_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = solved(write(tmp_path / "a", arcs()), tmp_path / "out-a")
    assert one["gap"] <= 1e-3
    monkeypatch.setattr(dual_evaluation, "cores", lambda: 3)
    monkeypatch.setattr("planning.instance.arc_store.BLOCK", 400)
    other = solved(write(tmp_path / "b", shuffled_within(arcs()), pieces=7), tmp_path / "out-b")
    assert essence(one) == essence(other)
    plans = [pq.read_table(tmp_path / name / "assignment") for name in ("out-a", "out-b")]
    assert plans[0].equals(plans[1])
    told = CliRunner().invoke(app, ["certify", str(tmp_path / "b"), str(tmp_path / "out-b"), "--json"])
    assert json.loads(told.stdout)["verdict"] == "accepted"


@pytest.mark.spark
def test_spark_gives_the_bytes_of_threads(tmp_path: Path, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPC_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("planning.instance.arc_store.BLOCK", 500)
    instance = write(tmp_path / "a", arcs(), pieces=3)
    here = solved(instance, tmp_path / "local", "--engine", "local")
    there = solved(instance, tmp_path / "spark", "--engine", "spark")
    assert essence(here) == essence(there)


@pytest.mark.spark
def test_spark_makes_the_passes_where_some_arcs_fit_no_limit(
    tmp_path: Path, spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One arc in twenty costs more than there is of the budget: the others' passes are tasks, with the same bytes."""
    monkeypatch.setenv("CPC_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("planning.instance.arc_store.BLOCK", 500)
    table = arcs()
    cost = table["cost"].to_numpy().copy()
    cost[::20] = 1 << 50
    instance = write(tmp_path / "a", table.set_column(table.column_names.index("cost"), "cost", pa.array(cost)))
    made: list[int] = []
    passes = OnSpark.sum
    monkeypatch.setattr(OnSpark, "sum", lambda self, *at: made.append(self.problem.arcs) or passes(self, *at))
    here = solved(instance, tmp_path / "local", "--engine", "local")
    assert made == []
    there = solved(instance, tmp_path / "spark", "--engine", "spark")
    assert essence(here) == essence(there)
    assert made
    assert set(made) == {table.num_rows - len(cost[::20])}


@pytest.mark.whole
def test_a_conflict_is_named_with_its_ray_and_nothing_is_written(tmp_path: Path) -> None:
    floor = {"name": "too_many", "at_least": 2_000, "counts": 1, "where": {"channel": [0]}}
    instance = write(tmp_path / "a", arcs(), limits=[*LIMITS, floor])
    with pytest.raises(UserError, match="calls, too_many; ray"):
        CliRunner().invoke(app, ["solve", str(instance), "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def column(name: str, values: Any, kind: Any = None) -> pa.Table:
    table = arcs(20)
    at = table.column_names.index(name)
    return table.set_column(at, name, pa.array(values, kind or table.schema.field(name).type))


def put(name: str, row: int, value: Any) -> pa.Table:
    values = arcs(20)[name].to_pylist()
    values[row] = value
    return column(name, values)


BAD_ARCS = [
    (lambda: put("value", 7, None), "a null", "row 7, column value"),
    (lambda: column("value", [0.5] * arcs(20).num_rows, pa.float64()), "is double", "column value"),
    (lambda: column("product", [1] * arcs(20).num_rows, pa.int32()), "is int32", "column product"),
    (lambda: column("cost", ["x"] * arcs(20).num_rows, pa.string()), "is string", "column cost"),
    (lambda: put("customer", 9, 0), "out of order", "row 9, column customer"),
    (lambda: pa.concat_tables([arcs(20).slice(0, 1), arcs(20)]), "an arc twice", "column product"),
    (lambda: arcs(20).drop_columns(["cost"]), "no column 'cost'", "column cost"),
    (lambda: put("cost", 4, -(1 << 63)), "without a positive", "row 4, column cost"),
    (lambda: put("value", 3, 1 << 45), "62 bits", ""),
]


@pytest.mark.parametrize(("table", "what", "where"), BAD_ARCS)
def test_malformed_arcs_are_refused(tmp_path: Path, table: Any, what: str, where: str) -> None:
    with pytest.raises(UserError) as told:
        read_instance(write(tmp_path / "a", table()))
    assert what in str(told.value)
    assert where in str(told.value)


BAD_LIMITS: list[tuple[list[dict[str, Any]], str]] = [
    ([{"name": "a", "at_most": 1, "at_least": 1}], "exactly one of"),
    ([{"name": "a"}], "exactly one of"),
    ([{"name": "a", "at_most": 1.5}], "integer"),
    ([{"name": "a", "at_most": float("nan")}], "two ways"),
    ([{"name": "a", "at_most": -1}], "cannot be negative"),
    ([{"name": "a", "at_most": 1 << 63, "counts": "cost"}], "64 bits"),
    ([{"name": "a", "at_most": 1, "wher": {}}], "wher"),
    ([{"name": "a", "at_most": 1, "counts": "nothing"}], "no column 'nothing'"),
    ([{"name": "a", "at_most": 1, "where": {"nowhere": [1]}}], "no column 'nowhere'"),
    ([{"name": "a", "at_most": 1}, {"name": "a", "at_most": 2}], "twice"),
]


@pytest.mark.parametrize(("limits", "told"), BAD_LIMITS)
def test_malformed_limits_are_refused(tmp_path: Path, limits: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_instance(write(tmp_path / "a", arcs(20), limits=limits))


def test_an_empty_segment_is_a_warning(tmp_path: Path) -> None:
    empty = {"name": "nobody", "at_most": 1, "where": {"segment": [99]}}
    assert read_instance(write(tmp_path / "a", arcs(20), limits=[empty])).warnings == ("limit nobody: no arc counts",)
    floor = {"name": "nobody", "at_least": 1, "where": {"segment": [99]}}
    instance = write(tmp_path / "b", arcs(20), limits=[floor])
    with pytest.raises(UserError, match="nobody"):
        CliRunner().invoke(app, ["solve", str(instance), "--out", str(tmp_path / "out")], catch_exceptions=False)


MORE_BAD_LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"limits": [{"name": "a", "at_most": 1, "counts": 2}]}, "counts"),
    ({"limits": [{"name": "a", "at_most": 1, "counts": ["cost"]}]}, "counts"),
    ({"limits": [{"name": "a", "at_most": 1, "where": {"product": 1}}]}, "product"),
    ({"limits": [{"name": "a", "at_most": 1, "where": {"product": [1.5]}}]}, "integer"),
    ({"limits": [{"name": "a", "at_most": True}]}, "integer"),
    ({"limits": [{"at_most": 1}]}, "name"),
    ({"limits": [{"name": "", "at_most": 1}]}, "name"),
    ({"limits": [], "choose": "some"}, "choose"),
    ({"limits": [], "budget": 5}, "budget"),
    ({"limits": {"name": "a", "at_most": 1}}, "limits"),
]


@pytest.mark.parametrize(("document", "told"), MORE_BAD_LIMITS)
def test_malformed_documents_are_refused_with_what_is_wrong(
    tmp_path: Path, document: dict[str, Any], told: str
) -> None:
    instance = write(tmp_path / "a", arcs(20))
    (instance / "limits.yml").write_text(yaml.safe_dump(document))
    with pytest.raises(UserError, match=told) as error:
        read_instance(instance)
    assert "limits.yml" in str(error.value)


def test_files_that_are_not_there_or_no_parquet_are_named(tmp_path: Path) -> None:
    instance = write(tmp_path / "a", arcs(20))
    (instance / "arcs" / "000.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(UserError, match=r"not a Parquet file.*") as error:
        read_instance(instance)
    assert "000.parquet" in str(error.value)
    (instance / "arcs" / "000.parquet").unlink()
    with pytest.raises(UserError, match="has no arcs"):
        read_instance(instance)
    (instance / "limits.yml").unlink()
    with pytest.raises(UserError, match=r"limits\.yml"):
        read_instance(write(tmp_path / "b", arcs(20)) and instance)


def test_order_and_repetition_are_judged_across_files(tmp_path: Path) -> None:
    instance = write(tmp_path / "a", arcs(40), pieces=2)
    first, second = (instance / "arcs" / f"00{i}.parquet" for i in range(2))
    pq.write_table(pq.read_table(second), instance / "arcs" / "00.parquet")  # comes before both
    with pytest.raises(UserError, match="out of order") as error:
        read_instance(instance)
    assert "000.parquet, row 0, column customer" in str(error.value)
    (instance / "arcs" / "00.parquet").unlink()
    table = pq.read_table(first)
    pq.write_table(pa.concat_tables([table.slice(table.num_rows - 1, 1), pq.read_table(second)]), second)
    with pytest.raises(UserError, match="an arc twice"):
        read_instance(instance)


@pytest.mark.parametrize("limits", [[], LIMITS[:2]])
def test_all_values_negative_contacts_nobody(tmp_path: Path, limits: list[dict[str, Any]]) -> None:
    table = arcs(60)
    loss = table.set_column(3, "value", pa.array(-1 - np.arange(table.num_rows)))
    instance = write(tmp_path / "a", loss, limits=limits)
    said = solved(instance, tmp_path / "out")
    assert (said["primal"], said["bound"], said["gap"]) == (0, 0, 0.0)
    assert pq.read_table(tmp_path / "out" / "assignment")["product"].null_count == said["customers"] == 60
    told = CliRunner().invoke(app, ["certify", str(instance), str(tmp_path / "out"), "--json"])
    assert json.loads(told.stdout)["verdict"] == "accepted"


@pytest.mark.whole
def test_exit_is_2_with_file_and_row_and_nothing_is_left(tmp_path: Path) -> None:
    instance, out = write(tmp_path / "a", put("value", 7, None)), tmp_path / "out"
    run = subprocess.run(
        [sys.executable, "-m", "cli", "solve", str(instance), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "000.parquet, row 7, column value" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]


def test_a_plan_that_the_checker_refuses_is_exit_2(tmp_path: Path) -> None:
    instance = write(tmp_path / "a", arcs(60), limits=LIMITS[:2])
    solved(instance, tmp_path / "out")
    path = tmp_path / "out" / "certificate.json"
    path.write_text(path.read_text().replace('"primal": ', '"primal": 1'))
    with pytest.raises(UserError, match="refused: primal is"):
        CliRunner().invoke(app, ["certify", str(instance), str(tmp_path / "out")], catch_exceptions=False)


def test_products_and_channels_below_zero_are_refused_with_their_row(tmp_path: Path) -> None:
    for name in ("product", "channel"):
        table = put(name, 5, -1)
        with pytest.raises(UserError, match=f"a {name} below 0") as caught:
            read_instance(write(tmp_path / name, table))
        assert f"row 5, column {name}" in str(caught.value.where)


def test_an_instance_without_rows_has_a_plan_of_nothing_that_certifies(tmp_path: Path) -> None:
    cap = {"name": "a", "at_most": 3, "counts": 1}
    instance = write(tmp_path / "a", arcs(20).slice(0, 0), limits=[cap])
    for command in (
        ["solve", str(instance), "--out", str(tmp_path / "o")],
        ["certify", str(instance), str(tmp_path / "o")],
    ):
        ended = CliRunner().invoke(app, command, catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
    floor = write(tmp_path / "b", arcs(20).slice(0, 0), limits=[{"name": "a", "at_least": 3, "counts": 1}])
    with pytest.raises(UserError, match="cannot be kept together: a"):
        CliRunner().invoke(app, ["solve", str(floor), "--out", str(tmp_path / "p")], catch_exceptions=False)


def test_uses_whose_sums_leave_62_bits_are_refused_and_large_amounts_are_not(tmp_path: Path) -> None:
    few = arcs(20)
    large = few.set_column(5, "cost", pa.array([3 * 10**18] * few.num_rows))
    limits = [{"name": "a", "at_most": 9 * 10**18, "counts": "cost"}]
    instance = write(tmp_path / "a", large, limits=limits)
    with pytest.raises(UserError, match="sums of uses of limit a") as caught:
        CliRunner().invoke(app, ["solve", str(instance), "--out", str(tmp_path / "o")], catch_exceptions=False)
    assert str(instance) in str(caught.value.where)
    for number, side in enumerate(({"at_most": (1 << 63) - 1}, {"at_least": 1 - (1 << 63)})):
        loose = write(tmp_path / f"l{number}", few, limits=[{"name": "a", "counts": "cost", **side}])
        out = str(tmp_path / f"lo{number}")
        for command in (["solve", str(loose), "--out", out], ["certify", str(loose), out]):
            ended = CliRunner().invoke(app, command, catch_exceptions=False)
            assert ended.exit_code == 0, ended.output


def test_an_unknown_column_is_told_with_those_there_are(tmp_path: Path) -> None:
    for limit in ({"counts": "costs"}, {"counts": 1, "where": {"costs": [1]}}):
        instance = write(tmp_path / str(limit["counts"]), arcs(20), limits=[{"name": "a", "at_most": 3, **limit}])
        with pytest.raises(UserError, match="no column 'costs'") as caught:
            read_instance(instance)
        assert "cost" in str(caught.value.remedy)


@pytest.mark.whole
def test_seconds_hold_reading_included(tmp_path: Path) -> None:
    """Equations that take HiGHS for ever: what is found by then, or not known."""
    random = np.random.default_rng(1)
    few = arcs(60)
    hard = few.set_column(5, "cost", pa.array(random.integers(1, 1 << 40, few.num_rows)))
    amount = int(hard["cost"].to_numpy().sum()) // 6
    limits = [{"name": side, side: amount, "counts": "cost"} for side in ("at_most", "at_least")]
    instance = write(tmp_path / "a", hard, limits=limits)
    read_instance(instance)
    before = time.process_time()
    ended = CliRunner().invoke(app, ["solve", str(instance), "--out", str(tmp_path / "o"), "--seconds", "2"])
    assert ended.exit_code == 1, ended.output
    assert "not known" in ended.output
    assert time.process_time() - before < 4.0


def with_parts(table: pa.Table, slots: int = 3, variants: int = 0) -> pa.Table:
    """Every arc in some slots and variants, each with a value of its own."""
    times = slots * max(1, variants)
    many = table.take(np.repeat(np.arange(table.num_rows), times))
    number = np.tile(np.arange(times), table.num_rows)
    value = many["value"].to_numpy() + (number + np.arange(len(number)) // times) % 5 * 50_000
    many = many.set_column(many.column_names.index("value"), "value", pa.array(value))
    many = many.append_column("slot", pa.array(number % slots, pa.int16()))
    return many.append_column("variant", pa.array(number // slots, pa.int16())) if variants else many


SLOT_LIMITS = [*LIMITS, {"name": "late", "at_most": 200, "counts": 1, "where": {"channel": [0], "slot": [2]}}]


def accepted(instance: Path, out: Path) -> None:
    told = CliRunner().invoke(app, ["certify", str(instance), str(out), "--json"])
    assert told.exit_code == 0, told.output


@pytest.mark.parametrize("variants", [0, 2])
def test_slots_and_variants_are_a_part_of_the_key(tmp_path: Path, variants: int) -> None:
    table = with_parts(arcs(800), variants=variants)
    one = solved(write(tmp_path / "a", table, limits=SLOT_LIMITS), tmp_path / "out-a")
    other = solved(write(tmp_path / "b", shuffled_within(table), pieces=5, limits=SLOT_LIMITS), tmp_path / "out-b")
    assert essence(one) == essence(other)
    accepted(tmp_path / "b", tmp_path / "out-b")
    plan = pq.read_table(tmp_path / "out-a" / "assignment")
    key = ["product", "channel", "slot", *(["variant"] if variants else [])]
    assert plan.column_names == ["customer", *key, "value"]
    chosen = plan.filter(pa.compute.is_valid(plan["product"]))
    known = {tuple(row.values()) for row in table.select(plan.column_names).to_pylist()}
    assert all(tuple(row.values()) in known for row in chosen.to_pylist())
    assert len(set(chosen["slot"].to_pylist())) == 3
    late = sum(r["channel"] == 0 and r["slot"] == 2 for r in chosen.to_pylist())
    assert late == next(row["used"] for row in one["limits"] if row["name"] == "late") <= 200


def test_slots_are_worth_what_as_many_products_are(tmp_path: Path) -> None:
    """The optimum knows no names: slots told as products of their own give the same bound and prices."""
    table = with_parts(arcs(800))
    limits = [{**row, "where": {k: v for k, v in row.get("where", {}).items() if k != "product"}} for row in LIMITS]
    slotted = solved(write(tmp_path / "a", table, limits=limits), tmp_path / "out-a")
    wide = pa.array(table["product"].to_numpy() * 3 + table["slot"].to_numpy(), pa.int16())
    plain = table.drop_columns("slot").set_column(1, "product", wide)
    as_products = solved(write(tmp_path / "b", plain, limits=limits), tmp_path / "out-b")
    assert max(slotted["gap"], as_products["gap"]) <= 1e-3
    assert abs(slotted["bound"] - as_products["bound"]) <= 1e-3 * slotted["bound"]
    assert slotted["bound"] >= as_products["primal"]
    assert as_products["bound"] >= slotted["primal"]


def test_without_slots_a_plan_has_the_bytes_of_before(tmp_path: Path) -> None:
    table = arcs(500, seed=3)
    limits = [{"name": "calls", "at_most": 60, "counts": 1, "where": {"channel": [0]}}]
    said = solved(write(tmp_path / "a", table, limits=limits), tmp_path / "out")
    assert said["assignment_sha256"] == "2891cea7e493e26278637f14669072a820d162354666e3901afb2881792b0c9a"
    assert pq.read_schema(tmp_path / "out" / "assignment" / "part-00000.parquet").names == [
        "customer",
        "product",
        "channel",
        "value",
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda t: pa.concat_tables([t.slice(0, 1), t]), "slot 0"),
        (lambda t: t.set_column(6, "slot", t["slot"].cast(pa.int32())), "not int16"),
        (lambda t: t.set_column(6, "slot", pa.array([-1] * t.num_rows, pa.int16())), "a slot below 0"),
        (lambda t: t.set_column(6, "slot", pa.nulls(t.num_rows, pa.int16())), "a null"),
    ],
)
def test_slots_that_cannot_be_are_refused(tmp_path: Path, change: Any, word: str) -> None:
    with pytest.raises(UserError, match=word):
        read_instance(write(tmp_path / "in", change(with_parts(arcs(50)))))


def test_a_slot_in_some_files_alone_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", with_parts(arcs(50)), pieces=2)
    path = folder / "arcs" / "001.parquet"
    pq.write_table(pq.read_table(path).drop_columns("slot"), path)
    with pytest.raises(UserError, match="in some files and not in others"):
        read_instance(folder)
