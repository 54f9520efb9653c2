"""The compiled scanner against a slow one that follows the text of the contract, on arbitrary bytes."""

from __future__ import annotations

import itertools
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialects.scanner import BYTES, CONTROL, COUNT, GOOD, LENGTH, LONGEST, QUOTES, Cut, cut_delimited, cut_fixed
from tests.examples import examples

#: Bytes that matter: separators, line ends, leads, trails, digits of four-byte characters, controls.
NASTY = st.lists(
    st.sampled_from(
        [
            b"|",
            b"\x80",
            b"\n",
            b"\r",
            b"\r\n",
            b"\x96\x7c",
            b"\x82\x80",
            b"\x81\x30\x81\x30",
            b"\x81",
            b"\xff",
            b"\x81\x30",
            b"a",
            b"1",
            b" ",
            b"\t",
            b"\x00",
            b"\x1f",
            b"\xe4\xb8\xad",
            b"\x7f",
            b"\x81\x7f",
            b"\xfe\xfe",
        ]
    ),
    max_size=60,
).map(b"".join)
ANY = st.one_of(NASTY, st.binary(max_size=80))


def lines_of(data: bytes) -> list[tuple[int, bytes]]:
    """Offset and content of every record: LF ends one, a CR before it belongs to the line end."""
    found, at = [], 0
    pieces = data.split(b"\n")
    for number, piece in enumerate(pieces):
        if number == len(pieces) - 1 and not piece:
            break
        found.append((at, piece.removesuffix(b"\r") if piece.endswith(b"\r") else piece))
        at += len(piece) + 1
    return found


def characters(line: bytes) -> list[bytes] | None:
    """The characters of a line by the ranges of GB18030, each known to the codec; None if it has none."""
    found, at = [], 0
    while at < len(line):
        lead = line[at]
        if lead < 0x80:
            size = 1
        elif lead in (0x80, 0xFF):
            return None
        elif at + 1 < len(line) and (0x40 <= line[at + 1] <= 0x7E or 0x80 <= line[at + 1] <= 0xFE):
            size = 2
        else:
            tail = line[at + 1 : at + 4]
            if not (len(tail) == 3 and 0x30 <= tail[0] <= 0x39 and 0x81 <= tail[1] <= 0xFE and 0x30 <= tail[2] <= 0x39):
                return None
            size = 4
        found.append(line[at : at + size])
        at += size
        try:
            character = found[-1].decode("gb18030")
        except UnicodeDecodeError:
            return None
        if unicodedata.category(character) == "Co":  # of private use: no text of the feed's encoding
            return None
    return found


def records_of(cut: Cut) -> list[list[bytes]]:
    """The fields of the good records."""
    data = cut.source.tobytes()
    pairs = zip(cut.begin.T.tolist(), cut.finish.T.tolist(), strict=True)
    return [[data[b:f] for b, f in zip(begin, finish, strict=True)] for begin, finish in pairs]


def fields_of(line: bytes, separator: int) -> list[bytes] | None:
    """Fields of a line, separators inside characters being none."""
    fields, at = [b""], 0
    while at < len(line):
        if line[at] == separator:
            fields.append(b"")
            at += 1
            continue
        for size in (1, 2, 4):
            if characters(line[at : at + size]) is not None and len(line[at : at + size]) == size:
                fields[-1] += line[at : at + size]
                at += size
                break
        else:
            return None
    return fields


@given(ANY, st.sampled_from([0x7C, 0x80, 0x24]), st.integers(1, 4))
@example(b"\x82\x80\x80a\n", 0x80, 2)
@example(b"\x96\x7c|\xe4\xb8|\n", 0x7C, 2)
@example(b"a|b|\r\nc|d\n\n", 0x7C, 2)
@settings(max_examples=examples(400), deadline=None)
def test_delimited_as_the_contract_says(data: bytes, separator: int, wanted: int) -> None:
    cut = cut_delimited(data, separator, wanted)
    expected = lines_of(data)
    assert [(int(s), data[s:e]) for s, e in zip(cut.start, cut.end, strict=True)] == expected
    good = []
    for status, (_, line) in zip(cut.status, expected, strict=True):
        fields = fields_of(line, separator)
        if fields is not None and len(fields) == wanted + 1 and fields[-1] == b"":
            fields = fields[:-1]
        clean = not any(byte < 0x20 and byte != 9 for byte in line)
        if fields is not None and clean and len(fields) == wanted:
            assert status == GOOD, line
            good.append(fields)
        else:
            assert status in ((COUNT,) if fields is not None and clean else (BYTES, CONTROL)), line
    assert records_of(cut) == good


