"""Cuts files of JSON objects, one a line, into fields by their bytes, compiled; what is not plain is asked of `json`.

A plain line is one flat object with keys that the schema knows, each once, whose values are strings without escapes,
numbers, ``true``, ``false`` or ``null``. Any other line (escapes, nesting, faults) is read by the standard library, and
its values are laid behind the file's bytes: a field is then, as in the other dialects, where it begins and where it
finishes. Of a line that is plain but for keys that are not known, only these are asked for.
"""

# ruff: noqa: ANN001, ANN202  (numba infers the types of its kernels)
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

from dialects.scanner import BYTES, CONTROL, GOOD, LENGTH, LONGEST, Cut, find_text, rest_of_line
from dialects.utf8 import utf8_width

#: No codes of the record level: the line is read by the standard library, wholly or for its unknown keys only.
_ASK, _MORE = 255, 254
_OTHER = CONTROL
#: What ``true`` and ``false`` are in the other dialects.
_YES_NO = b"10"
#: Goes before a number as written while its line is in Python's hands. Half of a surrogate pair is in no UTF-8 text,
#: and a line that writes one as an escape is refused: no text begins with it.
_MARK = "\udfff"
#: A control character as `json` writes it; tab and ends of lines, which stand in texts that people write, have names.
_CONTROL = re.compile(r"(?<!\\)(?:\\\\)*\\(?:u00[01]|b|f)")
_NUMBER = re.compile(f'"{_MARK}([^"]*)"')


