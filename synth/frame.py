"""Who the rows of a file are about, and draws that depend on what these customers have in mind."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from synth.events import Table
from synth.keyed import key
from synth.plan import Floats, Ints
from synth.world import World

Column = pa.Array | np.ndarray
#: Words in codes that tell which need a customer has in mind.
HINTS = {
    "data": 2,
    "flow": 2,
    "video": 2,
    "plan": 2,
    "5g": 2,
    "broadband": 2,
    "net": 2,
    "roam": 0,
    "voice": 0,
    "call": 0,
    "family": 0,
    "ring": 0,
    "sms": 1,
    "mms": 1,
    "message": 1,
    "msg": 1,
    "terminal": 3,
    "phone": 3,
    "device": 3,
    "handset": 3,
    "contract": 3,
}


@dataclass(frozen=True)
class Frame:
    """What a file's rows are about, before columns are made.

    Attributes:
        choices: column → values that it may take (a literal, what the feed holds, the field's code list).
        ledger: the ledger's rows where there are such; period: days that one row sums.
    """

    world: World
    rng: np.random.Generator
    customer: Ints
    time: Ints
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ledger: Table | None = None
    period: int = 1

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.time)

    def trait(self, name: str) -> Floats:
        """A hidden trait of each row's customer."""
        return np.asarray(self.world[name][self.customer], dtype=float)

    def noisy(self, signal: Floats, spread: float = 1.0) -> Floats:
        """Exp of a signal with the preset's noise (log scale), mean about one."""
        noise = self.world.plan.preset.noise * spread
        return np.asarray(np.exp(signal + noise * self.rng.normal(size=self.size) - noise**2 / 2))

    def only(self, name: str) -> str:
        """The one value a column can take, else empty."""
        values = self.choices.get(name, ())
        return values[0] if len(values) == 1 else ""


def group_of_code(code: str) -> int:
    """The product group a code hints at; −1 where none."""
    lowered = code.lower()
    return next((group for word, group in HINTS.items() if word in lowered), -1)


def by_intent(frame: Frame, values: tuple[str, ...], sharpness: float = 0.9) -> pa.Array:
    """One of ``values`` a row, more often one whose group the customer has in mind."""
    seed = frame.world.plan.seed
    group = np.array([group_of_code(value) for value in values])
    base = np.array([0.4 * ((key(seed, "topic", value) % 100) / 50 - 1) for value in values])
    mind = frame.trait("intent") + 0.8 * frame.world.is_boosted(frame.customer, frame.time // 86400)
    score = np.where(group >= 0, sharpness * mind[:, np.maximum(group, 0)], 0.0) + base
    return pa.array(values).take(pa.array(np.argmax(score + frame.rng.gumbel(size=score.shape), axis=1)))


def product_in_mind(frame: Frame, none: float) -> pa.Array:
    """The product a customer looks at or asks about (null with chance ``none``).

    A softmax of intent, taste, popularity and recent life events; within one day a customer's chances are worked
    out once, so that volume costs a look-up.
    """
    plan = frame.world.plan
    days = frame.time // 86400
    day = int(days.max()) if frame.size else plan.start_day
    selling = np.flatnonzero((plan.launch_day <= day) & (plan.last_day > day))
    if not len(selling) or not frame.size:
        return pa.nulls(frame.size, pa.string())
    if int(days.min()) >= day - 1:
        who, at = np.unique(frame.customer, return_inverse=True)
        edges = _edges(frame.world, who, np.full(len(who), day), selling)
    else:
        edges, at = _edges(frame.world, frame.customer, days, selling), np.arange(frame.size)
    luck = frame.rng.random(frame.size, dtype=np.float32)
    index = np.zeros(frame.size, dtype=np.int64)
    for edge in edges[:, :-1].T:  # a column at a time: no rows × products array
        index += luck >= edge[at]
    codes = pa.array([p.code for p in plan.products])
    return codes.take(pa.array(selling[index], mask=frame.rng.random(frame.size) < none))


def _edges(world: World, who: Ints, day: Ints, selling: Ints) -> np.ndarray:
    """Cumulative chances of each product for customers on days: n × products, float32."""
    plan = world.plan
    group = plan.need_of[selling]
    score = world["intent"][who][:, group].astype(float)
    score += 0.5 * (world["taste"][who].astype(float) @ plan.loading[selling].T) / np.sqrt(3)
    score += 0.5 * np.log(plan.popularity[selling] + 1e-6) + 0.9 * world.is_boosted(who, day)[:, group]
    chance = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(np.cumsum(chance / chance.sum(axis=1, keepdims=True), axis=1), dtype=np.float32)
