"""Load every delivery that has landed in time: files become typed rows, exactly once, nothing lost.

Tasks get file names, read, check, pseudonymise, measure and write Parquet by themselves; then one commit a table
publishes all rows, whatever number of deliveries it holds, and the ledger is written last. A delivery replaces its
feed, data date and hour; a process killed anywhere is run again and ends in the same tables.

*Reads* landing, the landing folder. *Writes* raw_<schema>, ops_load, ops_quarantine, vault, ops_delivery; return
reports to ``$CPC_HOME/outbox``; refused files go to ``$CPC_HOME/rejected``.
*Cost* decode, parse and write, once a source byte; some 5 ms a file besides. Memory: the largest file, unpacked,
a task. The driver sees names, counts and measures only, and the quarantined records.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.fernet import Fernet

from jobs import identity
from jobs.lake import WrittenFile, arrow_schema, nullable, write_file, write_partitions
from jobs.loading.ledger import Past, past_of, pending, verdict
from jobs.loading.reports import write_reports
from jobs.loading.secrets import KEY_VERSION, pseudonym_key, vault_key
from jobs.loading.task import Loaded, Work, load, sizes
from jobs.night import Figures, Night

READS = ("landing",)
WRITES = ("raw", "ops_load", "ops_quarantine", "vault", "ops_delivery")
READS_PREVIOUS = ("ops_delivery", "vault")

#: Below this many source bytes a worker process costs more than it saves.
SMALL = 200_000
BATCHES_A_CORE = 4


def run(night: Night, feeds: str = "*") -> Figures:
    """Load what has landed for the night; ``feeds`` is a glob over feed codes."""
    ledger = night.lake.arrow("ops_delivery").to_pylist()
    past = past_of(ledger)
    works, refused = pending(visible(night, feeds), past, night.catalogue.feeds, night.catalogue.schemas)
    loaded = read_all(night, works)
    accepted, rows, ended = judge(loaded, past)
    rows += [_unopened(row) for row in refused]
    publish(night, accepted)
    keep_ledger(night, ledger, rows)
    report(night, loaded, {row["delivery_id"]: row["code"] for row in rows})
    set_aside(night, rows)
    codes = Counter(row["code"] for row in rows)
    return {
        "files": sum(len(one.work.files) for one in accepted), "deliveries": len(accepted),
        "rows": sum(sum(one.rows) for one in accepted), "quarantined": sum(len(one.refused) for one in accepted),
        "bytes": sum(one.work.bytes for one in accepted), "late": codes["94"], "replaced": ended,
        "refused": sum(count for code, count in codes.items() if code not in ("00", "94", "16")),
        "codes": dict(sorted(codes.items())),
    }  # fmt: skip


def visible(night: Night, feeds: str) -> list[dict[str, Any]]:
    """Files the night may see: data before D, arrived before the cut-off."""
    rows = night.lake.arrow("landing").to_pylist()
    return [
        row
        for row in rows
        if row["feed"] is not None
        and fnmatch(row["feed"], feeds)
        and row["data_date"] < night.date
        and (row["arrived_at"] is None or row["arrived_at"] < night.cut_off)
    ]


def read_all(night: Night, works: Sequence[Work]) -> list[Loaded]:
    """Run the tasks: here if there is little, else scheduled by Spark; results in order of feed, date, hour, resend."""
    if not works:
        return []
    key = pseudonym_key(night.settings.home)
    landing, lake = night.landing, night.lake.root

    def task(batch: list[Work]) -> list[Loaded]:
        return [load(work, landing, lake / f"raw_{work.schema.name}", key) for work in batch]

    if sum(work.bytes for work in works) < SMALL:
        found = task(list(works))
    else:
        context = night.spark.sparkContext
        batches = sizes(list(works), context.defaultParallelism * BATCHES_A_CORE)
        # a row a delivery comes back: file names, counts and measures
        found = context.parallelize(batches, len(batches)).flatMap(task).collect()
    return sorted(found, key=lambda one: (one.work.feed.code, one.work.data_date, one.work.hour, one.work.resend))


def judge(loaded: Sequence[Loaded], past: Mapping[Any, Past]) -> tuple[list[Loaded], list[dict[str, Any]], int]:
    """Accept or refuse each delivery by what came before; of several for one key the last accepted is published.

    Returns:
        what is to be published, rows for the ledger, and how many older deliveries are replaced.
    """
    state = {key: Past(list(one.accepted), one.resend, set(one.known)) for key, one in past.items()}
    rows: list[dict[str, Any]] = []
    chosen: dict[str, Loaded] = {}
    replaced = 0
    for one in loaded:
        work = one.work
        before = state.setdefault((work.feed.code, work.data_date, work.hour), Past())
        code, reason = (one.code, one.reason) if one.code != "00" else verdict(work, one.delivery_id, before)
        taken = code in ("00", "94")
        if taken:
            replaced += bool(before.accepted)
            before.accepted.append(one.delivery_id)
            before.resend = work.resend
            chosen[work.key] = one
        ordinal = len(before.accepted) if taken else 0
        rows += _rows(one, code, reason, "accepted" if taken else "duplicate" if code == "16" else "refused", ordinal)
    return list(chosen.values()), rows, replaced


def _rows(one: Loaded, code: str, reason: str, state: str, ordinal: int) -> list[dict[str, Any]]:
    """A ledger row a file; what was set aside is counted with its file."""
    aside = Counter(name for name, _ in one.refused)
    counts = one.rows or (0,) * len(one.work.files)
    taken = state == "accepted"
    return [
        {
            "delivery_id": one.delivery_id, "feed": one.work.feed.code, "data_date": one.work.data_date,
            "hour": one.work.hour, "resend": one.work.resend, "ordinal": ordinal, "file": file.name,
            "bytes": file.bytes, "sha256": digest, "control_records": file.records, "loaded": rows if taken else 0,
            "quarantined": aside[file.name] if taken else 0, "code": code, "state": state, "reason": reason or None,
            "arrived_at": one.work.arrived_at, "received_at": dt.datetime.now(dt.UTC),
        }
        for file, digest, rows in zip(one.work.files, one.sha256, counts, strict=True)
    ]  # fmt: skip


def _unopened(row: Mapping[str, Any]) -> dict[str, Any]:
    """The ledger row of a file refused by its name or control file."""
    return {
        "delivery_id": f"unopened-{row['file']}-{row['bytes']}", "feed": row["feed"], "data_date": row["data_date"],
        "hour": row["hour"], "resend": row["resend"], "ordinal": 0, "file": row["file"], "bytes": row["bytes"],
        "control_records": row["control_records"], "loaded": 0, "quarantined": 0, "code": row["code"],
        "state": "refused", "reason": row["reason"], "arrived_at": row["arrived_at"],
        "received_at": dt.datetime.now(dt.UTC),
    }  # fmt: skip


def publish(night: Night, accepted: Sequence[Loaded]) -> None:
    """Make accepted rows visible: one commit a table; then measures, what was set aside, and new numbers."""
    by_schema: dict[str, list[Loaded]] = defaultdict(list)
    for one in accepted:
        by_schema[one.work.schema.name].append(one)
    for schema, group in sorted(by_schema.items()):
        night.lake.commit_files(
            f"raw_{schema}",
            [one.written for one in group if one.written],
            replace=[
                {"data_date": one.work.data_date, "feed": one.work.feed.code, "hour": one.work.hour} for one in group
            ],
        )
    dates = {one.work.data_date for one in accepted}
    keys = {(one.work.feed.code, one.work.data_date, one.work.hour) for one in accepted}
    _merge(night, "ops_load", [row for one in accepted for row in one.measures], dates, keys)
    _merge(night, "ops_quarantine", [row for one in accepted for row in _aside(one)], dates, keys)
    _keep_numbers(night, accepted)


def _aside(one: Loaded) -> list[dict[str, Any]]:
    return [
        {
            "delivery_id": one.delivery_id, "feed": one.work.feed.code, "data_date": one.work.data_date,
            "hour": one.work.hour, "file": name, "line": record.line, "byte_offset": record.offset, "raw": record.raw,
            "field": record.field or None, "code": record.code, "reason": record.reason,
        }
        for name, record in one.refused
    ]  # fmt: skip


def _merge(night: Night, table: str, rows: list[dict[str, Any]], dates: set[dt.date], keys: set[Any]) -> None:
    """Replace the rows of some feeds, dates and hours in a table partitioned by date, in one commit."""
    schema = nullable(arrow_schema(night.lake.table(table)))
    if not keys:
        return
    files: list[WrittenFile] = []
    for date in sorted(dates):
        kept = [
            row
            for row in night.lake.arrow(table, partition={"data_date": date}).to_pylist()
            if (row["feed"], row["data_date"], row["hour"]) not in keys
        ]
        mine = [row for row in rows if row["data_date"] == date]
        if kept or mine:
            files += write_partitions(night.lake.path(table), pa.Table.from_pylist(kept + mine, schema), ["data_date"])
    night.lake.commit_files(table, files, replace=[{"data_date": date} for date in sorted(dates)])


def _keep_numbers(night: Night, accepted: Sequence[Loaded]) -> None:
    """Add numbers that the vault does not hold yet, encrypted, in order of their pseudonyms."""
    found = {name: number for one in accepted for number, name in one.numbers.items()}
    known = (
        set(night.lake.arrow("vault", columns=["phone_pseudonym"])["phone_pseudonym"].to_pylist()) if found else set()
    )
    new = sorted(set(found) - known)
    if not new:
        return
    box = Fernet(vault_key(night.settings.home))
    rows = pa.table(
        {"phone_pseudonym": pa.array(new, pa.binary()), "key_version": pa.array([KEY_VERSION] * len(new), pa.int32()),
         "phone": pa.array([box.encrypt(found[name].encode("ascii")) for name in new], pa.binary())}
    )  # fmt: skip
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
    newest = {(row["feed"], row["data_date"], row["hour"]): row["ordinal"] for row in rows if row["ordinal"]}
    new_keys = {(row["delivery_id"], row["file"]) for row in rows}
    dates = sorted({row["data_date"] for row in rows})
    kept = []
    for old in ledger:
        if old["data_date"] not in dates or (old["delivery_id"], old["file"]) in new_keys:
            continue
        key = (old["feed"], old["data_date"], old["hour"])
        ended = old["state"] == "accepted" and old["ordinal"] < newest.get(key, 0)
        kept.append({**old, "state": "replaced"} if ended else dict(old))
    for row in rows:  # of two resends in one load, the earlier was never seen
        if row["state"] == "accepted" and row["ordinal"] < newest[(row["feed"], row["data_date"], row["hour"])]:
            row["state"] = "replaced"
    schema = nullable(arrow_schema(night.lake.table("ops_delivery")))
    merged = sorted(kept + list(rows), key=lambda r: (r["data_date"], r["feed"], r["hour"], r["resend"], r["file"]))
    files = write_partitions(night.lake.path("ops_delivery"), pa.Table.from_pylist(merged, schema), ["data_date"])
    night.lake.commit_files("ops_delivery", files, replace=[{"data_date": date} for date in dates])


def report(night: Night, loaded: Sequence[Loaded], codes: Mapping[str, str]) -> None:
    """Write the return reports that ``vgop`` senders wait for."""
    for one in loaded:
        if one.work.feed.dialect != "vgop":
            continue
        for file in one.work.files:
            mine = [record for name, record in one.refused if name == file.name]
            write_reports(
                night.settings.home / "outbox", file.name, one.work.feed.unit_code, codes[one.delivery_id],
                one.work.arrived_at, mine,
            )  # fmt: skip


def set_aside(night: Night, rows: Sequence[Mapping[str, Any]]) -> None:
    """Move refused files to ``rejected/<feed>/``, untouched; a duplicate stays where it is."""
    for row in rows:
        source = night.landing / row["file"]
        if row["state"] != "refused" or not source.is_file() or source.is_symlink():
            continue
        folder: Path = night.settings.home / "rejected" / row["feed"]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.move(source, folder / source.name)
