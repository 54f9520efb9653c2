"""What is wrong with this machine, and the remedy: one finding a line."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conf.errors import UserError
from conf.settings import Settings
from runtime.jars import missing
from runtime.spark import JARS

#: What a night of the demo needs, with room for the next one.
FREE_BYTES = 3 * 1024**3
JAVA_VERSIONS = {"17", "21", "25"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is well, what was seen, and what to do if it is not."""

    subject: str
    well: bool
    seen: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that a night needs."""
    looks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _java,
        _jars,
        _disk,
        _memory,
        _ports,
        _keys,
        _configuration,
    )
    return [finding for look in looks for finding in look(settings)]


def _java(_: Settings) -> Iterator[Finding]:
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin" if home else None)
    remedy = (
        "install Java 17, 21 or 25 (default-jre-headless; macOS: brew install openjdk@21), or point JAVA_HOME at one"
    )
    if program is None:
        yield Finding("java", False, "not found", remedy)
        return
    text = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    version = match.group(1) if match else "unknown"
    yield Finding("java", version in JAVA_VERSIONS, f"version {version}", remedy)


def _jars(_: Settings) -> Iterator[Finding]:
    absent = missing()
    yield Finding("delta jars", not absent, f"missing {', '.join(absent)}" if absent else str(JARS), "run `make setup`")


def _disk(settings: Settings) -> Iterator[Finding]:
    place = settings.home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    yield Finding(
        "disk", free >= FREE_BYTES, f"{free / 1024**3:.1f} GiB free at {place}", "free space, or move CPC_HOME"
    )
    yield Finding("home", os.access(place, os.W_OK), f"{settings.home}", "make it writable, or set CPC_HOME")


def _memory(settings: Settings) -> Iterator[Finding]:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    wanted = settings.spark.driver_memory
    number, unit = int(wanted[:-1]), {"m": 2**20, "g": 2**30}[wanted[-1].lower()]
    seen = f"{total / 1024**3:.0f} GiB, Spark's driver takes {wanted}"
    yield Finding("memory", total >= 2 * number * unit, seen, "lower it: --set spark.driver_memory=2g")


def _ports(_: Settings) -> Iterator[Finding]:
    for name, port in (("airflow", 8080), ("mlflow", 5000)):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            busy = probe.connect_ex(("127.0.0.1", port)) == 0
        yield Finding(
            f"port {port}", not busy, "in use" if busy else "free", f"only matters to start {name}: choose another port"
        )


def _keys(settings: Settings) -> Iterator[Finding]:
    folder = settings.home / "secrets"
    for path in sorted(folder.glob("*")) if folder.exists() else []:
        loose = stat.S_IMODE(path.stat().st_mode) & 0o077
        yield Finding(f"secret {path.name}", not loose, oct(stat.S_IMODE(path.stat().st_mode)), f"chmod 600 {path}")


def _configuration(settings: Settings) -> Iterator[Finding]:
    catalogue = settings.catalogue
    for name in ("feeds", "products", "channels", "rules", "limits", "tables"):
        try:
            count = len(getattr(catalogue, name))
            yield Finding(f"conf {name}", True, f"{count}")
        except UserError as error:
            yield Finding(f"conf {name}", False, f"{error.what} ({error.where})", error.remedy)
