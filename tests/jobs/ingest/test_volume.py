"""A night at full volume, in `make slow`: every delivery of 242 feeds is accepted whole, in bounded memory."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import ingest

#: Bytes before packing; it takes as much disk again, and about ten minutes to write on two cores.
VOLUME = int(float(os.environ.get("CPC_NIGHT_GB", "23")) * 1e9)


@pytest.mark.slow
@pytest.mark.spark
def test_a_night_at_full_volume_stays_within_six_gigabytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CPC_LANDING", raising=False)
    free = shutil.disk_usage(tmp_path).free
    assert free > 1.6 * VOLUME, f"{free / 1e9:.0f} GB free: set CPC_NIGHT_GB to less than {free / 1.6e9:.0f}"
    told = ingest.night(tmp_path / "home", VOLUME // ingest.FEEDS)  # raises where a delivery is not accepted whole
    with capsys.disabled():
        sys.stdout.write(
            f"\n{told['source'] / 1e9:.2f} GB, {told['files']} files, {told['rows']:,} rows: {told['seconds']:.0f} s, "
            f"{told['source'] / 1e6 / told['seconds']:.0f} MB/s, peak {told['peak'] / 1e9:.2f} GB\n"
        )
    assert told["peak"] < 6e9
    shutil.rmtree(tmp_path / "home")