@pytest.mark.whole
@given(ANY, st.lists(st.integers(1, 6), min_size=1, max_size=4))
@example(b"a\xe4\xb8b\n", [2, 2])
@settings(max_examples=examples(400), deadline=None)
def test_fixed_as_the_contract_says(data: bytes, widths: list[int]) -> None:
    cut = cut_fixed(data, widths)
    expected = lines_of(data)
    assert [data[s:e] for s, e in zip(cut.start, cut.end, strict=True)] == [line for _, line in expected]
    bounds = np.cumsum([0, *widths])
    good = []
    for status, (_, line) in zip(cut.status, expected, strict=True):
        fields = [line[a:b] for a, b in itertools.pairwise(bounds)]
        right = len(line) == bounds[-1] and all(characters(f) is not None and min(f, default=32) >= 32 for f in fields)
        assert (status == GOOD) == right, line
        if right:
            good.append([f.rstrip(b" ") for f in fields])
    assert records_of(cut) == good


def test_an_over_long_record_is_set_aside_and_the_next_is_read() -> None:
    cut = cut_delimited(b"a" * (LONGEST + 1) + b"\nb\n", 0x7C, 1)
    assert cut.status.tolist() == [LENGTH, GOOD]
    assert records_of(cut) == [[b"b"]]


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n", b"\n\n"])
def test_empty_lines_are_records(data: bytes) -> None:
    assert len(cut_delimited(data, 0x7C, 2).status) == data.count(b"\n")


CSV = st.lists(
    st.sampled_from(
        [b'"', b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"a", b"\xe4\xb8\xad", b"\xe4", b"\x00", b" ", b"\x96\x7c"]
    ),
    max_size=24,
).map(b"".join)


def quoted_fields(line: bytes, encoding: str) -> list[bytes] | None:
    """Fields of a line whose fields may stand in quotes, by a regular expression; None if quotes enclose no field."""
    text = line.decode(encoding)
    fields, at = [], 0
    while True:
        found = re.compile(r'"((?:[^"]|"")*)"(?=,|$)|(?!")([^,]*)', re.S).match(text, at)
        if found is None:
            return None
        whole = found[1].replace('""', '"') if found[1] is not None else found[2]
        fields.append(whole.encode(encoding))
        if found.end() == len(text):
            return fields
        at = found.end() + 1


@pytest.mark.whole
@given(CSV, st.integers(1, 3), st.booleans())
@example(b'"a,""",b\n"",""\n"a\nb"\n"a"b,c\n', 2, True)
@settings(max_examples=examples(400), deadline=None)
def test_quoted_as_the_contract_says(data: bytes, wanted: int, utf8: bool) -> None:
    cut = cut_delimited(data, 0x2C, wanted, utf8=utf8, quoted=True)
    encoding = "utf-8" if utf8 else "gb18030"
    expected = lines_of(data)
    assert [(int(s), data[s:e]) for s, e in zip(cut.start, cut.end, strict=True)] == expected
    good = []
    for status, (_, line) in zip(cut.status, expected, strict=True):
        try:
            fields = quoted_fields(line, encoding)
        except UnicodeDecodeError:
            fields = None
        if not utf8 and fields is not None and "Co" in map(unicodedata.category, line.decode(encoding)):
            fields = None
        clean = not any(byte < 0x20 and byte != 9 for byte in line)
        if fields is not None and len(fields) == wanted + 1 and fields[-1] == b"":
            fields = fields[:-1]
        if fields is not None and clean and len(fields) == wanted:
            assert status == GOOD, line
            good.append(fields)
        else:
            assert status in ((COUNT,) if fields is not None and clean else (BYTES, CONTROL, QUOTES)), line
    assert records_of(cut) == good


def test_the_file_is_left_as_it_was_sent() -> None:
    data = b'"a""b",c\n'
    cut = cut_delimited(data, 0x2C, 2, quoted=True)
    assert records_of(cut) == [[b'a"b', b"c"]]
    assert data == b'"a""b",c\n'
