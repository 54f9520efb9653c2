"""Any bytes as control files, names and data files: the loader ends in a verdict, and a verdict accounts for all."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from conf.catalogue import load_catalogue
from dialects.gb18030 import BYTE_ORDER_MARK
from jobs.ingest.deliveries import Delivery, File
from jobs.ingest.task import Loader
from jobs.scan.arrivals import look
from jobs.scan.controls import read_control
from tests.dialects.test_fuzz import MARKS, TOKENS, for_seconds
from tests.examples import examples
from tests.jobs.ingest.conftest import CREATED, DAY, HERE

CATALOGUE = load_catalogue(HERE / "conf")
SCHEMA = CATALOGUE.schemas["every"]
NAMES = {
    "p3000120260108000001.CHK": b"p3000120260108000001.AVL$8$1$20260108$20260109013000\n",
    "i_10000_20260108_30007_00.verf": f"{'i_10000_20260108_30007_00_001.dat':<40}{8:<20}{1:<20}2026010820260109013000\r\n".encode(),
    "day_json_2026010800.manifest.json": b'{"created":"20260109013000","revision":1,"records":1,"parts":'
    b'[{"name":"day_json_2026010800_001.jsonl.zst","bytes":8,"records":1}]}',
}
CODES = {"00", "06", "10", "11", "12", "99"}
CALM = [HealthCheck.too_slow]


@st.composite
def controls(draw: st.DrawFn) -> tuple[str, bytes]:
    """A control file that is right but for one place, or is nothing of the kind."""
    name = draw(st.sampled_from(sorted(NAMES)))
    good = NAMES[name]
    start, end = sorted(draw(st.tuples(st.integers(0, len(good)), st.integers(0, len(good)))))
    put = draw(
        st.one_of(
            st.binary(max_size=6), st.sampled_from([*TOKENS, b"-1", b"9" * 30, b"1e999", b"\xd9\xa3", b"/", b".."])
        )
    )
    return name, draw(st.sampled_from([good[:start] + put + good[end:], put, good]))


@given(controls())
@settings(max_examples=examples(150), deadline=None, suppress_health_check=CALM)
def test_a_control_file_says_facts_or_has_a_fault(sent: tuple[str, bytes]) -> None:
    name, content = sent
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        control = read_control(path, name)
        assert bool(control.fault) != bool(control.said)
        for file, said in control.said.items():
            assert "/" not in file
            assert 0 <= said.bytes < 10**19
            assert 0 <= said.records < 10**19
            assert said.created.tzinfo is dt.UTC
        [row] = [one for one in look(Path(folder), CATALOGUE.feeds) if one.state != "waiting"]
        assert row.state == "refused"  # no data file is there, or the control file is none
        assert row.code in ("02", "03", "07")


NAME = st.one_of(
    st.binary(min_size=1, max_size=30),
    st.builds(
        lambda name, at, put: name[:at] + put + name[at:],
        st.sampled_from([name.encode() for name in NAMES]),
        st.integers(0, 30),
        st.binary(max_size=3),
    ),
).filter(lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b".."))


@given(st.sets(NAME, max_size=6))
@example(
    {
        b"\xff",
        b"\n",
        b"p3000120260108000001.AVL\n",
        b"i_10000_99999999_30007_00_001.dat",
        b"day_json_0000000000_001.jsonl.zst",
    }
)
@settings(max_examples=examples(150), deadline=None, suppress_health_check=CALM)
def test_any_names_are_looked_at(names: set[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            Path(folder, name.decode("utf-8", "surrogateescape")).write_bytes(b"x")
        found = look(Path(folder), CATALOGUE.feeds)
    assert len({one.file for one in found}) >= len({name.decode("utf-8", "surrogateescape") for name in names}) - 1
    assert all(one.file.encode() and one.file.isprintable() for one in found)
    assert all((one.feed is None) == (one.state == "unknown") for one in found)


LINE = {
    "plain_avl": b"1$10000000001$\x96\x7c$a$7$1.25$20260108$20260108000001\n",
    "parts_verf": b"1|10000000001|\x96\x7c|a|7|1.25|20260108|20260108000001\n",
    "strict_vgop": b"1\x801\x8010000000001\x80\x96\x7c\x80a\x807\x801.25\x8020260108\x8020260108000001\r\n",
    "fixed_verf": b"",
}


def files(feed: str) -> st.SearchStrategy[bytes]:
    """Data files: good lines, cut ones, and bytes that matter."""
    good = LINE[feed]
    piece = st.one_of(
        st.just(good),
        st.sampled_from(TOKENS),
        st.binary(max_size=8),
        st.integers(0, len(good)).map(lambda at: good[:at] + good[at + 1 :]),
    )
    return st.lists(piece, max_size=12).map(b"".join)


def judging(feed: str, examples: int) -> Callable[[], None]:
    """The property of the loader's task: rows + quarantine = lines = control count, or refused with nothing written."""

    @given(files(feed), st.integers(-1, 1))
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=CALM)
    def target(content: bytes, off: int) -> None:
        text = content.removeprefix(BYTE_ORDER_MARK)  # no part of the first record, and no record by itself
        assume(not text.startswith(MARKS))  # of another encoding: refused as a whole, whatever the count
        lines = text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "sent.dat").write_bytes(content)
            sent = File("sent.dat", "sent.dat", len(content), max(0, lines + off))
            work = Delivery(CATALOGUE.feeds[feed], SCHEMA, DAY, -1, 0, CREATED, (sent,))
            one = Loader(Path(folder), Path(folder) / "lake", Path(folder) / "spool", b"k" * 32).load(work)
            written = list((Path(folder) / "lake").rglob("*.parquet"))
        assert one.code in CODES, one.reason
        if one.code == "00":
            assert sum(one.rows) + sum(one.aside) == lines == sent.records
            assert len(one.refused) == sum(one.aside) <= work.tolerated
            assert len(written) == bool(sum(one.rows))
            assert sum(file.rows for file in one.written) == sum(one.rows)
        else:
            assert one.reason
            assert not written
            assert (one.code == "06") == (sent.records != lines)

    return target


@pytest.mark.parametrize("feed", sorted(LINE))
def test_a_verdict_accounts_for_every_line(feed: str) -> None:
    judging(feed, 40)()


@pytest.mark.slow
@pytest.mark.parametrize("feed", sorted(LINE))
def test_fuzz_loader(feed: str) -> None:
    for_seconds(judging(feed, 300))
