"""The labels of customers: who is held out, who is served as before, who explores, who exploits.

Each customer of a night has one label, drawn before anything is solved, by keyed hashes that nobody can steer: *control*
and *usual* (the operator's old rule) for a year, *explore* for a night; all others *exploit*, in an *arm*.
docs/developer/assignment.md, "Roles, exploration, pscore".
"""

from __future__ import annotations

import datetime as dt
import hashlib

import numpy as np
import numpy.typing as npt

from models.arrays import Ints
from models.hashing import uniform

EXPLOIT, EXPLORE, CONTROL, USUAL = 0, 1, 2, 3
NAMES = ("exploit", "explore", "control", "usual")
#: Whose values exploiters are given by.
CHAMPION = "champion"


def key(seed: int, *words: object) -> int:
    """A 64-bit key from the seed and what the draw is for."""
    text = "|".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def roles(
    draw_key: Ints, date: dt.date, seed: int, control: float, explore: float, usual: float = 0.0
) -> npt.NDArray[np.int8]:
    """The label of each customer on a night.

    Args:
        draw_key: what draws of customers are hashed of, int64 [n].
        date: of the night.
        seed: of all draws.
        control, explore, usual: shares; the latter two of those whom no label before takes.
    """
    drawn = uniform(draw_key, key(seed, "control", date.year))
    curious = uniform(draw_key, key(seed, "explore", date)) < explore
    role = np.where(curious, EXPLORE, EXPLOIT)
    role = np.where(drawn < control + usual, USUAL, role)
    return np.where(drawn < control, CONTROL, role).astype(np.int8)
