"""What there is to load: deliveries, their files, and spans of files that tasks are given."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conf.feed import Feed
from conf.schema import Schema

#: A file that can be split is read in spans of about so many bytes: fixed, so that any number of cores writes the same.
SPAN = 64 << 20
_BLOCK = 4 << 20


@dataclass(frozen=True)
class File:
    """A data file of a delivery, as scanned, with what its control file says."""

    name: str
    path: str
    bytes: int
    records: int
    sha256: str | None = None

    @property
    def packed(self) -> bool:
        """Whether it must be unpacked, told by its name as for whoever opens it: then it cannot be cut into spans."""
        return self.path.endswith((".Z", ".gz", ".zst"))


@dataclass(frozen=True)
class Delivery:
    """A delivery to load: everything that one control file lists."""

    feed: Feed
    schema: Schema
    data_date: dt.date
    hour: int
    resend: int
    arrived_at: dt.datetime
    files: tuple[File, ...]

    @property
    def key(self) -> str:
        """What a later delivery replaces: feed, data date and hour."""
        return f"{self.feed.code}/{self.data_date}/{self.hour}"

    @property
    def bytes(self) -> int:
        """Size as sent."""
        return sum(file.bytes for file in self.files)

    @property
    def tolerated(self) -> int:
        """Records that may be set aside: the feed's share of what the control file says.

        One always may, unless the threshold is 0: in a file of a few records a single fault would be over any share.
        """
        records = sum(file.records for file in self.files)
        return int(max(1.0, self.feed.quarantine_threshold * records)) if self.feed.quarantine_threshold else 0

    @property
    def packed(self) -> bool:
        """Whether any of its files must be unpacked."""
        return any(file.packed for file in self.files)


@dataclass(frozen=True)
class ByteSpan:
    """A part of a data file that begins and ends where records do, or a whole packed file.

    Attributes:
        work: the delivery.
        number: which of its files.
        start: first byte (0 of a packed file).
        stop: byte after the last; None means the end.
        line: records of the file before it.
    """

    work: Delivery
    number: int
    start: int = 0
    stop: int | None = None
    line: int = 0

    @property
    def file(self) -> File:
        """The file."""
        return self.work.files[self.number]

    @property
    def bytes(self) -> int:
        """Size as sent."""
        return (self.file.bytes if self.stop is None else self.stop) - self.start


@dataclass(frozen=True)
class Survey:
    """A delivery looked through once: its hashes (hence its id), its spans, or why it cannot be read."""

    sha256: tuple[str, ...]
    spans: tuple[ByteSpan, ...]
    code: str = "00"
    reason: str = ""


def survey(work: Delivery, landing: Path) -> Survey:
    """Hash every file of a delivery and find where it may be cut; memory is a block."""
    digests: list[str] = []
    spans: list[ByteSpan] = []
    for number, file in enumerate(work.files):
        try:
            digest, size, cuts = _look_through(landing / file.path, 0 if file.packed else SPAN)
        except OSError as error:
            return Survey(tuple(digests), (), "03", f"{file.name}: cannot be opened ({error.strerror})")
        digests.append(digest)
        if size != file.bytes:
            return Survey(tuple(digests), (), "05", f"{file.name}: {size} bytes now, {file.bytes} when scanned")
        if file.sha256 is not None and file.sha256 != digest:
            return Survey(tuple(digests), (), "99", f"{file.name}: its sha256 is not the one of its manifest")
        stops: list[int | None] = [start for start, _ in cuts[1:]]
        spans += [
            ByteSpan(work, number, start, stop, line) for (start, line), stop in zip(cuts, [*stops, None], strict=True)
        ]
    return Survey(tuple(digests), tuple(spans))


def _look_through(path: Path, span: int) -> tuple[str, int, list[tuple[int, int]]]:
    """SHA-256, size, and (byte, line) of cuts after the first LF at least ``span`` bytes on (0: no cuts)."""
    digest, size, lines, cuts, wanted = hashlib.sha256(), 0, 0, [(0, 0)], span
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            at = 0
            while span and wanted < size + len(block):
                newline = block.find(b"\n", max(wanted - size, at))
                if newline < 0:
                    wanted = size + len(block)  # the line goes on in the next block
                    break
                lines += block.count(b"\n", at, newline + 1)
                at = newline + 1
                cuts.append((size + at, lines))
                wanted = size + at + span
            if span:
                lines += block.count(b"\n", at)
            size += len(block)
    return digest.hexdigest(), size, [cut for cut in cuts if cut[0] < size or cut[0] == 0]


def identify(work: Delivery, digests: Sequence[str]) -> str:
    """The id of a delivery: content, feed, data date, hour and resend number."""
    content = [work.feed.code, work.data_date.isoformat(), work.hour, work.resend, sorted(digests)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
