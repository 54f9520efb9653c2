"""What the page on other tools says works: every command of it is run against an embedded store that is up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from serving import embedded

pytestmark = pytest.mark.whole
HOUSE = Path(__file__).resolve().parents[2]
PAGE = HOUSE / "docs/operator/store.md"


def blocks(kind: str) -> list[str]:
    """The page's examples in a language."""
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory):
    """``shell(text)`` runs a line with `cpc` in the path, on a home of its own whose store is up."""
    folder = tmp_path_factory.mktemp("tools")
    cpc = folder / "bin" / "cpc"
    cpc.parent.mkdir()
    cpc.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
    cpc.chmod(0o755)
    given = {
        **{key: value for key, value in os.environ.items() if not key.startswith("CPC_")},
        "CPC_HOME": str(folder / "home"),
        "PYTHONPATH": str(HOUSE),
        "PATH": f"{cpc.parent}:{os.environ['PATH']}",
    }

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=folder, env=given, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout.strip()

    vars(run)["home"] = folder / "home"
    port = 50000 + os.getpid() % 10000
    vars(run)["url"] = run("cpc", "store", "up", "--port", str(port))
    yield run
    run("cpc", "store", "down")
    assert "not up" in run("cpc", "store", "down")


def test_the_server_outlives_its_starter_and_wants_a_password(shell) -> None:
    url = vars(shell)["url"]
    with psycopg.connect(url) as reader:
        assert reader.execute("SELECT count(*) FROM cpc.night").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("DELETE FROM cpc.night")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(re.sub(r":[^:@]+@", ":wrong@", url))
    assert (vars(shell)["home"] / "secrets" / "store.password").stat().st_mode & 0o777 == 0o600
    assert vars(shell)["url"] == shell("cpc", "store", "up")  # said again: it is up
    assert embedded.start_embedded(vars(shell)["home"]).startswith("postgresql://postgres@/")  # nights join it


@pytest.mark.parametrize("line", [line for text in blocks("bash")[1:] for line in text.splitlines()])
def test_each_shell_line_works(shell, line: str) -> None:
    shell("bash", "-c", line)


@pytest.mark.parametrize("text", blocks("python"))
def test_each_python_example_works(shell, text: str) -> None:
    shell(sys.executable, "-c", text + "\nassert len(frame.columns) > 1\n")


def test_the_first_lines_are_what_the_fixture_did() -> None:
    assert [line.split("#")[0].strip() for line in blocks("bash")[0].splitlines()] == [
        "cpc store up",
        "cpc store url",
        "cpc store down",
    ]
