"""YAML is read strictly, and what is wrong is named by file, line and remedy."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from conf.documents import Strict, parse_value, read_rows, read_yaml, validate
from conf.errors import UserError


class Thing(Strict):
    """A thing to check."""

    name: str
    size: int = 1


def written(folder: Path, text: str) -> Path:
    path = folder / "thing.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_repeated_key_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_yaml(written(tmp_path, "name: a\nsize: 1\nname: b\n"))
    assert caught.value.where.endswith("thing.yml:3")
    assert "given twice" in caught.value.what


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_yaml(written(tmp_path, "name: a\nsize: [1, 2\n"))
    assert ":3" in caught.value.where or ":2" in caught.value.where


def test_an_absent_file_is_mendable(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_yaml(tmp_path / "none.yml")


def test_an_unknown_key_is_refused_and_the_known_ones_named(tmp_path: Path) -> None:
    document = read_yaml(written(tmp_path, "name: a\nsise: 1\n"))
    with pytest.raises(UserError) as caught:
        validate(Thing, document)
    assert caught.value.where.endswith("thing.yml:2")
    assert "size" in caught.value.remedy


def test_a_row_at_fault_is_named_by_its_own_line(tmp_path: Path) -> None:
    path = written(tmp_path, "things:\n  - {name: a}\n  - name: b\n    size: many\n")
    with pytest.raises(UserError) as caught:
        read_rows(path, "things", Thing)
    assert caught.value.where.endswith("thing.yml:4")


def test_rows_need_their_one_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only top-level key"):
        read_rows(written(tmp_path, "others: []\n"), "things", Thing)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, "name: a\n")
    assert read_yaml(path).data == {"name": "a"}
    path.write_text("name: longer\n", encoding="utf-8")
    assert read_yaml(path).data == {"name": "longer"}


@pytest.mark.parametrize(
    "text", ["010", "1:30", "no", "yes", "on", "Off", "0x1F", "1_000", ".nan", ".inf", "1e999", "!!int '3'"]
)
def test_what_can_be_read_in_two_ways_is_refused_in_file_and_set_alike(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError) as of_file:
        read_yaml(written(tmp_path, f"name: a\nsize: {text}\n"))
    with pytest.raises(UserError) as of_set:
        parse_value(text, "--set size")
    assert of_file.value.where.endswith("thing.yml:2")
    assert (of_set.value.what, of_set.value.where) == (of_file.value.what, "--set size")
    assert of_file.value.remedy


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("-3", -3),
        ("1e-3", 1e-3),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("'010'", "010"),
        ("12:30 h", "12:30 h"),
        ("2026-01-09", dt.date(2026, 1, 9)),
        ("{no: [1, a]}", {"no": [1, "a"]}),
    ],
)
def test_all_else_is_read_as_written(tmp_path: Path, text: str, value: object) -> None:
    assert read_yaml(written(tmp_path, f"size: {text}\n")).data == {"size": value}
    assert parse_value(text, "--set size") == value


@pytest.mark.parametrize("text", ['"3"', "true", "3.0", "[3]", "{}", ""])
def test_a_value_of_another_type_is_not_converted(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(Thing, read_yaml(written(tmp_path, f"name: a\nsize: {text}\n")))
    assert caught.value.where.endswith("thing.yml:2")


def test_every_mistake_of_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        validate(Thing, read_yaml(written(tmp_path, "nam: a\nsize: many\ncolour: red\n")))
    told = {one.where.rsplit(":", 1)[1]: one for one in caught.value.each}
    assert set(told) == {"1", "2", "3"}  # the misspelt key is not told as missing, too
    assert "did you mean 'name'" in told["1"].remedy


def test_both_lines_of_a_repeated_key_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="in line 1 and in line 3"):
        read_yaml(written(tmp_path, "name: a\nsize: 1\nname: b\n"))


def test_a_file_in_another_encoding_is_told_and_how_to_mend_it(tmp_path: Path) -> None:
    path = tmp_path / "thing.yml"
    path.write_bytes("size: 1\nname: 广州\n".encode("gbk"))
    with pytest.raises(UserError, match="GBK") as caught:
        read_yaml(path)
    assert caught.value.where.endswith("thing.yml:2")
    assert "iconv -f GB18030" in caught.value.remedy
    path.write_bytes("name: a\n".encode("utf-16"))
    with pytest.raises(UserError, match="UTF-16"):
        read_yaml(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "thing.yml"
    path.write_bytes(b"\xef\xbb\xbfname: a\n")
    assert read_yaml(path).data == {"name": "a"}


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("name: a\n\tsize: 1\n", "not valid YAML", 2),
        ("name: a\x00\n", "control character", 1),
        ("name: a\nsize: 2026-02-30\n", "no date 2026-02-30", 2),
        ("name: a\n? [1]\n: 2\n", "a key must be a word", 2),
        ("name: &a [*a]\n", "holds itself", 1),
        ("name: a\nsize: !!python/name:os.system 1\n", "tag", 2),
        ("name: a\n---\nname: b\n", "not valid YAML", 2),
        ("[" * 3000 + "]" * 3000, "not valid YAML", 1),
    ],
)
def test_what_is_no_plain_document_is_told_with_its_line(tmp_path: Path, text: str, says: str, line: int) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read_yaml(written(tmp_path, text))
    assert caught.value.where.endswith(f"thing.yml:{line}")


@pytest.mark.parametrize("text", ["", "things:\n", "things: 3\n", "[]\n", "a\n", "things: [3]\n", "things:\n  -\n"])
def test_a_list_of_rows_must_be_one(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError) as caught:
        read_rows(written(tmp_path, text), "things", Thing)
    assert "thing.yml:" in caught.value.where


def test_mistakes_are_collected_and_the_sound_rows_kept(tmp_path: Path) -> None:
    found: list[UserError] = []
    rows = read_rows(
        written(tmp_path, "things:\n  - {nam: a}\n  - {name: b}\n  - {name: 3}\n"), "things", Thing, found.append
    )
    assert [row.name for _, _, row in rows] == ["b"]
    assert [mistake.where.rsplit(":", 1)[1] for mistake in found] == ["2", "4"]
