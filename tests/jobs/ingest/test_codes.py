"""Every code of the file level, from bytes that a sender could have sent: what is answered, kept and forgotten by nobody.

After each load the same holds: a delivery's records are in the table or in quarantine, or its files lie untouched in
``rejected/``; the ledger says the code, and a `vgop` sender finds it in the return report.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from jobs.ingest.return_reports import file_report
from jobs.scan import arrivals
from tests.jobs.ingest.conftest import CREATED, DAY, Desk

NAME = "i_10000_20260108_30007_00_001.dat"
CONTROL = "i_10000_20260108_30007_00.verf"
NIGHT = DAY + dt.timedelta(1)


def line(number: int, rest: bytes = b"") -> bytes:
    """A record of the vgop feed by hand: line number, key, seven empty fields."""
    return b"%d\x80%d" % (number, number) + (rest or b"\x80" * 7) + b"\r\n"


GOOD = line(1) + line(2) + line(3)


def send(
    desk: Desk, content: bytes = GOOD, records: int = 3, name: str = NAME, control: bytes | None = None, **said: object
) -> None:
    """A data file with its control file, whose fields may say something else."""
    folder = desk.night().landing
    facts = {"name": name, "size": len(content), "date": "20260108", "created": "20260109013000", **said}
    (folder / name).write_bytes(content)
    text = f"{facts['name']:<40}{facts['size']:<20}{records:<20}{facts['date']:<8}{facts['created']:<14}\r\n"
    (folder / CONTROL).write_bytes(text.encode("ascii") if control is None else control)


def code_of(desk: Desk, name: str = NAME) -> str:
    """The code of the return report, which must be the ledger's; it has 58 bytes."""
    report = desk.report(f"f_{name}.rpt")
    assert len(report) == 58
    assert report[:40].rstrip() == name[:40].encode()
    assert report.endswith(b"\r\n")
    assert report[40:42].decode() in {code for code, _, _ in desk.verdicts(name)}
    return report[40:42].decode()


def lost_nothing(desk: Desk, content: bytes, name: str = NAME) -> None:
    """A refused delivery: no rows, no quarantine, the file as it was sent; a second load changes nothing."""
    assert desk.rows() == []
    assert desk.aside() == []
    assert desk.rejected("strict_vgop")[name] == content
    assert not (desk.night().landing / name).exists()
    unchanged(desk)


def unchanged(desk: Desk) -> None:
    """Loading again finds nothing new."""
    before = desk.state()
    (desk.night().landing / "note.txt").touch()  # a landing folder without any file is an error
    assert desk.load()["codes"] == {}
    assert desk.state() == before


def test_00_a_file_in_order(desk: Desk) -> None:
    send(desk)
    assert desk.load()["codes"] == {"00": 1}
    assert code_of(desk) == "00"
    assert desk.report(f"f_{NAME}.rpt") == f"{NAME:<40}0020260109013000\r\n".encode()
    assert desk.numbers("strict_vgop") == [1, 2, 3]
    assert not (desk.settings.home / "outbox" / f"r_{NAME}.rpt").exists()


def test_01_no_control_file_by_the_deadline_then_it_comes(desk: Desk) -> None:
    send(desk)
    control = desk.night().landing / CONTROL
    kept = control.read_bytes()
    control.unlink()
    figures = desk.load()
    assert (figures["codes"], figures["waiting"], figures["refused"]) == ({"01": 1}, 1, 0)
    assert code_of(desk) == "01"
    assert desk.verdicts(NAME) == [("01", "waiting", 0)]
    assert (desk.night().landing / NAME).read_bytes() == GOOD  # it waits where it is
    unchanged(desk)
    control.write_bytes(kept)
    assert desk.load()["codes"] == {"00": 1}
    assert code_of(desk) == "00"
    assert desk.verdicts(NAME) == [("00", "accepted", 3)]


def test_01_is_not_said_before_the_deadline(desk: Desk) -> None:
    send(desk)
    (desk.night().landing / CONTROL).unlink()
    assert desk.load(DAY + dt.timedelta(1))["codes"] == {"01": 1}  # due at 03:00, the cut-off is 04:00
    desk.send("month_avl", [1], day=dt.date(2025, 12, 31))
    (desk.night().landing / "s3000420251200000001.CHK").unlink()
    assert desk.load(dt.date(2026, 1, 2))["codes"] == {}  # a month is due on the third


