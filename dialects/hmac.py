"""HMAC-SHA-256 (RFC 2104, FIPS 180-4) of many short texts, compiled: a Python call a value would cost more than a parse.

Equal to `hmac.digest`, which the tests hold it to. The two padded blocks of the key are hashed once.
"""

# ruff: noqa: ANN001, ANN202  (numba infers the types of its kernels)
from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit


def _roots(power: float, count: int) -> list[int]:
    """First 32 bits of the fractional parts of roots of the first primes: the constants of FIPS 180-4."""
    primes = [n for n in range(2, 312) if all(n % d for d in range(2, n))][:count]
    return [_fraction(prime, power) for prime in primes]


def _fraction(prime: int, power: float) -> int:
    degree = round(1 / power)
    low, high = 0, prime << 32
    while high - low > 1:  # ⌊prime^(1/degree) · 2³²⌋ in integers
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= prime << 32 * degree else (low, middle)
    return low & 0xFFFFFFFF


_K = np.array(_roots(1 / 3, 64), np.uint32)
_START = np.array(_roots(1 / 2, 8), np.uint32)


class Keyed:
    """Pseudonyms under one key (at most 64 bytes are used as they are, longer ones are hashed first)."""

    def __init__(self, key: bytes) -> None:
        key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        self._inner, self._outer = (_state(bytes(byte ^ pad for byte in key)) for pad in (0x36, 0x5C))

    def __call__(self, texts: pa.Array) -> pa.Array:
        """The HMAC of each text (null stays null), binary of 32 bytes.

        Raises:
            ValueError: a text is longer than 55 bytes, the most that fits one block.
        """
        n = len(texts)
        if not n:
            return pa.array([], pa.binary())
        if texts.offset:
            texts = pa.concat_arrays([texts])
        longest = pc.max(pc.binary_length(texts)).as_py() or 0
        if longest > 55:
            raise ValueError(f"a text of {longest} bytes")
        _, offsets, data = texts.buffers()
        starts = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + n + 1]
        known = np.asarray(pc.is_valid(texts))
        out, ends = np.empty(32 * int(known.sum()), np.uint8), np.zeros(n + 1, np.int32)
        np.cumsum(32 * known.astype(np.int32), out=ends[1:])
        _many(self._inner, self._outer, starts, np.frombuffer(data or b"\0", np.uint8), known, out, ends, _K)
        bits = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
        return pa.Array.from_buffers(pa.binary(), n, [bits, pa.py_buffer(ends), pa.py_buffer(out)])


def _state(block: bytes) -> npt.NDArray[np.uint32]:
    state, words = _START.copy(), np.frombuffer(block, ">u4").astype(np.uint32)
    _compress(state, words, np.empty(64, np.uint32), _K)
    return state


@njit(cache=True, nogil=True, inline="always")
def _turn(word, by):  # type: ignore[no-untyped-def]
    return (word >> np.uint32(by)) | (word << np.uint32(32 - by))


@njit(cache=True, nogil=True)
def _compress(state, words, w, k):  # type: ignore[no-untyped-def]
    """One block of 16 words into ``state``; ``w`` is room for 64 words."""
    for t in range(16):
        w[t] = words[t]
    for t in range(16, 64):
        s0 = _turn(w[t - 15], 7) ^ _turn(w[t - 15], 18) ^ (w[t - 15] >> np.uint32(3))
        s1 = _turn(w[t - 2], 17) ^ _turn(w[t - 2], 19) ^ (w[t - 2] >> np.uint32(10))
        w[t] = np.uint32(w[t - 16] + s0 + w[t - 7] + s1)
    a, b, c, d, e, f, g, h = state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
    for t in range(64):
        s1 = _turn(e, 6) ^ _turn(e, 11) ^ _turn(e, 25)
        t1 = np.uint32(h + s1 + ((e & f) ^ (~e & g)) + k[t] + w[t])
        s0 = _turn(a, 2) ^ _turn(a, 13) ^ _turn(a, 22)
        t2 = np.uint32(s0 + ((a & b) ^ (a & c) ^ (b & c)))
        h, g, f, e, d, c, b, a = g, f, e, np.uint32(d + t1), c, b, a, np.uint32(t1 + t2)
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e
    state[5] += f
    state[6] += g
    state[7] += h


@njit(cache=True, nogil=True)
def _many(inner, outer, starts, data, known, out, ends, k):  # type: ignore[no-untyped-def]
    state, words, w = np.empty(8, np.uint32), np.empty(16, np.uint32), np.empty(64, np.uint32)
    for row in range(len(known)):
        if not known[row]:
            continue
        size = starts[row + 1] - starts[row]
        words[:] = np.uint32(0)
        for i in range(size):
            words[i >> 2] |= np.uint32(data[starts[row] + i]) << np.uint32(24 - 8 * (i & 3))
        words[size >> 2] |= np.uint32(0x80) << np.uint32(24 - 8 * (size & 3))
        words[15] = np.uint32((64 + size) * 8)
        state[:] = inner
        _compress(state, words, w, k)
        words[:8] = state
        words[8] = np.uint32(0x80000000)
        words[9:15] = np.uint32(0)
        words[15] = np.uint32((64 + 32) * 8)
        state[:] = outer
        _compress(state, words, w, k)
        for i in range(8):
            at = ends[row] + 4 * i
            out[at] = state[i] >> np.uint32(24)
            out[at + 1] = (state[i] >> np.uint32(16)) & np.uint32(255)
            out[at + 2] = (state[i] >> np.uint32(8)) & np.uint32(255)
            out[at + 3] = state[i] & np.uint32(255)
