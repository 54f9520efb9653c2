"""Dates and times as files write them → days and microseconds, strictly: no 30 February, no hour 24, no year 1 or 9999."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from conf.schema import ISO, Field
from dialects.arrays import Mask

Numbers = npt.NDArray[np.int64]
_DATE, _TIME = "%Y%m%d", "%Y%m%d%H%M%S"
_PLAIN_SINCE = 694_224_000  # 1992-01-01 00:00, local
#: Years of dates and times: Shanghai keeps a time of zones since 1901, and what lies after 2999 is a sentinel.
FIRST_YEAR, LAST_YEAR = 1901, 2999
_FIRST, _LAST = -2_177_481_600, 32_503_651_199  # UTC seconds of these years in Shanghai
#: ISO 8601, extended: a fraction (what is finer than a microsecond is cut off) and a zone may be there.
_ISO = (
    r"^(?P<Y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})[T ](?P<H>\d{2}):(?P<M>\d{2}):(?P<S>\d{2})"
    r"(?:[.,](?P<fraction>\d{1,9}))?(?P<zone>Z|(?P<ahead>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2}))?$"
)
_DIGITS = {"Y": "[0-9]{4}", "-": "[0-9]{1,2}"}


def form_of(field: Field) -> str:
    """The strptime format of a date or timestamp field."""
    return field.format or (_DATE if field.type == "date" else _TIME)


def say_form(field: Field) -> str:
    """What a text that is no date or time of a field is told."""
    return f"no {field.type} of form {form_of(field)} from {FIRST_YEAR} to {LAST_YEAR}"


def instants(field: Field, column: pa.Array) -> pa.Array:
    """A date (date32) or an instant (UTC, microseconds) of each text; null where it is none."""
    form = form_of(field)
    if form == ISO or ("%-" in form and "%b" not in form and "%y" not in form):
        return _by_parts(field, column, form)
    seconds = _plain(column, form) if form in (_DATE, _TIME) else _by_format(column, form)
    if field.type == "date":
        return pc.cast(seconds, pa.date32())
    return _aware(seconds)


def to_utc(seconds: Numbers, missing: Mask) -> pa.Array:
    """Instants (UTC, microseconds) of local seconds [n].

    Shanghai has been eight hours ahead, without summer time, since 1992: only a column with an older time asks the
    time zone's history.
    """
    if (seconds[~missing] >= _PLAIN_SINCE).all():
        micros = pa.array((seconds - 8 * 3_600) * 1_000_000, pa.int64(), mask=missing)
        return micros.cast(pa.timestamp("us", "UTC"))
    return _aware(pa.array(seconds, pa.int64(), mask=missing).cast(pa.timestamp("s")))


def _aware(seconds: pa.Array) -> pa.Array:
    aware = pc.assume_timezone(seconds, "Asia/Shanghai", ambiguous="earliest", nonexistent="earliest")
    return pc.cast(aware, pa.timestamp("us", "UTC"))


def _plain(column: pa.Array, form: str) -> pa.Array:
    """Local seconds of ``YYYYMMDD`` or ``YYYYMMDDhhmmss``, by arithmetic on the digits."""
    size = 8 if form == _DATE else 14
    plausible = pc.and_(pc.equal(pc.binary_length(column), size), pc.ascii_is_decimal(column))
    text = pc.if_else(pc.fill_null(plausible, False), column, None)
    number = np.asarray(pc.fill_null(pc.cast(text, pa.int64()), 0))
    day, clock = (number, np.zeros_like(number)) if size == 8 else np.divmod(number, 1_000_000)
    date, good = days_of(day // 10_000, day // 100 % 100, day % 100)
    hour, minute, second = clock // 10_000, clock // 100 % 100, clock % 100
    good &= (hour < 24) & (minute < 60) & (second < 60)
    seconds = date * 86_400 + hour * 3_600 + minute * 60 + second
    return pa.array(seconds, pa.int64(), mask=~good).cast(pa.timestamp("s"))


def days_of(year: Numbers, month: Numbers, day: Numbers) -> tuple[Numbers, Mask]:
    """Days since 1970, and whether there is such a day (years `FIRST_YEAR` to `LAST_YEAR`)."""
    good = (year >= FIRST_YEAR) & (year <= LAST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first = months.astype("datetime64[D]").astype(np.int64)
    following = (months + 1).astype("datetime64[D]").astype(np.int64)
    return first + day - 1, good & (day <= following - first)


@cache
def _pattern(form: str) -> str:
    """A regular expression with a group for each number of a form."""
    if form == ISO:
        return _ISO
    texts, groups = re.split(r"%-?[YmdHMS]", form), re.findall(r"%(-?)([YmdHMS])", form)
    parts = [f"(?P<{name}>{_DIGITS.get(bare or name, '[0-9]{2}')})" for bare, name in groups]
    return "^" + "".join(re.escape(text) + part for text, part in zip(texts, [*parts, ""], strict=True)) + "$"


def _by_parts(field: Field, column: pa.Array, form: str) -> pa.Array:
    """Dates or instants of forms whose numbers may be shorter, or that say their zone."""
    parts = pc.extract_regex(column, pattern=_pattern(form))
    if parts.null_count == len(parts):
        return pa.nulls(len(parts), pa.date32() if field.type == "date" else pa.timestamp("us", "UTC"))
    names = {group.name for group in parts.type}

    def text(name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(parts, name), "") if name in names else pa.array([""] * len(column))

    def number(name: str) -> Numbers:
        digits = text(name)
        return np.asarray(pc.cast(pc.if_else(pc.equal(digits, ""), "0", digits), pa.int64()))

    day, good = days_of(number("Y"), number("m"), number("d"))
    hour, minute, second = number("H"), number("M"), number("S")
    good &= (hour < 24) & (minute < 60) & (second < 60)
    if field.type == "date":
        return pa.array(day.astype(np.int32), pa.int32(), mask=~good).cast(pa.date32())
    hours, minutes = number("hours"), number("minutes")
    good &= (hours < 24) & (minutes < 60)
    seconds = day * 86_400 + hour * 3_600 + minute * 60 + second
    behind = np.asarray(pc.equal(text("ahead"), "-").to_numpy(zero_copy_only=False), bool)
    utc = seconds - np.where(behind, -1, 1) * (hours * 3_600 + minutes * 60)
    local = np.asarray(pc.equal(text("zone"), "").to_numpy(zero_copy_only=False), bool)
    if local.any():
        here = np.asarray(pc.fill_null(pc.cast(to_utc(seconds, ~(good & local)), pa.int64()), 0))
        utc = np.where(local, here // 1_000_000, utc)
    good &= (utc >= _FIRST) & (utc <= _LAST)
    micros = np.asarray(pc.cast(pc.utf8_slice_codeunits(pc.utf8_rpad(text("fraction"), 6, "0"), 0, 6), pa.int64()))
    return pa.array(utc * 1_000_000 + micros, pa.int64(), mask=~good).cast(pa.timestamp("us", "UTC"))


def _by_format(column: pa.Array, form: str) -> pa.Array:
    """Local seconds by a format of the schema: what is written differently from how it is read is no date."""
    times = pc.strptime(column, format=form, unit="s", error_is_null=True)
    same = pc.equal(pc.strftime(times, format=form), column)
    years = pc.year(times)
    known = pc.and_(pc.greater_equal(years, FIRST_YEAR), pc.less_equal(years, LAST_YEAR))
    return pc.if_else(pc.fill_null(pc.and_(same, known), False), times, None)
