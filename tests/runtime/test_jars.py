"""Fetching Delta's jars says what failed; Java is played by a script which says what Java and Ivy were heard to say."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from conf.errors import UserError
from runtime import jars

#: Spark's script asks Java for the command line to run (told apart by zeros, the exit code last), then runs it.
JAVA = """#!/usr/bin/env bash
case "$*" in *launcher.Main*) printf '\\0\\n'; printf '%s\\0' "$0" "${{@: -9}}"; exit 0;; esac
{then}
"""
RESOLVING = ":: resolving dependencies :: org.apache.spark#spark-submit-parent;1.0"
UNRESOLVED = """Exception in thread "main" java.lang.RuntimeException: [unresolved dependency: io.delta#delta-storage;4.4.0: not found]
    at org.apache.spark.util.MavenUtils$.resolveMavenCoordinates(MavenUtils.scala:539)"""


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def play(then: str, *, at_once: bool = False) -> None:
        program = tmp_path / "java-home" / "bin" / "java"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/usr/bin/env bash\n{then}\n" if at_once else JAVA.format(then=then))
        program.chmod(0o755)
        monkeypatch.setenv("JAVA_HOME", str(program.parents[1]))

    return play


def failure(folder: Path) -> UserError:
    with pytest.raises(UserError) as raised:
        jars.fetch(folder)
    return raised.value


def say(*lines: str) -> str:
    return "cat >&2 <<'END'\n" + "\n".join(lines) + "\nEND\nexit 1"


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        (
            (
                "Picked up JAVA_TOOL_OPTIONS: --nonsense",
                "Unrecognized option: --nonsense",
                "Error: Could not create the Java Virtual Machine.",
                "Error: A fatal exception has occurred. Program will exit.",
            ),
            "Unrecognized option: --nonsense",
        ),
        (
            (
                "Error occurred during initialization of VM",
                "Could not reserve enough space for 1048574951424KB object heap",
            ),
            "Could not reserve enough space for 1048574951424KB object heap",
        ),
        (
            ("java: error while loading shared libraries: libjli.so",),
            "java: error while loading shared libraries: libjli.so",
        ),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_jvm_that_does_not_start_is_not_blamed_on_the_registry(
    java,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    lines: tuple[str, ...],
    last: str,
    at_once: bool,
) -> None:
    java(say(*lines), at_once=at_once)
    error = failure(tmp_path / "jars")
    assert "the JVM does not start" in error.what
    assert error.where == f"it says: {last}"
    assert "Maven" not in error.what + error.remedy


def test_no_java_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    error = failure(tmp_path / "jars")
    assert "the JVM does not start" in error.what
    assert "nowhere/bin/java: No such file" in error.where


@pytest.mark.parametrize(
    ("heard", "where"),
    [
        (
            "Server access error at url https://registry.example/a.pom (java.net.ConnectException: Connection refused)",
            "Connection refused",
        ),
        (
            'Server access error at url https://registry.example/a.pom (java.io.IOException: Proxy returns "HTTP/1.0 403 Forbidden")',
            "403",
        ),
        ("Host registry.example not found. url=https://registry.example/a.jar", "Host registry.example not found"),
        ("", "it does not have them"),
    ],
)
def test_a_registry_out_of_reach(java, tmp_path: Path, heard: str, where: str) -> None:  # type: ignore[no-untyped-def]
    java(say(RESOLVING, f"\t{heard}", UNRESOLVED))
    error = failure(tmp_path / "jars")
    assert "did not answer, or refused" in error.what
    assert where in error.where
    assert str(tmp_path / "jars") in error.remedy


@pytest.mark.parametrize("lines", [(RESOLVING,), (RESOLVING, "problem during retrieve of org.apache.spark#parent")])
def test_a_full_disk(java, tmp_path: Path, lines: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    java(say(*lines, "Caused by: java.io.IOException: No space left on device"))
    error = failure(tmp_path / "jars")
    assert error.what.startswith("the disk is full")
    assert str(tmp_path / "jars") in error.where


def test_a_full_disk_while_copying(java, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    released(java, monkeypatch)

    def copy(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jars.shutil, "copy", copy)
    assert failure(tmp_path / "jars").what.startswith("the disk is full")


def test_what_else_goes_wrong_while_resolving_is_quoted(java, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    java(say(RESOLVING, 'Exception in thread "main" java.lang.OutOfMemoryError: Metaspace', "\tat a.b.C(D.scala:1)"))
    error = failure(tmp_path / "jars")
    assert error.what == "Delta's jars could not be fetched"
    assert "OutOfMemoryError" in error.where


def served(content: str) -> str:
    """Java as it is when all goes well: the jars lie in Ivy's folder."""
    copies = "".join(f'printf {content} > "$ivy/jars/{file}"\n' for file, _ in jars.WANTED.values())
    return f'ivy=$(printf "%s\\n" "$@" | sed -n "s/spark.jars.ivy=//p"); mkdir -p "$ivy/jars"\n{copies}'


def released(java, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    digest = hashlib.sha256(b"released").hexdigest()
    monkeypatch.setattr(jars, "WANTED", {name: (file, digest) for name, (file, _) in jars.WANTED.items()})
    java(served("released"))


def test_wrong_jars_are_named_and_not_kept(java, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    java(served("other"))
    error = failure(tmp_path / "jars")
    assert "other jars than the released ones" in error.what
    assert list((tmp_path / "jars").iterdir()) == []


def test_the_released_jars_replace_what_was_there(java, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    released(java, monkeypatch)
    folder = tmp_path / "jars"
    folder.mkdir()
    for file, _ in jars.WANTED.values():
        (folder / file).write_text("half a jar")
    jars.fetch(folder)
    assert jars.missing(folder) == []
    jars.fetch(folder)  # nothing is asked again


def test_the_command_prints_what_failed(java, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:  # type: ignore[no-untyped-def]
    from cli import jars as command

    java(say("Unrecognized option: --nonsense"), at_once=True)
    monkeypatch.setattr(command, "fetch", lambda: jars.fetch(tmp_path / "jars"))
    assert command.main() == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: the JVM does not start")
    assert "--nonsense" in printed
    assert "Traceback" not in printed
