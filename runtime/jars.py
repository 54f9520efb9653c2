"""Fetches Delta's two jars once, at set-up; later runs need no network.

Spark's own Ivy resolves them by coordinates, without what they depend on (Spark has it, or nothing here uses it), and
each is checked by SHA-256. ``python -m cli.jars`` is the command.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from conf.errors import UserError
from runtime.spark import JARS

#: Coordinates → (file, SHA-256 of the released jar).
WANTED = {
    "io.delta:delta-spark_4.2_2.13:4.4.0": (
        "io.delta_delta-spark_4.2_2.13-4.4.0.jar",
        "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
    ),
    "io.delta:delta-storage:4.4.0": (
        "io.delta_delta-storage-4.4.0.jar",
        "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
    ),
}
#: Whatever else the two name; Ivy knows globs, but no "all except".
_UNWANTED = "com.*:*,commons-*:*,javax.*:*,org.*:*,io.airlift:*,io.unitycatalog:*,io.delta:delta-kernel-*"
_BY_HAND = f"or copy by hand the released jars of {', '.join(WANTED)}"
#: Lines of a JVM that did not start, or of the script that starts it, which tell nothing beside the others.
_IDLE = re.compile(r"Could not create the Java|A fatal exception has occurred|CMD: bad array|Picked up |^at |^WARNING")


def missing(folder: Path = JARS) -> list[str]:
    """Coordinates whose jar is absent from ``folder`` or is not the released one."""
    return [name for name, (file, digest) in WANTED.items() if _sha256(folder / file) != digest]


def fetch(folder: Path = JARS) -> None:
    """Bring the wanted jars into ``folder``.

    Raises:
        UserError: the JVM does not start, the registry does not answer or refuses, the disk is full, or what came
            is not what was released.
    """
    if not missing(folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as cache:
            _resolve(Path(cache), folder)
            fetched = Path(cache) / "jars"
            if wrong := missing(fetched):
                raise UserError(
                    f"the registry served other jars than the released ones: {', '.join(wrong)}",
                    where=str(folder),
                    remedy=f"ask whoever runs the mirror of Maven artefacts, {_BY_HAND} to {folder}",
                )
            for file, _ in WANTED.values():
                shutil.copy(fetched / file, folder / file)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _disk_full(folder) from error
        raise


def _resolve(cache: Path, folder: Path) -> None:
    """Have Spark resolve the coordinates into ``cache``: it does so before it runs a program, here an empty one."""
    import pyspark

    program = cache / "nothing.py"
    program.write_text("", encoding="utf-8")
    asked = subprocess.run(
        [
            str(Path(pyspark.__file__).parent / "bin" / "spark-submit"),
            *("--packages", ",".join(WANTED), "--exclude-packages", _UNWANTED),
            *("--conf", f"spark.jars.ivy={cache}", "--conf", f"spark.pyspark.python={sys.executable}"),
            str(program),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if not all((cache / "jars" / file).exists() for file, _ in WANTED.values()):
        raise _failure(asked.stderr + asked.stdout, folder)


def _failure(output: str, folder: Path) -> UserError:
    """What went wrong, from what the JVM and Ivy wrote: Ivy speaks only once the JVM has started."""
    if "No space left on device" in output:
        return _disk_full(folder)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if any("unresolved dependency" in line for line in lines):
        answers = [line for line in lines if re.match(r"Server access error|Host .* not found|CLIENT ERROR", line)]
        return UserError(
            "Delta's jars could not be fetched: the registry of Maven artefacts did not answer, or refused",
            where=(answers or ["it does not have them"])[0][:300],
            remedy=f"look at network, proxy and mirror of this machine, {_BY_HAND} to {folder}",
        )
    messages = [line for line in lines if not _IDLE.search(line)] or ["nothing"]
    if any("resolving dependencies" in line for line in lines):
        return UserError(
            "Delta's jars could not be fetched",
            where=next((line for line in messages if "Exception" in line), messages[-1])[:300],
            remedy=f"run `make setup` again, {_BY_HAND} to {folder}",
        )
    return UserError(
        "the JVM does not start, which Delta's jars are fetched with and Spark runs in",
        where=f"it says: {messages[-1][:300]}",
        remedy="install Java 17, 21 or 25, point JAVA_HOME at it, or mend JAVA_TOOL_OPTIONS and _JAVA_OPTIONS",
    )


def _disk_full(folder: Path) -> UserError:
    return UserError(
        "the disk is full: Delta's jars could not be written",
        where=f"{folder}, {tempfile.gettempdir()}",
        remedy="free 50 MB on both, or point TMPDIR elsewhere",
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
