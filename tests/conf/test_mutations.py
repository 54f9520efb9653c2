"""Every key of every kind of YAML, misspelt, of a wrong type, empty and twice: refused in its file and line, in words."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from conf.catalogue import ROOT, Catalogue
from conf.documents import model_at, read_rows, read_yaml, validate
from conf.errors import UserError
from conf.expansion import expand
from conf.feature import Attribute, Family
from conf.feed import Feed
from conf.geography import Geography, load_geography
from conf.offer import Channel, Limit, Product, ProductGroup, Rule, Segment
from conf.preset import Preset, load_preset
from conf.schema import Schema
from conf.settings import Settings, read_settings
from conf.table import Table
from expectations.suite import Extension
from planning.limits.in_force import LimitsInForce, read_limits
from synth.real.facts import Assumptions

HOUSE = ROOT.parent
pytestmark = pytest.mark.whole
#: Any key may stand below these: what it may be is said elsewhere, or by nobody.
FREE = {("extra",), ("spark", "conf")}


@dataclass(frozen=True)
class Kind:
    """A kind of file: its model, how it is read, where it lies, and the key of its rows if it is a list of them."""

    model: type[BaseModel]
    files: str
    rows: str = ""
    read: Callable[[Path], Any] | None = None

    def load(self, path: Path) -> Any:
        if self.read:
            return self.read(path)
        if self.rows:
            return read_rows(path, self.rows, self.model)
        return validate(self.model, read_yaml(path))


def read_limits_of_conf(path: Path) -> Any:
    """Rows may stand for many: their lists are those of the catalogue."""
    return read_rows(path, "limits", Limit, expand=partial(expand, Catalogue(ROOT).lists))


KINDS = {
    "feed": Kind(Feed, "conf/**/feeds/**/*.yml"),
    "schema": Kind(Schema, "conf/**/schemas/*.yml"),
    "table": Kind(Table, "conf/tables/*.yml"),
    "product": Kind(Product, "conf/**/products.yml", "products"),
    "channel": Kind(Channel, "conf/**/channels.yml", "channels"),
    "rule": Kind(Rule, "conf/rules.yml", "rules"),
    "group": Kind(ProductGroup, "conf/**/groups.yml", "groups"),
    "limit": Kind(Limit, "conf/**/limits.yml", "limits", read=read_limits_of_conf),
    "segment": Kind(Segment, "conf/**/segments.yml", "segments"),
    "geography": Kind(Geography, "conf/geography.yml", read=lambda path: load_geography(path.parent)),
    "preset": Kind(Preset, "conf/presets/*.yml", read=lambda path: load_preset(path.stem, path.parent)),
    "environment": Kind(Settings, "conf/env/*.yml", read=read_settings),
    "family": Kind(Family, "features/declared/[!a]*.yml"),
    "attributes": Kind(Attribute, "features/declared/attributes.yml", "attributes"),
    "expectations": Kind(Extension, "expectations/extended/*.yml"),
    "assumptions": Kind(Assumptions, "conf/demo/*/assumptions.yml"),
    "instance": Kind(LimitsInForce, "tests/models/assignment/cases/restart/limits.yml", read=read_limits),
}


@dataclass(frozen=True)
class Place:
    """A key of a file, and where it stands."""

    path: Path
    loc: tuple[Any, ...]
    key: yaml.ScalarNode
    value: yaml.Node
    flow: bool


def places(kind: Kind) -> Iterator[Place]:
    """Every key of every file of a kind, once for each path (positions of lists apart)."""
    seen = set()
    for path in sorted(HOUSE.glob(kind.files)):
        if "generated" in path.parts:
            continue
        for place in _keys(path, yaml.compose(path.read_text(encoding="utf-8"), yaml.CSafeLoader), ()):
            pattern = tuple("*" if isinstance(part, int) else part for part in place.loc)
            if pattern not in seen:
                seen.add(pattern)
                yield place


def _keys(path: Path, node: yaml.Node, loc: tuple[Any, ...]) -> Iterator[Place]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield Place(path, (*loc, key.value), key, value, bool(node.flow_style))
            yield from _keys(path, value, (*loc, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield from _keys(path, item, (*loc, position))


def misspelt(text: str, place: Place) -> str:
    end = place.key.end_mark.index
    return text[: end - 1] + "q" + text[end - 1 :]


def of_wrong_type(text: str, place: Place) -> str:
    wrong = "[[{}]]" if isinstance(place.value, yaml.ScalarNode | yaml.MappingNode) else "{3: {}}"
    return _with_value(text, place, wrong)


def empty(text: str, place: Place) -> str:
    return _with_value(text, place, "")


def twice(text: str, place: Place) -> str:
    begin, end = place.key.start_mark.index, place.value.end_mark.index
    pair = text[begin:end].rstrip()
    between = ", " if place.flow else "\n" + " " * place.key.start_mark.column
    return text[:begin] + pair + between + text[begin:]


def _with_value(text: str, place: Place, value: str) -> str:
    begin, end = place.value.start_mark.index, place.value.end_mark.index
    block = text[begin:end]
    after = block[len(block.rstrip()) :]
    return text[:begin].rstrip(" \n") + " " + value + after + text[end:]


def impossible(number: str, text: str, place: Place) -> str:
    return _with_value(text, place, number)


def is_number(place: Place) -> bool:
    return isinstance(place.value, yaml.ScalarNode) and place.value.tag in (f"{_TAG}int", f"{_TAG}float")


#: Numbers that nothing is: not finite, of 23 digits, as a float beyond all that is counted.
NEVER = (".nan", ".inf", "-.inf", "1" * 23, "-" + "1" * 23, "1e300")
_TAG = "tag:yaml.org,2002:"


def is_free(kind: Kind, place: Place) -> bool:
    """Whether the key is a name of people's own: a code, a column, an attribute; other checks know these."""
    above = place.loc[:-1]
    if kind.rows:
        if not above:
            return False
        above = above[2:]
    return any(above[: len(free)] == free for free in FREE) or model_at(kind.model, above, None) is None


