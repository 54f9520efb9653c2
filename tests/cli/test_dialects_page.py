"""docs/howto/dialects.md, walked as a new user would: each example lands, is drafted, checked and loaded whole."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.feeds import app
from conf.catalogue import Catalogue
from conf.settings import Settings
from runtime.lake import Lake

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "howto" / "dialects.md"
SMALL = ROOT / "tests" / "jobs" / "ingest" / "conf"
#: Section → its feed, records, and what the loaded rows must hold.
WALKS: dict[str, tuple[str, int, dict[str, list[Any]]]] = {
    "avl": ("topup_avl", 2, {"field_3": ["办理", "咨询"]}),
    "verf": ("topup_verf", 2, {"field_3": ["办理", "咨询"]}),
    "vgop": ("topup_vgop", 3, {"field_1": ["T001", "T002", "T003"], "field_3": ["個人", "咨询", "咨询"]}),
    "jsonl": ("topup_jsonl", 2, {"record_no": ["T001", "T002"]}),
    "CSV with a header": ("topup_csv", 2, {"caller_no": [bytes, bytes]}),
}


def sections() -> dict[str, list[str]]:
    """The lines of each section's console blocks."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    blocks = {
        name: re.findall(r"```console\n(.*?)```", text, re.DOTALL)
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    return {name: "".join(found).replace("\\\n", "").splitlines() for name, found in blocks.items() if found}


def test_every_example_of_the_page_is_walked() -> None:
    assert set(sections()) == set(WALKS)


@pytest.mark.parametrize("name", WALKS)
def test_an_example_lands_and_loads_whole(
    name: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SMALL, tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Settings, "catalogue", property(lambda _: Catalogue(tmp_path / "conf")))
    feed, records, values = WALKS[name]
    for line in sections()[name]:
        if not line.startswith("cpc "):
            subprocess.run(["/bin/sh", "-c", line], check=True)
            continue
        done = CliRunner().invoke(app, shlex.split(line)[1:])
        assert done.exit_code == 0, (line, done.output, done.exception)
    lake = Lake(settings.lake, Catalogue(tmp_path / "conf"))
    rows = sorted(lake.arrow(f"raw_{feed}").to_pylist(), key=lambda row: int(row["line"]))
    assert [row["feed"] for row in rows] == [feed] * records
    for column, wanted in values.items():
        found = [row[column] for row in rows]
        assert found == wanted or [type(value) for value in found] == wanted
    [ledger] = lake.arrow("ops_delivery").to_pylist()
    assert (ledger["code"], ledger["loaded"], ledger["quarantined"]) == ("00", records, 0)
    assert lake.arrow("ops_quarantine").num_rows == 0


def test_the_csv_example_is_declared_as_the_page_says(tmp_path: Path) -> None:
    from dialects.draft import draft
    from dialects.sniff import sniff

    [line] = [line for line in sections()["CSV with a header"] if line.startswith("printf") and ".dat" in line][:1]
    (tmp_path / "landing").mkdir()
    subprocess.run(["/bin/sh", "-c", line], check=True, cwd=tmp_path)
    [path] = (tmp_path / "landing").iterdir()
    feed, schema = (yaml.safe_load(text) for text in draft(sniff(path.name, path.read_bytes()), "x", set()))
    assert {key: feed[key] for key in ("delimiter", "encoding", "header", "quoted", "unit_code")} == {
        "delimiter": ",",
        "encoding": "utf-8",
        "header": True,
        "quoted": True,
        "unit_code": "91004",
    }
    assert [field.get("alias") for field in schema["fields"]] == ["流水号", "callerNo", "备注", "bornOn"]
    assert schema["fields"][3]["format"] == "%Y/%-m/%-d"
