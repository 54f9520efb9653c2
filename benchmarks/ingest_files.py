"""Interface files of any size for the loader's benchmark, and the same records as UTF-8 for its peers.

Records are of the catalogue's `hotline_call` (15 columns), with Chinese text in three of them: 東 and 個 too, whose
second bytes are the separators of two dialects. Generated block by block from a seed, so memory stays small.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.catalogue import load_catalogue
from conf.feed import Feed
from conf.schema import Schema
from dialects.names import Named, local_text
from dialects.render import render_delimited, text_columns

DATE = dt.date(2026, 1, 8)
BLOCK = 200_000
#: Mobile numbers begin with 13 … 19: 100 is never assigned.
NUMBERS, FIRST = 2_000_000, 10_000_000_000
PRODUCTS = ("畅享套餐128元", "全球通無限個人版", "廣東東莞流量包10GB", "家庭宽带500M", "彩铃", "亲情号码", None)
SKILLS = ("投诉处理组", "宽带装维", "国际漫游", "東區一組", "VIP")


def feed() -> Feed:
    """A `verf` feed of calls with as many parts as asked for by the file names."""
    said = {
        "code": "hotline_call_bench",
        "label": "测速",
        "source": "benchmark",
        "service": "hotline",
        "dialect": "verf",
        "schema": "hotline_call",
        "unit_code": "99901",
        "sender": "99900",
        "owner": "benchmarks",
        "purpose": "speed",
    }
    return Feed.model_validate(said)


def schema() -> Schema:
    """The catalogue's schema of calls."""
    return load_catalogue().schemas["hotline_call"]


def block(number: int, rows: int = BLOCK) -> pa.Table:
    """Records ``number * BLOCK`` and up, typed as stored; phones as digits."""
    random = np.random.Generator(np.random.Philox(key=[2026, number]))
    kinds = schema()
    start = 1_767_801_600 + random.integers(0, 86_400, rows)

    def pick(values: tuple[str | None, ...]) -> pa.Array:
        return pa.array(values, pa.string()).take(pa.array(random.integers(0, len(values), rows)))

    def some(low: int, high: int, kind: pa.DataType, missing: float = 0.0) -> pa.Array:
        return pa.array(random.integers(low, high, rows), kind, mask=random.random(rows) < missing)

    serial = pc.binary_join_element_wise(
        "C20260108", pc.cast(pa.array(10**11 + number * BLOCK + np.arange(rows)), pa.string()), ""
    )
    columns = {
        "call_no": serial,
        "caller_no": pc.cast(pa.array(FIRST + random.integers(0, NUMBERS, rows)), pa.string()),
        "call_start": pa.array(start * 1_000_000, pa.timestamp("us", "UTC")),
        **{
            name: pick(tuple(kinds.codes[kinds.by_name[name].codes]))
            for name in ("service_no", "answer_centre", "reason_code", "call_result")
        },
        "queue_seconds": some(0, 900, pa.int32()),
        "talk_seconds": some(0, 3_600, pa.int32()),
        "asked_product": pick(PRODUCTS),
        "transfer_count": some(0, 5, pa.int16(), 0.2),
        "satisfaction": some(1, 11, pa.int16(), 0.6),
        "agent_no": pc.binary_join_element_wise("A", pc.cast(some(10_000, 99_999, pa.int32()), pa.string()), ""),
        "skill_code": pick(SKILLS),
        "ivr_seconds": some(0, 300, pa.int32(), 0.1),
    }
    return pa.table({field.name: columns[field.name] for field in kinds.fields})


def texts(size: int) -> Iterator[tuple[bytes, bytes, int]]:
    """Blocks as the sender's GB18030 and as UTF-8, with their records, until ``size`` bytes of GB18030."""
    made, number = 0, 0
    while made < size:
        rows = block(number)
        source = render_delimited(feed(), text_columns(schema(), rows))
        made, number = made + len(source), number + 1
        yield source, source.decode("gb18030").encode(), rows.num_rows


def write(folder: Path, size: int) -> tuple[Path, Path, int]:
    """One delivery of at least ``size`` bytes with its control file, and ``utf8.txt`` beside the folder.

    Returns:
        the data file, the UTF-8 file and the number of records.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = Named(feed(), DATE)
    path, peer, records = folder / named.part(1), folder.parent / "utf8.txt", 0
    with path.open("wb") as ours, peer.open("wb") as theirs:
        for source, text, rows in texts(size):
            ours.write(source)
            theirs.write(text)
            records += rows
    control(folder, path, records)
    return path, peer, records


def control(folder: Path, path: Path, records: int) -> None:
    """The control file of a delivery of one part."""
    when = local_text(dt.datetime(2026, 1, 8, 17, 0, tzinfo=dt.UTC))
    line = f"{path.name:<40}{path.stat().st_size:<20}{records:<20}{DATE:%Y%m%d}{when}\r\n"
    (folder / Named(feed(), DATE).control).write_bytes(line.encode("ascii"))
