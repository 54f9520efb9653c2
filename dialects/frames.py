"""Whether a ``.zst`` file is whole: the decoder takes what is cut off for the end (RFC 8878, sections 3.1.1 and 3.1.2).

Frames and blocks are stepped over by their sizes; nothing is unpacked.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO

import zstandard

_MAGIC, _SKIPPABLE = 0xFD2FB528, 0x184D2A50
_RLE, _RESERVED = 1, 3
#: A frame's header has no more bytes.
_HEADER = 18


def check_frames(file: BinaryIO) -> None:
    """Step over all frames of a file and go back to its beginning.

    Raises:
        EOFError: it is empty, or ends within a frame.
        zstandard.ZstdError: something else than a frame stands in it.
    """
    end = os.fstat(file.fileno()).st_size
    if not end:
        raise EOFError("empty, which a packed file never is")
    at = 0
    while at < end:
        at = _step_over(file, at, end)
    file.seek(0, io.SEEK_SET)


def _step_over(file: BinaryIO, at: int, end: int) -> int:
    """Where the frame that begins at ``at`` ends."""
    magic = int.from_bytes(_take(file, at, 4, end), "little")
    if magic & 0xFFFFFFF0 == _SKIPPABLE:
        return _within(at + 8 + int.from_bytes(_take(file, at + 4, 4, end), "little"), end)
    if magic != _MAGIC:
        raise zstandard.ZstdError(f"no frame at byte {at:,}")
    head = _take(file, at, min(_HEADER, end - at), end)
    try:
        size = zstandard.frame_header_size(head)
        checked = zstandard.get_frame_parameters(head).has_checksum
    except zstandard.ZstdError as error:
        raise EOFError(f"cut within the header of a frame: {error}") from error
    at += size
    last = False
    while not last:
        block = int.from_bytes(_take(file, at, 3, end), "little")
        last, kind, content = bool(block & 1), block >> 1 & 3, block >> 3
        if kind == _RESERVED:
            raise zstandard.ZstdError(f"no block at byte {at:,}")
        at = _within(at + 3 + (1 if kind == _RLE else content), end)
    return _within(at + 4 * checked, end)


def _take(file: BinaryIO, at: int, size: int, end: int) -> bytes:
    _within(at + size, end)
    file.seek(at, io.SEEK_SET)
    return file.read(size)


def _within(at: int, end: int) -> int:
    if at > end:
        raise EOFError("cut within a frame")
    return at
