"""``.Z``: the adaptive LZW of Unix ``compress`` (Welch 1984; 9 to 16 bits, block mode), compiled.

Codes are packed from the low bit. Readers take codes in groups of eight: when the width changes, the group in
progress is padded to eight codes of the old width, and the writer must pad the same.
"""

# ruff: noqa: ANN001, ANN202  (numba infers the types of its kernels)
from __future__ import annotations

import numpy as np
from numba import njit

from conf.errors import UserError
from dialects.arrays import Bytes

MAGIC = b"\x1f\x9d"
_BITS = 16
_CLEAR = 256
_HASH = 1 << 18


def compress(data: bytes) -> bytes:
    """``data`` as a ``.Z`` file."""
    source = np.frombuffer(data, np.uint8)
    out = np.zeros(len(data) * 2 + 64, np.uint8)
    size = _encode(source, out)
    return MAGIC + bytes([0x80 | _BITS]) + out[:size].tobytes()


def decompress(data: bytes, most: int) -> bytes:
    """The content of a ``.Z`` file, of at most ``most`` bytes.

    Raises:
        UserError: this is no ``.Z`` file, it is broken, or it holds more than ``most`` bytes.
    """
    source = Unpacking(np.frombuffer(data, np.uint8))
    pieces, size = [], 0
    while piece := source.read(1 << 20):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise UserError(f"the .Z file holds more than {most} bytes", remedy="raise the bound, or refuse it")
    return b"".join(pieces)


class Unpacking:
    """The content of a ``.Z`` file (its bytes, or a mapping of the file) piece by piece; memory is that of a piece.

    Raises:
        UserError: this is no ``.Z`` file.
    """

    def __init__(self, data: Bytes) -> None:
        if len(data) < 3 or data[:2].tobytes() != MAGIC or not 9 <= data[2] & 0x1F <= _BITS or data[2] & 0x60:
            raise UserError("not a .Z file", remedy="ask the sender for it again")
        self._source, self._flags = data[3:], int(data[2])
        codes = 1 << _BITS
        self._parent, self._length = np.zeros(codes, np.int32), np.zeros(codes, np.int32)
        self._last = np.arange(codes).astype(np.uint8)
        self._length[:256] = 1
        block = bool(self._flags & 0x80)
        self._state = np.array([257 if block else 256, 9, 0, 0, -1], np.int64)

    def read(self, size: int) -> bytes:
        """About ``size`` bytes more (a whole code at least), none at the end.

        Raises:
            UserError: the file is broken.
        """
        out = np.empty(max(size, 1 << 17), np.uint8)  # a code stands for less than 65,536 bytes
        most_bits, block = self._flags & 0x1F, bool(self._flags & 0x80)
        got = _decode(self._source, out, most_bits, block, self._state, self._parent, self._last, self._length)
        if got < 0:
            raise UserError("a broken .Z file", remedy="ask the sender for it again")
        return out[:got].tobytes()


@njit(cache=True, nogil=True)
def _put(out, at, bits, buffer, code, width):  # type: ignore[no-untyped-def]
    buffer |= np.uint64(code) << np.uint64(bits)
    bits += width
    while bits >= 8:
        out[at] = buffer & np.uint64(255)
        at += 1
        buffer >>= np.uint64(8)
        bits -= 8
    return at, bits, buffer


@njit(cache=True, nogil=True)
def _encode(source, out):  # type: ignore[no-untyped-def]
    n = len(source)
    if n == 0:
        return 0
    keys = np.full(_HASH, -1, np.int64)
    codes = np.zeros(_HASH, np.int32)
    at, bits, buffer = 0, 0, np.uint64(0)
    width, following, in_group = 9, 257, 0
    prefix = np.int64(source[0])
    for i in range(1, n):
        key = (prefix << 8) | np.int64(source[i])
        slot = (key * 2654435761) & (_HASH - 1)
        while keys[slot] != -1 and keys[slot] != key:
            slot = (slot + 1) & (_HASH - 1)
        if keys[slot] == key:
            prefix = np.int64(codes[slot])
            continue
        at, bits, buffer = _put(out, at, bits, buffer, prefix, width)
        in_group = (in_group + 1) & 7
        if following < (1 << _BITS):
            keys[slot] = key
            codes[slot] = following
            following += 1
            if following > (1 << width) and width < _BITS:
                while in_group:  # pad the group of eight
                    at, bits, buffer = _put(out, at, bits, buffer, 0, width)
                    in_group = (in_group + 1) & 7
                width += 1
        prefix = np.int64(source[i])
    at, bits, buffer = _put(out, at, bits, buffer, prefix, width)
    if bits:
        out[at] = buffer & np.uint64(255)
        at += 1
    return at


@njit(cache=True, nogil=True)
def _decode(source, out, most_bits, block, state, parent, last, length):  # type: ignore[no-untyped-def]
    """Fill ``out`` from where ``state`` stands; bytes written, −1 if the file is broken."""
    n, size = len(source), 0
    following, width, at_bit, group_start, previous = state[0], state[1], state[2], state[3], state[4]
    while True:
        if size + (1 << 16) > len(out):
            state[0], state[1], state[2], state[3], state[4] = following, width, at_bit, group_start, previous
            return size
        if following == (1 << width) and width < most_bits and previous >= 0:
            used = at_bit - group_start
            group = width * 8
            at_bit = group_start + ((used + group - 1) // group) * group
            group_start = at_bit
            width += 1
        if at_bit + width > n * 8:
            state[0], state[1], state[2], state[3], state[4] = following, width, n * 8, group_start, previous
            return size
        code, got = 0, 0
        while got < width:
            byte = at_bit >> 3
            shift = at_bit & 7
            take = min(8 - shift, width - got)
            code |= ((source[byte] >> shift) & ((1 << take) - 1)) << got
            got += take
            at_bit += take
        if block and code == _CLEAR:
            used = at_bit - group_start
            group = width * 8
            at_bit = group_start + ((used + group - 1) // group) * group
            group_start = at_bit
            width, following, previous = 9, 257, -1
            continue
        if previous < 0:
            if code > 255:
                return -1
            out[size] = code
            size += 1
            previous = code
            continue
        if code > following or (code == following and following >= (1 << most_bits)):
            return -1
        special = code == following
        walk = previous if special else code
        count = length[walk] + (1 if special else 0)
        at = size + count - 1
        if special:
            at -= 1
        while walk > 255:
            out[at] = last[walk]
            at -= 1
            walk = parent[walk]
        out[at] = walk
        head = np.uint8(walk)
        if special:
            out[size + count - 1] = head
        size += count
        if following < (1 << most_bits):
            parent[following] = previous
            last[following] = head
            length[following] = length[previous] + 1
            following += 1
        previous = code
