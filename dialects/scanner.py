"""Cuts files into records and fields by their bytes, compiled: a separator inside a character is no separator.

In GB18030 0x7C (``|``) and 0x80 occur inside characters, while ``$``, CR and LF never do. LF always ends a record. A
character of private use counts as undecodable: what holds one was written in another encoding.
Nothing is copied: a field is where it begins and where it finishes.
"""

# ruff: noqa: ANN001, ANN202  (numba infers the types of its kernels)
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from dialects.arrays import Bytes
from dialects.gb18030 import tables, width_of
from dialects.utf8 import utf8_width

Places = npt.NDArray[np.int32]
GOOD, BYTES, COUNT, CONTROL, LENGTH = 0, 6, 7, 9, 2
#: No code of the record level: quotes that do not enclose one whole field of the line.
QUOTES = 254
#: A record longer than this is set aside: memory stays bounded whatever a sender does.
LONGEST = 1 << 20


@dataclass(frozen=True)
class Cut:
    """The records of a piece of a file, and where the fields of the good ones stand.

    Attributes:
        source: the bytes that fields are read from, uint8 (a copy of the file's where quotes were put right).
        start: byte offset of each record, int64 [lines].
        end: end of each record without its line end, int64 [lines].
        status: 0 good, else the record code, uint8 [lines].
        begin: where field f of good record r begins, int32 [fields, good].
        finish: where it ends, int32 [fields, good].
        utf8: whether the bytes of fields are UTF-8, not GB18030.
    """

    source: Bytes
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    status: npt.NDArray[np.uint8]
    begin: Places
    finish: Places
    utf8: bool = False


def cut_delimited(data: bytes, separator: int, fields: int, *, utf8: bool = False, quoted: bool = False) -> Cut:
    """Cut delimited records; a trailing separator may or may not be there.

    Args:
        data: whole lines.
        separator: the byte between fields.
        fields: so many a good record has.
        utf8: whether the bytes are UTF-8, not GB18030.
        quoted: whether a field may stand in double quotes; what it holds has them no longer, and doubled ones once.
    """
    scan = _scan_quoted if quoted else _scan_delimited
    return _cut(data, fields, fields, lambda *room: scan(*room, separator, fields, utf8), utf8=utf8, own=quoted)


def cut_fixed(data: bytes, widths: list[int]) -> Cut:
    """Cut fixed-width records: ``widths`` in bytes; padding spaces go."""
    return _cut(data, len(widths), sum(widths), lambda *room: _scan_fixed(*room, np.array(widths, np.int64)))


