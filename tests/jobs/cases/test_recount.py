"""A changed rule is counted over the night that ran, against what it wrote."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from conf.catalogue import Catalogue
from jobs import eligibility
from runtime.night import Night

HERE = Path(__file__).parent
pytestmark = [pytest.mark.spark, pytest.mark.whole]


@dataclass(frozen=True)
class Changed(Night):
    """A night over a catalogue of its own."""

    root: Path = Path()

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.root)


def test_only_the_rules_that_changed_are_told(play, settings, tmp_path):
    play(HERE / "eligibility" / "rules_in_order", eligibility)
    root = tmp_path / "conf"
    shutil.copytree(HERE / "conf", root)
    night = Changed(dt.date(2026, 1, 9), settings, settings.landing, root=root)
    same = eligibility.recount(night)
    assert same["rules"] == []
    assert same["then"] == same["now"]

    path = root / "rules.yml"
    text = path.read_text(encoding="utf-8")
    assert "group_contacts_7d >= 3" in text
    text = text.replace("group_contacts_7d >= 3", "group_contacts_7d >= 99")
    text += "  - {name: newcomer, removes: tenure_months < 12, reason: new, reason_zh: 新客}\n"
    path.write_text(text, encoding="utf-8")
    found = eligibility.recount(night)
    told = {row["rule"]: row for row in found["rules"]}
    assert set(told) == {"group_cap", "newcomer"}
    assert told["group_cap"]["customers_then"] > told["group_cap"]["customers_now"] == 0
    assert told["newcomer"]["customers_then"] == 0
    assert told["newcomer"]["customers_now"] == 1
    assert found["now"]["arcs"] == found["then"]["arcs"] + sum(
        row["arcs_then"] - row["arcs_now"] for row in told.values()
    )
    assert night.lake.arrow("funnel", partition=night.partition).num_rows == len(
        eligibility.steps(Catalogue(HERE / "conf"), night.date)
    )
