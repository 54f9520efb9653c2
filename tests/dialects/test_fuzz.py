"""Fuzz targets: whatever the bytes, each record is a row or is set aside, once, and its bytes can be put together again.

The quick ones run always; the `slow` ones run for ``CPC_FUZZ_SECONDS`` each (default two minutes), with other seeds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st

from conf.errors import UserError
from dialects import Records, pieces, read
from tests.dialects.conftest import feed_of, pseudonym
from tests.dialects.test_golden import HERE, SCHEMA

SECONDS = float(os.environ.get("CPC_FUZZ_SECONDS", "120"))
FORMS = ["avl", "verf", "verf_fixed", "vgop", "jsonl_gz", "csv_bare"]
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
#: Byte order marks of some encoding.
MARKS = (b"\xef\xbb\xbf", b"\x84\x31\x95\x33", b"\xff\xfe", b"\xfe\xff")
TOKENS = [
    b"\n",
    b"\r\n",
    b"\r",
    b"$",
    b"|",
    b"\x80",
    b"\x96\x7c",
    b"\x82\x80",
    b"\x81\x30\x81\x30",
    b"\x81",
    b"\xff",
    b"\x00",
    b"1",
    b"-",
    b".",
    b"{",
    b"}",
    b'"',
    b":",
    b",",
    b"\\",
    b'"no":',
    b'"word":"',
    b"\xe4\xb8\xad",
    b" ",
    b"20260108",
    b"a" * 7,
]


def lines_of(form: str) -> list[bytes]:
    """Lines of the golden files of a dialect, with their ends."""
    cases = yaml.safe_load((HERE / f"{form.split('_')[0]}.yml").read_text(encoding="utf-8"))
    texts = [case["bytes"].encode("latin-1") for case in cases if "bytes" in case]
    return sorted({line + b"\n" for text in texts for line in text.split(b"\n")})


def contents(form: str) -> st.SearchStrategy[bytes]:
    """Files: lines of the golden ones, cut, doubled and mixed with bytes that matter and any others."""
    line = st.sampled_from(lines_of(form))
    cut = st.builds(
        lambda whole, at, put: whole[:at] + put + whole[at:], line, st.integers(0, 40), st.sampled_from(TOKENS)
    )
    piece = st.one_of(line, cut, st.sampled_from(TOKENS), st.binary(max_size=12))
    return st.lists(piece, max_size=25).map(b"".join)


def records_of(content: bytes) -> list[bytes]:
    """What the contract calls records: LF always ends one, a CR before it belongs to the end."""
    lines = content.split(b"\n")
    return [line.removesuffix(b"\r") for line in (lines if lines[-1] else lines[:-1])]


def in_pieces(form: str, content: bytes, cuts: set[int]) -> Iterator[Records]:
    """Read in pieces that end where records do."""
    at = line = 0
    for number, end in enumerate([n + 1 for n, byte in enumerate(content) if byte == 10] + [len(content)]):
        if at < end and (number in cuts or end == len(content)):
            part = read(feed_of(form), SCHEMA, content[at:end], pseudonym, line=line, offset=at)
            yield part
            line, at = line + part.records, end


def accounts_for_all(form: str, content: bytes, cuts: set[int]) -> None:
    """Rows and records set aside are all lines, each once; the bytes set aside stand where it is said."""
    parts = list(in_pieces(form, content, cuts))
    wanted = records_of(content)
    seen = [int(line) for part in parts for line in part.line] + [one.line for part in parts for one in part.refused]
    assert sorted(seen) == list(range(1, len(wanted) + 1))
    for part in parts:
        assert part.records == len(part.line) + len(part.refused)
        for one in part.refused:
            assert one.raw == wanted[one.line - 1] == content[one.offset : one.offset + len(one.raw)]
            assert one.reason
            assert (one.position > 0) == bool(one.field)
        for number, word in zip(part.line.tolist(), part.table["word"].to_pylist(), strict=True):
            sent = wanted[number - 1].replace(b'""', b'"') if form == "csv_bare" else wanted[number - 1]
            assert word is None or form == "jsonl_gz" or word.encode("gb18030").replace(b'""', b'"') in sent
    bounded = read(feed_of(form), SCHEMA, content, pseudonym, most=1)
    whole = read(feed_of(form), SCHEMA, content, pseudonym)
    assert (bounded.faults, bounded.refused) == (whole.faults, whole.refused[:1])


def unpacks(suffix: str, content: bytes, folder: Path) -> None:
    """A packed file of any bytes is unpacked, or refused with a reason; memory is that of its pieces."""
    path = folder / f"sent{suffix}"
    path.write_bytes(content)
    reason = "none"
    try:
        for piece in pieces(path, size=4_096):
            assert len(piece) <= 4_096 + (1 << 17)
    except UserError as error:
        reason = error.what
    assert reason


def packed(suffix: str) -> st.SearchStrategy[bytes]:
    """Headers of packed files with anything behind them, and whole ones with a byte changed."""
    magic = {
        ".Z": [b"\x1f\x9d\x90", b"\x1f\x9d\x8c", b"\x1f\x9d\x10", b"\x1f\x9d\xff"],
        ".gz": [b"\x1f\x8b\x08" + b"\0" * 7],
        ".zst": [b"\x28\xb5\x2f\xfd"],
    }[suffix]
    cases = [case for name in ("avl", "jsonl") for case in yaml.safe_load((HERE / f"{name}.yml").read_text("utf-8"))]
    whole = st.sampled_from([bytes.fromhex(case["hex"]) for case in cases if case.get("suffix") == suffix])
    changed = st.builds(
        lambda data, at, byte: data[:at] + bytes([byte]) + data[at + 1 :],
        whole,
        st.integers(0, 40),
        st.integers(0, 255),
    )
    return st.one_of(
        st.builds(bytes.__add__, st.sampled_from(magic), st.binary(max_size=200)), changed, st.binary(max_size=30)
    )


def for_seconds(target: Callable[[], None]) -> None:
    """Run a property with one seed after another until the time is over."""
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        seed(number)(target)()
        number += 1


def reading(form: str, examples: int) -> Callable[[], None]:
    """The property of a dialect's reader."""

    @given(contents(form), st.sets(st.integers(0, 25)))
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=QUIET)
    def target(content: bytes, cuts: set[int]) -> None:
        assume(not content.startswith(MARKS))  # refused as a whole, or taken off: tests of their own
        accounts_for_all(form, content, cuts)

    return target


def unpacking(suffix: str, examples: int, folder: Path) -> Callable[[], None]:
    """The property of unpacking."""

    @given(packed(suffix))
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=QUIET)
    def target(content: bytes) -> None:
        unpacks(suffix, content, folder)

    return target


@pytest.mark.parametrize("form", FORMS)
def test_every_record_is_accounted_for(form: str) -> None:
    reading(form, 60)()


@pytest.mark.parametrize("suffix", [".Z", ".gz", ".zst"])
def test_any_packed_bytes_end_in_content_or_a_reason(suffix: str, tmp_path: Path) -> None:
    unpacking(suffix, 80, tmp_path)()


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_fuzz_readers(form: str) -> None:
    for_seconds(reading(form, 400))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".Z", ".gz", ".zst"])
def test_fuzz_unpacking(suffix: str, tmp_path: Path) -> None:
    for_seconds(unpacking(suffix, 1_000, tmp_path))
