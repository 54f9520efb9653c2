"""What lies in the landing folder: names and control files read, no data file opened."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from conf.dates import month_end
from conf.feed import Feed
from dialects.names import AVL, JSONL, VERF, date_of
from jobs.scan.controls import Control, Said, is_control, read_control

#: A data file without a control file is still being written, or its control file is on the way.
WAITING = "no control file yet"
#: A part of ``verf`` or ``vgop`` holds no more.
PART_RECORDS, PART_BYTES = 7_500_000, 2 << 30
#: Where a name tells no date.
NO_DATE = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Arrival:
    """A data file (or a control file that names one that is not there) with its control facts."""

    file: str
    path: str
    bytes: int
    feed: str | None = None
    data_date: dt.date = NO_DATE
    hour: int = -1
    resend: int = 0
    part: int = 1
    control: str | None = None
    control_bytes: int | None = None
    control_records: int | None = None
    control_sha256: str | None = None
    arrived_at: dt.datetime | None = None
    state: str = "waiting"
    code: str = "00"
    reason: str = WAITING

    def refuse(self, code: str, reason: str) -> Arrival:
        """The same file, refused at the file level."""
        return replace(self, state="refused", code=code, reason=reason)


@dataclass(frozen=True)
class Name:
    """What a file's name tells: its feed, what it is about, and its place in a delivery (part 0: a control file)."""

    feed: Feed
    data_date: dt.date
    hour: int
    resend: int
    part: int


@dataclass(frozen=True)
class Names:
    """The names that the feeds of a catalogue use."""

    feeds: Mapping[str, Feed]

    @cached_property
    def by_unit(self) -> dict[str, Feed]:
        """Feeds by their unit code."""
        return {feed.unit_code: feed for feed in self.feeds.values()}

    def read(self, name: str) -> Name | None:
        """What a name tells; None if it follows no feed's convention."""
        try:
            if match := AVL.match(name):
                return self._avl(match)
            if match := VERF.match(name):
                return self._verf(match)
            if match := JSONL.match(name):
                return self._jsonl(match)
        except ValueError:
            return None
        return None

    def _avl(self, match: re.Match[str]) -> Name | None:
        feed, date, batch = self.by_unit.get(match["unit"]), match["date"], int(match["batch"])
        if feed is None or feed.dialect != "avl" or date.endswith("00") != (feed.granularity == "monthly"):
            return None
        hour, number = divmod(batch, 10_000) if feed.granularity == "hourly" else (-1, batch)
        return Name(feed, date_of(date), hour, number, number) if hour < 24 else None

    def _verf(self, match: re.Match[str]) -> Name | None:
        feed, date = self.by_unit.get(match["unit"]), match["date"]
        if feed is None or feed.dialect not in ("verf", "vgop"):
            return None
        if (len(date) == 6) != (feed.granularity == "monthly") or date.endswith("00") or match["part"] == "000":
            return None
        return Name(feed, date_of(date), -1, int(match["resend"]), int(match["part"] or 0))

    def _jsonl(self, match: re.Match[str]) -> Name | None:
        feed, day = self.feeds.get(match["feed"]), dt.datetime.strptime(match["stamp"][:8], "%Y%m%d").date()
        hour = int(match["stamp"][8:])
        if feed is None or feed.dialect != "jsonl" or hour > (23 if feed.granularity == "hourly" else 0):
            return None
        if feed.granularity == "monthly":
            day = month_end(day)
        return Name(feed, day, hour if feed.granularity == "hourly" else -1, 0, int(match["part"] or 0))

    def meant(self, name: str) -> tuple[Feed | None, dt.date]:
        """The feed and date that a name which breaks the convention still tells: whom to answer."""
        units = [self.by_unit.get(text) for text in re.findall(r"(?<![0-9])[0-9]{5}(?![0-9])", name)]
        dates = re.findall(r"(?<![0-9])([0-9]{8})(?:[0-9]{2})?(?![0-9])", name)
        if match := re.match(r"[A-Za-z]([0-9]{5})([0-9]{8})", name):
            units.append(self.by_unit.get(match[1]))
            dates.append(match[2])
        if match := re.match(r"([a-z][a-z0-9_]*?)_[0-9]{6,10}[_.]", name):
            units.append(self.feeds.get(match[1]))
        days = [day for text in dates if (day := _date(text)) is not None]
        feed = next((feed for feed in reversed(units) if feed is not None), None)
        return feed, days[-1] if days else NO_DATE


