"""Spark SQL literals."""

from __future__ import annotations

import datetime as dt


def literal(text: str) -> str:
    """``text`` as a Spark SQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def date_literal(date: dt.date) -> str:
    """``date`` as a Spark SQL date literal."""
    return f"date'{date.isoformat()}'"


def instant_literal(instant: dt.datetime) -> str:
    """An aware instant as a Spark SQL timestamp literal."""
    return f"timestamp'{instant.astimezone(dt.UTC).strftime('%Y-%m-%d %H:%M:%S')} UTC'"