def cut_objects(data: bytes, names: list[str]) -> tuple[Cut, pa.Array]:
    """Cut lines into the values of the keys ``names`` (UTF-8; empty where missing).

    Returns:
        the records, and of each good one the keys that are not in ``names`` with their values, as JSON (null: none).
    """
    source = np.frombuffer(data, np.uint8)
    most = int(np.count_nonzero(source == 10)) + 1
    start, end, status = np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(most, np.uint8)
    room = min(most, len(source) // 2 + 1) + 1  # an object has two bytes at least
    begin, finish = np.zeros((2, len(names) + 1, room), np.int32)
    keys = [name.encode("utf-8") for name in names]
    flat, ends = np.frombuffer(b"".join(keys) + b"\0", np.uint8), np.cumsum([0, *map(len, keys)]).astype(np.int32)
    lines, rows = _objects(source, flat, ends, start, end, status, begin, finish, len(source))
    start, end, status = start[:lines], end[:lines], status[:lines]
    extra, rest, keep = [_YES_NO], {}, np.ones(rows, bool)
    size = len(data) + len(_YES_NO)
    asked, more, known = status == _ASK, status == _MORE, frozenset(names)
    row_of = np.cumsum((status == GOOD) | asked | more) - 1
    for position in np.flatnonzero(asked | more).tolist():
        row = int(row_of[position])
        parsed = ask(data[start[position] : end[position]])
        if isinstance(parsed, tuple):
            status[position], keep[row] = parsed[0], False
            continue
        status[position] = GOOD
        for number, name in enumerate(names if asked[position] else ()):
            text = _text(parsed.get(name))
            begin[number, row], finish[number, row] = size, size + len(text)
            extra.append(text)
            size += len(text)
        if unknown := {key: value for key, value in parsed.items() if key not in known}:
            rest[row] = _dump(unknown)
    places = begin[:-1, :rows], finish[:-1, :rows]
    if not keep.all():
        places = np.compress(keep, places[0], axis=1), np.compress(keep, places[1], axis=1)
    wide = np.frombuffer(data + b"".join(extra), np.uint8)
    good_rows = np.flatnonzero(keep).tolist()
    others = pa.array(map(rest.get, good_rows), pa.string()) if rest else pa.nulls(len(good_rows), pa.string())
    return Cut(wide, start, end, status, *places, utf8=True), others


def ask(line: bytes) -> dict[str, Any] | tuple[int, str]:
    """The object of a line, numbers marked and as written; else the code and the reason why it is none."""
    try:
        text = line.decode("utf-8")
        if "\\" in text:
            plain = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
            if _CONTROL.search(json.dumps(plain)):  # every control character is an escape there
                return CONTROL, "a control character, written as an escape"
            json.dumps(plain, ensure_ascii=False).encode("utf-8")
        parsed = json.loads(
            text, parse_float=_mark_number, parse_int=_mark_number, parse_constant=str, object_pairs_hook=_once
        )
    except UnicodeError:  # also half of a surrogate pair, written as an escape: no character
        return BYTES, "undecodable bytes"
    except RecursionError:
        return _OTHER, "no JSON: nested too deep"
    except ValueError as error:
        return _OTHER, f"no JSON: {error}"
    return parsed if isinstance(parsed, dict) else (_OTHER, "no JSON object")


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return members


def _text(value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"1" if value else b"0"
    return (value.removeprefix(_MARK) if isinstance(value, str) else _dump(value)).encode("utf-8")


def _mark_number(number: str) -> str:
    return _MARK + number


def _dump(value: Any) -> str:
    """As JSON, its numbers as they were written."""
    return _NUMBER.sub(r"\1", json.dumps(value, ensure_ascii=False, sort_keys=True))


@njit(cache=True, nogil=True)
def _objects(source, flat, ends, start, end, status, begin, finish, yes):  # type: ignore[no-untyped-def]
    """Places of the values of plain lines; a row is also left for each line to be asked. Lines and rows."""
    row, line, following, total = 0, 0, 0, len(source)
    while following < total:
        head = following
        stop, following = rest_of_line(source, head, head)
        start[line], end[line] = head, stop
        state = _OTHER if stop - head < 2 else LENGTH  # no object is shorter: nothing to ask
        if 2 <= stop - head <= LONGEST:
            state = _plain(source, head, stop, flat, ends, begin, finish, row, yes)
        status[line] = state
        line += 1
        if state == _ASK:
            begin[:, row] = 0
            finish[:, row] = 0
        row += state in (GOOD, _ASK, _MORE)
    return line, row


@njit(cache=True, nogil=True)
def _plain(source, at, stop, flat, ends, begin, finish, row, yes):  # type: ignore[no-untyped-def]
    """Read one line; ``GOOD``, ``_MORE`` where it has unknown keys, or ``_ASK`` where it is not plain."""
    at = _blank(source, at, stop)
    if at == stop or source[at] != 0x7B:
        return _ASK
    at = _blank(source, at + 1, stop)
    seen, state = np.uint64(0), GOOD
    spare = begin.shape[0] - 1  # where places of unknown keys go
    closed = at < stop and source[at] == 0x7D
    while not closed:
        if at >= stop or source[at] != 0x22:
            return _ASK
        after = _string(source, at + 1, stop)
        if after < 0:
            return _ASK
        field = find_text(source, at + 1, after, flat, ends)
        if field > 63 or (field >= 0 and seen >> np.uint64(field) & np.uint64(1)):
            return _ASK
        if field < 0:
            field, state = spare, _MORE
        else:
            seen |= np.uint64(1) << np.uint64(field)
        at = _blank(source, after + 1, stop)
        if at == stop or source[at] != 0x3A:
            return _ASK
        at = _blank(source, at + 1, stop)
        if at == stop:
            return _ASK
        byte = source[at]
        if byte == 0x22:
            after = _string(source, at + 1, stop)
            if after < 0:
                return _ASK
            begin[field, row], finish[field, row] = at + 1, after
            at = after + 1
        elif byte == 0x2D or 0x30 <= byte <= 0x39:
            after = _number(source, at, stop)
            if after < 0:
                return _ASK
            begin[field, row], finish[field, row] = at, after
            at = after
        elif _word(source, at, stop, 0x74, 0x72, 0x75, 0x65):
            begin[field, row], finish[field, row] = yes, yes + 1
            at += 4
        elif at + 5 <= stop and byte == 0x66 and _word(source, at + 1, stop, 0x61, 0x6C, 0x73, 0x65):
            begin[field, row], finish[field, row] = yes + 1, yes + 2
            at += 5
        elif _word(source, at, stop, 0x6E, 0x75, 0x6C, 0x6C):
            at += 4
            begin[field, row], finish[field, row] = 0, 0
        else:
            return _ASK
        at = _blank(source, at, stop)
        if at == stop:
            return _ASK
        closed = source[at] == 0x7D
        if not closed:
            if source[at] != 0x2C:
                return _ASK
            at = _blank(source, at + 1, stop)
    if _blank(source, at + 1, stop) != stop:
        return _ASK
    for field in range(len(ends) - 1):
        if field > 63 or not seen >> np.uint64(field) & np.uint64(1):
            begin[field, row], finish[field, row] = 0, 0
    return state


@njit(cache=True, nogil=True, inline="always")
def _blank(source, at, stop):  # type: ignore[no-untyped-def]
    while at < stop and (source[at] == 0x20 or source[at] == 9 or source[at] == 13):
        at += 1
    return at


@njit(cache=True, nogil=True)
def _word(source, at, stop, first, second, third, fourth):  # type: ignore[no-untyped-def]
    if at + 4 > stop or source[at] != first or source[at + 1] != second:
        return False
    return source[at + 2] == third and source[at + 3] == fourth


@njit(cache=True, nogil=True)
def _string(source, at, stop):  # type: ignore[no-untyped-def]
    """Where the closing quote stands; −1 if there is an escape, a control character, bad UTF-8 or no end."""
    while at < stop:
        byte = source[at]
        if byte == 0x22:
            return at
        if byte == 0x5C or byte < 0x20:
            return -1
        if byte < 0x80:
            at += 1
            continue
        width = utf8_width(source, at, stop)
        if width == 0:
            return -1
        at += width
    return -1


@njit(cache=True, nogil=True)
def _digits(source, at, stop):  # type: ignore[no-untyped-def]
    while at < stop and 0x30 <= source[at] <= 0x39:
        at += 1
    return at


@njit(cache=True, nogil=True)
def _number(source, at, stop):  # type: ignore[no-untyped-def]
    """Where a number (RFC 8259) ends; −1 if it is none."""
    at += source[at] == 0x2D
    after = _digits(source, at, stop)
    if after == at or (source[at] == 0x30 and after > at + 1):
        return -1
    at = after
    if at < stop and source[at] == 0x2E:
        after = _digits(source, at + 1, stop)
        if after == at + 1:
            return -1
        at = after
    if at < stop and (source[at] == 0x65 or source[at] == 0x45):
        at += 1
        if at < stop and (source[at] == 0x2B or source[at] == 0x2D):
            at += 1
        after = _digits(source, at, stop)
        if after == at:
            return -1
        at = after
    return at
