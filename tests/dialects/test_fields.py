"""The compiled columns against the reference that goes through text: same values, same faults, on arbitrary bytes."""

from __future__ import annotations

import hashlib
import hmac

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.fields import columns_of, text_of
from dialects.gb18030 import tables
from dialects.hmac import Keyed
from dialects.scanner import GOOD, cut_delimited
from tests.dialects.conftest import FIELDS, convert, pseudonym
from tests.dialects.test_convert import VALUES, single
from tests.examples import examples

TEXTS = st.lists(st.one_of(VALUES, st.text("0123456789.-+$東個中a\U0002000b", max_size=20)), min_size=1, max_size=8)


@pytest.mark.parametrize("name", [field["name"] for field in FIELDS])
@given(texts=TEXTS)
@settings(max_examples=examples(150), deadline=None)
def test_a_column_is_what_its_text_is(name: str, texts: list[str | None]) -> None:
    schema = single(name)
    texts = [None if text is None or any(ord(c) < 32 for c in text) else text or None for text in texts]
    cut = cut_delimited(b"".join((text or "").encode("gb18030") + b"\n" for text in texts), 0x7C, 1)
    assert (cut.status == GOOD).all()
    [value], faults = columns_of(schema, cut, 0, pseudonym)
    [expected], reference = convert(schema, [pa.array(texts, pa.string())])
    assert value.type == expected.type
    assert repr(value.to_pylist()) == repr(expected.to_pylist())
    found = [(fault.code, fault.reason, fault.rows.tolist()) for fault in faults]
    assert found == [(fault.code, fault.reason, fault.rows.tolist()) for fault in reference]


@given(st.text(max_size=40))
@settings(max_examples=examples(200), deadline=None)
def test_text_is_what_the_codec_says(text: str) -> None:
    none = (range(0xD800, 0xF900), range(0xF0000, 0x110000))  # halves of pairs, and private use
    text = "".join(c for c in text if ord(c) >= 32 and c != "|" and not any(ord(c) in block for block in none))
    data = text.encode("gb18030")
    cut = cut_delimited(data + b"\n", 0x7C, 1)
    assert cut.status.tolist() == [GOOD]
    assert text_of(cut.source, cut.begin[0], cut.finish[0]).to_pylist() == [text or None]


def test_the_tables_know_every_character_of_the_codec_that_is_not_private_and_no_other() -> None:
    of = tables()
    for lead in (0x81, 0xA2, 0xFE):
        for trail in range(0x40, 0xFF):
            pair = bytes((lead, trail))
            try:
                point = ord(pair.decode("gb18030"))
            except (UnicodeDecodeError, TypeError):
                point = 0
            assert of.two[lead << 8 | trail] == (0 if 0xE000 <= point < 0xF900 else point)
    assert (of.four[:3] == [0x80, 0x81, 0x82]).all()


@given(
    st.lists(st.one_of(st.none(), st.text("0123456789", max_size=55)), max_size=6), st.binary(min_size=1, max_size=80)
)
@settings(max_examples=examples(100), deadline=None)
def test_pseudonyms_are_hmacs(numbers: list[str | None], key: bytes) -> None:
    found = Keyed(key)(pa.array(numbers, pa.string())).to_pylist()
    assert found == [n if n is None else hmac.digest(key, n.encode(), hashlib.sha256) for n in numbers]
