"""Cuts files into records and fields by their bytes, compiled: a separator inside a character is no separator.

In GB18030 a character is one byte below 0x80, two bytes (lead 0x81–0xFE, trail 0x40–0x7E or 0x80–0xFE) or four
(lead, digit 0x30–0x39, lead, digit). So 0x7C (``|``) and 0x80 occur inside characters, while ``$``, CR and LF never do.
LF always ends a record. What is good is copied with 0x1F between fields, ready to be decoded and parsed in one go.
"""

# ruff: noqa: ANN001, ANN202  (numba infers the types of its kernels)
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
#: Stands between fields of a good record: no character of the encodings contains it, and data may not.
UNIT = 0x1F
GOOD, BYTES, COUNT, CONTROL, LENGTH = 0, 6, 7, 9, 2
#: A record longer than this is set aside: memory stays bounded whatever a sender does.
LONGEST = 1 << 20


@dataclass(frozen=True)
class Cut:
    """The records of a file.

    Attributes:
        start: byte offset of each record, int64 [lines].
        end: end of each record without its line end, int64 [lines].
        status: 0 good, else the record code, uint8 [lines].
        good: the good records, fields separated by 0x1F, each ended by LF.
    """

    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    status: npt.NDArray[np.uint8]
    good: Bytes


def cut_delimited(data: bytes, separator: int, fields: int) -> Cut:
    """Cut a delimited file; a trailing separator may or may not be there."""
    source = np.frombuffer(data, np.uint8)
    most = _lines(source)
    start, end, status = np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(most, np.uint8)
    out = np.empty(len(source) + 1, np.uint8)
    size = _delimited(source, separator, fields, start, end, status, out)
    return Cut(start, end, status, out[:size])


def cut_fixed(data: bytes, widths: list[int]) -> Cut:
    """Cut a fixed-width file: ``widths`` in bytes; padding spaces go."""
    source = np.frombuffer(data, np.uint8)
    most = _lines(source)
    start, end, status = np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(most, np.uint8)
    out = np.empty(len(source) + most * len(widths) + 1, np.uint8)
    size = _fixed(source, np.array(widths, np.int64), start, end, status, out)
    return Cut(start, end, status, out[:size])


def _lines(source: Bytes) -> int:
    if len(source) == 0:
        return 0
    return int(np.count_nonzero(source == 10)) + (source[-1] != 10)


@njit(cache=True, inline="always")
def _width(source, at, end):  # type: ignore[no-untyped-def]
    """Bytes of the character at ``at``; 0 if it is none."""
    lead = source[at]
    if lead < 0x80:
        return 1
    if lead == 0x80 or lead == 0xFF or at + 1 >= end:
        return 0
    trail = source[at + 1]
    if 0x40 <= trail <= 0xFE and trail != 0x7F:
        return 2
    if 0x30 <= trail <= 0x39 and at + 3 < end and 0x81 <= source[at + 2] <= 0xFE and 0x30 <= source[at + 3] <= 0x39:
        return 4
    return 0


@njit(cache=True)
def _delimited(source, separator, fields, start, end, status, out):  # type: ignore[no-untyped-def]
    size, line, at, total = 0, 0, 0, len(source)
    while at < total:
        stop = at
        while stop < total and source[stop] != 10:
            stop += 1
        begin, following = at, stop + 1
        if stop > begin and source[stop - 1] == 13:
            stop -= 1
        start[line], end[line] = begin, stop
        state, count, head = GOOD, 1, size
        if stop - begin > LONGEST:
            state = LENGTH
        while state == GOOD and at < stop:
            byte = source[at]
            if byte == separator:
                out[size] = UNIT
                size += 1
                at += 1
                count += 1
                continue
            if byte < 0x20 and byte != 9:
                state = CONTROL
                break
            width = _width(source, at, stop)
            if width == 0:
                state = BYTES
                break
            for k in range(width):
                out[size + k] = source[at + k]
            size += width
            at += width
        if state == GOOD:
            if count == fields + 1 and size > head and out[size - 1] == UNIT:
                size -= 1
            elif count != fields:
                state = COUNT
        if state == GOOD:
            out[size] = 10
            size += 1
        else:
            size = head
        status[line] = state
        line += 1
        at = following
    return size


@njit(cache=True)
def _fixed(source, widths, start, end, status, out):  # type: ignore[no-untyped-def]
    size, line, at, total = 0, 0, 0, len(source)
    wanted = widths.sum()
    while at < total:
        stop = at
        while stop < total and source[stop] != 10:
            stop += 1
        begin, following = at, stop + 1
        if stop > begin and source[stop - 1] == 13:
            stop -= 1
        start[line], end[line] = begin, stop
        head = size
        state = GOOD if stop - begin == wanted else COUNT
        field_start = begin
        for f in range(len(widths)):
            if state != GOOD:
                break
            field_end = field_start + widths[f]
            at = field_start
            if f:
                out[size] = UNIT
                size += 1
            head_of_field = size
            while at < field_end:
                byte = source[at]
                if byte < 0x20:
                    state = CONTROL
                    break
                width = _width(source, at, field_end)  # a character may not reach into the next field
                if width == 0:
                    state = BYTES
                    break
                for k in range(width):
                    out[size + k] = source[at + k]
                size += width
                at += width
            while size > head_of_field and out[size - 1] == 0x20:
                size -= 1
            field_start = field_end
        if state == GOOD:
            out[size] = 10
            size += 1
        else:
            size = head
        status[line] = state
        line += 1
        at = following
    return size


def warm() -> None:
    """Compile both kernels."""
    cut_delimited(b"a|b\n", 0x7C, 2)
    cut_fixed(b"ab\n", [1, 1])
