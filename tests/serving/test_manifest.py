"""A campaign folder is one publication's: whole, with a control file, and the account of all its releases."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from conf.errors import UserError
from jobs import publish
from runtime.night import Night
from serving import manifest
from serving.publication import publication_folder

ROWS = pa.table({"decision_id": ["a", "b"], "phone": ["10000000001", "10000000002"]})


def release(folder: Path, run_id: str, names: tuple[str, ...], only: bool = False) -> None:
    with manifest.release(folder, run_id, who="li", why="test", only=only) as wave:
        for name in names:
            wave.add(name, ROWS, 0o600, channel=name, campaign="c")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_s_first_release_replaces_the_folder_and_a_later_one_adds(tmp_path: Path) -> None:
    folder = tmp_path / "2026-01-09"
    folder.mkdir()
    (folder / "contacts-fax.csv").write_text("of release 0.1, without a manifest")
    release(folder, "run-1", ("contacts-sms.csv", "contacts-fax.csv"))
    release(folder, "run-2", ("contacts-sms.csv", "contacts-wap.csv"))
    assert names(folder) == {"contacts-sms.csv", "contacts-wap.csv", manifest.MANIFEST, manifest.CONTROL}
    (folder / "report.html").write_text("page")
    release(folder, "run-2", ("contacts-wap.csv",), only=True)  # one channel's pull before its wave
    assert names(folder) >= {"contacts-sms.csv", "contacts-wap.csv", "report.html"}
    release(folder, "run-2", ("contacts-sms.csv",))  # all channels again: one has nothing to send any more
    assert names(folder) == {"contacts-sms.csv", "report.html", manifest.MANIFEST, manifest.CONTROL}
    kept = manifest.read(folder)
    assert [(wave["release"], wave["run_id"]) for wave in kept["releases"]] == [
        (1, "run-1"),
        (2, "run-2"),
        (3, "run-2"),
        (4, "run-2"),
    ]
    assert all(file["sha256"] and file["rows"] == 2 for wave in kept["releases"] for file in wave["files"])
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_the_control_file_is_what_sha256sum_reads(tmp_path: Path) -> None:
    folder = tmp_path / "2026-01-09"
    release(folder, "run-1", ("contacts-sms.csv", "contacts-wap.csv"))
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", manifest.CONTROL], cwd=folder, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count(": OK") == 2


def test_an_error_on_the_way_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "2026-01-09"
    release(folder, "run-1", ("contacts-sms.csv",))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def write_half() -> None:
        with manifest.release(folder, "run-2", who="li", why="test") as wave:
            wave.add("contacts-wap.csv", ROWS, 0o600, channel="wap", campaign="c")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]  # no draft with numbers is left beside


def test_a_manifest_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / manifest.MANIFEST).write_text("{half")
    with pytest.raises(UserError, match="no manifest"):
        manifest.read(tmp_path)


@pytest.mark.whole
def test_a_removed_channel_s_people_are_not_twice_in_the_night_s_folder(
    planned: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    night = planned(verdict={"accepted": True, "gap": 1e-5})
    publish.publish(night, ["files"])
    folder = publication_folder(night)
    assert (folder / "contacts-sms_hall.csv").exists()
    again = planned(verdict={"accepted": True, "gap": 1e-5})
    run_id = f"{night.date}-0ther"  # the same date planned anew, without the channel
    kept = [channel for channel in again.catalogue.channels if channel.code != "sms_hall"]
    monkeypatch.setitem(vars(again.catalogue), "channels", kept)
    monkeypatch.setattr("jobs.publish.require_accepted_run", lambda night: run_id)
    publish.publish(again, ["files"])
    assert not (folder / "contacts-sms_hall.csv").exists()
    sent = [line for path in folder.glob("contacts-*.csv") for line in path.read_text("utf-8-sig").splitlines()[1:]]
    people = [line.split(",")[0] for line in sent]
    assert len(people) == len(set(people)) > 0
    state = json.loads((folder / manifest.MANIFEST).read_text())
    assert state["run_id"] == run_id
    assert {file["file"] for file in state["files"]} == {path.name for path in folder.glob("*.csv")}
