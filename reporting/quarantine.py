"""Records that were set aside, as a screen may show them: where they stood, why, and their shape.

Their bytes may hold numbers, names and remarks: they stay encrypted in ``ops_quarantine`` (vault-class).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow.compute as pc

from runtime.keys import vault_opener
from runtime.lake import Lake
from runtime.night import Night

PLACE = ("feed", "data_date", "hour", "file", "line", "byte_offset", "field", "code", "reason")
#: A record may have a megabyte; a shape is shown of so many characters.
SHOWN = 120


def read_quarantined(lake: Lake, feed: str, date: dt.date | None, most: int) -> list[dict[str, Any]]:
    """The first ``most`` records set aside of a feed (and data date), by date, file and line; bytes still sealed."""
    if not lake.exists("ops_quarantine"):
        return []
    rows = lake.arrow("ops_quarantine", columns=[*PLACE, "raw"])
    rows = rows.filter(pc.equal(rows["feed"], feed))
    if date is not None:
        rows = rows.filter(pc.equal(rows["data_date"], date))
    order = [(name, "ascending") for name in ("data_date", "hour", "file", "line")]
    return list(rows.sort_by(order).slice(0, most).to_pylist())


def mask_bytes(night: Night, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same records with the shape of their bytes in the place of these.

    Raises:
        UserError: the vault's key is missing, or another.
    """
    if not rows:
        return []
    opened = vault_opener(night.settings.home)
    return [
        {**{name: row[name] for name in PLACE}, "shape": shape(opened(row["raw"]), _encoding(night, row["feed"]))}
        for row in rows
    ]


def _encoding(night: Night, feed: str) -> str:
    known = night.catalogue.feeds.get(feed)  # a feed that was taken out of the catalogue has left records behind
    return known.encoding if known is not None else "gb18030"


def shape(raw: bytes, encoding: str) -> str:
    """What a record looks like without what it says: 0 a digit, a a letter, 文 any other letter; marks as they are."""
    text = raw.decode(encoding, errors="surrogateescape")
    pattern = "".join(_kind(sign) for sign in text[:SHOWN])
    return pattern + ("…" if len(text) > SHOWN else "")


def _kind(sign: str) -> str:
    if "\udc80" <= sign <= "\udcff":
        return f"\\x{ord(sign) - 0xDC00:02x}"
    if sign.isdigit():
        return "0"
    if sign.isalpha():
        return "a" if sign.isascii() else "文"
    return sign if sign.isprintable() else f"\\x{ord(sign):02x}"
