"""A file in another encoding, a mark before it, a character written as an escape, and the same content sent again."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.jobs.ingest.conftest import Desk

WORDS = ["客服投诉", "网络资费争议", "市区郊区"]


def lines(encoding: str, words: list[str] = WORDS) -> dict[int, bytes]:
    """Records of the avl feed as they would be in an encoding."""
    return {
        n: f"{n + 1}$13800000001${word}$a$7$1.25$20260108$20260109013000".encode(encoding)
        for n, word in enumerate(words)
    }


def test_11_utf8_in_a_feed_of_gb18030(desk: Desk) -> None:
    desk.send("plain_avl", [1, 2, 3], raw=lines("utf-8"))
    assert desk.load()["codes"] == {"11": 1}
    assert desk.rows() == []
    [reason] = {row["reason"] for row in desk.night().lake.arrow("ops_delivery").to_pylist()}
    assert "it is UTF-8" in reason


def test_gb18030_and_plain_ascii_are_taken(desk: Desk) -> None:
    desk.send("plain_avl", [1, 2, 3], raw=lines("gb18030"))
    desk.send("gzip_avl", [1, 2, 3], raw=lines("gb18030", ["abc", "d", ""]))
    assert desk.load()["codes"] == {"00": 2}


@pytest.mark.parametrize(("mark", "code"), [(b"\x84\x31\x95\x33", "00"), (b"\xef\xbb\xbf", "11"), (b"\xff\xfe", "11")])
def test_a_byte_order_mark_is_taken_off_or_the_file_refused(desk: Desk, mark: bytes, code: str) -> None:
    rows = lines("gb18030")
    desk.send("plain_avl", [1, 2, 3], raw={**rows, 0: mark + rows[0]})
    assert desk.load()["codes"] == {code: 1}
    assert desk.numbers("plain_avl") == ([1, 2, 3] if code == "00" else [])
    assert desk.aside() == []


@pytest.mark.parametrize(
    ("escape", "good"), [("\\u0000", False), ("\\u001f", False), ("\\b", False), ("\\n", True), ("\\\\u0000", True)]
)
def test_a_control_character_written_as_an_escape_is_set_aside_like_the_raw_one(
    desk: Desk, escape: str, good: bool
) -> None:
    texts = [f'{{"no": {n}, "word": "{word}"}}' for n, word in ((1, "a"), (2, f"a{escape}b"[:12]), (3, "c"))]
    desk.send("hour_json", [1, 2, 3], hour=8, raw={n: text.encode() for n, text in enumerate(texts)})
    desk.load()
    if escape == "\\\\u0000":
        assert [row["field"] for row in desk.aside()] == ["word"]  # eight characters where six may be
        return
    assert desk.numbers("hour_json") == ([1, 2, 3] if good else [1, 3])
    assert ["control character" in row["reason"] for row in desk.aside()] == [True] * (not good)


def test_16_the_same_content_under_a_new_number(desk: Desk) -> None:
    desk.send("parts_verf", [1, 2, 3])
    desk.load()
    desk.send("parts_verf", [1, 2, 3], resend=1)
    assert desk.load()["codes"] == {"16": 2}
    desk.send("parts_verf", [4, 5, 6], resend=2)
    assert desk.load()["codes"] == {"00": 2}
    desk.send("parts_verf", [1, 2, 3], resend=3)  # back to what was replaced: that is news
    assert desk.load()["codes"] == {"00": 2}
    assert desk.numbers("parts_verf") == [1, 2, 3]


def test_sentinel_times_are_set_aside_with_their_field(desk: Desk) -> None:
    rows = lines("gb18030")
    rows[1] = b"2$13800000001$a$a$7$1.25$00010101$20260109013000"
    desk.send("plain_avl", [1, 2, 3], raw=rows)
    assert desk.load()["codes"] == {"00": 1}
    assert [(row["field"], row["code"]) for row in desk.aside()] == [("day", 1)]


def test_10_a_cut_zst(desk: Desk) -> None:
    [data, control] = desk.send("day_json", list(range(2000)))
    cut = data.read_bytes()[:-40]
    data.write_bytes(cut)
    manifest = json.loads(control.read_text())
    manifest["parts"][0] |= {"bytes": len(cut), "sha256": None}
    control.write_text(json.dumps(manifest))
    assert desk.load()["codes"] == {"10": 1}


def test_10_an_empty_gz(desk: Desk) -> None:
    [data, control] = desk.send("gzip_avl", [])
    assert gzip.decompress(data.read_bytes()) == b""
    said = control.read_text().replace(f"${data.stat().st_size}$", "$0$")
    data.write_bytes(b"")
    control.write_text(said)
    assert desk.load()["codes"] == {"10": 1}
