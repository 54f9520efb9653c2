"""Load every delivery that has landed in time: files become typed rows, exactly once, nothing lost.

Tasks get file names, read, check, pseudonymise, measure and write Parquet by themselves; then one commit a table
publishes all rows, whatever number of deliveries it holds, and the ledger is written last. A delivery replaces its
feed, data date and hour; a process killed anywhere is run again and ends in the same tables.

*Reads* landing, the landing folder. *Writes* raw_<schema>, ops_load, ops_quarantine, vault, ops_delivery; return
reports to ``$CPC_HOME/outbox``; refused files go to ``$CPC_HOME/rejected``.
*Cost* decode, parse and write, once a source byte; some 5 ms a file besides. Memory: a few pieces of 16 MB a task,
whatever the size of a file. The driver sees names, counts and measures only, and the quarantined records.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatch
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.fernet import Fernet
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from conf.errors import UserError
from conf.feed import deadline
from dialects import FileRefused
from jobs.ingest.deliveries import SPAN, Delivery, identify, survey
from jobs.ingest.ledger import Past, past_of, pending, verdict
from jobs.ingest.return_reports import write_reports
from jobs.ingest.task import Loaded, Loader
from runtime import run_id as identity
from runtime.deliveries import TAKEN, visible_to
from runtime.figures import IngestFigures
from runtime.keys import KEY_VERSION, pseudonym_key, vault_key
from runtime.lake import Lake, LiveFile, arrow_schema, nullable
from runtime.night import Night
from runtime.parquet_files import write_file, write_partitions

READS = ("landing",)
WRITES = ("raw", "ops_load", "ops_quarantine", "vault", "ops_delivery")
READS_PREVIOUS = ("ops_delivery", "vault")

#: Below this many source bytes a worker process costs more than it saves.
SMALL = 16 << 20
BATCHES_A_CORE = 8
#: Opening and closing a small file costs about as much as so many bytes.
A_FILE = 20_000
TABLES_AT_ONCE, ATTEMPTS = 4, 8


def run(night: Night, feeds: str = "*") -> IngestFigures:
    """Load what has landed for the night; ``feeds`` is a glob over feed codes."""
    ledger = night.lake.arrow("ops_delivery").to_pylist()
    past, landing = past_of(ledger), visible(night, feeds)
    works, unopened = pending(landing, past, night.catalogue.feeds, night.catalogue.schemas, night.cut_off)
    loaded = read_all(night, works)
    accepted, rows, ended, unseen = judge(loaded, past)
    discard(night.lake, unseen)
    rows += [_record_unopened(row) for row in unopened]
    publish(night, accepted)
    report(night, loaded, rows)
    keep_ledger(night, ledger, rows)  # what it knows is not loaded again: all that a sender waits for is there before
    set_aside(night, rows, landing)
    codes = Counter(row["code"] for row in rows)
    return IngestFigures(
        files=sum(len(load.work.files) for load in accepted),
        deliveries=len(accepted),
        rows=sum(sum(load.rows) for load in accepted),
        quarantined=sum(sum(load.aside) for load in accepted),
        bytes=sum(load.work.bytes for load in accepted),
        late=codes["94"],
        replaced=ended,
        refused=sum(row["state"] == "refused" for row in rows),
        waiting=codes["01"],
        codes=dict(sorted(codes.items())),
    )


def visible(night: Night, feeds: str) -> list[dict[str, Any]]:
    """Files the night may see: of a feed of the catalogue, data before D, arrived before the cut-off."""
    rows = night.lake.arrow("landing").filter(visible_to(night.date, awaited=True)).to_pylist()
    return [row for row in rows if row["feed"] in night.catalogue.feeds and fnmatch(row["feed"], feeds)]


def read_all(night: Night, works: Sequence[Delivery]) -> list[Loaded]:
    """Run the tasks: here if there is little, else scheduled by Spark; results in order of feed, date, hour, resend.

    A delivery that can be split and is larger than a span is looked through first, read span by span in any order, and
    settled when all are read; any other is one task.
    """
    home = night.settings.home
    loader = Loader(night.landing, night.lake.root, home / "spool", pseudonym_key(home), night.catalogue.phones)
    shutil.rmtree(loader.spool, ignore_errors=True)  # of a load that was killed; the lease lets no other run now
    if sum(work.bytes for work in works) < SMALL:
        loads = [loader.load(work) for work in works]
    else:
        loads = _schedule_spans(night, loader, works)
    return sorted(loads, key=lambda load: (load.work.feed.code, load.work.data_date, load.work.hour, load.work.resend))


def _schedule_spans(night: Night, loader: Loader, works: Sequence[Delivery]) -> list[Loaded]:
    context = night.spark.sparkContext

    def run(task: Callable[[Any], Any], items: Sequence[Any], weight: Callable[[Any], int]) -> list[Any]:
        """The task of every item, in their order; what comes back are names, counts, measures, what is set aside."""
        batches = evenly([*enumerate(items)], context.defaultParallelism * BATCHES_A_CORE, lambda pair: weight(pair[1]))
        if not batches:
            return []
        done = context.parallelize(batches, len(batches)).flatMap(lambda batch: [(n, task(item)) for n, item in batch])
        return [result for _, result in sorted(done.collect(), key=lambda pair: pair[0])]

    large = [work for work in works if not work.packed and work.bytes > SPAN]
    unsplit = [work for work in works if work.packed or work.bytes <= SPAN]
    looked = run(lambda work: survey(work, loader.landing), large, lambda work: work.bytes)
    names = [identify(work, look.sha256) for work, look in zip(large, looked, strict=True)]
    spans = [(span, name) for name, look in zip(names, looked, strict=True) for span in look.spans]

    def task(item: Any) -> Any:
        return loader.load(item) if isinstance(item, Delivery) else loader.read(*item, spooled=True)

    results = run(task, [*unsplit, *spans], _weight)
    loads, reads = results[: len(unsplit)], iter(results[len(unsplit) :])
    parts = [(work, look, [next(reads) for _ in look.spans]) for work, look in zip(large, looked, strict=True)]
    return loads + run(lambda part: loader.settle(*part), parts, lambda part: part[0].bytes)


def _weight(item: Any) -> int:
    """What a task costs, in bytes of plain text: packed files unpack to several times their size."""
    if not isinstance(item, Delivery):
        return int(item[0].bytes)
    return item.bytes * (4 if item.packed else 1) + len(item.files) * A_FILE


def evenly(items: Sequence[Any], batches: int, weight: Callable[[Any], int]) -> list[list[Any]]:
    """Items in at most ``batches`` of about equal weight, the heavy ones first; a stable order."""
    filled: list[list[Any]] = [[] for _ in range(batches)]
    heap = [(0, number) for number in range(batches)]
    for place in sorted(range(len(items)), key=lambda n: (-weight(items[n]), n)):
        load, number = heappop(heap)
        filled[number].append(items[place])
        heappush(heap, (load + weight(items[place]), number))
    return [batch for batch in filled if batch]


def judge(
    loaded: Sequence[Loaded], past: Mapping[Any, Past]
) -> tuple[list[Loaded], list[dict[str, Any]], int, list[Loaded]]:
    """Accept or refuse each delivery by what came before; of several for one key the last accepted is published.

    Returns:
        what is to be published, rows for the ledger, how many older deliveries are replaced, and what nobody will see.
    """
    state = {
        key: Past(list(earlier.accepted), earlier.resend, set(earlier.known), earlier.content)
        for key, earlier in past.items()
    }
    rows: list[dict[str, Any]] = []
    chosen: dict[str, Loaded] = {}
    unseen: list[Loaded] = []
    replaced = 0
    for load in loaded:
        work = load.work
        before = state.setdefault((work.feed.code, work.data_date, work.hour), Past())
        code, reason = (
            (load.code, load.reason) if load.code != "00" else verdict(work, load.delivery_id, load.sha256, before)
        )
        taken = code in ("00", "94")
        if taken:
            replaced += bool(before.accepted)
            before.accepted.append(load.delivery_id)
            before.resend = work.resend
            before.content = tuple(sorted(load.sha256))
            if work.key in chosen:
                unseen.append(chosen[work.key])
            chosen[work.key] = replace(load, ordinal=len(before.accepted))
        else:
            unseen.append(load)
        ordinal = len(before.accepted) if taken else 0
        rows += _rows(load, code, reason, "accepted" if taken else "duplicate" if code == "16" else "refused", ordinal)
    return list(chosen.values()), rows, replaced, unseen


def _rows(load: Loaded, code: str, reason: str, state: str, ordinal: int) -> list[dict[str, Any]]:
    """A ledger row a file; what was set aside is counted with its file."""
    none = (0,) * len(load.work.files)
    digests = load.sha256 + (None,) * (len(none) - len(load.sha256))
    taken = state == "accepted"
    return [
        {
            "delivery_id": load.delivery_id,
            "feed": load.work.feed.code,
            "data_date": load.work.data_date,
            "hour": load.work.hour,
            "resend": load.work.resend,
            "ordinal": ordinal,
            "file": file.name,
            "bytes": file.bytes,
            "sha256": digest,
            "control_records": file.records,
            "loaded": rows if taken else 0,
            "quarantined": aside if taken else 0,
            "code": code,
            "state": state,
            "reason": reason or None,
            "arrived_at": load.work.arrived_at,
            "received_at": dt.datetime.now(dt.UTC),
        }
        for file, digest, rows, aside in zip(
            load.work.files, digests, load.rows or none, load.aside or none, strict=True
        )
    ]


def _record_unopened(row: Mapping[str, Any]) -> dict[str, Any]:
    """The ledger row of a file that was not opened: refused by its name or control file, or without one (01)."""
    return {
        "delivery_id": f"unopened-{row['file']}-{row['bytes']}",
        "feed": row["feed"],
        "data_date": row["data_date"],
        "hour": row["hour"],
        "resend": row["resend"],
        "ordinal": 0,
        "file": row["file"],
        "bytes": row["bytes"],
        "control_records": row["control_records"],
        "loaded": 0,
        "quarantined": 0,
        "code": row["code"],
        "state": row["state"],
        "reason": row["reason"],
        "arrived_at": row["arrived_at"],
        "received_at": dt.datetime.now(dt.UTC),
    }


def publish(night: Night, accepted: Sequence[Loaded]) -> None:
    """Make accepted rows visible: one commit a table; then measures, what was set aside, and new numbers."""
    by_schema: dict[str, list[Loaded]] = defaultdict(list)
    for load in accepted:
        by_schema[load.work.schema.name].append(load)
    with ThreadPoolExecutor(TABLES_AT_ONCE) as pool:
        list(pool.map(lambda schema: publish_table(night.lake, schema, by_schema[schema]), sorted(by_schema)))
    keys = {(load.work.feed.code, load.work.data_date, load.work.hour) for load in accepted}
    _merge(night, "ops_load", [row for load in accepted for row in load.measures], keys)
    box = Fernet(vault_key(night.settings.home))
    _merge(night, "ops_quarantine", [row for load in accepted for row in _aside(load, box)], keys)
    _keep_numbers(night, accepted, box)


def publish_table(lake: Lake, schema: str, group: Sequence[Loaded]) -> None:
    """Replace the keys of ``group`` in one commit of ``raw_<schema>``, unless the table shows it already.

    The handle that shows what has been applied is the one that commits: if somebody else commits in between, Delta
    refuses, and it starts over.

    Raises:
        UserError: others kept committing.
    """
    table = f"raw_{schema}"
    for _ in range(ATTEMPTS):
        handle = lake.open(table)
        live = lake.live_files(table, bounds=("hour", "delivery_id"), handle=handle)
        wanted = [load for load in group if not is_recorded(handle, live, load)]
        try:
            lake.commit_files(
                table,
                [file for load in wanted for file in load.written],
                replace=[_partition(load.work) for load in wanted],
                applied={f"{table}/{load.work.key}": load.ordinal for load in wanted},
                handle=handle,
            )
        except CommitFailedError:
            continue
        discard(lake, [load for load in group if load not in wanted])
        return
    raise UserError(
        f"{table} is being written by somebody else", where=str(lake.path(table)), remedy="run `cpc ingest` again"
    )


def _partition(work: Delivery) -> dict[str, Any]:
    return {"data_date": work.data_date, "feed": work.feed.code, "hour": work.hour}


def is_recorded(handle: DeltaTable, live: Sequence[LiveFile], load: Loaded) -> bool:
    """Whether the table shows this content of this key: its transaction, and all of its rows and no others."""
    work = load.work
    if handle.transaction_version(f"raw_{work.schema.name}/{work.key}") != load.ordinal:
        return False
    files = [file for file in live if file.belongs_to(_partition(work))]
    if not all(file.belongs_to({"delivery_id": load.delivery_id}) for file in files):
        return False
    return sum(file.rows for file in files) == sum(load.rows)


def discard(lake: Lake, unseen: Sequence[Loaded]) -> None:
    """Remove files that no commit will publish."""
    for load in unseen:
        for file in load.written:
            (lake.path(f"raw_{load.work.schema.name}") / file.path).unlink(missing_ok=True)


def _aside(load: Loaded, box: Fernet) -> list[dict[str, Any]]:
    """Rows of the quarantine; bytes as sent may hold numbers and are encrypted as the vault is."""
    return [
        {
            "delivery_id": load.delivery_id,
            "feed": load.work.feed.code,
            "data_date": load.work.data_date,
            "hour": load.work.hour,
            "file": name,
            "line": record.line,
            "byte_offset": record.offset,
            "raw": box.encrypt(record.raw),
            "field": record.field or None,
            "code": record.code,
            "reason": record.reason,
        }
        for name, record in load.refused
    ]


def _merge(night: Night, table: str, rows: list[dict[str, Any]], keys: Set[tuple[str, dt.date, int]]) -> None:
    """Replace the rows of some feeds, dates and hours in a table partitioned by date, in one commit."""
    if not keys:
        return
    lake, schema = night.lake, nullable(arrow_schema(night.lake.table(table)))
    dates = sorted({date for _, date, _ in keys})
    there = pc.is_in(pc.field("data_date"), pa.array(dates, pa.date32()))
    old = lake.open(table).to_pyarrow_dataset().to_table(filter=there).select(schema.names).cast(schema)
    names = [f"{feed}/{date}/{hour}" for feed, date, hour in keys]
    texts = [pc.cast(old[name], pa.string()) for name in ("feed", "data_date", "hour")]
    rest = old.filter(pc.invert(pc.is_in(pc.binary_join_element_wise(*texts, "/"), pa.array(names, pa.string()))))
    merged = pa.concat_tables([rest, pa.Table.from_pylist(rows, schema)])
    files = write_partitions(lake.path(table), merged, ["data_date"]) if merged.num_rows else []
    lake.commit_files(table, files, replace=[{"data_date": date} for date in dates])


def _keep_numbers(night: Night, accepted: Sequence[Loaded], box: Fernet) -> None:
    """Add numbers that the vault does not hold yet, encrypted, in order of their pseudonyms."""
    numbers = {name: number for load in accepted for number, name in load.numbers.items()}
    known = (
        set(night.lake.arrow("vault", columns=["phone_pseudonym"])["phone_pseudonym"].to_pylist()) if numbers else set()
    )
    new = sorted(set(numbers) - known)
    if not new:
        return
    rows = pa.table(
        {
            "phone_pseudonym": pa.array(new, pa.binary()),
            "key_version": pa.array([KEY_VERSION] * len(new), pa.int32()),
            "phone": pa.array([box.encrypt(numbers[name].encode("ascii")) for name in new], pa.binary()),
        }
    )
    lake = night.lake
    lake.delta("vault")
    lake.commit_files("vault", [write_file(lake.path("vault"), rows, {})])


def keep_ledger(night: Night, ledger: Sequence[Mapping[str, Any]], rows: Sequence[dict[str, Any]]) -> None:
    """Write the ledger's dates that changed, in one commit, with the id of the run that loads."""
    if not rows:
        return
    ids = [row["delivery_id"] for row in rows if row["state"] == "accepted"]
    run_id = identity.compute(night, ids)
    for row in rows:
        row["run_id"] = run_id
    taken = {(old["delivery_id"], old["file"]) for old in ledger if old["state"] in TAKEN}
    for row in rows:  # the record of what was accepted stays beside that of the same file sent again
        if row["state"] != "accepted" and (row["delivery_id"], row["file"]) in taken:
            row["delivery_id"] = f"again-{row['arrived_at']:%Y%m%d%H%M%S}-{row['delivery_id']}"
    newest = {(row["feed"], row["data_date"], row["hour"]): row["ordinal"] for row in rows if row["ordinal"]}
    come = {row["file"] for row in rows}
    new_keys = {(row["delivery_id"], row["file"]) for row in rows}
    dates = sorted({row["data_date"] for row in rows})
    rest = []
    for old in ledger:
        if old["data_date"] not in dates or (old["delivery_id"], old["file"]) in new_keys:
            continue
        if old["state"] == "waiting" and old["file"] in come:
            continue
        key = (old["feed"], old["data_date"], old["hour"])
        ended = old["state"] == "accepted" and old["ordinal"] < newest.get(key, 0)
        rest.append({**old, "state": "replaced"} if ended else dict(old))
    for row in rows:  # of two resends in one load, the earlier was never seen
        if row["state"] == "accepted" and row["ordinal"] < newest[(row["feed"], row["data_date"], row["hour"])]:
            row["state"] = "replaced"
    schema = nullable(arrow_schema(night.lake.table("ops_delivery")))
    merged = sorted(rest + list(rows), key=lambda r: (r["data_date"], r["feed"], r["hour"], r["resend"], r["file"]))
    files = write_partitions(night.lake.path("ops_delivery"), pa.Table.from_pylist(merged, schema), ["data_date"])
    night.lake.commit_files("ops_delivery", files, replace=[{"data_date": date} for date in dates])


