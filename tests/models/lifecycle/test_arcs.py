"""What the model sees of the catalogue: groups by their id, which what is added later does not move."""

from __future__ import annotations

import shutil
from pathlib import Path

from conf.catalogue import ROOT, Catalogue
from models.lifecycle.arcs import menu
from tests.fixtures.catalogue import FIXTURE, frozen


def test_a_new_group_changes_nothing_that_a_champion_sees(tmp_path: Path) -> None:
    before = menu(frozen())
    for path in FIXTURE.glob("*.yml"):
        shutil.copy(path, tmp_path)
    text = (FIXTURE / "groups.yml").read_text(encoding="utf-8")
    first, rest = text.split("groups:\n")  # wherever in the file it stands
    row = "  - {id: 4, code: cloud, label: Cloud, label_zh: 云盘}\n"
    (tmp_path / "groups.yml").write_text(f"{first}groups:\n{row}{rest}", encoding="utf-8")
    grown = Catalogue(tmp_path)
    assert grown.groups[-1].code == "cloud"
    after = menu(grown)
    assert after == before
    assert {offer.group for offer in after.offers} == {0, 1, 2, 3}


def test_groups_of_a_demo_keep_the_numbers_that_its_models_know() -> None:
    assert {offer.group for offer in menu(Catalogue(ROOT / "demo" / "bank")).offers} == {4}
    assert {offer.group for offer in menu(Catalogue(ROOT / "demo" / "starbucks")).offers} == {5}
