"""Packed files are refused where the tool that packs them refuses them."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.errors import UserError
from dialects import lzw, pieces

CONTENT = b"".join(b"%d|%d\n" % (n, n * n) for n in range(3000))
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "whole": lambda data: data,
    "half": lambda data: data[: len(data) // 2],
    "without its end": lambda data: data[:-1],
    "without its sums": lambda data: data[:-8],
    "with garbage behind": lambda data: data + b"garbage",
    "with zeros behind": lambda data: data + b"\0" * 512,
    "twice": lambda data: data + data,
    "a bit off": lambda data: data[:-6] + bytes([data[-6] ^ 1]) + data[-5:],
    "unknown flags": lambda data: data[:3] + bytes([data[3] | 0x40]) + data[4:],
    "empty": lambda _: b"",
    "a header": lambda data: data[:10],
}


@pytest.mark.skipif(shutil.which("gzip") is None, reason="gzip is absent")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("suffix", [".gz", ".Z"])
def test_what_gzip_refuses_is_refused(tmp_path: Path, suffix: str, change: str) -> None:
    data = gzip.compress(CONTENT) if suffix == ".gz" else lzw.compress(CONTENT)
    path = tmp_path / f"f{suffix}"
    path.write_bytes(CHANGES[change](data))
    reference = subprocess.run(["gzip", "-dc", str(path)], capture_output=True, check=False)
    try:
        content = b"".join(pieces(path))
    except UserError:
        assert reference.returncode != 0, change
    else:
        assert (reference.returncode, content) == (0, reference.stdout), change