def report(night: Night, loaded: Sequence[Loaded], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the return reports that ``vgop`` senders wait for: one a file, whatever became of it."""
    refused: dict[tuple[str, str], list[FileRefused]] = defaultdict(list)
    for load in loaded:
        for name, record in load.refused:
            refused[load.delivery_id, name].append(record)
    for row in rows:
        feed = night.catalogue.feeds[row["feed"]]
        if feed.dialect == "vgop":
            write_reports(
                night.settings.home / "outbox",
                row["file"],
                feed.unit_code,
                row["code"],
                row["arrived_at"] or deadline(feed, row["data_date"]),
                refused[row["delivery_id"], row["file"]],
            )


def set_aside(night: Night, rows: Sequence[Mapping[str, Any]], landing: Sequence[Mapping[str, Any]]) -> None:
    """Move refused files to ``rejected/<feed>/``, untouched, with control files that name nothing else.

    A duplicate stays where it is.
    """
    moved = [row for row in rows if row["state"] == "refused"]
    for row in moved:
        _reject(night, row["feed"], row["file"])
    gone = {row["file"] for row in moved}
    named: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in landing:
        if row["control"]:
            named[row["feed"], row["control"]].add(row["file"])
    for (feed, control), files in named.items():
        if files <= gone:
            _reject(night, feed, control)


def _reject(night: Night, feed: str, name: str) -> None:
    source = night.landing / name
    if source.is_symlink() or not source.is_file():
        return
    folder: Path = night.settings.home / "rejected" / feed
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place, number = folder / name, 1
    while place.exists():  # an earlier one of this name stays too
        place, number = folder / f"{name}.{number}", number + 1
    shutil.move(source, place)