@pytest.mark.parametrize(
    "control",
    [
        b"",
        b"\r\n",
        f"{NAME:<40}".encode(),
        b"\xff" * 102 + b"\r\n",
        f"{NAME:<40}{len(GOOD):<20}{3:<20}20260108{'2026010901300':<14}\r\n".encode(),  # a digit short
        f"{NAME:<40}{len(GOOD):<20}{3:<20}20260108{'20260109013000':<14}\n\n".encode(),  # no CRLF
        f"{NAME:<40}{-5:<20}{3:<20}2026010820260109013000\r\n".encode(),
        f"{NAME:<40}{'1_000':<20}{3:<20}2026010820260109013000\r\n".encode(),
        f"{NAME:<40}{len(GOOD):<20}{3:<20}2026010800010101000000\r\n".encode(),  # before the first year of UTC
        f"{'../../etc/passwd':<40}{1:<20}{3:<20}2026010820260109013000\r\n".encode(),
        2 * f"{NAME:<40}{len(GOOD):<20}{3:<20}2026010820260109013000\r\n".encode(),  # named twice
    ],
)
def test_02_control_file_unreadable(desk: Desk, control: bytes) -> None:
    send(desk, control=control)
    codes = desk.load()["codes"]
    assert codes == {"01": 1, "02": 1}  # the data file has no control file that says anything
    assert code_of(desk, CONTROL) == "02"
    assert desk.rejected("strict_vgop")[CONTROL] == control
    assert (desk.night().landing / NAME).read_bytes() == GOOD
    assert desk.rows() == []
    send(desk)  # a good one heals it
    assert desk.load()["codes"] == {"00": 1}


@pytest.mark.parametrize(
    "manifest",
    [
        b"[]",
        b"{}",
        b"5",
        b"\xff",
        b"{" * 3,
        b"[" * 100_000,
        b'{"created": "20260109013000", "parts": 7}',
        b'{"created": "20260109013000", "parts": []}',
        b'{"created": "20260109013000", "parts": [{"name": "day_json_2026010800_001.jsonl.zst", "bytes": 1e999, "records": 1}]}',
        b'{"created": "20260109013000", "parts": [{"name": "day_json_2026010800_001.jsonl.zst", "bytes": '
        + b"9" * 40
        + b', "records": 1}]}',
        b'{"created": "20260109013000", "records": 2, "parts": [{"name": "day_json_2026010800_001.jsonl.zst", "bytes": 1,'
        b' "records": 1}]}',
        b'{"created": "20260109013000", "parts": [{"name": "/etc/passwd", "bytes": 1, "records": 1}]}',
    ],
)
def test_02_a_manifest_that_is_none(desk: Desk, manifest: bytes) -> None:
    [data, control] = desk.send("day_json", [1])
    control.write_bytes(manifest)
    assert desk.load()["codes"] == {"01": 1, "02": 1}
    assert data.exists()
    assert desk.rejected("day_json") == {control.name: manifest}


def test_02_a_check_file_of_another_delivery(desk: Desk) -> None:
    [data, control] = desk.send("plain_avl", [1])
    other = control.with_name("q3000220260108000001.CHK")  # feed packed_avl
    control.rename(other)
    assert desk.load()["codes"] == {"01": 1, "02": 1}
    assert desk.verdicts(other.name) == [("02", "refused", 0)]
    assert data.exists()


def test_02_a_control_file_without_end(desk: Desk) -> None:
    send(desk)
    with (desk.night().landing / CONTROL).open("wb") as file:
        file.truncate(1 << 33)  # eight gibibytes, sparse: never read into memory
    assert desk.load()["codes"] == {"01": 1, "02": 1}


