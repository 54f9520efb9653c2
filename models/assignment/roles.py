"""The labels of customers: who is held out, who is served as before, who explores, who exploits.

Each customer of a night has one label, drawn before anything is solved, by keyed hashes that nobody can steer: *control*
and *usual* (the operator's old rule) for twelve months, *explore* for a night; all others *exploit*, in an *arm*.
docs/developer/assignment.md, "Roles, exploration, pscore"; docs/decisions/0022-control-is-renewed-by-twelfths.md.
"""

from __future__ import annotations

import datetime as dt
import hashlib

import numpy as np
import numpy.typing as npt

from models.arrays import Flags, Floats, Ints
from models.hashing import hashes, uniform

EXPLOIT, EXPLORE, CONTROL, USUAL = 0, 1, 2, 3
NAMES = ("exploit", "explore", "control", "usual")
#: Whose values exploiters are given by.
CHAMPION = "champion"
#: Parts of the customers, each of which has another control from the first of its month on.
TWELFTHS = 12


def key(seed: int, *words: object) -> int:
    """A 64-bit key from the seed and what the draw is for."""
    text = "|".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def roles(
    draw_key: Ints,
    date: dt.date,
    seed: int,
    control: float,
    explore: float,
    usual: float = 0.0,
    yearly_until: dt.date | None = None,
) -> npt.NDArray[np.int8]:
    """The label of each customer on a night.

    Args:
        draw_key: what draws of customers are hashed of, int64 [n].
        date: of the night.
        seed: of all draws.
        control, usual: shares of all customers.
        explore: share of those whom no label before takes.
        yearly_until: the last night whose control was drawn for its calendar year, as releases up to 0.2 did.
    """
    turn = count_turns(draw_key, date, seed)
    held_out = draw_control(draw_key, turn, seed, control)
    if yearly_until is not None:
        before = uniform(draw_key, key(seed, "control", yearly_until.year)) < control
        turn_then = count_turns(draw_key, yearly_until, seed)
        first = draw_control(draw_key, turn_then + 1, seed, control, rested=~before)
        held_out = np.where(turn == turn_then, before, np.where(turn == turn_then + 1, first, held_out))
    as_before = _by_turn(draw_key, turn, seed, "usual") < usual / max(1 - control, usual)
    curious = uniform(draw_key, key(seed, "explore", date)) < explore
    role = np.where(curious, EXPLORE, EXPLOIT)
    role = np.where(as_before, USUAL, role)
    return np.where(held_out, CONTROL, role).astype(np.int8)


def count_turns(draw_key: Ints, date: dt.date, seed: int) -> Ints:
    """The turn of each customer's twelfth: the year in which its control was last drawn, on the first of its month."""
    month_begun = (hashes(draw_key, key(seed, "twelfth")) % TWELFTHS).astype(np.int64) < date.month
    return np.asarray(date.year - 1 + month_begun.astype(np.int64))


def draw_control(draw_key: Ints, turn: Ints, seed: int, share: float, rested: Flags | None = None) -> Flags:
    """Whom a turn holds out, bool [n].

    A turn draws from those who may be held out in it: every other turn by a hash, so that whoever leaves rests for
    twelve months at least and a larger share takes in all of a smaller one. Above a half of the customers too few are
    rested: all who are, and some of the others.

    Args:
        draw_key: of each customer.
        turn: of each customer.
        seed: of all draws.
        share: of customers held out.
        rested: who were not held out in the turn before, where that was drawn otherwise; the others come last.
    """
    drawn = _by_turn(draw_key, turn, seed, "control by turn")
    even = (hashes(draw_key, key(seed, "turns")) & np.uint64(1)).astype(np.int64)
    due = (even + turn) % 2 == 0
    if rested is None:
        return drawn < np.where(due, 2 * share, 2 * share - 1)
    half = (1 - share) / 2  # as many are due and rested; another half are rested and not due
    beyond = np.where(due, share / half, share / half - 1) if half else np.zeros(len(drawn))
    last = (share - 2 * half) / share if share else 0.0
    return drawn < np.where(rested, beyond, last)


def _by_turn(draw_key: Ints, turn: Ints, seed: int, purpose: str) -> Floats:
    """A number in [0, 1) each, another in every turn (there are two turns on a night at most)."""
    drawn = np.empty(len(draw_key))
    for which in np.unique(turn).tolist():
        drawn_in = turn == which
        drawn[drawn_in] = uniform(draw_key[drawn_in], key(seed, purpose, which))
    return drawn
