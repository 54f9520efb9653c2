"""The readers against files written by hand, a case a rule of the contract, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from conf.schema import Schema
from dialects import Records, find_columns, pieces, read
from tests.dialects.conftest import feed_of, pseudonym

HERE = Path(__file__).parent / "golden"
SCHEMA = Schema.model_validate(yaml.safe_load((HERE / "schema.yml").read_text(encoding="utf-8")))
FORMS = {"avl": "avl", "verf": "verf", "vgop": "vgop", "jsonl": "jsonl_gz", "csv": "verf"}
CASES = [
    pytest.param(form, case, id=f"{dialect}: {case['rule']}")
    for dialect, form in FORMS.items()
    for case in yaml.safe_load((HERE / f"{dialect}.yml").read_text(encoding="utf-8"))
]


def content_of(case: dict[str, Any], folder: Path) -> list[bytes]:
    """The bytes of a case, unpacked through a file where they are packed."""
    if "hex" not in case:
        return [str(case["bytes"]).encode("latin-1")]
    path = folder / f"sent{case['suffix']}"
    path.write_bytes(bytes.fromhex(case["hex"]))
    return list(pieces(path))


def told(parts: list[Records]) -> tuple[list[list[Any]], list[list[Any]], list[str | None]]:
    """Rows, what was set aside, and unknown keys."""
    rows, aside, rest = [], [], []
    for part in parts:
        for row in part.table.to_pylist():
            rest.append(row.pop("_rest"))
            row["at"] = row["at"] and row["at"].replace(tzinfo=None).isoformat()
            rows.append([v if v is None or isinstance(v, (int, str)) else str(v) for v in row.values()])
        aside += [[one.line, one.offset, one.raw.decode("latin-1"), one.code, one.field] for one in part.refused]
        assert part.faults.total() == len(part.refused)
    return rows, aside, rest


@pytest.mark.parametrize(("form", "case"), CASES)
def test_a_file_by_hand_is_read_as_the_contract_says(form: str, case: dict[str, Any], tmp_path: Path) -> None:
    feed = feed_of("verf_fixed" if case.get("layout") == "fixed" else form, **case.get("feed", {}))
    content = b"".join(content_of(case, tmp_path))
    whole = read(feed, SCHEMA, content, pseudonym)
    rows, aside, rest = told([whole])
    assert rows == case["rows"]
    assert aside == case.get("aside", [])
    assert rest == case.get("rest", [None] * len(rows))
    assert whole.lines == content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
    assert whole.records == whole.lines - feed.header
    if any(code == 5 for *_, code, _ in aside):
        return  # a key of an earlier piece is found by the loader, not by the reader
    parts, offset, columns = [], 0, ()
    if feed.header:
        (tmp_path / "sent").write_bytes(content)
        columns = find_columns(feed, SCHEMA, tmp_path / "sent")
    for number, line in enumerate(_by_lf(content)):
        parts.append(read(feed, SCHEMA, line, pseudonym, line=number, offset=offset, columns=columns))
        offset += len(line)
    assert told(parts) == (rows, aside, rest)  # the same in pieces, with the places in the file


def _by_lf(content: bytes) -> list[bytes]:
    return [line + b"\n" for line in content.split(b"\n")[:-1]] + [one for one in [content.split(b"\n")[-1]] if one]


def test_every_code_of_the_record_level_has_a_case() -> None:
    seen = {row[3] for case in (param.values[1] for param in CASES) for row in case.get("aside", [])}
    assert seen == {1, 2, 3, 4, 5, 6, 7, 9}
