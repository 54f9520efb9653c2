"""Text columns → typed columns, a column at a time; what does not fit its type is named by row, field and code.

Codes of the record level: 1 type, 2 length, 3 code list, 4 missing, 9 other (out of range).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from conf.phones import PhoneForms
from conf.schema import Field, Schema
from dialects.arrays import Mask
from dialects.instants import instants, say_form
from dialects.phones import unify_numbers
from dialects.render import join_bytes

TYPE, LENGTH, CODE, MISSING, TWICE, OTHER = 1, 2, 3, 4, 5, 9
#: Phone digits (text, null where missing) → their pseudonyms (binary of 32 bytes, null where missing).
Pseudonym = Callable[[pa.Array], pa.Array]
#: Numbers as they are: nothing is taken off them.
PLAIN = PhoneForms()
_INTEGER = {"short": pa.int16(), "int": pa.int32(), "long": pa.int64()}


@dataclass(frozen=True)
class Fault:
    """Records of one column that do not fit: rows (from 0) and what is wrong with them."""

    field: str
    code: int
    reason: str
    rows: npt.NDArray[np.int64]


def judge_column(
    faults: list[Fault], field: Field, value: pa.Array, missing: Mask, bad: Mask, code: int, reason: str
) -> None:
    """Add to ``faults`` what is wrong with a column, first things first: its form, its absence, its bounds."""
    _note(faults, field, code, reason, bad)
    if not field.nullable:
        _note(faults, field, MISSING, "missing", missing)
    least, most = field.bounds
    if least is not None or most is not None:
        _note(faults, field, OTHER, f"outside {least} … {most}", _outside(value, least, most))


def _note(faults: list[Fault], field: Field, code: int, reason: str, bad: Mask) -> None:
    if bad.any():
        faults.append(Fault(field.name, code, f"{field.name}: {reason}", np.flatnonzero(bad)))


def _mask(values: pa.Array) -> Mask:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), dtype=bool)


def _outside(value: pa.Array, least: float | None, most: float | None) -> Mask:
    number = pc.cast(value, pa.float64())
    extremes = pc.min_max(number).as_py()
    bad = np.zeros(len(value), bool)
    if least is not None and extremes["min"] is not None and extremes["min"] < least:
        bad |= _mask(pc.less(number, least))
    if most is not None and extremes["max"] is not None and extremes["max"] > most:
        bad |= _mask(pc.greater(number, most))
    return bad


def column_of(
    field: Field, schema: Schema, column: pa.Array, pseudonym: Pseudonym, phones: PhoneForms = PLAIN
) -> tuple[pa.Array, Mask, int, str]:
    """A text column typed; which of its values are none, and the code and reason of these."""
    kind = field.type
    if kind == "string":
        if not field.max_length:
            return column, np.zeros(len(column), bool), LENGTH, ""
        return (
            column,
            _mask(pc.greater(pc.utf8_length(column), field.max_length)),
            LENGTH,
            f"over {field.max_length} characters",
        )
    if kind == "code":
        known = pc.is_in(column, value_set=_codes(tuple(schema.codes[field.codes])))
        bad = _mask(pc.and_(pc.invert(known), pc.is_valid(column)))
        return pc.if_else(known, column, None), bad, CODE, f"not in code list {field.codes}"
    if kind == "phone":
        return (*_phones(unify_numbers(column, phones), pseudonym), TYPE, "no phone number")
    if kind == "bool":
        yes, no = pc.is_in(column, value_set=_codes(("1", "true"))), pc.is_in(column, value_set=_codes(("0", "false")))
        value = pc.if_else(pc.or_(yes, no), yes, None)
        return value, _mark_lost(column, value), TYPE, "neither 1 nor 0"
    if kind in ("date", "timestamp"):
        value = instants(field, column)
        return value, _mark_lost(column, value), TYPE, say_form(field)
    value = _numbers(field, column)
    return value, _mark_lost(column, value), TYPE, f"no {kind}"


def _numbers(field: Field, column: pa.Array) -> pa.Array:
    """Numbers of a text column; null where it is none, whatever stands beside it."""
    target, letters, pattern = _number(field)
    if _only(column, letters):  # Arrow alone would take 0x10 for an integer and 1e3 for a decimal
        with contextlib.suppress(pa.ArrowInvalid):
            value = pc.cast(column, target)
            return pc.if_else(pc.is_finite(value), value, None) if field.type == "double" else value
    return _slowly(column, target, pattern)


def _only(column: pa.Array, letters: bytes) -> bool:
    """Whether the texts consist of these bytes alone: one pass over them."""
    known = np.zeros(256, bool)
    known[list(letters)] = True
    return bool(known[np.frombuffer(join_bytes(column), np.uint8)].all())


def _mark_lost(column: pa.Array, value: pa.Array) -> Mask:
    return _mask(pc.and_(pc.is_valid(column), pc.is_null(value)))


@lru_cache(maxsize=1024)
def _codes(values: tuple[str, ...]) -> pa.Array:
    return pa.array(values, pa.string())


def _number(field: Field) -> tuple[pa.DataType, bytes, str]:
    """The type of a number field, the bytes it is plainly written with, and what it must look like."""
    if field.type == "decimal":
        digits, part = rf"[0-9]{{1,{18 - field.scale}}}(\.[0-9]{{0,{field.scale}}})?", rf"\.[0-9]{{1,{field.scale}}}"
        pattern = rf"^[+-]?0*({digits}|{part})$" if field.scale else rf"^[+-]?0*{digits}$"
        return pa.decimal128(18, field.scale), b"-.0123456789", pattern
    if field.type == "double":
        return pa.float64(), b"+-.0123456789eE", r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
    return _INTEGER[field.type], b"-0123456789", r"^-?[0-9]{1,19}$"


def _slowly(column: pa.Array, target: pa.DataType, pattern: str) -> pa.Array:
    """The column with what cannot be cast as null: by pattern, then one by one where a number is out of range."""
    plausible = pc.if_else(pc.match_substring_regex(column, pattern), column, None)
    try:
        value = pc.cast(plausible, target)
    except pa.ArrowInvalid:
        coded = pc.dictionary_encode(plausible)
        values = pa.concat_arrays([_cast_value(value, target) for value in coded.dictionary] or [pa.array([], target)])
        value = values.take(coded.indices)
    return pc.if_else(pc.is_finite(value), value, None) if pa.types.is_floating(target) else value


def _cast_value(value: pa.Scalar, target: pa.DataType) -> pa.Array:
    try:
        return pc.cast(pa.array([value.as_py()], pa.string()), target)
    except pa.ArrowInvalid:
        return pa.nulls(1, target)


def _phones(column: pa.Array, pseudonym: Pseudonym) -> tuple[pa.Array, Mask]:
    plausible = pc.if_else(pc.match_substring_regex(column, r"^[0-9]{5,20}$"), column, None)
    return pseudonym(plausible), _mark_lost(column, plausible)
