"""Data files as they lie: opened without following links, unpacked piece by piece, cut where records end."""

from __future__ import annotations

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import zstandard

from conf.errors import UserError
from dialects import frames, lzw

#: Bytes of unpacked content that are read, parsed and written at a time.
PIECE = 16 << 20
#: A file that unpacks to more than this many times its size, and more than a gibibyte, is a bomb.
BOMB_RATIO, BOMB_BYTES = 200, 1 << 30
#: Flags of a gzip header that have no meaning (RFC 1952, section 2.3.1.2): `gzip` refuses them.
_RESERVED = 0xE0
_FAULTS = (OSError, EOFError, zlib.error, zstandard.ZstdError)


class LongLineError(UserError):
    """A record has no end within a piece."""


class Readable(Protocol):
    """Anything that gives its bytes piece by piece, none at its end."""

    def read(self, size: int, /) -> bytes:
        """At most about ``size`` bytes more."""


@contextlib.contextmanager
def open_stream(path: Path) -> Iterator[Readable]:
    """The unpacked content of a file, by the end of its name.

    Raises:
        UserError: it is a link, or no packed file of its kind.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        if path.suffix == ".gz":
            if not os.fstat(file.fileno()).st_size:
                raise EOFError("empty, which a packed file never is")
            head = file.read(4)
            file.seek(0)
            if len(head) == 4 and head[3] & _RESERVED:  # Python would take no notice of them
                raise OSError(f"unknown flags {head[3]:#04x}")
            yield gzip.GzipFile(fileobj=file)
        elif path.suffix == ".zst":
            frames.check_frames(file)
            yield zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        elif path.suffix == ".Z":
            size = os.fstat(file.fileno()).st_size
            yield lzw.Unpacking(np.memmap(file, np.uint8, "r") if size else np.zeros(0, np.uint8))
        else:
            yield file


def pieces(path: Path, start: int = 0, stop: int | None = None, size: int | None = None) -> Iterator[bytes]:
    """The unpacked content from ``start`` to ``stop``, in pieces of about ``size`` bytes that end where records do.

    Raises:
        LongLineError: a line is longer than a piece.
        UserError: it cannot be unpacked, or unpacks to a bomb's size.
    """
    size = size or PIECE
    most = max(BOMB_BYTES, os.lstat(path).st_size * BOMB_RATIO)
    rest, left = b"", (most if stop is None else stop - start)
    try:
        with open_stream(path) as file:
            if start:
                file.seek(start)  # type: ignore[attr-defined]
            while got := file.read(min(size, left if stop is not None else size)):
                left -= len(got)
                if left < 0:
                    raise UserError(f"unpacks to more than {most} bytes", where=path.name, remedy="ask what it is")
                cut = got.rfind(b"\n") + 1
                if cut:
                    yield rest + got[:cut]
                    rest = got[cut:]
                else:
                    rest += got
                if len(rest) > size:
                    raise LongLineError(
                        f"a line of more than {size} bytes", where=path.name, remedy="ask the sender what it is"
                    )
    except _FAULTS as error:
        raise UserError(
            f"cannot be unpacked: {error}", where=path.name, remedy="ask the sender for it again"
        ) from error
    if rest:
        yield rest
