"""Dates and times as files write them → days and microseconds, strictly: no 30 February, no hour 24."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from conf.schema import Field

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
_DATE, _TIME = "%Y%m%d", "%Y%m%d%H%M%S"
_PLAIN_SINCE = 694_224_000  # 1992-01-01 00:00, local


def form_of(field: Field) -> str:
    """The strptime format of a date or timestamp field."""
    return field.format or (_DATE if field.type == "date" else _TIME)


def instants(field: Field, column: pa.Array) -> pa.Array:
    """A date (date32) or an instant (UTC, microseconds) of each text; null where it is none."""
    form = form_of(field)
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
    """Days since 1970, and whether there is such a day (years 1 to 9999)."""
    good = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first = months.astype("datetime64[D]").astype(np.int64)
    following = (months + 1).astype("datetime64[D]").astype(np.int64)
    return first + day - 1, good & (day <= following - first)


def _by_format(column: pa.Array, form: str) -> pa.Array:
    """Local seconds by a format of the schema: what is written differently from how it is read is no date."""
    found = pc.strptime(column, format=form, unit="s", error_is_null=True)
    same = pc.equal(pc.strftime(found, format=form), column)
    return pc.if_else(pc.fill_null(same, False), found, None)
