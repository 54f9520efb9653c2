"""Files and folders that are there as they were or as they are to be, never half: drafts beside, moved in place.

A file is synced before it is moved, so that even a machine that loses its power has the old or the new one. A folder
is not: what lies in one can be made again, and syncing gigabytes would cost a night seconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

#: Of Linux' renameat2: paths from the working folder, and both names change places at once.
_FROM_HERE, _EXCHANGE = -100, 2


@contextlib.contextmanager
def file_draft(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """An empty file beside ``path`` to write to; it becomes ``path`` at the end, and goes where an error ends it.

    Args:
        path: the file; its folder is made where absent.
        mode: of the file from its first byte on (less the process's umask).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")  # two processes may write the same file
    draft.unlink(missing_ok=True)
    draft.touch(mode=mode)
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_draft(path: Path) -> Iterator[Path]:
    """An empty folder beside ``path`` to fill; it becomes ``path`` at the end, whose old content goes.

    Where an error ends it the draft goes; whatever a killed process left goes with the next one.
    """
    draft = path.with_name(path.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        if path.is_dir():
            exchange(draft, path)
        else:
            draft.replace(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def exchange(draft: Path, path: Path) -> None:
    """Let two folders change places at once: whoever looks at either name sees one or the other, never nothing.

    Where the system or its file system cannot (network ones, before Linux 3.15), three moves do it.

    Raises:
        OSError: the file system refuses.
    """
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if swap is not None:
        if swap(_FROM_HERE, os.fsencode(draft), _FROM_HERE, os.fsencode(path), _EXCHANGE) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(number, os.strerror(number), str(path))
    aside = path.with_name(path.name + ".aside")
    path.replace(aside)
    draft.replace(path)
    aside.replace(draft)


def write_atomic(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a file at once; text as UTF-8."""
    with file_draft(path, mode) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
