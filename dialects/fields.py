"""Fields where they stand in a file → typed columns, compiled: what ``convert`` makes of their texts, without texts.

Numbers, codes, dates and times are read from the bytes themselves; other types, and forms that a schema declares,
go through text. ``convert`` is the reference: tests hold both to the same values and faults on arbitrary bytes.
"""

# ruff: noqa: ANN001, ANN202  (numba infers the types of its kernels)
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from conf.phones import PhoneForms
from conf.schema import Field, Schema
from dialects.arrays import Bytes, Mask
from dialects.convert import CODE, PLAIN, TYPE, Fault, Pseudonym, column_of, judge_column
from dialects.gb18030 import tables, utf8_of
from dialects.instants import FIRST_YEAR, LAST_YEAR, form_of, say_form, to_utc
from dialects.phones import unify_numbers
from dialects.scanner import Cut, Places, find_text

#: What became of a value.
READ, EMPTY, BAD = 0, 1, 2
_BOUNDS = {"short": 15, "int": 31, "long": 63}
_STORED = {"short": np.int16, "int": np.int32, "long": np.int64}
_MOST_CODES = 64  # longer lists are looked up as text


def columns_of(
    schema: Schema, cut: Cut, first: int, pseudonym: Pseudonym, phones: PhoneForms = PLAIN
) -> tuple[list[pa.Array], list[Fault]]:
    """Every field of ``schema`` typed as stored, of the good records of ``cut``.

    Args:
        schema: the fields in the order of the file.
        cut: the records.
        first: fields of the file before the schema's (line numbers).
        pseudonym: for phone fields.
        phones: how their numbers may be written.
    """
    typed: list[pa.Array] = []
    faults: list[Fault] = []
    for number, field in enumerate(schema.fields):
        begin, finish = cut.begin[first + number], cut.finish[first + number]
        value, bad, code, reason = _column(field, schema, cut, begin, finish, pseudonym, phones)
        judge_column(faults, field, value, np.asarray(begin == finish), bad, code, reason)
        typed.append(value)
    return typed, faults


def text_of(source: Bytes, begin: Places, finish: Places, *, utf8: bool = False) -> pa.Array:
    """Fields (of GB18030, or UTF-8) as text; null where empty."""
    of = tables()
    size = int((finish - begin).sum(dtype=np.int64))
    if utf8:
        offsets, out = np.empty(len(begin) + 1, np.int32), np.empty(size, np.uint8)
        _copy(source, begin, finish, offsets, out)
        return pa.StringArray.from_buffers(
            len(begin), pa.py_buffer(offsets), pa.py_buffer(out), _valid(begin != finish)
        )
    offsets, out = np.empty(len(begin) + 1, np.int32), np.empty(size + size // 2 + 4, np.uint8)
    size = utf8_of(source, begin, finish, of.two, of.four, offsets, out)
    data = pa.py_buffer(out[:size])
    return pa.StringArray.from_buffers(len(begin), pa.py_buffer(offsets), data, _valid(begin != finish))


def _valid(known: npt.NDArray[np.bool_]) -> pa.Buffer | None:
    return None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))


