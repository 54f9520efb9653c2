"""Control files: what a sender says of the data files of one delivery, read strictly, with bounded memory.

Whatever bytes lie there, reading one ends in facts or in a fault that names the reason; it never raises.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conf.dates import SHANGHAI
from dialects.names import CONTROL_LINE

#: A control file is a line a part: one that is larger than this is none.
LARGEST = 4 << 20
_NUMBER = re.compile(r"[0-9]{1,18} *\Z")
_INSTANT = re.compile(r"[0-9]{14}\Z")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Said:
    """What a control file says of one data file; ``date`` is as written, empty where it is not said."""

    bytes: int
    records: int
    date: str
    created: dt.datetime
    sha256: str | None = None


@dataclass
class Control:
    """A control file; with a ``fault`` (and its code) it says nothing."""

    name: str
    said: dict[str, Said] = field(default_factory=dict)
    revision: int = 0
    fault: str = ""
    code: str = "02"

    def refuse(self, fault: str, code: str = "02") -> None:
        """Take nothing of what it says."""
        self.fault, self.code, self.said = fault, code, {}


def is_control(name: str) -> bool:
    """Whether a file is a control file, by the end of its name."""
    return name.endswith((".CHK", ".verf", ".manifest.json"))


def read_control(path: Path, name: str) -> Control:
    """The control file at ``path``, called ``name``."""
    control = Control(name)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        if name.endswith(".manifest.json"):
            _manifest(control, json.loads(content))
        elif name.endswith(".CHK"):
            _check(control, content)
        else:
            _verf(control, content)
        if not control.said:
            raise ValueError("it names no data file")
    except RecursionError:
        control.refuse("control file unreadable: nested too deep")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        control.refuse(f"control file unreadable: {reason[:160] or type(error).__name__}")
    return control


def _add(control: Control, name: str, facts: Said) -> None:
    if not _NAME.match(name):
        raise ValueError(f"{name[:80]!r} is no name of a file (a path is never followed)")
    if name in control.said:
        raise ValueError(f"{name} is named twice")
    control.said[name] = facts


def _number(text: str) -> int:
    if not _NUMBER.match(text):
        raise ValueError(f"{text[:40]!r} is no number")
    return int(text)


def _instant(text: str) -> dt.datetime:
    if not _INSTANT.match(text):
        raise ValueError(f"{text[:40]!r} is no time of form YYYYMMDDhhmmss")
    return dt.datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=SHANGHAI).astimezone(dt.UTC)


def _check(control: Control, content: bytes) -> None:
    for line in content.decode("ascii").removesuffix("\n").split("\n"):
        name, *facts = line.removesuffix("\r").split("$")
        if len(facts) not in (4, 5) or facts[4:] not in ([], [""]):
            raise ValueError("a line of a .CHK file has five fields")
        size, records, date, created = facts[:4]
        _add(control, name, Said(_number(size), _number(records), date, _instant(created)))


def _verf(control: Control, content: bytes) -> None:
    if len(content) % CONTROL_LINE:
        raise ValueError(f"lines must have {CONTROL_LINE} bytes")
    for at in range(0, len(content), CONTROL_LINE):
        line = content[at : at + CONTROL_LINE]
        if not line.endswith(b"\r\n"):
            raise ValueError("a line must end in CRLF")
        text = line.decode("ascii")
        facts = Said(_number(text[40:60]), _number(text[60:80]), text[80:88].rstrip(" "), _instant(text[88:102]))
        _add(control, text[:40].rstrip(" "), facts)


def _manifest(control: Control, data: Any) -> None:
    control.revision = _check_count(data.get("revision", 0), 1_000_000)
    created = _instant(str(data["created"]))
    for part in data["parts"]:
        digest = part.get("sha256")
        if digest is not None and not (isinstance(digest, str) and _SHA256.match(digest)):
            raise ValueError("sha256 is 64 hexadecimal digits")
        facts = Said(_check_count(part["bytes"]), _check_count(part["records"]), "", created, digest)
        _add(control, str(part["name"]), facts)
    total = data.get("records")
    if total is not None and _check_count(total) != sum(file.records for file in control.said.values()):
        raise ValueError("`records` is not the sum of its parts")


def _check_count(value: Any, most: int = 10**18) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{str(value)[:40]} is no number of bytes, records or revisions")
    return value
