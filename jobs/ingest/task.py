"""Spans of files, read and written as Parquet by the task that was given them; nothing is published here.

In one pass: records, pseudonyms, measures of each column, what is set aside. A packed file is unpacked in one thread
while others parse. Memory is bounded by a few pieces a task, and 16 bytes a record to find keys that stand twice.
"""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import UserError
from conf.phones import PhoneForms
from dialects import EncodingError, FileRefused, HeaderError, Records, find_columns, pieces, read
from dialects.convert import PLAIN
from dialects.hmac import Keyed
from dialects.keys import Prints, find_beaten
from dialects.scanner import BYTES
from dialects.streams import LongLineError
from dialects.utf8 import count_wide
from jobs.ingest.column_stats import Measure, measure, stat_rows
from jobs.ingest.deliveries import ByteSpan, Delivery, Survey, identify, survey
from runtime.parquet_files import PartWriter, WrittenFile

#: At most so many records of a delivery are set aside one by one; over it, it is refused whatever its threshold.
MOST_REFUSED = 1_000_000
#: So many wide characters of a delivery that is UTF-8 throughout say that it is meant so.
WIDE = 2
#: Threads that parse a packed file, and above which size of it.
THREADS, THREADED = 2, 8 << 20


@dataclass(frozen=True)
class Read:
    """What a span held: rows written but not published, and what was set aside.

    ``refused`` has as many as the delivery may have and one; ``faults`` counts them all by field and code. ``prints`` are the
    fingerprints of the rows' keys, or the file that holds them. ``wide`` counts characters of three or more bytes if all
    of it is UTF-8, else it is −1.
    """

    span: ByteSpan
    records: int = 0
    written: WrittenFile | None = None
    refused: tuple[FileRefused, ...] = ()
    faults: Counter[tuple[str, int]] = field(default_factory=Counter)
    figures: Measure = field(default_factory=Measure)
    prints: Prints | Path | None = None
    numbers: dict[str, bytes] = field(default_factory=dict)
    wide: int = -1
    code: str = "00"
    reason: str = ""


@dataclass(frozen=True)
class Loaded:
    """What became of a delivery in its tasks: rows written but not published, or why it is refused.

    ``code`` is that of the file level; ``rows`` and ``aside`` count by file; ``numbers`` are distinct phone numbers
    with their pseudonyms (profiles only); ``ordinal`` is that of the accepted content of its key.
    """

    work: Delivery
    delivery_id: str
    sha256: tuple[str, ...]
    code: str = "00"
    reason: str = ""
    written: tuple[WrittenFile, ...] = ()
    rows: tuple[int, ...] = ()
    aside: tuple[int, ...] = ()
    refused: tuple[tuple[str, FileRefused], ...] = ()
    measures: list[dict[str, Any]] = field(default_factory=list)
    numbers: dict[str, bytes] = field(default_factory=dict)
    ordinal: int = 0


