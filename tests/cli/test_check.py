"""``cpc check`` finds every planted mistake, with its file, its line and a remedy, and nothing else; so does the night."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import check as check_command
from conf.catalogue import ROOT, Catalogue
from conf.documents import read_yaml
from conf.errors import Mistakes, UserError
from conf.settings import Settings, load_settings
from runtime import rehearsal, runner
from runtime.clauses import Clause, fingerprint, keep_understood
from runtime.night import Night
from tests.fixtures.catalogue import FIXTURE

HOUSE = ROOT.parent
PLANTED = read_yaml(Path(__file__).with_name("planted.yml")).data["planted"]
#: A message that is longer is searched, not read.
LINES = 10


def rounds(planted: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Mistakes of different files go together; of one file, those of different rows."""
    made: list[list[dict[str, Any]]] = []
    for mistake in planted:
        free = [other for other in made if all(apart(mistake, one) for one in other)]
        if free:
            free[0].append(mistake)
        else:
            made.append([mistake])
    return made


def apart(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two mistakes do not touch: a file that is no YAML says nothing of its rows."""
    if one.get("group", one["file"]) != other.get("group", other["file"]):
        return True
    return bool(one.get("row") and other.get("row") and one["row"] != other["row"])


def copied(to: Path) -> Path:
    """A copy of what people write, to break."""
    shutil.copytree(FIXTURE, to / "conf", ignore=shutil.ignore_patterns("features"))
    for folder in ("tables", "presets", "figures"):
        shutil.copytree(ROOT / folder, to / "conf" / folder)
    shutil.copytree(FIXTURE / "features", to / "features" / "declared")
    shutil.copytree(HOUSE / "expectations" / "extended", to / "expectations" / "extended")
    return to


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy for all: what is planted is taken back."""
    return copied(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def understood(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has compiled what is shipped (a Spark test holds that it compiles)."""
    home = tmp_path_factory.mktemp("home")
    catalogue = Catalogue(copy / "conf")
    clauses = [c for name in rehearsal.night_order.RUNS["nightly"] for c in told(name, catalogue)]
    assert len(clauses) > 500
    keep_understood(home / rehearsal.KEPT, {fingerprint(clause) for clause in clauses})
    return home


def told(name: str, catalogue: Catalogue) -> Iterator[Clause]:
    """The Spark SQL of a job."""
    rehearse = getattr(rehearsal.night_order.load(name), "rehearse", None)
    yield from (one for one in (rehearse(catalogue, DATE) if rehearse else ()) if isinstance(one, Clause))


DATE = dt.date(2026, 1, 9)


class Home(Settings):
    """Settings whose home is a folder of the test's."""

    place: str

    @cached_property
    def home(self) -> Path:
        return Path(self.place)


def night_of(home: Path) -> Night:
    return Night(DATE, Home(**load_settings("local").model_dump(), place=str(home)))


@pytest.fixture
def no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of what Spark has understood before starts no JVM."""

    def refused(self: Night) -> None:
        raise AssertionError("a JVM was started")

    monkeypatch.setattr(Night, "spark", property(refused))


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be found without Spark."""
    monkeypatch.setattr(rehearsal, "compile_clauses", lambda *_, **__: [])


def plant(copy: Path, mistakes: list[dict[str, Any]]) -> dict[Path, bytes]:
    """Plant, and note the ``place`` of each; returns what was there."""
    before: dict[Path, bytes] = {}
    for mistake in mistakes:
        path = copy / mistake["file"]
        text = path.read_bytes().decode()
        before.setdefault(path, text.encode())
        assert mistake["old"] in text, mistake
        planted = text.replace(mistake["old"], mistake["new"], 1)
        path.write_text(planted, encoding="utf-8")
        begin = planted.index(mistake["at"]) if "at" in mistake else text.index(mistake["old"])
        mistake["place"] = f"{path}:{planted[:begin].count(chr(10)) + 1}"
    return before


def hold(copy: Path, home: Path, mistakes: list[dict[str, Any]]) -> None:
    """Plant, check, and hold what is found against what was planted."""
    before = plant(copy, mistakes)
    try:
        found = rehearsal.rehearse(night_of(home), Catalogue(copy / "conf"))
        by_place: dict[str, list[UserError]] = {}
        for one in found:
            by_place.setdefault(one.where, []).append(one)
        for mistake in mistakes:
            place = mistake["place"]
            messages = "\n".join(str(one) for one in by_place.get(place, []))
            assert mistake["says"] in messages, f"{place} of {mistake}\n\n" + "\n".join(map(str, found))
            assert messages, f"{mistake} passed"
        for one in found:
            assert one.remedy, one
            assert len(one.lines()) <= LINES
            assert "Traceback" not in str(one)
        strange = set(by_place) - {mistake["place"] for mistake in mistakes}
        assert not strange, "\n".join(str(one) for one in found if one.where in strange)
    finally:
        for path, raw in before.items():
            path.write_bytes(raw)


def test_at_least_forty_mistakes_are_planted_in_every_kind_of_file():
    assert len(PLANTED) >= 40
    kinds = {tuple(Path(mistake["file"]).parts[:2]) for mistake in PLANTED}
    written = {tuple(path.relative_to(HOUSE).parts[:2]) for path in ROOT.rglob("*.yml") if "demo" not in path.parts}
    written -= {("conf", "generated")}
    assert kinds >= written | {("features", "declared"), ("expectations", "extended")}


@pytest.mark.parametrize(
    "mistakes", rounds([m for m in PLANTED if not m.get("spark")]), ids=lambda m: f"{len(m)} files"
)
def test_a_planted_mistake_is_found_where_it_is_and_nothing_else(copy, understood, uncompiled, mistakes):
    hold(copy, understood, mistakes)


def test_what_is_shipped_is_sound_and_needs_no_spark_again(copy, understood, no_spark):
    assert rehearsal.rehearse(night_of(understood), Catalogue(copy / "conf")) == []


@pytest.mark.spark
@pytest.mark.whole
def test_spark_understands_what_is_shipped(copy, spark, tmp_path):
    assert rehearsal.rehearse(night_of(tmp_path), Catalogue(copy / "conf")) == []


@pytest.mark.spark
@pytest.mark.whole
@pytest.mark.parametrize("mistakes", rounds([m for m in PLANTED if m.get("spark")]), ids=lambda m: f"{len(m)} files")
def test_sql_that_spark_does_not_understand_is_found(copy, understood, spark, mistakes):
    hold(copy, understood, mistakes)


def test_the_command_tells_each_and_exits_with_two(monkeypatch, understood, tmp_path):
    wrong = [UserError("one", where="a.yml:1", remedy="mend"), UserError("two", where="b.yml:2", remedy="mend")]
    monkeypatch.setenv("CPC_HOME", str(tmp_path))
    monkeypatch.setattr(check_command, "examine", lambda night: wrong)
    told = CliRunner().invoke(check_command.app, ["--fast"])
    assert told.exit_code == 2
    assert told.stderr.count("remedy: mend") == 2
    assert "2 mistakes" in told.stderr
    told = CliRunner().invoke(check_command.app, ["--json"])
    assert '"where": "b.yml:2"' in told.stdout


def test_the_night_refuses_before_its_scan_what_the_check_refuses(monkeypatch, night):
    wrong = [UserError("one", where="a.yml:1", remedy="mend"), UserError("two", where="b.yml:2", remedy="mend")]
    ran: list[str] = []
    monkeypatch.setattr(rehearsal, "rehearse", lambda night: wrong)
    monkeypatch.setattr(runner, "run_job", lambda job, night: ran.append(job))
    with pytest.raises(Mistakes) as caught:
        runner.run_night(night(), runner.plan("nightly"))
    assert [one.what for one in caught.value.each] == ["one", "two"]
    assert ran == []


def test_a_file_saved_as_gbk_is_named(copy, understood, uncompiled):
    path = copy / "conf" / "channels.yml"
    before = path.read_bytes()
    try:
        path.write_bytes(before.decode().encode("gb18030"))
        found = rehearsal.rehearse(night_of(understood), Catalogue(copy / "conf"))
        assert len(found) == 1
        assert "GBK" in found[0].what
        assert found[0].where.startswith(f"{path}:")
        assert "iconv" in found[0].remedy
    finally:
        path.write_bytes(before)
