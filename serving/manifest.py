"""A campaign folder as a whole: what lies in it now, every release it ever had, and who fetched what.

The first release of a run takes the place of whatever lay there, in one step: a file of an earlier plan of the same
night beside this one's would contact people twice. A later release of the same run (a list pulled again just before its
wave) replaces the files that it writes and leaves the rest. ``manifest.json`` says it to programs, ``SHA256SUMS`` is
the control file that ``sha256sum -c`` reads. Digests of all releases stay, those of earlier plans too.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from conf.errors import UserError
from runtime.atomic_files import folder_draft, write_atomic
from serving.campaign_files import write_csv

MANIFEST, CONTROL = "manifest.json", "SHA256SUMS"
_MODE = 0o640


class Release:
    """The files of one release on their way into the folder."""

    def __init__(self, folder: Path) -> None:
        """Args: folder: where to write; nobody sees it yet."""
        self.folder = folder
        self.files: list[dict[str, Any]] = []

    def add(self, name: str, rows: pa.Table, mode: int, *, channel: str, campaign: str) -> tuple[int, str]:
        """Write a CSV.

        Args:
            name: of the file.
            rows: its rows.
            mode: of the file.
            channel: code of the channel that it is for.
            campaign: id of the campaign, the same in every release of a run.

        Returns:
            How many rows it has, and its SHA-256.
        """
        digest = write_csv(self.folder / name, rows, mode)
        size = (self.folder / name).stat().st_size
        self.files.append(
            {
                "file": name,
                "channel": channel,
                "campaign_id": campaign,
                "rows": rows.num_rows,
                "bytes": size,
                "sha256": digest,
            }
        )
        return rows.num_rows, digest


@contextlib.contextmanager
def release(folder: Path, run_id: str, *, who: str, why: str, only: bool = False) -> Iterator[Release]:
    """A release of ``run_id`` into a campaign folder; it is there, with manifest and control file, when this ends.

    Args:
        folder: the campaign folder of the night.
        run_id: the run whose plan is handed out.
        who: who releases.
        why: what for.
        only: the release is of some channels: files of the same run that it does not write stay.

    Raises:
        UserError: the folder's manifest cannot be read.
    """
    past = read(folder)
    with folder_draft(folder) as draft:
        same = past["run_id"] == run_id
        if same:
            shutil.copytree(folder, draft, copy_function=_link, dirs_exist_ok=True)
        wave = Release(draft)
        yield wave
        number = len(past["releases"]) + 1
        written = {file["file"] for file in wave.files}
        stay = [file for file in past["files"] if same and file["file"] not in written]
        if not only:
            for file in stay:
                (draft / file["file"]).unlink(missing_ok=True)
            stay = []
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        entry = {"release": number, "run_id": run_id, "at": now, "who": who, "why": why, "files": wave.files}
        files = [*stay, *({**file, "release": number} for file in wave.files)]
        state = {
            "business_date": folder.name,
            "run_id": run_id,
            "files": sorted(files, key=lambda file: str(file["file"])),
            "releases": [*past["releases"], entry],
            "fetched": past["fetched"],
        }
        _write(draft, state)


def note_fetched(folder: Path, file: str, *, who: str, why: str, to: str) -> None:
    """Keep in the manifest who took a file of the folder, what for and where to."""
    state = read(folder)
    [entry] = [entry for entry in state["files"] if entry["file"] == file]
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    taken = {key: entry[key] for key in ("file", "release", "rows", "sha256")}
    state["fetched"] = [*state["fetched"], {"at": now, "who": who, "why": why, "to": to, **taken}]
    _write(folder, state)


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a folder: ``business_date, run_id, files, releases, fetched``; empty where there is none.

    Raises:
        UserError: it is there and cannot be read.
    """
    empty: dict[str, Any] = {"business_date": folder.name, "run_id": "", "files": [], "releases": [], "fetched": []}
    path = folder / MANIFEST
    try:
        return empty | json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return empty
    except (ValueError, TypeError) as error:
        raise UserError(
            f"the campaign folder has no manifest that can be read: {error}",
            where=str(path),
            remedy="put it back from a backup; or move the folder away, and publish again (its releases start anew)",
        ) from error


def _write(folder: Path, state: dict[str, Any]) -> None:
    write_atomic(folder / MANIFEST, json.dumps(state, ensure_ascii=False, indent=1) + "\n", _MODE)
    lines = [f"{file['sha256']}  {file['file']}\n" for file in state["files"]]
    write_atomic(folder / CONTROL, "".join(lines), _MODE)


def _link(source: str, target: str) -> None:
    """The same file under a second name, as long as both folders stand; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
