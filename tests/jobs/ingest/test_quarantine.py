"""Records that were set aside: sealed where they lie, shown by their shape."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from cli.feeds import app
from conf.errors import UserError
from reporting.quarantine import mask_bytes, read_quarantined, shape
from tests.jobs.ingest.conftest import DAY, Desk

BAD = b"7\x80100\xb6\xab00000007\xff"


def test_bytes_of_a_record_lie_encrypted_and_are_shown_by_their_shape(desk: Desk) -> None:
    desk.send("strict_vgop", list(range(60)), raw={7: BAD})
    desk.load()
    night = desk.night()
    [row] = read_quarantined(night.lake, "strict_vgop", DAY, 20)
    assert BAD not in row["raw"]
    for path in night.lake.path("ops_quarantine").rglob("*.parquet"):
        assert BAD not in path.read_bytes()
    [told] = mask_bytes(night, [row])
    assert told["shape"] == "0\\x80000文00000000\\xff"
    assert (told["line"], told["code"]) == (8, row["code"])
    assert "raw" not in told
    assert read_quarantined(night.lake, "plain_avl", None, 20) == []


def test_a_record_is_shown_in_the_encoding_of_its_feed(desk: Desk) -> None:
    desk.send("headed_csv", list(range(60)), raw={7: "x,,東個,,,,,".encode()})
    desk.load()
    night = desk.night()
    [told] = mask_bytes(night, read_quarantined(night.lake, "headed_csv", DAY, 20))
    assert (told["line"], told["shape"]) == (9, "a,,文文,,,,,")


def test_without_the_key_nothing_is_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.send("strict_vgop", list(range(60)), raw={7: BAD})
    desk.load()
    night = desk.night()
    rows = read_quarantined(night.lake, "strict_vgop", None, 20)
    monkeypatch.setenv("CPC_VAULT_KEY", Fernet.generate_key().decode())
    with pytest.raises(UserError, match="does not open"):
        mask_bytes(night, rows)
    monkeypatch.delenv("CPC_VAULT_KEY")
    (night.settings.home / "secrets" / "vault.key").unlink()
    with pytest.raises(UserError, match="missing"):
        mask_bytes(night, rows)


@pytest.mark.parametrize(
    ("raw", "encoding", "told"),
    [
        ("10000000001|张三|Ab-1".encode("gb18030"), "gb18030", "00000000000|文文|aa-0"),
        (b'{"no": "7"}\n', "utf-8", '{"aa": "0"}\\x0a'),
        (b"x" * 200, "utf-8", "a" * 120 + "…"),
        (b"", "gb18030", ""),
    ],
)
def test_a_shape_says_nothing_of_what_is_in_it(raw: bytes, encoding: str, told: str) -> None:
    assert shape(raw, encoding) == told


@pytest.mark.parametrize("name", ["quarantine", "aside"])  # the latter until the next release
def test_the_command_tells_place_and_reason(desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    desk.send("strict_vgop", list(range(60)), raw={7: BAD})
    desk.load()
    monkeypatch.setenv("CPC_HOME", str(desk.settings.home))
    told = CliRunner().invoke(app, ["feeds", name, "strict_vgop", "--date", str(DAY), "--why", "a test", "--json"])
    assert told.exit_code == 0, told.output
    [row] = json.loads(told.stdout)
    assert row["file"].endswith(".dat")
    assert row["shape"].startswith("0")