MUTATIONS = [misspelt, of_wrong_type, empty, twice, *(partial(impossible, number) for number in NEVER)]


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda f: getattr(f, "__name__", "") or f.args[0])
@pytest.mark.parametrize("name", KINDS)
def test_a_changed_key_is_refused_in_its_line(tmp_path, name, mutate):
    kind = KINDS[name]
    passed, misplaced, tried = [], [], 0
    for place in places(kind):
        if (mutate is misspelt and is_free(kind, place)) or any(place.loc[: len(f)] == f for f in FREE):
            continue
        if isinstance(mutate, partial) and not is_number(place):
            continue
        tried += 1
        path = tmp_path / place.path.name
        if name == "preset":  # it extends another
            for other in place.path.parent.glob("*.yml"):
                shutil.copy(other, tmp_path / other.name)
        path.write_text(mutate(place.path.read_text(encoding="utf-8"), place), encoding="utf-8")
        first, last = place.key.start_mark.line + 1, place.value.end_mark.line + 1
        if mutate is twice:
            last += last - first + 1
        try:
            kind.load(path)
        except UserError as error:
            for one in error.each:
                assert one.remedy, one
                assert len(one.lines()) <= 10
                assert "Traceback" not in str(one)
            lines = [int(found[1]) for one in error.each if (found := re.fullmatch(rf"{path}:(\d+)", one.where))]
            if not any(first <= line <= last for line in lines):
                misplaced.append((place.path.name, place.loc, f"{first}-{last}", str(error)))
        else:
            passed.append((place.path.name, place.loc))
    assert not passed
    assert not misplaced, "\n".join(map(str, misplaced[:5]))
    assert tried or (isinstance(mutate, partial) and name in {"rule", "segment", "attributes", "assumptions"})
