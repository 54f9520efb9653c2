"""The compiled widths of UTF-8 characters against the codec."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dialects.utf8 import utf8_width


@given(
    st.one_of(st.binary(min_size=1, max_size=4), st.characters(codec="utf-8").map(lambda sign: sign.encode() + b"x"))
)
def test_a_character_is_one_that_the_codec_knows(data: bytes) -> None:
    known = [size for size in (1, 2, 3, 4) if size <= len(data) and decodes(data[:size])]
    if data[0] >= 0x80:
        assert utf8_width(np.frombuffer(data, np.uint8), 0, len(data)) == (known or [0])[0]


def decodes(data: bytes) -> bool:
    try:
        return len(data.decode("utf-8")) == 1
    except UnicodeDecodeError:
        return False
