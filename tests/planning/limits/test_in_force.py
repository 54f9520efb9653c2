"""Limits in force: written, read, and their arrays."""

from __future__ import annotations

from pathlib import Path

from planning.limits.in_force import LimitInForce, LimitsInForce, read_limits, write_limits

LIMITS = LimitsInForce(
    limits=(
        LimitInForce(name="calls", at_most=9, counts="seconds", where={"channel": [0], "c_centre": [2, 3]}),
        LimitInForce(name="floor", at_least=4),
        LimitInForce(name="share", at_least=0, counts="share_share", where={"product": [1]}),
    )
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "limits.yml"
    write_limits(path, LIMITS)
    assert read_limits(path) == LIMITS
    assert path.read_text().splitlines()[:3] == ["choose: at_most_one", "limits:", "- name: calls"]
    assert LIMITS.limits[1].row() == {"name": "floor", "at_least": 4, "counts": 1}


def test_arrays_have_the_at_most_form_and_columns_are_those_named() -> None:
    arrays = LIMITS.arrays()
    assert arrays.names == ("calls", "floor", "share")
    assert arrays.amount.tolist() == [9, -4, 0]
    assert arrays.sign.tolist() == [1, -1, -1]
    assert LIMITS.columns() == ("product", "channel", "c_centre", "seconds", "share_share")


def test_another_amount_leaves_the_rest() -> None:
    calls, floor, _ = LIMITS.limits
    assert calls.with_amount(11) == calls.model_copy(update={"at_most": 11})
    assert floor.with_amount(0) == floor.model_copy(update={"at_least": 0})
