"""Feeds: one interface file series from one source system, and its contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field as Key
from pydantic import model_validator

from conf.bounds import LONGEST_DAYS, MOST
from conf.dates import SHANGHAI, Clock
from conf.documents import Misfit, Strict

Dialect = Literal["avl", "verf", "vgop", "jsonl"]
Granularity = Literal["hourly", "daily", "monthly"]
#: How the text of each dialect is written where a feed does not say otherwise.
_OWN: dict[str, dict[str, Any]] = {
    "avl": {"delimiter": "$", "encoding": "gb18030", "line_numbers": False},
    "verf": {"delimiter": "|", "encoding": "gb18030", "line_numbers": False},
    "vgop": {"delimiter": "0x80", "encoding": "gb18030", "line_numbers": True},
    "jsonl": {"delimiter": "", "encoding": "utf-8", "line_numbers": False},
}
#: What may separate fields besides 0x80: marks that neither a number nor a date nor a quoted field is written with.
DELIMITERS = "|;\t,$^~#!&*@\x01\x02\x03\x1c\x1d\x1e\x1f"


def _as_its_dialect(name: str) -> Callable[[dict[str, Any]], Any]:
    """What a feed is that does not say otherwise: as its dialect, which stands before it."""
    return lambda data: _OWN[data["dialect"]][name]


class Bounds(Strict):
    """What is unusual against the feed's own history of the same weekday: factors of the median."""

    low: float = Key(default=0.3, ge=0)
    high: float = Key(default=3.0, gt=0)

    @model_validator(mode="after")
    def _check_order(self) -> Bounds:
        if self.low >= self.high:
            raise Misfit(f"low {self.low:g} is not below high {self.high:g}", "low", remedy="exchange them")
        return self


class Feed(Strict):
    """The contract of one feed; the file's name is ``<code>.yml``.

    ``unit_code`` is the 5-digit code in file names and is unique; ``stand_in_days`` is how long the last good
    data of an optional feed may stand in; ``quarantine_threshold`` is the share of bad records above which a
    delivery is refused whole; ``without_owner_threshold`` is the share of a delivery's records about numbers that
    nobody holds above which it alarms, and above which, of refusals, nobody is contacted; ``deadline`` is Shanghai time of the day after the data date (of the 3rd day of
    the next month for monthly feeds). ``rows_per_1000`` is the volume to expect: rows a period (an hour, a day, a
    month) and 1000 customers. ``holds`` narrows code fields of the schema to what this feed sends (a centre's feed
    holds its own centre): a promise of the source that quality checks. ``holds_all_but`` says it by what others send: a
    code that is new to the list is this feed's.

    The dialect says how files are called and which control file comes with them. How the text of a delimited file is
    written may differ from the dialect's own way: ``delimiter`` is one mark (``0x80`` is the byte), ``encoding``,
    ``header`` (the first line names the columns, in any order; it is no record), ``quoted`` (a field may stand in
    double quotes, which are doubled inside; a line end within quotes ends the record all the same) and
    ``line_numbers`` (the first column counts the records from 1).
    """

    code: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    source: str
    service: Literal["hotline", "echannel"]
    dialect: Dialect
    schema_name: str = Key(alias="schema")
    layout: Literal["delimited", "fixed"] = "delimited"
    delimiter: str = Key(default_factory=_as_its_dialect("delimiter"))
    trailing_delimiter: bool = False
    encoding: Literal["gb18030", "utf-8"] = Key(default_factory=_as_its_dialect("encoding"))
    header: bool = False
    quoted: bool = False
    line_numbers: bool = Key(default_factory=_as_its_dialect("line_numbers"))
    compression: Literal["none", "Z", "gzip", "zstd"] = "none"
    granularity: Granularity = "daily"
    parts: int = Key(default=1, ge=1, le=999)
    letter: str = Key(default="a", pattern=r"^[a-z]$")  # avl file names
    sender: str = Key(default="10000", pattern=r"^\d{5}$")  # verf and vgop file names
    unit_code: str = Key(pattern=r"^\d{5}$")
    deadline: Clock = "03:00"
    required: bool = False
    stand_in_days: int = Key(default=3, ge=0, le=LONGEST_DAYS)
    empty_ok: bool = True
    bounds: Bounds = Bounds()
    quarantine_threshold: float = Key(default=0.01, ge=0, le=1)
    without_owner_threshold: float = Key(default=0.01, ge=0, le=1)
    retention_days: int = Key(default=400, ge=1, le=LONGEST_DAYS)
    rows_per_1000: float = Key(default=5.0, gt=0, le=MOST)
    holds: dict[str, tuple[str, ...]] = {}
    holds_all_but: dict[str, tuple[str, ...]] = {}
    owner: str
    purpose: str

    @model_validator(mode="after")
    def _consistent(self) -> Feed:
        if self.layout == "fixed" and self.dialect != "verf":
            raise Misfit("only verf has a fixed-width layout", "layout", remedy="write `layout: delimited`")
        own = _OWN[self.dialect]
        if self.dialect == "jsonl" or self.layout == "fixed":
            values = {name: getattr(self, name) for name in ("encoding", "header", "quoted", "line_numbers")}
            plain = {"encoding": own["encoding"], "header": False, "quoted": False, "line_numbers": False}
            if wrong := [name for name in values if values[name] != plain[name]]:
                what = f"{wrong[0]} is for delimited files: this feed's are {self.dialect} {self.layout}"
                raise Misfit(what, wrong[0], remedy="leave the key out")
        elif self.delimiter == "0x80":
            if self.encoding != "gb18030":
                what = "0x80 separates GB18030 only: in UTF-8 it is part of a character"
                raise Misfit(what, "delimiter", remedy="write the byte that separates, such as |")
        elif len(self.delimiter) != 1 or self.delimiter not in DELIMITERS:
            what = f"delimiter {self.delimiter!r} is none"
            raise Misfit(what, "delimiter", remedy=f"one of {' '.join(DELIMITERS[:12])} or 0x80 is")
        allowed = {"avl": {"none", "Z", "gzip"}, "jsonl": {"gzip", "zstd"}}.get(self.dialect, {"none"})
        if self.compression not in allowed:
            raise Misfit(
                f"dialect {self.dialect} is compressed as one of {sorted(allowed)}",
                "compression" if "compression" in self.model_fields_set else "dialect",
                remedy="choose one of these",
            )
        return self

    @property
    def separator(self) -> int:
        """The byte between fields of a delimited file."""
        return 0x80 if self.delimiter == "0x80" else ord(self.delimiter)


def deadline(feed: Feed, data_date: dt.date) -> dt.datetime:
    """When a delivery is due (UTC): the next day at the feed's time; of a month, its third day after the end."""
    days = 3 if feed.granularity == "monthly" else 1
    hour, minute = map(int, feed.deadline.split(":"))
    local = dt.datetime.combine(data_date + dt.timedelta(days=days), dt.time(hour, minute), SHANGHAI)
    return local.astimezone(dt.UTC)
