"""UTF-8 for compiled kernels: bytes of a character."""

# ruff: noqa: ANN001, ANN201, ANN202  (numba infers the types of its kernels)
from __future__ import annotations

import numpy as np
from numba import njit

#: What some systems put before a file of UTF-8; it is no part of the text.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def count_wide(content: bytes) -> int:
    """Characters of three or more bytes (Chinese ones among them) in UTF-8; −1 if these bytes are none."""
    return int(_count_wide(np.frombuffer(content, np.uint8)))


@njit(cache=True, nogil=True)
def _count_wide(source):  # type: ignore[no-untyped-def]
    at, wide, stop = 0, 0, len(source)
    while at < stop:
        if source[at] < 0x80:
            at += 1
            continue
        width = utf8_width(source, at, stop)
        if width == 0:
            return -1
        wide += width > 2
        at += width
    return wide


@njit(cache=True, nogil=True)
def utf8_width(source, at, stop):  # type: ignore[no-untyped-def]
    """Bytes of the UTF-8 character at ``at`` (The Unicode Standard, table 3-7); 0 if none stands there."""
    lead = source[at]
    if lead < 0xC2 or lead > 0xF4:
        return 0
    width = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if at + width > stop:
        return 0
    low, high = 0x80, 0xBF
    if lead == 0xE0:
        low = 0xA0
    elif lead == 0xED:
        high = 0x9F
    elif lead == 0xF0:
        low = 0x90
    elif lead == 0xF4:
        high = 0x8F
    if not low <= source[at + 1] <= high:
        return 0
    for k in range(2, width):
        if not 0x80 <= source[at + k] <= 0xBF:
            return 0
    return width
