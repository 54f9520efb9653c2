"""A `.zst` file is whole, or it is told: cut anywhere, with something behind it, or empty."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import zstandard

from conf.errors import UserError
from dialects import pieces

LINES = b"".join(b"%d|%d\n" % (n, n * n) for n in range(40_000))


def packed(checksum: bool = True, content: bytes = LINES) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_checksum=checksum).compress(content)


def streamed(content: bytes = LINES) -> bytes:
    """A frame that does not say how much it holds, in several blocks."""
    out = io.BytesIO()
    with zstandard.ZstdCompressor(write_content_size=False).stream_writer(out, closefd=False) as writer:
        for at in range(0, len(content), 50_000):
            writer.write(content[at : at + 50_000])
            writer.flush()
    return out.getvalue()


def read_all(folder: Path, content: bytes, name: str = "f.zst") -> bytes:
    path = folder / name
    path.write_bytes(content)
    return b"".join(pieces(path))


SKIPPABLE = b"\x52\x2a\x4d\x18\x03\x00\x00\x00abc"


@pytest.mark.parametrize(
    "content",
    [
        packed(),
        packed(checksum=False),
        streamed(),
        packed() + packed(),
        packed() + SKIPPABLE,
        packed(content=b"a" * 10**6 + b"\n"),
    ],
)
def test_a_whole_file_is_read(tmp_path: Path, content: bytes) -> None:
    expected = b"".join(
        zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True).readall() for _ in [0]
    )
    assert read_all(tmp_path, content) == expected


@pytest.mark.parametrize("content", [packed(), packed(checksum=False), streamed(), packed() + SKIPPABLE])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, content: bytes) -> None:
    whole = {0} | ({len(packed())} if content.endswith(SKIPPABLE) else set())
    for at in sorted({1, 3, 4, 5, 6, 9, 17, len(content) // 3, len(content) - 5, len(content) - 1} - whole):
        with pytest.raises(UserError, match="cannot be unpacked"):
            read_all(tmp_path, content[:at])


@pytest.mark.parametrize("name", ["f.zst", "f.gz"])
def test_nothing_is_no_packed_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="empty"):
        read_all(tmp_path, b"", name)


def test_what_stands_behind_a_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be unpacked"):
        read_all(tmp_path, packed() + b"garbage")
