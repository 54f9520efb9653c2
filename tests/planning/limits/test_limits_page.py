"""docs/developer/limits.md says what is so: its names exist, its examples are what the code makes of them."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml

from conf.catalogue import ROOT, Catalogue
from conf.offer import Limit
from planning.limits.declared import DeclaredLimits
from planning.limits.in_force import LimitInForce

PAGE = (ROOT.parent / "docs" / "developer" / "limits.md").read_text(encoding="utf-8")
ROOMS = "certify|conf|jobs|models|planning|serving"
NAMES = sorted(set(re.findall(rf"`((?:{ROOMS})\.[\w.]+)`", PAGE)))
PATHS = sorted(set(re.findall(r"`([\w/]+/[\w/]+\.(?:py|yml))`", PAGE)))


def look_up(name: str) -> object:
    """What a dotted name stands for."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise AttributeError(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_page_exists(name: str) -> None:
    look_up(name)


def test_the_page_names_what_it_walks_through() -> None:
    assert len(NAMES) > 25
    assert all((ROOT.parent / Path(path)).exists() for path in PATHS), PATHS
    with pytest.raises(AttributeError):
        look_up("planning.limits.declared.DeclaredLimits.no_such_thing")


def test_the_examples_of_the_page_are_what_becomes_of_the_row() -> None:
    written, in_force = (yaml.safe_load(text)[0] for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    catalogue = Catalogue(ROOT)
    catalogue.__dict__["limits"] = (Limit.model_validate(written),)
    (declared,) = DeclaredLimits.from_catalogue(catalogue).limits
    limit = LimitInForce.model_validate(in_force)
    assert (declared.name, declared.counts, declared.where) == (limit.name, limit.counts, limit.where)
    said = re.search(r"is now `(\{.*?\})`", PAGE)
    assert said is not None
    assert yaml.safe_load(said.group(1)) == declared.where
