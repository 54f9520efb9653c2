"""YAML is read strictly, and what is wrong is named by file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.documents import Strict, read_rows, read_yaml, validate
from conf.errors import MendableError


class Thing(Strict):
    """A thing to check."""

    name: str
    size: int = 1


def written(folder: Path, text: str) -> Path:
    path = folder / "thing.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_repeated_key_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(MendableError) as caught:
        read_yaml(written(tmp_path, "name: a\nsize: 1\nname: b\n"))
    assert caught.value.where.endswith("thing.yml:3")
    assert "given twice" in caught.value.what


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(MendableError) as caught:
        read_yaml(written(tmp_path, "name: a\nsize: [1, 2\n"))
    assert ":3" in caught.value.where or ":2" in caught.value.where


def test_an_absent_file_is_mendable(tmp_path: Path) -> None:
    with pytest.raises(MendableError, match="cannot read"):
        read_yaml(tmp_path / "none.yml")


def test_an_unknown_key_is_refused_and_the_known_ones_named(tmp_path: Path) -> None:
    document = read_yaml(written(tmp_path, "name: a\nsise: 1\n"))
    with pytest.raises(MendableError) as caught:
        validate(Thing, document)
    assert caught.value.where.endswith("thing.yml:2")
    assert "size" in caught.value.remedy


def test_a_row_at_fault_is_named_by_its_own_line(tmp_path: Path) -> None:
    path = written(tmp_path, "things:\n  - {name: a}\n  - name: b\n    size: many\n")
    with pytest.raises(MendableError) as caught:
        read_rows(path, "things", Thing)
    assert caught.value.where.endswith("thing.yml:4")


def test_rows_need_their_one_key(tmp_path: Path) -> None:
    with pytest.raises(MendableError, match="only top-level key"):
        read_rows(written(tmp_path, "others: []\n"), "things", Thing)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, "name: a\n")
    assert read_yaml(path).data == {"name": "a"}
    path.write_text("name: longer\n", encoding="utf-8")
    assert read_yaml(path).data == {"name": "longer"}