def test_03_a_named_part_is_missing(desk: Desk) -> None:
    first, second, control = desk.send("parts_verf", [1, 2, 3])
    content = first.read_bytes()
    second.unlink()
    assert desk.load()["codes"] == {"03": 2}  # taken whole or not at all
    assert desk.verdicts(second.name) == [("03", "refused", 0)]
    assert desk.rows() == []
    assert desk.rejected("parts_verf") == {first.name: content, control.name: desk.rejected("parts_verf")[control.name]}
    unchanged(desk)
    desk.send("parts_verf", [1, 2, 3], resend=1)
    assert desk.load()["codes"] == {"00": 2}


def test_03_is_answered(desk: Desk) -> None:
    send(desk)
    (desk.night().landing / NAME).unlink()
    assert desk.load()["codes"] == {"03": 1}
    assert code_of(desk) == "03"


@pytest.mark.parametrize("change", [-1, 1])
def test_05_size_differs_as_of_a_file_still_growing(desk: Desk, change: int) -> None:
    send(desk, size=len(GOOD) + change)
    assert desk.load()["codes"] == {"05": 1}
    assert code_of(desk) == "05"
    lost_nothing(desk, GOOD)


def test_05_a_file_that_grows_after_the_scan(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs import ingest

    send(desk)
    real = ingest.read_all

    def later(*given: object) -> object:
        with (desk.night().landing / NAME).open("ab") as file:
            file.write(line(4))
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(ingest, "read_all", later)
    assert desk.load()["codes"] == {"05": 1}
    lost_nothing(desk, GOOD + line(4))


@pytest.mark.parametrize("records", [2, 4, 0])
def test_06_record_count_differs(desk: Desk, records: int) -> None:
    send(desk, records=records)
    assert desk.load()["codes"] == {"06": 1}
    assert code_of(desk) == "06"
    lost_nothing(desk, GOOD)


def test_06_counts_what_is_set_aside_and_a_last_line_without_end(desk: Desk) -> None:
    send(desk, GOOD + b"4\x80bad", records=4)
    assert desk.load()["codes"] == {"00": 1}
    [aside] = desk.aside()
    assert (aside["line"], aside["byte_offset"], aside["raw"], aside["code"]) == (4, len(GOOD), b"4\x80bad", 7)


@pytest.mark.parametrize(
    "name",
    [
        "i_10000_20260108_30007_00_1.dat",
        "i_10000_20260108_30007_00_000.dat",
        "i_10000_202601_30007_00_001.dat",
        "i_10000_20260199_30007_00_001.dat",
        "I_10000_20260108_30007_00_001.dat",
        "i_10000_20260108_30007_00_001.dat.bak",
    ],
)
def test_07_name_breaks_the_convention(desk: Desk, name: str) -> None:
    send(desk, name=name)
    codes = desk.load()["codes"]
    assert codes == {"07": 2}  # the control file names it, and goes with it
    assert code_of(desk, name) == "07"
    lost_nothing(desk, GOOD, name)


@pytest.mark.parametrize(
    ("name", "feed"),
    [
        ("p3000120260100000001.AVL", "plain_avl"),  # a month of a daily feed
        ("s3000420260108000001.AVL", "month_avl"),  # a day of a monthly feed
        ("day_json_2026010807_001.jsonl.zst", "day_json"),  # an hour of a daily feed
        ("hour_json_2026010824_001.jsonl.gz", "hour_json"),  # no such hour
    ],
)
def test_07_a_name_of_another_granularity(desk: Desk, name: str, feed: str) -> None:
    (desk.night().landing / name).write_bytes(b"x")
    assert desk.load(DAY + dt.timedelta(40))["codes"] == {"07": 1}
    assert desk.rejected(feed) == {name: b"x"}


@pytest.mark.parametrize(
    "name",
    [
        b"\xff\xfe.AVL",
        b"p3000120260108000001.AVL\n",
        "p3000120260108００００01.AVL".encode(),
        b"a\x1b[2Jb",
        b"-rf",
        "东.dat".encode(),
    ],
)
def test_a_hostile_name_is_shown_escaped_and_never_opened(desk: Desk, name: bytes) -> None:
    folder = desk.night().landing
    Path(bytes(folder).decode() + "/" + name.decode("utf-8", "surrogateescape")).write_bytes(b"1$$$$$$$\n")
    desk.send("plain_avl", [1])
    assert desk.load()["codes"].get("00") == 1
    rows = desk.night().lake.arrow("landing").to_pylist()
    [strange] = [row for row in rows if row["code"] == "07"]
    assert strange["file"].isprintable()
    assert desk.numbers("plain_avl") == [1]


def test_a_file_of_no_feed_is_forgotten_when_it_is_gone(desk: Desk) -> None:
    stray = desk.night().landing / "notes.txt"
    stray.touch()
    desk.send("plain_avl", [1])
    desk.load()
    assert "notes.txt" in desk.night().lake.arrow("landing")["file"].to_pylist()
    stray.unlink()
    desk.load()
    assert "notes.txt" not in desk.night().lake.arrow("landing")["file"].to_pylist()


def test_07_a_symbolic_link_is_never_followed(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(GOOD)
    send(desk)
    data = desk.night().landing / NAME
    data.unlink()
    data.symlink_to(outside)
    codes = desk.load()["codes"]
    assert codes["07"] == 1
    assert "00" not in codes
    assert desk.rows() == []
    assert outside.read_bytes() == GOOD
    assert not (desk.settings.home / "rejected" / "strict_vgop" / NAME).exists()


@pytest.mark.parametrize("date", ["20260107", "20260230", "202601", "rubbish"])
def test_08_data_date_differs(desk: Desk, date: str) -> None:
    send(desk, date=date)
    assert desk.load()["codes"] == {"08": 1}
    assert code_of(desk) == "08"
    lost_nothing(desk, GOOD)


def packed(desk: Desk, feed: str, change: Callable[[bytes], bytes]) -> dict[str, int]:
    """Send a packed delivery whose bytes are changed, with a control file that knows; the codes of the load."""
    [data, control] = desk.send(feed, [1, 2])
    before = data.read_bytes()
    after = change(before)
    data.write_bytes(after)
    text = control.read_text().replace(f"${len(before)}$", f"${len(after)}$")
    if feed.endswith("json"):
        manifest = json.loads(text)
        [part] = manifest["parts"]
        del part["sha256"]
        part["bytes"] = len(after)
        text = json.dumps(manifest)
    control.write_text(text)
    codes: dict[str, int] = desk.load()["codes"]
    if "00" not in codes:
        assert desk.rejected(feed)[data.name] == after
        assert desk.rows() == []
    return codes


@pytest.mark.parametrize("feed", ["packed_avl", "gzip_avl", "hour_json", "day_json"])
@pytest.mark.parametrize("change", ["cut", "rubbish", "nothing"])
def test_10_cannot_be_decompressed(desk: Desk, feed: str, change: str) -> None:
    changes = {"cut": lambda data: data[: len(data) // 2], "rubbish": lambda _: b"\0rubbish", "nothing": lambda _: b""}
    codes = packed(desk, feed, changes[change]) if feed != "hour_json" else hourly(desk, changes[change])
    assert codes in ({"10": 1}, {"06": 1})  # half a .Z file, and an empty one of any kind, unpack to fewer records
    if change == "rubbish":
        assert codes == {"10": 1}


def hourly(desk: Desk, change: Callable[[bytes], bytes]) -> dict[str, int]:
    """The same of the hourly feed."""
    [data, control] = desk.send("hour_json", [1, 2], hour=8)
    after = change(data.read_bytes())
    data.write_bytes(after)
    manifest = json.loads(control.read_text())
    manifest["parts"][0] |= {"bytes": len(after), "sha256": None}
    control.write_text(json.dumps(manifest))
    codes: dict[str, int] = desk.load()["codes"]
    assert desk.rejected("hour_json")[data.name] == after
    return codes


def test_10_bits_beyond_sixteen_are_no_lzw(desk: Desk) -> None:
    assert packed(desk, "packed_avl", lambda data: data[:2] + b"\x9f" + data[3:]) == {"10": 1}


@pytest.mark.parametrize(
    ("feed", "pack"),
    [("gzip_avl", gzip.compress), ("day_json", zstandard.ZstdCompressor(level=3).compress)],
)
def test_10_a_bomb_is_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, feed: str, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr("dialects.streams.BOMB_BYTES", 1 << 20)
    bomb = pack(b"0\n" * (8 << 20))
    assert len(bomb) < 40_000
    assert packed(desk, feed, lambda _: bomb) == {"10": 1}
    rows = desk.night().lake.arrow("ops_delivery").to_pylist()
    assert "unpacks to more than" in rows[0]["reason"]


def test_the_suffix_decides_how_it_is_unpacked(desk: Desk) -> None:
    [data, control] = desk.send("plain_avl", [1, 2])
    content = gzip.compress(data.read_bytes())
    (data.parent / f"{data.name}.gz").write_bytes(content)
    text = control.read_text().replace(f"{data.name}${data.stat().st_size}", f"{data.name}.gz${len(content)}")
    data.unlink()
    control.write_text(text)
    assert desk.load()["codes"] == {"00": 1}
    assert desk.numbers("plain_avl") == [1, 2]


def test_11_undecodable_bytes_above_the_threshold(desk: Desk) -> None:
    content = line(1) + line(2, b"\x80\x80\xff" + b"\x80" * 5) + line(3, b"\x80\x80\x81\x7f" + b"\x80" * 5)
    send(desk, content)
    assert desk.load()["codes"] == {"11": 1}
    assert code_of(desk) == "11"
    assert desk.report(f"r_{NAME}.rpt") == b"000000000002300070006\r\n000000000003300070006\r\n"
    lost_nothing(desk, content)


def test_11_is_said_of_bytes_above_the_threshold_whatever_else_is_wrong(desk: Desk) -> None:
    bad = [line(n, b"\x80\x80\xff" + b"\x80" * 5) for n in (1, 2)] + [line(n, b"\x80") for n in (3, 4, 5)]
    send(desk, b"".join(bad), records=5)
    assert desk.load()["codes"] == {"11": 1}


def test_12_empty_where_it_is_not_allowed(desk: Desk) -> None:
    [data, _] = desk.send("fixed_verf", [])
    assert desk.load()["codes"] == {"12": 1}
    assert desk.rejected("fixed_verf")[data.name] == b""
    desk.send("strict_vgop", [])
    assert desk.load()["codes"] == {"00": 1}


def test_16_already_accepted_with_the_same_content(desk: Desk) -> None:
    send(desk)
    desk.load()
    before = desk.rows("no", "delivery_id", "line")
    send(desk, created="20260109020000")
    assert desk.load()["codes"] == {"16": 1}
    assert code_of(desk) == "16"
    assert desk.rows("no", "delivery_id", "line") == before
    assert desk.verdicts(NAME) == [("00", "accepted", 3), ("16", "duplicate", 0)]
    unchanged(desk)


def test_16_is_for_the_same_bytes_only_and_a_lie_about_them_is_06(desk: Desk) -> None:
    send(desk)
    desk.load()
    send(desk, records=9, created="20260109020000")
    assert desk.load()["codes"] == {"06": 1}
    assert desk.verdicts(NAME) == [("00", "accepted", 3), ("06", "refused", 0)]  # what was accepted stays in force
    assert desk.numbers("strict_vgop") == [1, 2, 3]


def test_94_after_the_deadline(desk: Desk) -> None:
    send(desk, created="20260109030001")
    assert desk.load()["codes"] == {"94": 1}
    assert code_of(desk) == "94"
    assert desk.numbers("strict_vgop") == [1, 2, 3]


def test_97_over_three_resends(desk: Desk) -> None:
    desk.send("strict_vgop", [1], resend=4)
    assert desk.load()["codes"] == {"97": 1}
    assert code_of(desk, NAME.replace("_00_", "_04_")) == "97"
    assert desk.rows() == []


def test_99_other_faults_above_the_threshold(desk: Desk) -> None:
    content = line(1) + line(9) + line(3, b"\x80") + line(4)[:-2] + b"\n"
    send(desk, content, records=4)
    assert desk.load()["codes"] == {"99": 1}
    assert code_of(desk) == "99"
    assert desk.report(f"r_{NAME}.rpt") == b"000000000002300070009\r\n000000000003300070007\r\n"
    lost_nothing(desk, content)


def test_99_a_hash_that_is_not_the_manifests(desk: Desk) -> None:
    [data, control] = desk.send("day_json", [1])
    manifest = json.loads(control.read_text())
    manifest["parts"][0]["sha256"] = "0" * 64
    control.write_text(json.dumps(manifest))
    assert desk.load()["codes"] == {"99": 1}
    assert desk.rejected("day_json")[data.name]


@pytest.mark.parametrize(("records", "most_bytes"), [(7_500_001, 2 << 30), (3, len(GOOD) - 1)])
def test_99_a_part_larger_than_the_interface_allows(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, records: int, most_bytes: int
) -> None:
    monkeypatch.setattr(arrivals, "PART_BYTES", most_bytes)
    send(desk, records=records)
    assert desk.load()["codes"] == {"99": 1}
    assert code_of(desk) == "99"
    lost_nothing(desk, GOOD)


def test_a_part_as_large_as_the_interface_allows(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "PART_BYTES", len(GOOD))
    monkeypatch.setattr(arrivals, "PART_RECORDS", 3)
    send(desk)
    assert desk.load()["codes"] == {"00": 1}


def test_99_a_line_without_end_is_refused_in_bounded_memory(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialects.streams.PIECE", 1_000)
    content = GOOD + b"4\x80" + b"a" * 3_000 + b"\r\n"
    send(desk, content, records=4)
    assert desk.load()["codes"] == {"99": 1}
    [row] = desk.night().lake.arrow("ops_delivery").to_pylist()
    assert row["reason"] == f"{NAME}: a line of more than 1000 bytes"
    lost_nothing(desk, content)


def test_a_line_of_over_a_mebibyte_is_set_aside_whole(desk: Desk) -> None:
    long = b"4\x80" + b"a" * (1 << 20)
    send(desk, GOOD + long + b"\r\n", records=4)
    assert desk.load()["codes"] == {"00": 1}
    [aside] = desk.aside()
    assert (aside["raw"], aside["code"], aside["line"]) == (long, 2, 4)


def test_unknown_keys_are_loaded_and_counted(desk: Desk) -> None:
    content = zstandard.compress(b'{"no":1,"more":{"a":1.50}}\n{"no":2}\n')
    folder = desk.night().landing
    (folder / "day_json_2026010800_001.jsonl.zst").write_bytes(content)
    part = {"name": "day_json_2026010800_001.jsonl.zst", "bytes": len(content), "records": 2}
    (folder / "day_json_2026010800.manifest.json").write_text(
        json.dumps({"created": "20260109013000", "parts": [part]})
    )
    desk.load()
    assert desk.rows("no", "_rest") == [(1, '{"more": {"a": 1.50}}'), (2, None)]
    counted = {row["column"]: row for row in desk.night().lake.arrow("ops_load").to_pylist()}
    assert (counted["_rest"]["rows"], counted["_rest"]["nulls"]) == (2, 1)


def test_a_second_refused_file_of_one_name_does_not_displace_the_first(desk: Desk) -> None:
    send(desk, records=9)
    desk.load()
    send(desk, GOOD + line(4), records=9)
    desk.load()
    assert desk.rejected("strict_vgop")[NAME] == GOOD
    assert desk.rejected("strict_vgop")[f"{NAME}.1"] == GOOD + line(4)


def test_a_report_of_records_goes_when_they_are_mended(desk: Desk) -> None:
    send(desk, GOOD[:-2] + b"\x80\x80\r\n")
    desk.load()
    assert desk.report(f"r_{NAME}.rpt") == b"000000000003300070007\r\n"
    assert (CREATED, desk.numbers("strict_vgop")) == (CREATED, [1, 2])
    send(desk, GOOD, records=9)
    assert desk.load()["codes"] == {"06": 1}
    assert not (desk.settings.home / "outbox" / f"r_{NAME}.rpt").exists()


def test_the_reports_name_has_forty_places() -> None:
    long = "i_10000_20260108_30007_00_001.dat.and.much.more"
    assert file_report(long, "07", CREATED) == f"{long[:40]}0720260109013000\r\n".encode()
    assert len(file_report("东.dat", "07", CREATED)) == 58
