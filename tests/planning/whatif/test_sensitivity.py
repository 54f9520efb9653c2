"""Prices left and right of a limit, the curve of its value, and the least amount that reaches a value."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.limits import app
from conf.errors import UserError
from planning.instance.run_folder import RunFolder
from planning.whatif.sensitivity import (
    Point,
    Side,
    around,
    between,
    binding,
    curve,
    differ,
    least_amount,
    side,
    sides,
    step_of,
    tonight,
)
from planning.whatif.whatif import Base, base_of, what_if
from reporting.sensitivity_page import draw

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def base(decided_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Base:
    """The decided run; what is solved again aims at a wide gap, so that no MIP is asked for each amount."""
    (plan,) = (decided_home / "runs").glob("*/plan")
    folder = tmp_path_factory.mktemp("wide") / plan.parent.name
    shutil.copytree(plan.parent, folder)
    inputs = json.loads((folder / "inputs.json").read_text())
    (folder / "inputs.json").write_text(json.dumps({**inputs, "gap": 0.05}))
    return base_of(RunFolder(folder))


def test_a_price_is_a_difference_of_solved_plans_with_what_the_proofs_leave_open(base: Base) -> None:
    here, step = tonight(base, "wechat_day"), step_of(base, "wechat_day")
    left, right = sides(base, "wechat_day")
    assert (left.tried, right.tried) == (max(0, here.amount - step), here.amount + step)
    less, more = (what_if(base, {"wechat_day": side.tried}).solution for side in (left, right))
    assert here.primal is not None
    assert left.price_yuan == pytest.approx((here.primal - less.plan.primal) / step * 1e-6)
    assert right.price_yuan == pytest.approx((more.plan.primal - here.primal) / step * 1e-6)
    for one, solved in ((left, less), (right, more)):
        assert one.low is not None
        assert one.high is not None
        assert one.low <= one.price_yuan <= one.high  # type: ignore[operator]
        reach = abs(solved.dual.bound - solved.plan.primal) + abs(base.certificate.bound - base.certificate.primal)
        assert one.high - one.low == pytest.approx(reach / step * 1e-6)
    # less of it is dearer than more of it: the proved value is concave in the amount
    slopes = [(base.certificate.bound - less.dual.bound) / step, (more.dual.bound - base.certificate.bound) / step]
    assert slopes[0] >= slopes[1] - 1


def test_a_floor_costs_and_a_conflict_is_told(base: Base) -> None:
    floor = tonight(base, "floor_upgrade_5g_59").amount
    left, right = sides(base, "floor_upgrade_5g_59")
    assert left.tried < floor < right.tried
    assert left.price_yuan is not None
    assert left.high is not None
    assert left.high >= 0 >= left.low  # type: ignore[operator]
    far = curve(base, "floor_upgrade_5g_59", floor, 10**6, 2)[-1]
    assert far.primal is None
    assert "floor_upgrade_5g_59" in far.conflict
    assert side(tonight(base, "floor_upgrade_5g_59"), far).conflict == far.conflict


def test_intervals_that_share_nothing_differ() -> None:
    assert differ(Side(0, 3.0, 2.5, 3.5), Side(2, 1.0, 0.5, 1.5))
    assert not differ(Side(0, 3.0, 1.2, 3.5), Side(2, 1.0, 0.5, 1.5))
    assert not differ(Side(0, None, None, None, "conflict"), Side(2, 1.0, 0.5, 1.5))


def test_a_curve_never_falls_where_a_limit_is_loosened_and_ends_flat(base: Base) -> None:
    now = tonight(base, "wechat_day")
    found = curve(base, "wechat_day", 0, 6 * now.amount, 4)
    assert [at.amount for at in found] == sorted({0, 2 * now.amount, 4 * now.amount, 6 * now.amount, now.amount})
    values = [at.primal for at in found]
    assert values == sorted(values)  # type: ignore[type-var]
    assert values[1] == base.certificate.primal
    assert found[0].used == 0
    for at in found:
        assert at.primal is not None
        assert at.bound is not None
        assert at.primal <= at.bound
        assert at.used is not None
        assert at.used <= at.amount
    with pytest.raises(UserError, match="no range"):
        curve(base, "wechat_day", 5, 5)


def test_a_share_is_varied_around_nought(base: Base) -> None:
    now = tonight(base, "wechat_day").amount
    assert around(base, "wechat_day") == (now // 2, 2 * now)
    low, high = around(base, "share_low_arpu")
    now = tonight(base, "share_low_arpu").amount
    assert now - low == high - now > 0
    assert (now - low) % step_of(base, "share_low_arpu") == 0


def test_a_picture_is_the_same_for_the_same_points() -> None:
    points = [
        Point(1, 10_000_000, 11_000_000, 1, 4.0, 2),
        Point(2, 14_000_000, 15_000_000, 2, 1.0, 3),
        Point(3, conflict="x"),
    ]
    rows = [at.row() for at in points]
    svg, png = draw("sms_day", "contacts", 2, rows)
    assert draw("sms_day", "contacts", 2, rows) == (svg, png)
    assert svg.lstrip().startswith(b"<?xml")
    assert png.startswith(b"\x89PNG")
    assert draw("sms_day", "contacts", 2, rows[:2])[0] != svg


def test_goal_is_the_least_amount_and_says_what_falls_short(base: Base) -> None:
    amount = tonight(base, "wechat_day").amount
    less = what_if(base, {"wechat_day": amount // 2}).solution.plan.primal
    target = (less + base.certificate.primal) // 2
    found = least_amount(base, "wechat_day", target)
    assert amount // 2 < found.reached.amount <= amount
    assert found.reached.primal is not None
    assert found.reached.primal >= target
    assert found.missed is not None
    assert found.missed.amount == found.reached.amount - 1
    assert found.missed.primal is not None
    assert found.missed.primal < target
    assert found.solves < 12
    more = least_amount(base, "wechat_day", base.certificate.primal + 1, tries=4)
    assert more.reached.amount > amount
    with pytest.raises(UserError, match="no amount of wechat_day reaches"):
        least_amount(base, "wechat_day", 10**15)


def test_the_next_amount_is_strictly_between() -> None:
    good, bad = Point(100, 50), Point(0, 10)
    assert between(good, bad, 20, halve=False) == 25
    assert between(good, bad, 20, halve=True) == 50
    assert between(good, bad, 50, halve=False) == 99
    assert between(Point(0, 50), Point(9, conflict="x"), 20, halve=False) == 4


def test_the_commands_speak(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(base.run.path, tmp_path / "home" / "runs" / base.run.path.name)
    monkeypatch.setenv("CPC_HOME", str(tmp_path / "home"))
    runner = CliRunner()
    name = binding(base)[0]
    told = runner.invoke(app, ["prices", "--limit", name, "--json"])
    assert told.exit_code == 0, told.output
    (row,) = json.loads(told.stdout)["limits"]
    assert row["limit"] == name
    assert row["left"]["tried"] <= row["amount"] < row["right"]["tried"]
    told = runner.invoke(
        app, ["sensitivity", "--limit", "wechat_day", "--points", "2", "--out", str(tmp_path / "c"), "--json"]
    )
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    page = Path(found["html"]).read_text()
    assert "<svg" in page
    assert not re.search(r"(src|href)=.(?!#)", page)  # nothing is loaded from anywhere
    assert f"{found['tonight']['amount']:,}" in page
    assert Path(found["svg"]).exists()
    assert Path(found["png"]).stat().st_size > 1000
    told = runner.invoke(
        app, ["goal", "--limit", "wechat_day", "--value", str(base.certificate.primal * 0.99e-6), "--json"]
    )
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["least_amount"] <= found["tonight"]["amount"]
    with pytest.raises(UserError, match="no limit"):
        runner.invoke(app, ["prices", "--limit", "nothing"], catch_exceptions=False)