@dataclass(frozen=True)
class Loader:
    """Where tasks read and write.

    Attributes:
        landing: where files lie.
        lake: the folder of tables.
        spool: where fingerprints wait between tasks.
        key: of the pseudonyms.
        phones: how numbers may be written.
    """

    landing: Path
    lake: Path
    spool: Path
    key: bytes
    phones: PhoneForms = PLAIN

    def table(self, work: Delivery) -> Path:
        """Folder of the table that a delivery goes to."""
        return self.lake / f"raw_{work.schema.name}"

    def load(self, work: Delivery) -> Loaded:
        """Read a whole delivery in this task."""
        looked = survey(work, self.landing)
        identity = identify(work, looked.sha256)
        return self.settle(work, looked, [self.read(span, identity) for span in looked.spans])

    def read(self, span: ByteSpan, identity: str, twice: Collection[int] = (), *, spooled: bool = False) -> Read:
        """Read one span and write its rows below its table.

        Args:
            span: what to read.
            identity: id of its delivery.
            twice: lines that give way to a record of the same key in another piece of the delivery.
            spooled: leave the fingerprints in a file and give its path.
        """
        work = span.work
        keyed = Keyed(self.key)
        numbers: dict[str, bytes] = {}
        sink = _sink(self.table(work), work)
        result = Read(span)
        prints: list[Prints] = []
        refused: list[FileRefused] = []
        wide: list[int] = []

        def parse(piece: bytes, line: int, offset: int) -> Records:
            if not wide or min(wide) >= 0:
                wide.append(count_wide(piece) if work.feed.encoding == "gb18030" else -1)
            names = _keep_numbers(keyed, numbers) if _keeps_numbers(work) else keyed
            most = work.tolerated + 1
            return read(
                work.feed,
                work.schema,
                piece,
                names,
                line=line,
                offset=offset,
                twice=twice,
                most=most,
                columns=columns,
                phones=self.phones,
            )

        records = 0
        columns: tuple[int, ...] = ()
        try:
            if work.feed.header:
                columns = find_columns(work.feed, work.schema, self.landing / span.file.path)
            for part in _parse_pieces(span, self.landing / span.file.path, parse):
                records += part.records
                sink.write(_rows(span, identity, part))
                result.figures.add(measure(work.schema, part.table, part.faults))
                result.faults.update(part.faults)
                refused += part.refused[: max(0, work.tolerated + 1 - len(refused))]
                prints.append(part.prints)
        except UserError as error:
            sink.discard()
            return replace(result, code=_code_of(error), reason=f"{span.file.name}: {error.what}")
        keys = np.concatenate(prints) if prints else np.zeros((0, 2), np.uint64)
        result_prints = _spool(self.spool, keys) if spooled else keys
        return replace(
            result,
            records=records,
            written=sink.close(),
            refused=tuple(refused),
            prints=result_prints,
            numbers=numbers,
            wide=sum(wide) if min(wide, default=0) >= 0 else -1,
        )

    def settle(self, work: Delivery, looked: Survey, parts: Sequence[Read]) -> Loaded:
        """One delivery of its spans, in the order of the survey: counted, judged, keys that stand twice set aside."""
        identity = identify(work, looked.sha256)
        parts = list(parts)
        refusal = Loaded(work, identity, looked.sha256)
        if looked.code != "00":
            return replace(refusal, code=looked.code, reason=looked.reason)
        code, reason = _verdict(work, parts)
        distinct = None
        if code == "00" and work.schema.key:
            distinct = self._keys_once(work, identity, parts)
            code, reason = _verdict(work, parts)
        refused = tuple((part.span.file.name, record) for part in parts for record in part.refused)
        if code != "00":
            for part in parts:
                if part.written:
                    (self.table(work) / part.written.path).unlink()
            return replace(refusal, code=code, reason=reason, refused=refused)
        figures, numbers = Measure(), {}
        for part in parts:
            figures.add(part.figures)
            numbers.update(part.numbers)
        rows, aside = ([0] * len(work.files) for _ in range(2))
        for part in parts:
            rows[part.span.number] += part.figures.rows
            aside[part.span.number] += part.faults.total()
        return Loaded(
            work,
            identity,
            looked.sha256,
            "00",
            "",
            tuple(part.written for part in parts if part.written),
            tuple(rows),
            tuple(aside),
            refused,
            stat_rows(work, identity, figures, distinct),
            numbers,
        )

    def _keys_once(self, work: Delivery, identity: str, parts: list[Read]) -> int | None:
        """Read spans again that hold rows which give way to another's, without these; the number of keys."""
        while True:
            prints = [np.load(part.prints) if isinstance(part.prints, Path) else part.prints for part in parts]
            counts = [len(array) for array in prints if array is not None]
            keys = np.concatenate([array for array in prints if array is not None])
            for part in parts:
                if isinstance(part.prints, Path):
                    part.prints.unlink()
            starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
            again = find_beaten(work.schema, keys, partial(self._contents, work, tuple(parts), starts))
            if not len(again):
                return len(keys) or None
            owner = np.searchsorted(starts[1:], again, side="right")
            for place in np.unique(owner).tolist():
                part = parts[place]
                path = self._path(part)
                lines = pq.read_table(path, columns=["line"], partitioning=None)["line"].to_numpy()
                own = lines[again[owner == place] - starts[place]]
                parts[place] = self.read(part.span, identity, frozenset(own.tolist()))
                path.unlink()
            for place, part in enumerate(parts):  # what was spooled is needed once more
                if isinstance(part.prints, Path):
                    parts[place] = replace(part, prints=prints[place])

    def _path(self, part: Read) -> Path:
        assert part.written is not None  # it has rows
        return self.table(part.span.work) / part.written.path

    def _contents(
        self, work: Delivery, parts: Sequence[Read], starts: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> pa.Table:
        """The fields of rows, in their order, from the files of their parts; ``starts``: the first row of each part."""
        names = [field.name for field in work.schema.fields]
        taken, places = [], []
        owner = np.searchsorted(starts[1:], rows, side="right")
        for place in np.unique(owner).tolist():
            at = np.flatnonzero(owner == place)
            wanted, begin = rows[at] - starts[place], 0
            for batch in pq.ParquetFile(self._path(parts[place])).iter_batches(columns=names):
                inside = (wanted >= begin) & (wanted < begin + batch.num_rows)
                if inside.any():
                    taken.append(pa.Table.from_batches([batch.take(pa.array(wanted[inside] - begin))]))
                    places.append(at[inside])
                begin += batch.num_rows
        order = np.argsort(np.concatenate(places), kind="stable")
        return pa.concat_tables(taken).take(pa.array(order))


def _code_of(error: UserError) -> str:
    """The code of the file level of what stops the reading of a file."""
    if isinstance(error, EncodingError):
        return "11"
    return "99" if isinstance(error, LongLineError | HeaderError) else "10"


def _keeps_numbers(work: Delivery) -> bool:
    return any(conform.entity == "customer" for conform in work.schema.conform)


def _keep_numbers(keyed: Keyed, numbers: dict[str, bytes]) -> Callable[[pa.Array], pa.Array]:
    """Pseudonyms of numbers, which are noted."""

    def name_numbers(texts: pa.Array) -> pa.Array:
        names = keyed(texts)
        pairs = zip(texts.to_pylist(), names.to_pylist(), strict=True)
        numbers.update({number: name for number, name in pairs if number})
        return names

    return name_numbers


def _parse_pieces(span: ByteSpan, path: Path, parse: Callable[[bytes, int, int], Records]) -> Iterator[Records]:
    """The pieces of a span, parsed, in order; a large packed file in threads, at most a piece more than them ahead."""
    line, offset = span.line, span.start
    packed = span.file.packed and span.bytes > THREADED
    with ThreadPoolExecutor(THREADS if packed else 1) as pool:
        ahead: deque[Future[Records]] = deque()
        for piece in pieces(path, span.start, span.stop):
            if not packed:
                part = parse(piece, line, offset)
                line += part.lines
                yield part
            else:
                ahead.append(pool.submit(parse, piece, line, offset))
                line += piece.count(b"\n") + (not piece.endswith(b"\n"))
            offset += len(piece)
            if len(ahead) > THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _sink(table: Path, work: Delivery) -> PartWriter:
    """Where rows of a delivery go; texts that make the key, and numbers, hardly repeat."""
    kinds = {field.name: field.type for field in work.schema.fields}
    plain = [name for name, kind in kinds.items() if kind not in ("string", "code", "bool", "short")]
    plain += ["line", *(name for name in work.schema.key if kinds[name] == "string")]
    return PartWriter(table, {"data_date": work.data_date, "feed": work.feed.code}, plain)


def _rows(span: ByteSpan, identity: str, part: Records) -> pa.Table:
    """Rows with what the loader says of them; partition columns are in the path."""
    n = part.table.num_rows
    own = {
        "hour": pa.array(np.full(n, span.work.hour, np.int32)),
        "delivery_id": _same(identity, n),
        "file": _same(span.file.name, n),
        "line": pa.array(part.line),
    }
    columns = [*own.values(), *part.table.columns]
    return pa.table(columns, names=[*own, *part.table.column_names])


def _same(value: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value], pa.string()))


