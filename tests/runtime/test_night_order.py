"""The order of the night is derived from what jobs read and write."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from conf.errors import UserError
from runtime import night_order


def job(name: str, reads: tuple[str, ...], writes: tuple[str, ...], **more: object) -> ModuleType:
    module = ModuleType(f"jobs.{name}", f"Do {name}.\n\nMore.")
    module.READS, module.WRITES = reads, writes  # type: ignore[attr-defined]
    module.__dict__.update(more)
    return module


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch):
    def build(*modules: ModuleType) -> list[str]:
        names = tuple(module.__name__.split(".")[1] for module in modules)
        for module in modules:
            monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(night_order, "RUNS", {"nightly": names})
        return list(names)

    return build


def test_a_writer_comes_before_its_reader(house) -> None:
    names = house(job("last", ("b",), ("c",)), job("first", (), ("a",)), job("middle", ("a",), ("b",)))
    steps = night_order.derive(names)
    assert [step.job for step in steps] == ["first", "middle", "last"]
    assert steps[2].after == ("middle",)
    assert steps[0].purpose == "Do first."


def test_ties_keep_the_alphabet_whatever_the_order_given(house) -> None:
    names = house(job("b", (), ("x",)), job("a", (), ("y",)), job("c", ("x", "y"), ("z",)))
    assert (
        [s.job for s in night_order.derive(names)]
        == [s.job for s in night_order.derive(names[::-1])]
        == ["a", "b", "c"]
    )


def test_what_is_read_of_earlier_nights_makes_no_circle(house) -> None:
    names = house(job("plan", ("scored",), ("price",)), job("score", (), ("scored",), READS_PREVIOUS=("price",)))
    assert [step.job for step in night_order.derive(names)] == ["score", "plan"]


def test_a_circle_is_named(house) -> None:
    names = house(job("egg", ("hen_table",), ("egg_table",)), job("hen", ("egg_table",), ("hen_table",)))
    with pytest.raises(UserError, match="egg, hen"):
        night_order.derive(names)


def test_two_writers_of_one_table_are_refused(house) -> None:
    names = house(job("one", (), ("t",)), job("two", (), ("t",)))
    with pytest.raises(UserError, match="both write t"):
        night_order.derive(names)


def test_what_a_job_adds_to_it_reads(house) -> None:
    names = house(job("one", (), ("t",)), job("two", (), ("u",), ADDS=("t",)))
    with pytest.raises(UserError, match="two adds to t"):
        night_order.derive(names)
    names = house(job("one", (), ("t",)), job("two", ("t",), ("u",), ADDS=("t",)))
    assert [step.job for step in night_order.derive(names)] == ["one", "two"]


def test_an_unknown_job_names_the_known_ones() -> None:
    with pytest.raises(UserError) as caught:
        night_order.load("nonsense")
    assert "ingest" in caught.value.remedy
