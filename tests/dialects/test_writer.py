"""What the writer puts into files, byte for byte, against lines written by hand."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
from decimal import Decimal
from pathlib import Path

import pytest

from conf.errors import UserError
from dialects import lzw, write_delivery
from tests.dialects.conftest import FIELDS, UTC, feed_of, rows_of, schema_of

DAY = dt.date(2026, 1, 8)
CREATED = dt.datetime(2026, 1, 8, 17, 30, 5, tzinfo=UTC)  # 2026-01-09 01:30:05 in Shanghai
ROWS = rows_of(
    no=[1, 2],
    phone=["10000000001", None],
    word=["東個", None],
    kind=["a", "b"],
    small=[-5, None],
    whole=[7, None],
    money=[Decimal("12.30"), None],
    share=[0.25, None],
    day=[dt.date(2026, 1, 7), None],
    at=[dt.datetime(2026, 1, 7, 16, 0, 1, tzinfo=UTC), None],
    flag=[True, False],
)


def test_avl_lines_and_control(tmp_path: Path) -> None:
    data, control = write_delivery(feed_of("avl"), schema_of(), ROWS, tmp_path, DAY, created=CREATED)
    assert data.name == "t1234520260108000001.AVL"
    assert data.read_bytes() == (
        b"1$10000000001$\x96\x7c\x82\x80$a$-5$7$12.30$0.25$20260107$20260108000001$1\n2$$$b$$$$$$$0\n"
    )
    assert control.name == "t1234520260108000001.CHK"
    assert control.read_bytes() == f"{data.name}${data.stat().st_size}$2$20260108$20260109013005\n".encode()


def test_a_trailing_separator_where_the_feed_says_so(tmp_path: Path) -> None:
    data, _ = write_delivery(feed_of("verf_trailing"), schema_of(), ROWS.slice(1), tmp_path, DAY, created=CREATED)
    assert data.read_bytes() == b"2|||b|||||||0|\n"


def test_verf_control_is_lines_of_104_bytes(tmp_path: Path) -> None:
    written = write_delivery(feed_of("verf", parts=2), schema_of(), ROWS, tmp_path, DAY, resend=3, created=CREATED)
    assert [path.name for path in written] == [
        "i_20086_20260108_12345_03_001.dat",
        "i_20086_20260108_12345_03_002.dat",
        "i_20086_20260108_12345_03.verf",
    ]
    control = written[-1].read_bytes()
    assert len(control) == 2 * 104
    size = written[0].stat().st_size
    name = "i_20086_20260108_12345_03_001.dat"
    assert control[:104] == f"{name:<40}{size:<20}{1:<20}2026010820260109013005".encode() + b"\r\n"


def test_vgop_numbers_its_lines_and_separates_by_0x80(tmp_path: Path) -> None:
    data, _ = write_delivery(feed_of("vgop"), schema_of(), ROWS, tmp_path, DAY, created=CREATED)
    first, second, end = data.read_bytes().split(b"\r\n")
    assert first == b"1\x801\x8010000000001\x80\x96\x7c\x82\x80\x80a\x80-5\x807\x8012.30\x800.25\x8020260107" + (
        b"\x8020260108000001\x801"
    )
    assert second == b"2\x802\x80\x80\x80b" + b"\x80" * 7 + b"0"
    assert end == b""


def test_fixed_width_counts_bytes_of_gb18030(tmp_path: Path) -> None:
    data, _ = write_delivery(feed_of("verf_fixed"), schema_of(), ROWS, tmp_path, DAY, created=CREATED)
    lines = data.read_bytes().splitlines()
    assert {len(line) for line in lines} == {sum(field.width for field in schema_of().fields)}
    assert lines[0].startswith(b"1" + b" " * 19 + b"10000000001 " + b"\x96\x7c\x82\x80" + b" " * 20 + b"a   ")


def test_fixed_width_refuses_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wider than 4 bytes"):
        write_delivery(feed_of("verf_fixed"), schema_of(), rows_of(no=[1], kind=["太长了"]), tmp_path, DAY)


def test_jsonl_leaves_missing_values_out_and_says_its_hash(tmp_path: Path) -> None:
    feed = feed_of("jsonl_gz", granularity="hourly")
    data, manifest = write_delivery(feed, schema_of(), ROWS, tmp_path, DAY, hour=9, resend=2, created=CREATED)
    assert (data.name, manifest.name) == ("tried_2026010809_001.jsonl.gz", "tried_2026010809.manifest.json")
    lines = gzip.decompress(data.read_bytes()).decode().splitlines()
    assert json.loads(lines[1]) == {"no": 2, "kind": "b", "flag": "0"}
    assert json.loads(lines[0])["word"] == "東個"
    said = json.loads(manifest.read_bytes())
    assert said["revision"] == 2
    assert said["parts"][0]["sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()


def test_a_month_is_named_after_itself(tmp_path: Path) -> None:
    last = dt.date(2025, 12, 31)
    avl, _ = write_delivery(feed_of("avl", granularity="monthly"), schema_of(), ROWS, tmp_path, last)
    verf, _ = write_delivery(feed_of("verf", granularity="monthly"), schema_of(), ROWS, tmp_path, last)
    assert avl.name == "t1234520251200000001.AVL"
    assert verf.name == "i_20086_202512_12345_00_001.dat"


def test_bytes_may_stand_in_for_a_line(tmp_path: Path) -> None:
    data, control = write_delivery(feed_of("verf"), schema_of(), ROWS, tmp_path, DAY, raw={0: b"\xff|broken"})
    assert data.read_bytes() == b"\xff|broken\n2|||b|||||||0\n"
    assert control.read_bytes()[60:80].strip() == b"2"


def test_what_the_format_cannot_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        write_delivery(feed_of("verf"), schema_of(), rows_of(no=[1], word=["a|b"]), tmp_path, DAY)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path, form: str) -> None:
    first = write_delivery(feed_of(form), schema_of(), ROWS, tmp_path / "a", DAY, created=CREATED)
    again = write_delivery(feed_of(form), schema_of(), ROWS, tmp_path / "b", DAY, created=CREATED)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


@pytest.mark.parametrize("size", [0, 1, 2, 300, 5_000, 400_000])
def test_lzw_gives_back_what_it_took(size: int) -> None:
    noise = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(size // 64 + 1))
    data = (noise + b"ab" * size)[:size]
    assert lzw.decompress(lzw.compress(data), 1 << 24) == data


def test_lzw_reads_what_compress_wrote() -> None:
    # codes 97 98 257 259 258 98 of 9 bits each, packed from the low bit; `gzip -dc` reads the same
    assert lzw.decompress(bytes.fromhex("1f9d9061c4041c28500c"), 100) == b"ababababab"
    assert lzw.compress(b"ababababab").hex() == "1f9d9061c4041c28500c"


def test_lzw_starts_over_at_a_clear_code() -> None:
    # 97 98 256 (clear), five codes of padding to the end of the group of eight, then 99 100 257 in a new table
    assert lzw.decompress(bytes.fromhex("1f9d9061c400040000000000" + "63c80404"), 100) == b"abcdcd"


def test_lzw_refuses_a_bomb_and_rubbish() -> None:
    with pytest.raises(UserError, match="more than 100000"):
        lzw.decompress(lzw.compress(b"\0" * 5_000_000), 100_000)
    with pytest.raises(UserError, match=r"not a \.Z"):
        lzw.decompress(b"PK\x03\x04", 100)
    with pytest.raises(UserError, match="broken"):
        lzw.decompress(bytes.fromhex("1f9d90ffffff"), 100)


def test_a_header_quotes_and_utf8_where_the_feed_says_so(tmp_path: Path) -> None:
    fields = [field | {"alias": "号,码"} if field["name"] == "phone" else field for field in FIELDS]
    rows = rows_of(no=[1, 2], word=['東"', None], phone=["10000000001", None])
    data, control = write_delivery(feed_of("csv"), schema_of(fields=fields), rows, tmp_path, DAY, raw={1: b"broken"})
    assert data.read_bytes().decode() == (
        'no,"号,码",word,kind,small,whole,money,share,day,at,flag\n1,10000000001,"東""",,,,,,,,\nbroken\n'
    )
    assert control.read_bytes()[60:80].strip() == b"2"  # a header is no record


@pytest.mark.parametrize(
    ("name", "form", "text"),
    [
        ("at", "iso", "2026-01-07T16:00:01.000000Z"),
        ("at", "%Y/%-m/%-d %-H:%M:%S", "2026/1/8 0:00:01"),
        ("day", "%Y-%-m-%-d", "2026-1-7"),
    ],
)
def test_dates_in_the_form_that_the_schema_says(name: str, form: str, text: str, tmp_path: Path) -> None:
    fields = [field | ({"format": form} if field["name"] == name else {}) for field in FIELDS]
    data, _ = write_delivery(feed_of("verf"), schema_of(fields=fields), ROWS.slice(0, 1), tmp_path, DAY)
    assert f"|{text}|" in data.read_text("gb18030")
