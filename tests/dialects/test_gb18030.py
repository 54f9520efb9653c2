"""Characters of private use are none: what decodes to them was written in another encoding."""

from __future__ import annotations

import pytest

from dialects.gb18030 import tables
from dialects.scanner import BYTES, GOOD, cut_delimited


@pytest.mark.parametrize("text", ["\ue000", "\ue5e5", "\uf8ff", "\U000f0000", "\U0010fffd"])
def test_a_record_with_a_character_of_private_use_is_set_aside(text: str) -> None:
    data = f"a{text}|b\n".encode("gb18030")
    assert cut_delimited(data, 0x7C, 2).status.tolist() == [BYTES]


@pytest.mark.parametrize("text", ["個", "€", "\U0002000b", "\U000e0001", "\ufffd", "锟斤拷"])
def test_other_characters_are_as_before(text: str) -> None:
    assert cut_delimited(f"a{text}|b\n".encode("gb18030"), 0x7C, 2).status.tolist() == [GOOD]


def test_no_place_of_the_tables_is_of_private_use() -> None:
    of = tables()
    for places in (of.two, of.four):
        assert not ((places >= 0xE000) & (places < 0xF900)).any()
