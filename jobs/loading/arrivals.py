"""What lies in the landing folder: names and control files read, no data file opened."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conf.dates import SHANGHAI, month_end
from conf.feed import Feed
from dialects.names import AVL, CONTROL_LINE, JSONL, VERF, date_of

#: A data file without a control file is still being written, or its control file is on the way.
WAITING = "no control file yet"


@dataclass(frozen=True)
class Arrival:
    """A data file (or a control file that names one that is not there) with its control facts."""

    file: str
    path: str
    bytes: int
    feed: str | None = None
    data_date: dt.date = dt.date(1970, 1, 1)
    hour: int = -1
    resend: int = 0
    part: int = 1
    control: str | None = None
    control_bytes: int | None = None
    control_records: int | None = None
    arrived_at: dt.datetime | None = None
    state: str = "waiting"
    code: str = "00"
    reason: str = WAITING

    def refused(self, code: str, reason: str) -> Arrival:
        """The same file, refused at the file level."""
        return replace(self, state="refused", code=code, reason=reason)


@dataclass
class _Control:
    """A control file: what it says of each data file."""

    name: str
    said: dict[str, tuple[int, int, str, dt.datetime]] = field(default_factory=dict)
    fault: str = ""
    revision: int = 0


def look(landing: Path, feeds: Mapping[str, Feed]) -> list[Arrival]:
    """Every file below ``landing`` (not in folders), with its control facts, in name order."""
    by_unit = {feed.unit_code: feed for feed in feeds.values()}
    sizes = {
        e.name: e.stat(follow_symlinks=False).st_size for e in os.scandir(landing) if e.is_file(follow_symlinks=False)
    }
    links = [e.name for e in os.scandir(landing) if e.is_symlink()]
    controls = {name: _read_control(landing / name) for name in sizes if _is_control(name)}
    named_by = {file: control for control in controls.values() for file in control.said}
    found = [
        _data_file(name, size, by_unit, feeds, named_by.get(name))
        for name, size in sizes.items()
        if name not in controls
    ]
    found += [
        Arrival(name, name, 0, state="refused", code="07", reason="a symbolic link: refused, never followed")
        for name in links
    ]
    found += list(_absent(controls, sizes, by_unit, feeds))
    return sorted(found, key=lambda arrival: arrival.file)


def _is_control(name: str) -> bool:
    return name.endswith((".CHK", ".verf", ".manifest.json"))


def _data_file(
    name: str, size: int, by_unit: Mapping[str, Feed], feeds: Mapping[str, Feed], control: _Control | None
) -> Arrival:
    bare = Arrival(name, name, size)
    named = _named(name, by_unit, feeds)
    if named is None:
        return replace(bare, state="unknown", code="07", reason="no feed of the catalogue is named like this")
    feed, date, hour, resend, part = named
    arrival = replace(bare, feed=feed.code, data_date=date, hour=hour, resend=resend, part=part)
    if control is None:
        return arrival
    if control.fault:
        return replace(arrival, control=control.name).refused("02", control.fault)
    said_bytes, said_records, said_date, created = control.said[name]
    arrival = replace(
        arrival, control=control.name, control_bytes=said_bytes, control_records=said_records, arrived_at=created,
        state="ready", reason="", resend=control.revision if feed.dialect == "jsonl" else resend,
    )  # fmt: skip
    if said_bytes != size:
        return arrival.refused("05", f"{size} bytes, its control file says {said_bytes}")
    if said_date and _date(said_date) != date:
        return arrival.refused("08", f"its control file says data date {said_date}")
    return arrival


def _named(
    name: str, by_unit: Mapping[str, Feed], feeds: Mapping[str, Feed]
) -> tuple[Feed, dt.date, int, int, int] | None:
    """Feed, data date, hour, resend and part by a file's name; None if it follows no feed's convention."""
    try:
        if (match := AVL.match(name)) and (feed := by_unit.get(match["unit"])) and feed.dialect == "avl":
            batch = match["batch"]
            hour, number = (int(batch[:2]), int(batch[2:])) if feed.granularity == "hourly" else (-1, int(batch))
            return feed, date_of(match["date"]), hour, number // 1000, number % 1000
        if (match := VERF.match(name)) and (feed := by_unit.get(match["unit"])) and feed.dialect in {"verf", "vgop"}:
            return feed, date_of(match["date"]), -1, int(match["resend"]), int(match["part"] or 0)
        if (match := JSONL.match(name)) and (feed := feeds.get(match["feed"])) and feed.dialect == "jsonl":
            stamp = match["stamp"]
            day = dt.datetime.strptime(stamp[:8], "%Y%m%d").date()
            hour = int(stamp[8:]) if feed.granularity == "hourly" else -1
            return feed, month_end(day) if feed.granularity == "monthly" else day, hour, 0, int(match["part"] or 0)
    except ValueError:
        return None
    return None


def _date(text: str) -> dt.date | None:
    try:
        return date_of(text.strip())
    except ValueError:
        return None


def _absent(
    controls: Mapping[str, _Control], sizes: Mapping[str, int], by_unit: Mapping[str, Feed], feeds: Mapping[str, Feed]
) -> Iterator[Arrival]:
    """A row for every data file that a control file names and that is not there, and for unreadable controls."""
    for control in controls.values():
        for name, (said_bytes, said_records, _, created) in control.said.items():
            if name in sizes:
                continue
            named = _named(name, by_unit, feeds)
            if named is None:
                yield Arrival(
                    name[:255],
                    name[:255],
                    0,
                    control=control.name,
                    state="unknown",
                    code="07",
                    reason="names no feed's file",
                )
                continue
            feed, date, hour, resend, part = named
            yield Arrival(
                name, name, 0, feed.code, date, hour, control.revision or resend, part, control.name, said_bytes,
                said_records, created,
            ).refused("03", "named by its control file but not there")  # fmt: skip
        if control.fault and not control.said:
            named = _named(control.name, by_unit, feeds)
            facts: dict[str, Any] = (
                {}
                if named is None
                else {"feed": named[0].code, "data_date": named[1], "hour": named[2], "resend": named[3]}
            )
            yield Arrival(control.name, control.name, sizes[control.name], control=control.name, **facts).refused(
                "02", control.fault
            )


def _read_control(path: Path) -> _Control:
    control = _Control(path.name)
    try:
        content = path.read_bytes()
        if path.name.endswith(".manifest.json"):
            _manifest(control, json.loads(content))
        elif path.name.endswith(".CHK"):
            _check(control, content)
        else:
            _verf(control, content)
    except (ValueError, KeyError, TypeError, IndexError, UnicodeDecodeError) as error:
        control.fault = f"control file unreadable: {str(error)[:120] or type(error).__name__}"
        control.said = {}
    for name in control.said:
        if "/" in name or "\\" in name or name.startswith("."):
            control.fault, control.said = f"names a path: {name[:80]!r}", {}
            break
    return control


def _instant(text: str) -> dt.datetime:
    return dt.datetime.strptime(text.strip(), "%Y%m%d%H%M%S").replace(tzinfo=SHANGHAI).astimezone(dt.UTC)


def _check(control: _Control, content: bytes) -> None:
    for line in content.decode("ascii").splitlines():
        name, size, records, date, created, *rest = line.split("$")
        if rest not in ([], [""]):
            raise ValueError("a line of a .CHK file has five fields")
        control.said[name] = (int(size), int(records), date, _instant(created))


def _verf(control: _Control, content: bytes) -> None:
    if len(content) % CONTROL_LINE:
        raise ValueError(f"lines must have {CONTROL_LINE} bytes")
    for at in range(0, len(content), CONTROL_LINE):
        line = content[at : at + CONTROL_LINE]
        if not line.endswith(b"\r\n"):
            raise ValueError("a line must end in CRLF")
        text = line.decode("ascii")
        control.said[text[:40].strip()] = (
            int(text[40:60]),
            int(text[60:80]),
            text[80:88].strip(),
            _instant(text[88:102]),
        )


def _manifest(control: _Control, data: Any) -> None:
    control.revision = int(data.get("revision", 0))
    created = _instant(str(data["created"]))
    for part in data["parts"]:
        control.said[str(part["name"])] = (int(part["bytes"]), int(part["records"]), "", created)