def _spool(folder: Path, prints: Prints) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.npy"
    np.save(path, prints)
    return path


def _verdict(work: Delivery, parts: Sequence[Read]) -> tuple[str, str]:
    """Whether a delivery may be accepted for what its spans held: code and reason."""
    for part in parts:
        if part.code != "00":
            return part.code, part.reason
    wide = [part.wide for part in parts]
    if min(wide, default=-1) >= 0 and sum(wide) >= WIDE:  # GB18030 hardly ever happens to be UTF-8 as well
        return "11", f"it is UTF-8 ({sum(wide):,} wide characters), and its feed is {work.feed.encoding}"
    for number, file in enumerate(work.files):
        records = sum(part.records for part in parts if part.span.number == number)
        if records != file.records:
            return "06", f"{file.name}: {records} records, its control file says {file.records}"
    total = sum(part.records for part in parts)
    if total == 0:
        return ("00", "") if work.feed.empty_ok else ("12", "empty, which this feed does not allow")
    faults: Counter[tuple[str, int]] = sum((part.faults for part in parts), Counter())
    if faults.total() <= work.tolerated and faults.total() < MOST_REFUSED:
        return "00", ""
    part = next(part for part in parts if part.refused)
    share = f"{faults.total():,} of {total:,} records are at fault, the threshold is"
    first = f"{part.span.file.name} line {part.refused[0].line}, {part.refused[0].reason}"
    code = "11" if sum(count for (_, fault), count in faults.items() if fault == BYTES) > work.tolerated else "99"
    return code, f"{share} {work.feed.quarantine_threshold:.2%}; the first: {first}"
