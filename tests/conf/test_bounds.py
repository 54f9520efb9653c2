"""Numbers that cannot be are refused with a remedy: in every option of every command, and in settings."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest

from conf import bounds
from conf.bounds import OptionReader, RealRange, WholeRange
from conf.errors import UserError
from conf.settings import Settings, load_settings

NEVER = ["", "x", "nan", "inf", "-inf", "1e400", "1" * 23, "-" + "9" * 23, "9" * 5_000, "１２x", "0x10", "1,5"]
RANGES = {name: value for name, value in vars(bounds).items() if isinstance(value, WholeRange | RealRange)}


@pytest.mark.parametrize("text", NEVER, ids=lambda text: text[:12] or "empty")
@pytest.mark.parametrize("name", RANGES)
def test_what_is_no_number_of_the_kind_is_told_with_a_remedy(name: str, text: str) -> None:
    with pytest.raises(UserError) as error:
        RANGES[name].read(text, "--here")
    assert error.value.where == "--here"
    assert error.value.remedy
    assert len(error.value.what) < 140


@pytest.mark.parametrize("name", RANGES)
def test_ends_are_within_and_what_lies_beyond_is_not(name: str) -> None:
    numbers = RANGES[name]
    ends = (numbers.least, numbers.most)
    if isinstance(numbers, WholeRange):
        assert tuple(numbers.read(end, "") for end in ends) == ends
        beyond = (ends[0] - 1, ends[1] + 1)
    else:
        beyond = ends if numbers.inside else (math.nextafter(ends[0], -math.inf), math.nextafter(ends[1], math.inf))
        assert math.isfinite(numbers.read((ends[0] + ends[1]) / 2, ""))
    for number in beyond:
        with pytest.raises(UserError):
            numbers.read(repr(number), "")


def test_an_option_reads_by_its_range() -> None:
    reader = OptionReader("--points", WholeRange(2, 9))
    assert (reader("3"), reader.__name__) == (3, "INTEGER")
    assert OptionReader("--gap", RealRange(0, 1)).__name__ == "FLOAT"
    with pytest.raises(UserError, match="10 is no whole number from 2 to 9") as error:
        reader("10")
    assert error.value.where == "--points"


def paths(model: Any, above: tuple[str, ...] = ()) -> list[str]:
    """Every numeric setting."""
    found = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if hasattr(kind, "model_fields"):
            found += paths(kind, (*above, name))
        elif kind in (int, float) or {int, float} & set(get_args(kind)):
            found.append(".".join((*above, name)))
    return found


@pytest.mark.parametrize("path", paths(Settings))
@pytest.mark.parametrize("text", ["-1", ".nan", ".inf", "-.inf", "1" * 23, "9" * 400])
def test_no_setting_takes_a_number_that_cannot_be(path: str, text: str) -> None:
    with pytest.raises(UserError) as error:
        load_settings("local", (f"{path}={text}",))
    assert path in error.value.where