def _column(
    field: Field, schema: Schema, cut: Cut, begin: Places, finish: Places, pseudonym: Pseudonym, phones: PhoneForms
) -> tuple[pa.Array, Mask, int, str]:
    """The column, values that are none, and the code and reason of these."""
    kind, n, source = field.type, len(begin), cut.source
    state = np.empty(n, np.uint8)
    if kind in _BOUNDS:
        numbers = np.empty(n, np.int64)
        _integers(source, begin, finish, _BOUNDS[kind], numbers, state)
        return pa.array(numbers.astype(_STORED[kind]), mask=state != READ), state == BAD, TYPE, f"no {kind}"
    if kind == "decimal":
        pair = np.empty((n, 2), np.int64)
        _decimals(source, begin, finish, field.scale, pair, state)
        buffers = [_valid(state == READ), pa.py_buffer(pair)]
        value = pa.Array.from_buffers(pa.decimal128(18, field.scale), n, buffers)
        return value, state == BAD, TYPE, "no decimal"
    if kind == "code" and len(schema.codes[field.codes]) <= _MOST_CODES:
        values, flat, ends = _codes(tuple(schema.codes[field.codes]), "utf-8" if cut.utf8 else "gb18030")
        index = np.empty(n, np.int32)
        _places(source, begin, finish, flat, ends, index, state)
        coded = pa.DictionaryArray.from_arrays(pa.array(index, mask=state != READ), values)
        return coded.cast(pa.string()), state == BAD, CODE, f"not in code list {field.codes}"
    if kind in ("date", "timestamp") and form_of(field) in ("%Y%m%d", "%Y%m%d%H%M%S"):
        seconds = np.empty(n, np.int64)
        _moments(source, begin, finish, 14 if form_of(field).endswith("S") else 8, seconds, state)
        missing = state != READ
        if kind == "date":
            value = pa.array((seconds // 86_400).astype(np.int32), pa.int32(), mask=missing).cast(pa.date32())
        else:
            value = to_utc(seconds, missing)
        return value, state == BAD, TYPE, say_form(field)
    text = text_of(source, begin, finish, utf8=cut.utf8)
    if kind == "phone":
        text = unify_numbers(text, phones)
        good = digits_only(text, 5, 20)
        plausible = text if good.all() else pc.if_else(pa.array(good), text, None)
        return pseudonym(plausible), ~good & (begin != finish), TYPE, "no phone number"
    return column_of(field, schema, text, pseudonym, phones)


def match_numbers(source: Bytes, begin: Places, finish: Places, wanted: npt.NDArray[np.int64]) -> Mask:
    """Whether each field is the number that is wanted, in plain digits without leading zeros."""
    numbers, state = np.empty(len(begin), np.int64), np.empty(len(begin), np.uint8)
    _integers(source, begin, finish, 63, numbers, state)
    powers = 10 ** np.arange(1, 19, dtype=np.int64)
    digits = np.searchsorted(powers, wanted, side="right") + 1
    return np.asarray((state == READ) & (numbers == wanted) & (finish - begin == digits))


@lru_cache(maxsize=1024)
def _codes(values: tuple[str, ...], encoding: str) -> tuple[pa.Array, Bytes, Any]:
    coded = [value.encode(encoding) for value in values]
    flat = np.frombuffer(b"".join(coded) + b"\0", np.uint8)
    return pa.array(values, pa.string()), flat, np.cumsum([0, *map(len, coded)]).astype(np.int32)


@njit(cache=True, nogil=True)
def _copy(source, begin, finish, offsets, out):  # type: ignore[no-untyped-def]
    size = 0
    for row in range(len(begin)):
        offsets[row] = size
        for at in range(begin[row], finish[row]):
            out[size] = source[at]
            size += 1
    offsets[len(begin)] = size


@njit(cache=True, nogil=True)
def _integers(source, begin, finish, bits, values, state):  # type: ignore[no-untyped-def]
    """``-?[0-9]{1,19}`` within ``bits`` bits and a sign."""
    most = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    for row in range(len(begin)):
        at, end = begin[row], finish[row]
        values[row] = 0
        if at == end:
            state[row] = EMPTY
            continue
        minus = source[at] == 0x2D
        at += minus
        total, good = np.uint64(0), 0 < end - at <= 19
        while at < end and good:
            digit = source[at] - np.uint8(0x30)
            good = digit <= 9
            total = total * np.uint64(10) + np.uint64(digit)  # 19 digits stay within 64 bits
            at += 1
        if not good or total > most + np.uint64(minus):
            state[row] = BAD
            continue
        state[row] = READ
        values[row] = -np.int64(total) if minus else np.int64(total)


@njit(cache=True, nogil=True)
def _decimals(source, begin, finish, scale, pair, state):  # type: ignore[no-untyped-def]
    """Sign, at most 18 − scale digits that count, and at most ``scale`` behind the point; as 128-bit integers."""
    for row in range(len(begin)):
        at, end = begin[row], finish[row]
        pair[row, 0] = 0
        pair[row, 1] = 0
        if at == end:
            state[row] = EMPTY
            continue
        minus = source[at] == 0x2D
        at += minus or source[at] == 0x2B
        total, digits, before, after, good = np.int64(0), 0, 0, -1, True
        while at < end and good:
            byte = source[at]
            at += 1
            if byte == 0x2E:
                good = after < 0 < scale
                after = 0
                continue
            digit = byte - np.uint8(0x30)
            if digit > 9:
                good = False
                break
            digits += 1
            if after >= 0:
                after += 1
            elif before or digit:
                before += 1
            if before > 18 - scale or after > scale:
                good = False
                break
            total = total * 10 + np.int64(digit)
        if not good or digits == 0:
            state[row] = BAD
            continue
        for _ in range(scale - max(after, 0)):
            total *= 10
        state[row] = READ
        pair[row, 0] = -total if minus else total
        pair[row, 1] = -1 if minus and total else 0


@njit(cache=True, nogil=True)
def _places(source, begin, finish, flat, ends, index, state):  # type: ignore[no-untyped-def]
    """The place of each value in a list of codes."""
    for row in range(len(begin)):
        index[row] = 0
        if begin[row] == finish[row]:
            state[row] = EMPTY
            continue
        place = find_text(source, begin[row], finish[row], flat, ends)
        state[row] = BAD if place < 0 else READ
        index[row] = max(place, 0)


@njit(cache=True, nogil=True)
def _moments(source, begin, finish, size, seconds, state):  # type: ignore[no-untyped-def]
    """Local seconds of ``YYYYMMDD`` or ``YYYYMMDDhhmmss`` (days by the civil-from-days arithmetic of H. Hinnant)."""
    for row in range(len(begin)):
        at, end = begin[row], finish[row]
        seconds[row] = 0
        if at == end:
            state[row] = EMPTY
            continue
        number, good = np.int64(0), end - at == size
        while at < end and good:
            digit = source[at] - np.uint8(0x30)
            good = digit <= 9
            number = number * 10 + np.int64(digit)
            at += 1
        clock = np.int64(0)
        if size == 14:
            clock = number % 1_000_000
            number //= 1_000_000
        year, month, day = number // 10_000, number // 100 % 100, number % 100
        hour, minute, second = clock // 10_000, clock // 100 % 100, clock % 100
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        longest = 29 if month == 2 and leap else 28 if month == 2 else 30 if month in (4, 6, 9, 11) else 31
        good = good and FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12 and 1 <= day <= longest
        if not (good and hour < 24 and minute < 60 and second < 60):
            state[row] = BAD
            continue
        march = year - (month <= 2)
        era = march // 400
        of_era = march - era * 400
        of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
        days = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
        state[row] = READ
        seconds[row] = days * 86_400 + hour * 3_600 + minute * 60 + second


def digits_only(column: pa.Array, least: int, most: int) -> Mask:
    """Whether each text (null counts as no) is of ``least`` to ``most`` ASCII digits."""
    good = np.zeros(len(column), bool)
    if len(column) and column.buffers()[2] is not None:
        offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
        _digits(offsets, np.frombuffer(column.buffers()[2], np.uint8), least, most, good)
    return good & np.asarray(pc.is_valid(column))


@njit(cache=True, nogil=True)
def _digits(offsets, data, least, most, good):  # type: ignore[no-untyped-def]
    for row in range(len(good)):
        size = offsets[row + 1] - offsets[row]
        good[row] = least <= size <= most
        for k in range(offsets[row], offsets[row + 1]):
            good[row] &= 0x30 <= data[k] <= 0x39