def look(landing: Path, feeds: Mapping[str, Feed]) -> list[Arrival]:
    """Every file below ``landing`` (not in folders), with its control facts, in name order."""
    names, arrivals = Names(feeds), []
    sizes: dict[str, int] = {}
    for entry in sorted(os.scandir(landing), key=lambda item: item.name):
        if not entry.name.isprintable():  # also bytes that are no text: such a name is shown, never opened
            shown = ascii(entry.name)[1:-1]
            arrivals.append(Arrival(shown, shown, 0, state="unknown", code="07", reason="no feed is named like this"))
        elif entry.is_symlink():
            arrivals.append(_strange(names, entry.name, 0, "a symbolic link: refused, never followed"))
        elif entry.is_file(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):  # gone since the folder was listed
                sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
    controls = [_control(landing, name, names) for name in sizes if is_control(name)]
    named_by = {file: control for control in controls for file in control.said}
    for name, size in sizes.items():
        if not is_control(name):
            arrivals.append(_data_file(name, size, names, named_by.get(name)))
    for control in controls:
        arrivals += _find_absent(control, sizes, names)
    return sorted(arrivals, key=lambda arrival: arrival.file)


def _control(landing: Path, name: str, names: Names) -> Control:
    """A control file; what it says of files of other deliveries is not taken."""
    own = names.read(name)
    if own is None:
        control = Control(name)
        control.refuse("the name breaks the convention of its feed, or no feed has it", "07")
        return control
    control = read_control(landing / name, name)
    for file in control.said:
        other = names.read(file)
        if other is None or is_control(file):
            control.refuse(f"it names {file}, which breaks the convention of its feed", "07")
            break
        resend = other.resend if own.feed.dialect in ("verf", "vgop") else own.resend
        if (other.feed.code, other.data_date, other.hour, resend) != (
            own.feed.code,
            own.data_date,
            own.hour,
            own.resend,
        ):
            control.refuse(f"it names {file}, which belongs to another delivery")
            break
    return control


def _strange(names: Names, name: str, size: int, reason: str) -> Arrival:
    """A file that breaks the conventions: refused where its name tells whom to answer, else unknown."""
    feed, date = names.meant(name)
    bare = Arrival(name, name, size, data_date=date)
    if feed is None:
        return replace(bare, state="unknown", code="07", reason=reason)
    return replace(bare, feed=feed.code).refuse("07", reason)


def _data_file(name: str, size: int, names: Names, control: Control | None) -> Arrival:
    own = names.read(name)
    if own is None:
        return _strange(names, name, size, "no feed of the catalogue is named like this")
    arrival = _arrival(name, size, own)
    if control is None:
        return arrival
    facts = control.said[name]
    arrival = replace(_apply_control(arrival, control, facts, names), state="ready", reason="")
    if facts.bytes != size:
        return arrival.refuse("05", f"{size} bytes, its control file says {facts.bytes}")
    if facts.date and _date(facts.date) != own.data_date:
        return arrival.refuse("08", f"its control file says data date {facts.date}")
    if own.feed.dialect in ("verf", "vgop") and (facts.records > PART_RECORDS or size > PART_BYTES):
        return arrival.refuse("99", f"a part holds at most {PART_RECORDS:,} records and {PART_BYTES:,} bytes")
    return arrival


def _arrival(name: str, size: int, own: Name) -> Arrival:
    return Arrival(name, name, size, own.feed.code, own.data_date, own.hour, own.resend, own.part)


def _apply_control(arrival: Arrival, control: Control, facts: Said, names: Names) -> Arrival:
    """With what its control file says; the delivery's number is that of the control file."""
    own = names.read(control.name)
    assert own is not None  # a control file that breaks the convention says nothing
    return replace(
        arrival,
        control=control.name,
        control_bytes=facts.bytes,
        control_records=facts.records,
        control_sha256=facts.sha256,
        arrived_at=facts.created,
        resend=control.revision if own.feed.dialect == "jsonl" else own.resend,
    )


def _date(text: str) -> dt.date | None:
    try:
        return date_of(text)
    except ValueError:
        return None


def _find_absent(control: Control, sizes: Mapping[str, int], names: Names) -> Iterator[Arrival]:
    """A row for every data file that a control file names and that is not there, and for a control file at fault."""
    for name, facts in control.said.items():
        other = names.read(name)
        if name not in sizes and other is not None:
            arrival = _apply_control(_arrival(name, 0, other), control, facts, names)
            yield arrival.refuse("03", "named by its control file but not there")
    if control.fault:
        own = names.read(control.name)
        if own is None:
            yield _strange(names, control.name, sizes[control.name], control.fault)
        else:
            arrival = replace(_arrival(control.name, sizes[control.name], own), control=control.name)
            yield arrival.refuse(control.code, control.fault)
