"""The same records in another order of lines, in more files: the same customers, features, candidates, roles and plan."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from deltalake import DeltaTable

pytestmark = [pytest.mark.demo, pytest.mark.timeout(1800)]
PACK: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    ".gz": (gzip.decompress, lambda content: gzip.compress(content, mtime=0)),
    ".zst": (
        lambda content: zstandard.ZstdDecompressor().decompressobj().decompress(content),
        zstandard.ZstdCompressor().compress,
    ),
}
NUMBER = re.compile(rb"(\d+)(?=\D)")
#: What is nobody's decision: names of the run, and what a delivery's content gives it as an id.
NAMES = {"run_id", "decision_id"}
#: What a row of a table is, beside night and customer.
KEYS = {"candidate": ("product", "channel"), "eligible": (), "recommendation": ("channel", "rank")}


def shuffle_lines(content: bytes, seed: str) -> list[bytes]:
    lines = content.splitlines(keepends=True)
    random.Random(seed).shuffle(lines)
    return lines


def is_numbered(lines: list[bytes]) -> bool:
    """Whether the records of a file begin with their place in it."""
    matches = [NUMBER.match(line) for line in lines]
    return [int(match[1]) for match in matches if match] == list(range(1, len(lines) + 1))


def number_lines(lines: list[bytes]) -> list[bytes]:
    """The same lines, each saying its new place."""
    return [NUMBER.sub(str(place).encode(), line, count=1) for place, line in enumerate(lines, start=1)]


def shuffle_manifest(control: Path) -> None:
    """The parts of a jsonl delivery, each with its lines in another order."""
    manifest = json.loads(control.read_text(encoding="utf-8"))
    for part in manifest["parts"]:
        path = control.parent / part["name"]
        unpack, pack = PACK.get(path.suffix, (bytes, bytes))
        content = pack(b"".join(shuffle_lines(unpack(path.read_bytes()), path.name)))
        path.write_bytes(content)
        part["bytes"] = len(content)
        if "sha256" in part:
            part["sha256"] = hashlib.sha256(content).hexdigest()
    control.write_text(json.dumps(manifest), encoding="utf-8")


def split_verf(control: Path) -> None:
    """The lines of a verf delivery in another order, and its last file in two."""
    control_lines = [control.read_bytes()[at : at + 104] for at in range(0, control.stat().st_size, 104)]
    names = [line[:40].decode().rstrip() for line in control_lines]
    wanted: list[tuple[str, list[bytes], bytes]] = []
    for name, line in zip(names, control_lines, strict=True):
        wanted.append((name, shuffle_lines((control.parent / name).read_bytes(), name), line))
    numbered = all(is_numbered((control.parent / name).read_bytes().splitlines()) for name in names)
    name, lines, line = wanted.pop()
    stem, number = name.removesuffix(".dat").rsplit("_", 1)
    half = len(lines) // 2
    wanted += [(name, lines[:half], line), (f"{stem}_{int(number) + 1:03d}.dat", lines[half:], line)]
    verf = b""
    for name, lines, line in wanted:
        content = b"".join(number_lines(lines) if numbered else lines)
        (control.parent / name).write_bytes(content)
        verf += f"{name:<40}{len(content):<20}{len(lines):<20}".encode() + line[80:]
    control.write_bytes(verf)


def shuffle_landing(landing: Path) -> dict[str, int]:
    """Shuffle every uncompressed avl file, every jsonl part, every verf delivery; the last in one file more."""
    counts = {"jsonl": 0, "verf": 0, "avl": 0}
    for path in sorted(landing.rglob("*")):
        if path.name.endswith(".manifest.json"):
            shuffle_manifest(path)
            counts["jsonl"] += 1
        elif path.suffix == ".verf" and "_001.dat" in path.read_text(encoding="ascii"):
            split_verf(path)
            counts["verf"] += 1
        elif path.suffix == ".AVL":
            path.write_bytes(b"".join(shuffle_lines(path.read_bytes(), path.name)))
            counts["avl"] += 1
    return counts


def demo(home: Path, customers: int = 500) -> None:
    inherited = {k: v for k, v in os.environ.items() if k not in {"CPC_LANDING", "CPC_DEMO", "CPC_CONF"}}
    words = [sys.executable, "-m", "cli", "demo", "--customers", str(customers), "--days", "2", "--json"]
    done = subprocess.run(words, env={**inherited, "CPC_HOME": str(home)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]


def rows(home: Path, name: str, *keys: str) -> list[dict]:
    made: pa.Table = DeltaTable(str(home / "lake" / name)).to_pyarrow_table()
    made = made.select([column for column in made.column_names if column not in NAMES])
    return made.sort_by([(key, "ascending") for key in keys]).to_pylist()


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small province as it was sent, and the same with its lines shuffled and files split."""
    sent, shuffled = (tmp_path_factory.mktemp(name) / "var" for name in ("sent", "shuffled"))
    demo(sent)
    shuffled.mkdir()
    shutil.copy(sent / "province.json", shuffled / "province.json")
    shutil.copytree(sent / "landing", shuffled / "landing")
    counts = shuffle_landing(shuffled / "landing")
    assert min(counts.values()) > 10, counts
    demo(shuffled)
    return sent, shuffled


def test_the_customers_are_the_same(homes: tuple[Path, Path]) -> None:
    there, here = (rows(home, "subscriber", "phone_pseudonym", "valid_from") for home in homes)
    assert len(there) > 400
    assert here == there


def test_the_snapshots_are_the_same(homes: tuple[Path, Path]) -> None:
    there, here = (rows(home, "customer_features", "business_date", "customer_id") for home in homes)
    assert here == there


@pytest.mark.parametrize("table", sorted(KEYS))
def test_who_may_be_offered_what_is_the_same(homes: tuple[Path, Path], table: str) -> None:
    keys = ("business_date", "customer_id", *KEYS[table])
    there, here = (rows(home, table, *keys) for home in homes)
    assert there
    assert here == there


def test_roles_and_plan_are_the_same(homes: tuple[Path, Path]) -> None:
    there, here = (rows(home, "assignment", "business_date", "customer_id") for home in homes)
    assert {row["role"] for row in there} >= {"control", "explore", "exploit"}
    assert [row["role"] for row in here] == [row["role"] for row in there]
    assert here == there
