"""No room of the pipeline names the truth, and the registers tell what it knows."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from synth.frame import Frame
from synth.history import live
from synth.plan import day_of
from synth.registers import profile
from synth.truth import read_margins, write_truth
from synth.twin import Window, orders_of_both
from synth.world import holds_true
from tests.synth.conftest import Small

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "jobs",
    "planning",
    "reporting",
    "serving",
    "runtime",
    "features",
    "models",
    "certify",
    "expectations",
    "dialects",
    "dags",
    "console",
    "conf",
)


def named_truths(source: str) -> list[str]:
    """String constants (docstrings apart) that look like a path of the truth, and imports of its writer."""
    tree = ast.parse(source)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            if "truth" in Path(node.value.strip()).parts or "truth/" in node.value:
                found.append(node.value)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("synth.truth"):
            found.append(str(node.module))
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_no_job_opens_the_truth(room: str) -> None:
    named = {
        str(path.relative_to(ROOT)): names
        for path in sorted((ROOT / room).rglob("*.py"))
        if (names := named_truths(path.read_text(encoding="utf-8")))
    }
    assert named == {}


def test_the_scan_sees_a_job_that_does() -> None:
    assert named_truths('"""truth/ in words"""\npath = out / "truth" / "x"') == ["truth"]
    assert named_truths('open("var/landing/truth/response.parquet")') == ["var/landing/truth/response.parquet"]
    assert named_truths("from synth.truth import write_truth") == ["synth.truth"]


def test_what_registers_say_of_eligibility_is_what_the_truth_takes_it_to_be(small: Small) -> None:
    """A customer whom tonight's rules let have a product must not be one whom the truth forbids it."""
    world, rows = small.world, np.arange(small.world.size)
    rule = holds_true(world, "terminal_5g")
    changed = world["event_day"][:, 0] >= 0
    assert changed.any()
    for day in (world.plan.first_day, world.plan.end_day - 1):
        told = profile(Frame(world, np.random.default_rng(0), rows, np.full(world.size, day * 86400)))
        assert np.array_equal(np.asarray(told["terminal_5g"]), rule)
    assert rule[changed].all()


def test_the_truth_beside_the_files_tells_what_every_period_came_to(small: Small, tmp_path: Path) -> None:
    course = live(small.world)
    write_truth(small.world, tmp_path, course)
    nights = small.plan.night_days
    window = Window(nights.start, nights.stop + 7)
    margin, twin = read_margins(tmp_path, window)
    both = orders_of_both(small.world, course)
    assert np.array_equal(margin, window.sum_by_customer(both, small.world.size))
    assert np.array_equal(twin, window.sum_by_customer(both, small.world.size, twin=True))
    caused = pq.read_table(tmp_path / "decision.parquet").to_pandas()
    assert caused["decision_id"].is_unique
    by_customer = caused.groupby("customer")["margin_micro"].sum()
    ever = read_margins(tmp_path, Window(small.plan.first_day, small.plan.end_day))
    assert by_customer.reindex(range(small.world.size), fill_value=0).to_list() == (ever[0] - ever[1]).tolist()


def test_decisions_of_the_truth_are_those_of_the_log(small: Small, tmp_path: Path) -> None:
    write_truth(small.world, tmp_path, live(small.world))
    caused = pq.read_table(tmp_path / "decision.parquet").to_pandas()
    assert len(caused)
    for row in caused.itertuples():
        log = np.load(small.folder / "decisions" / f"{day_of(row.business_date)}.npz")
        at = np.searchsorted(log["customer"], row.customer)
        assert log["customer"][at] == row.customer
        assert small.plan.products[log["product"][at]].code == row.product
        assert small.plan.channels[log["channel"][at]].code == row.channel
