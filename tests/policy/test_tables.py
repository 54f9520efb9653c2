"""Tables are written in one place: no commit, no schema change and no statistics of a file but by runtime's own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
ROOMS = sorted(path.parent for path in HOUSE.glob("*/__init__.py") if path.parent.name not in ("benchmarks", "tests"))
FILES = {str(path.relative_to(HOUSE)): path for room in ROOMS for path in sorted(room.rglob("*.py"))}
#: What commits, or changes a schema, and where that may stand.
COMMITS = frozenset(
    {
        *("write_deltalake", "create_write_transaction", "AddAction", "RemoveAction", "create_table_with_add_actions"),
        *("add_columns", "set_table_properties", "convert_to_deltalake", "CommitProperties"),
        *("saveAsTable", "insertInto", "writeTo"),
    }
)
LAKE = "runtime/lake.py"
#: What tells the statistics of a file; everybody else hands on what these made.
STATISTICS = frozenset({"WrittenFile", "statistics"})
PARQUET = "runtime/parquet_files.py"


def calls(text: str) -> Iterator[tuple[int, str]]:
    """Line and last name of every call; ``save`` by Spark's writer is ``writeTo``."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield node.lineno, "writeTo" if name == "save" and ".write." in ast.unparse(node.func) else name


def bypasses(file: str, text: str) -> list[str]:
    """Calls in a file that only the lake, or only the writer of files, may make."""
    return [
        f"{file}:{line}: {name}"
        for line, name in calls(text)
        if (name in COMMITS and file != LAKE) or (name in STATISTICS and file != PARQUET)
    ]


def test_only_the_lake_commits_and_grows_a_schema() -> None:
    assert len(FILES) > 200
    assert [place for file, path in FILES.items() for place in bypasses(file, path.read_text(encoding="utf-8"))] == []


def test_a_bypass_is_seen() -> None:
    planted = "import deltalake\ndeltalake.write_deltalake(path, rows)\nframe.write.format('delta').save(path)\n"
    planted += "WrittenFile(path, 1, {}, '{}', 1)\n"
    assert bypasses("jobs/x.py", planted) == [
        "jobs/x.py:2: write_deltalake",
        "jobs/x.py:3: writeTo",
        "jobs/x.py:4: WrittenFile",
    ]


def test_deltalake_is_known_to_the_lake_and_to_who_holds_its_handle() -> None:
    """The loader commits on the handle on which it looked whether a delivery is there (exactly once)."""
    users = {
        file
        for file, path in FILES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deltalake"))
        or (isinstance(node, ast.Import) and any(alias.name.startswith("deltalake") for alias in node.names))
    }
    assert users == {LAKE, "jobs/ingest/__init__.py"}
