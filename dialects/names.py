"""File names and control files of the four dialects: composed and read in one place."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from conf.dates import SHANGHAI, month_end
from conf.feed import Feed

SUFFIX = {"none": "", "Z": ".Z", "gzip": ".gz", "zstd": ".zst"}
AVL = re.compile(
    r"(?P<letter>[a-z])(?P<unit>\d{5})(?P<date>\d{8})(?P<batch>\d{6})\.(?:CHK|AVL(?P<packed>\.Z|\.gz)?)\Z", re.ASCII
)
VERF = re.compile(
    r"i_(?P<sender>\d{5})_(?P<date>\d{8}|\d{6})_(?P<unit>\d{5})_(?P<resend>\d{2})(?:_(?P<part>\d{3})\.dat|\.verf)\Z",
    re.ASCII,
)
JSONL = re.compile(
    r"(?P<feed>[a-z][a-z0-9_]*)_(?P<stamp>\d{10})(?:_(?P<part>\d{3})\.jsonl(?P<packed>\.gz|\.zst)|\.manifest\.json)\Z",
    re.ASCII,
)
#: A control line of verf and vgop: name 40, size 20, records 20, data date 8, creation time 14, then CRLF.
CONTROL_LINE = 104


@dataclass(frozen=True)
class Named:
    """What a delivery is called: enough to compose the names of its parts and of its control file."""

    feed: Feed
    data_date: dt.date
    hour: int = -1
    resend: int = 0

    @property
    def date_text(self) -> str:
        """The data date as it stands in names: a month is ``YYYYMM00`` in avl, ``YYYYMM`` in verf and vgop."""
        if self.feed.granularity == "monthly":
            return f"{self.data_date:%Y%m}" + ("00" if self.feed.dialect == "avl" else "")
        return f"{self.data_date:%Y%m%d}"

    @property
    def stamp(self) -> str:
        """Date and hour of a jsonl file; a daily one says hour 00."""
        day = self.data_date.replace(day=1) if self.feed.granularity == "monthly" else self.data_date
        return f"{day:%Y%m%d}{max(self.hour, 0):02d}"

    def part(self, number: int) -> str:
        """The name of data part ``number`` (from 1)."""
        feed = self.feed
        if feed.dialect == "avl":
            batch = self.resend * 1000 + number
            return f"{feed.letter}{feed.unit_code}{self.date_text}{self._batch(batch)}.AVL{SUFFIX[feed.compression]}"
        if feed.dialect == "jsonl":
            return f"{feed.code}_{self.stamp}_{number:03d}.jsonl{SUFFIX[feed.compression]}"
        return f"i_{feed.sender}_{self.date_text}_{feed.unit_code}_{self.resend:02d}_{number:03d}.dat"

    def _batch(self, batch: int) -> str:
        # an hourly avl feed carries its hour in the first two digits of the batch
        return f"{self.hour:02d}{batch:04d}" if self.hour >= 0 else f"{batch:06d}"

    @property
    def control(self) -> str:
        """The name of the control file."""
        feed = self.feed
        if feed.dialect == "avl":
            return self.part(1).split(".")[0] + ".CHK"
        if feed.dialect == "jsonl":
            return f"{feed.code}_{self.stamp}.manifest.json"
        return f"i_{feed.sender}_{self.date_text}_{feed.unit_code}_{self.resend:02d}.verf"


def date_of(text: str) -> dt.date:
    """The data date that a name says: ``YYYYMMDD``, or the last day of ``YYYYMM`` or ``YYYYMM00``.

    Raises:
        ValueError: no such date.
    """
    if len(text) == 6 or text.endswith("00"):
        return month_end(dt.datetime.strptime(text[:6], "%Y%m").date())
    return dt.datetime.strptime(text, "%Y%m%d").date()


def local_text(instant: dt.datetime) -> str:
    """``YYYYMMDDhhmmss`` of an instant in Shanghai, as control files say it."""
    return instant.astimezone(SHANGHAI).strftime("%Y%m%d%H%M%S")
