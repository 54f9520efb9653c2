"""Whoever looks at a path sees what was there or what is to be there, however writing ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime import atomic_files
from runtime.atomic_files import exchange, file_draft, folder_draft, write_atomic


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "facts.json"
    write_atomic(path, "旧")
    write_atomic(path, "新")
    assert path.read_bytes() == "新".encode()
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_atomic(path, b"old")

    def write_half() -> None:
        with file_draft(path) as draft:
            draft.write_bytes(b"ha")
            assert path.read_bytes() == b"old"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_holds_before_the_first_byte(tmp_path: Path) -> None:
    with file_draft(tmp_path / "numbers.csv", 0o600) as draft:
        assert draft.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "numbers.csv").stat().st_mode & 0o777 == 0o600


def test_a_file_is_on_the_disk_before_it_is_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "facts.json", []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append((number, path.exists())))
    write_atomic(path, b"x")
    assert len(synced) == 1
    assert not synced[0][1]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "run"
    for name in ("a", "b"):
        with folder_draft(path) as draft:
            (draft / name).write_text(name)
    assert [each.name for each in path.iterdir()] == ["b"]

    def fill_half() -> None:
        with folder_draft(path) as draft:
            (draft / "c").write_text("c")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill_half()
    assert [each.name for each in path.iterdir()] == ["b"]
    with folder_draft(path) as draft:
        assert list(draft.iterdir()) == []  # what the error left is gone


@pytest.mark.parametrize("able", [True, False])
def test_two_folders_change_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    if not able:  # a file system or a system without it
        monkeypatch.setattr(atomic_files.ctypes, "CDLL", lambda name, use_errno: object())
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange(tmp_path / "one", tmp_path / "other")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["other"]
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["one"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


def test_a_folder_is_never_absent_while_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, gone = tmp_path / "run", []
    path.mkdir()
    remove = atomic_files.shutil.rmtree

    def watch(which: Path, **how: bool) -> None:
        remove(which, **how)
        gone.append(path.exists())

    monkeypatch.setattr(atomic_files.shutil, "rmtree", watch)
    with folder_draft(path) as draft:
        (draft / "new").touch()
    assert all(gone)
    assert [each.name for each in path.iterdir()] == ["new"]
