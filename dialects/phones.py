"""One form for each phone number, however a file writes it: what `conf/phones.yml` declares is taken off.

Plain numbers, nearly all, are recognised by a compiled pass and are not touched; others go through Arrow.
"""

# ruff: noqa: ANN001, ANN202  (numba infers the types of its kernels)
from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from conf.phones import PhoneForms
from dialects.arrays import Mask


def unify_numbers(texts: pa.Array, forms: PhoneForms) -> pa.Array:
    """Texts (null stays null) with prefixes, blanks and full-width digits taken off where a customer's number remains."""
    if forms.subscriber is None and not forms.blanks:
        return texts
    odd = _find_odd(texts, forms)
    if not odd.any():
        return texts
    blanks, pattern = _patterns(forms)
    rest = pc.utf8_normalize(texts.filter(pa.array(odd)), "NFKC")
    if blanks:
        rest = pc.replace_substring_regex(rest, pattern=blanks, replacement="")
    if pattern:
        rest = pc.replace_substring_regex(rest, pattern=pattern, replacement=r"\1")
    return pc.replace_with_mask(texts, pa.array(odd), rest)


@lru_cache(maxsize=64)
def _patterns(forms: PhoneForms) -> tuple[str, str]:
    """Regular expressions of a blank, and of a customer's number behind prefixes; empty where there is none."""
    # compatibility forms of blanks are plain ones by then
    blanks = "[" + "".join(re.escape(blank) for blank in sorted({*forms.blanks, " "})) + "]" if forms.blanks else ""
    if forms.subscriber is None or not forms.prefixes:
        return blanks, ""
    begins = forms.subscriber.begins
    number = f"{begins}[0-9]{{{forms.subscriber.digits - len(begins)}}}"
    return blanks, f"^(?:{'|'.join(re.escape(prefix) for prefix in forms.prefixes)})+({number})$"


def _find_odd(texts: pa.Array, forms: PhoneForms) -> Mask:
    """Which texts are not digits alone of a length that no prefix can stand before."""
    odd = np.zeros(len(texts), bool)
    if len(texts) and texts.buffers()[2] is not None:
        offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
        most = forms.subscriber.digits if forms.subscriber and forms.prefixes else 1 << 30
        _judge_digits(offsets, np.frombuffer(texts.buffers()[2], np.uint8), most, odd)
    return odd & np.asarray(pc.is_valid(texts))


@njit(cache=True, nogil=True)
def _judge_digits(offsets, data, most, odd):  # type: ignore[no-untyped-def]
    for row in range(len(odd)):
        odd[row] = offsets[row + 1] - offsets[row] > most
        for k in range(offsets[row], offsets[row + 1]):
            odd[row] |= not 0x30 <= data[k] <= 0x39
