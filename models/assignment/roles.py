"""Who is held out, who explores, who exploits: independent keyed hashes of the customer's draw key.

*control* is drawn for a year, *explore* for a night; both are uniform hashes that nobody can steer.
docs/developer/assignment.md, "Roles, exploration, pscore".
"""

from __future__ import annotations

import datetime as dt
import hashlib

import numpy as np
import numpy.typing as npt

from models.arrays import Ints
from models.hashing import uniform

EXPLOIT, EXPLORE, CONTROL = 0, 1, 2
NAMES = ("exploit", "explore", "control")


def key(seed: int, *words: object) -> int:
    """A 64-bit key from the seed and what the draw is for."""
    text = "|".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def roles(draw_key: Ints, date: dt.date, seed: int, control: float, explore: float) -> npt.NDArray[np.int8]:
    """The role of each customer on a night."""
    in_control = uniform(draw_key, key(seed, "control", date.year)) < control
    curious = uniform(draw_key, key(seed, "explore", date)) < explore
    return np.where(in_control, CONTROL, np.where(curious, EXPLORE, EXPLOIT)).astype(np.int8)