def _cut(data, fields, least, scan, *, utf8=False, own=False) -> Cut:  # type: ignore[no-untyped-def]
    """Make room for the most records there can be (a good one has at least ``least`` bytes), and scan.

    With ``own`` the bytes are copied: the scan puts doubled quotes right in place.
    """
    source = np.frombuffer(bytearray(data) if own else data, np.uint8)
    most = int(np.count_nonzero(source == 10)) + 1
    start, end, status = np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(most, np.uint8)
    places = np.empty((2, fields, min(most, len(source) // max(least, 1) + 1) + 1), np.int32)
    of = tables()
    lines, good = scan(source, of.two, of.four, start, end, status, places[0], places[1])
    return Cut(source, start[:lines], end[:lines], status[:lines], places[0, :, :good], places[1, :, :good], utf8)


@njit(cache=True, nogil=True)
def rest_of_line(source, head, at):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """End of the line without its line end, and where the next begins."""
    total = len(source)
    while at < total and source[at] != 10:
        at += 1
    stop = at - 1 if at > head and source[at - 1] == 13 else at
    return stop, min(at + 1, total)


@njit(cache=True, nogil=True)
def find_text(source, at, after, flat, ends):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Which of a list of texts stands from ``at`` to ``after``; −1 if none. ``flat`` holds them, ``ends`` their ends."""
    size = after - at
    for text in range(len(ends) - 1):
        base = ends[text]
        if ends[text + 1] - base != size:
            continue
        k = 0
        while k < size and flat[base + k] == source[at + k]:
            k += 1
        if k == size:
            return text
    return -1


@njit(cache=True, nogil=True)
def _scan_delimited(source, two, four, start, end, status, begin, finish, separator, fields, utf8):  # type: ignore[no-untyped-def]
    row, line, at, total = 0, 0, 0, len(source)
    while at < total:
        head, field, count, state = at, at, 0, GOOD
        while at < total:
            byte = source[at]
            if byte == separator:
                if count < fields:
                    begin[count, row] = field
                    finish[count, row] = at
                count += 1
                at += 1
                field = at
            elif 0x20 <= byte < 0x80 or byte == 9:
                at += 1
            elif byte == 10 or (byte == 13 and (at + 1 == total or source[at + 1] == 10)):
                break
            elif byte < 0x20:
                state = CONTROL
                break
            else:
                width = utf8_width(source, at, total) if utf8 else width_of(source, at, total, two, four)
                if width == 0:
                    state = BYTES
                    break
                at += width
        inside = at
        stop, at = rest_of_line(source, head, at)
        if stop - head > LONGEST:
            state = LENGTH
        elif state == GOOD and count == fields - 1:
            begin[count, row] = field
            finish[count, row] = inside
        elif state == GOOD and not (count == fields and field == inside):
            state = COUNT
        start[line], end[line], status[line] = head, stop, state
        line += 1
        row += state == GOOD
    return line, row


@njit(cache=True, nogil=True)
def _scan_quoted(source, two, four, start, end, status, begin, finish, separator, fields, utf8):  # type: ignore[no-untyped-def]
    row, line, following, total = 0, 0, 0, len(source)
    while following < total:
        head = following
        stop, following = rest_of_line(source, head, head)
        at, count, state, left, put = head, 0, GOOD, head, head
        while stop - head <= LONGEST:  # a field a turn
            inside = at < stop and source[at] == 0x22
            at += inside
            left, put = at, at  # what the field holds is moved to ``left`` … ``put``: past each second quote of two
            while at < stop:
                byte = source[at]
                if inside and byte == 0x22:
                    at += 1
                    inside = at < stop and source[at] == 0x22
                    if not inside:
                        break
                elif not inside and byte == separator:
                    break
                if byte < 0x80:
                    if byte < 0x20 and byte != 9:
                        state = CONTROL
                        break
                    source[put] = byte
                    at += 1
                    put += 1
                    continue
                width = utf8_width(source, at, stop) if utf8 else width_of(source, at, stop, two, four)
                if width == 0:
                    state = BYTES
                    break
                for k in range(width):
                    source[put + k] = source[at + k]
                at += width
                put += width
            if state == GOOD and (inside or (at < stop and source[at] != separator)):
                state = QUOTES
            if state != GOOD:
                break
            if count < fields:
                begin[count, row], finish[count, row] = left, put
            count += 1
            if at >= stop:
                break
            at += 1
        if stop - head > LONGEST:
            state = LENGTH
        elif state == GOOD and count != fields and not (count == fields + 1 and left == put):
            state = COUNT
        start[line], end[line], status[line] = head, stop, state
        line += 1
        row += state == GOOD
    return line, row


@njit(cache=True, nogil=True)
def _scan_fixed(source, two, four, start, end, status, begin, finish, widths):  # type: ignore[no-untyped-def]
    row, line, following, total = 0, 0, 0, len(source)
    wanted = widths.sum()
    while following < total:
        head = following
        stop, following = rest_of_line(source, head, head)
        state = GOOD if stop - head == wanted else COUNT
        left = head
        for f in range(len(widths)):
            right = left + widths[f]
            at = left
            while state == GOOD and at < right:
                width = width_of(source, at, right, two, four)  # a character may not reach into the next field
                if source[at] < 0x20:
                    state = CONTROL
                elif width == 0:
                    state = BYTES
                at += width
            if state != GOOD:
                break
            begin[f, row] = left
            last = right
            while last > left and source[last - 1] == 0x20:
                last -= 1
            finish[f, row] = last
            left = right
        start[line], end[line], status[line] = head, stop, state
        line += 1
        row += state == GOOD
    return line, row
