"""GB18030 by tables, for compiled kernels: bytes of a character, and its UTF-8.

One byte below 0x80; two bytes (lead 0x81–0xFE, trail 0x40–0x7E or 0x80–0xFE); four bytes (lead, digit 0x30–0x39, lead,
digit), of which linear numbers below 39,420 are the rest of the BMP and from 189,000 on the supplementary planes
(GB 18030-2005, as Python's codec decodes it: the tables are made by it). Positions that stand for no character, or for
one of private use, are 0.
"""

# ruff: noqa: ANN001, ANN201, ANN202  (numba infers the types of its kernels)
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit

_FOUR_BMP, _FOUR_REST, _FOUR_END = 39_420, 189_000, 189_000 + 0xE0000  # planes 15 and 16 are for private use
#: What some systems put before a file of GB18030 (U+FEFF); it is no part of the text.
BYTE_ORDER_MARK = b"\x84\x31\x95\x33"
#: Characters of private use: nobody's text holds them; what decodes to them was written in another encoding.
_PRIVATE = range(0xE000, 0xF900)


@dataclass(frozen=True)
class Tables:
    """Code points: ``two[lead << 8 | trail]`` uint16 [65536] and ``four[linear]`` uint16 [39420]; 0 is none."""

    two: npt.NDArray[np.uint16]
    four: npt.NDArray[np.uint16]


@lru_cache(maxsize=1)
def tables() -> Tables:
    """The tables, made once a process (some 20 ms)."""
    pairs = [bytes((lead, trail)) for lead in range(0x81, 0xFF) for trail in range(0x40, 0xFF) if trail != 0x7F]
    two, four = np.zeros(1 << 16, np.uint16), np.array(_points([_four(linear) for linear in range(_FOUR_BMP)]))
    two[[pair[0] << 8 | pair[1] for pair in pairs]] = _points(pairs)
    return Tables(two, four.astype(np.uint16))


def _four(linear: int) -> bytes:
    rest, last = divmod(linear, 10)
    rest, third = divmod(rest, 126)
    first, second = divmod(rest, 10)
    return bytes((first + 0x81, second + 0x30, third + 0x81, last + 0x30))


def _points(characters: list[bytes]) -> list[int]:
    """Code points of encoded characters, 0 for what is none; LF between them is never part of one."""
    texts = b"\n".join(characters).decode("gb18030", "replace").split("\n")
    known = "\ufffd".encode("gb18030")  # it has a code of its own
    pairs = zip(texts, characters, strict=True)
    points = [ord(t) if len(t) == 1 and (t != "\ufffd" or c == known) else 0 for t, c in pairs]
    return [0 if point in _PRIVATE else point for point in points]


@njit(cache=True, nogil=True)
def _linear(source, at):  # type: ignore[no-untyped-def]
    return (
        (np.int64(source[at]) - 0x81) * 12_600
        + (np.int64(source[at + 1]) - 0x30) * 1_260
        + (np.int64(source[at + 2]) - 0x81) * 10
        + np.int64(source[at + 3])
        - 0x30
    )


@njit(cache=True, nogil=True)
def width_of(source, at, end, two, four):  # type: ignore[no-untyped-def]
    """Bytes of the character at ``at`` (before ``end``); 0 if none stands there."""
    lead = source[at]
    if lead < 0x80:
        return 1
    if lead == 0x80 or lead == 0xFF or at + 1 >= end:
        return 0
    trail = source[at + 1]
    if trail >= 0x40:
        return 2 if two[np.int64(lead) << 8 | np.int64(trail)] else 0
    if not (0x30 <= trail <= 0x39 and at + 3 < end):
        return 0
    if not (0x81 <= source[at + 2] <= 0xFE and 0x30 <= source[at + 3] <= 0x39):
        return 0
    linear = _linear(source, at)
    if linear < _FOUR_BMP:
        return 4 if four[linear] else 0
    return 4 if _FOUR_REST <= linear < _FOUR_END else 0


@njit(cache=True, nogil=True)
def utf8_of(source, begin, finish, two, four, offsets, out):  # type: ignore[no-untyped-def]
    """Texts ``source[begin[i]:finish[i]]``, valid characters all, as UTF-8 one after another; returns their size."""
    size = 0
    for row in range(len(begin)):
        offsets[row] = size
        at, end = begin[row], finish[row]
        while at < end:
            byte = source[at]
            if byte < 0x80:
                out[size] = byte
                size += 1
                at += 1
                continue
            if source[at + 1] >= 0x40:
                point = np.int64(two[np.int64(byte) << 8 | np.int64(source[at + 1])])
                at += 2
            else:
                linear = _linear(source, at)
                point = np.int64(four[linear]) if linear < _FOUR_BMP else 0x10000 + linear - _FOUR_REST
                at += 4
            if point < 0x800:
                out[size] = 0xC0 | point >> 6
                size += 1
            else:
                if point < 0x10000:
                    out[size] = 0xE0 | point >> 12
                    size += 1
                else:
                    out[size] = 0xF0 | point >> 18
                    out[size + 1] = 0x80 | (point >> 12 & 0x3F)
                    size += 2
                out[size] = 0x80 | (point >> 6 & 0x3F)
                size += 1
            out[size] = 0x80 | (point & 0x3F)
            size += 1
    offsets[len(begin)] = size
    return size
