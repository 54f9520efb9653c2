"""The generic filler: a plausible value for any field by its type, codes, unit, bounds and mark of personal data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from conf.schema import Field, Schema
from synth import wording
from synth.keyed import key, stream
from synth.people import phones
from synth.plan import Floats, Ints
from synth.world import World

#: A typical value of a quantity by its unit, for fields that no entity column fills.
TYPICAL = {
    "s": 60.0,
    "ms": 400.0,
    "min": 12.0,
    "byte": 4e5,
    "kb": 800.0,
    "mb": 40.0,
    "元": 12.0,
    "分": 900.0,
    "%": 60.0,
    "d": 4.0,
}


@dataclass(frozen=True)
class Context:
    """Who and when the rows of a file are about.

    Attributes:
        customer: position of the customer (−1 where a row is about none); time: local seconds.
        holds: field → codes that this feed may send; tag: unique digits of feed and date for keys;
            first: number of the first row in such keys.
    """

    world: World
    schema: Schema
    rng: np.random.Generator
    customer: Ints
    time: Ints
    holds: dict[str, tuple[str, ...]]
    tag: str
    first: int = 0

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.time)


def fill(field: Field, context: Context, position: int) -> pa.Array:
    """Values of ``field``, typed as stored (a phone as its digits); nulls where it may and real data would."""
    values = _FILLERS[field.type](field, context, position)
    if field.nullable and field.name not in context.schema.key:
        rate = _null_share(field, context)
        values = wording.with_nulls(values, context.rng.random(context.size) < rate)
    return values


def geography_of(world: World, codes: frozenset[str]) -> str:
    """Whether a code list is that of centres or cities, else empty."""
    geography = world.plan.geography
    if codes and codes <= {c.code for c in geography.centres}:
        return "centre"
    return "city" if codes and codes <= {c.code for c in geography.cities} else ""


def place_codes(world: World, kind: str) -> list[str]:
    """Codes of centres or cities by position."""
    geography = world.plan.geography
    return [c.code for c in (geography.centres if kind == "centre" else geography.cities)]


def _null_share(field: Field, context: Context) -> float:
    """Some fields are rarely empty, some often: keyed by the field's name."""
    share = context.world.plan.preset.faults.missing
    often = key(context.world.plan.seed, "missing", context.schema.name, field.name) % 5 == 0
    return min(0.9, share * (12 if often else 1)) if share else 0.0


def _phone(field: Field, context: Context, position: int) -> pa.Array:
    others = context.rng.integers(0, context.world.size, context.size)
    return pa.array(phones(others)).cast(pa.string())


def _code(field: Field, context: Context, position: int) -> pa.Array:
    known = list(context.schema.codes[field.codes])
    kind = geography_of(context.world, frozenset(known))
    if kind and field.name not in context.holds:
        place = context.world[kind][np.maximum(context.customer, 0)].astype(np.int64)
        place = np.where(context.customer >= 0, place, context.rng.integers(0, len(known), context.size))
        codes = place_codes(context.world, kind)
        if set(codes) == set(known):
            return pa.array(codes).take(pa.array(place))
    known = list(context.holds.get(field.name, ())) or known
    return pa.array(known).take(pa.array(_draw_skewed(field, context, len(known))))


def _draw_skewed(field: Field, context: Context, n: int) -> Ints:
    """Positions 0 … n−1 with a Zipf-like frequency in an order of the field's own."""
    seed = context.world.plan.seed
    order = stream(seed, "codes", context.schema.name, field.name).permutation(n)
    weight = 1.0 / (1.0 + order) ** 1.1
    edges = np.cumsum(weight / weight.sum())
    return np.asarray(np.searchsorted(edges, context.rng.random(context.size), side="right").clip(max=n - 1))


def _string(field: Field, context: Context, position: int) -> pa.Array:
    n, rng, longest = context.size, context.rng, field.max_length or (field.width // 2 if field.width else 0)
    if field.name in context.schema.key[:1]:
        room = field.max_length or field.width or 99
        return wording.make_codes(
            context.tag[-max(room - 6, 0) :] if room > 6 else "",
            np.arange(context.first, context.first + n),
            width=min(6, room),
        )
    if field.personal == "free_text":
        return wording.texts(rng, n, longest, context.world.plan.preset.faults.dirty_text)
    if field.personal == "name":
        return wording.names(rng, n, longest)
    if field.personal in ("address", "location"):
        return wording.places(rng, n, longest)
    if field.personal in ("identity", "device", "account") or field.name.endswith(("_no", "_id")):
        return wording.make_codes(_prefix(field), rng.integers(10_000, 99_999, n), longest=longest)
    if longest >= 60 or (not longest and field.doc and "text" in field.doc):
        return wording.texts(rng, n, longest, context.world.plan.preset.faults.dirty_text)
    pool = [f"{_prefix(field)}{k:02d}" for k in range(24)]
    return wording.take_words(pool, _draw_skewed(field, context, len(pool)), longest)


def _prefix(field: Field) -> str:
    return "".join(part[0] for part in field.name.split("_")[:2]).upper()


def _whole(field: Field, context: Context, position: int) -> pa.Array:
    top = {"short": 32_000, "int": 2_000_000_000, "long": 10**15}[field.type]
    kind = {"short": pa.int16(), "int": pa.int32(), "long": pa.int64()}[field.type]
    return pa.array(np.rint(_quantity(field, context)).clip(max=top).astype(np.int64)).cast(kind)


def _decimal(field: Field, context: Context, position: int) -> pa.Array:
    return wording.decimals(np.rint(_quantity(field, context) * 10**field.scale).astype(np.int64), field.scale)


def _double(field: Field, context: Context, position: int) -> pa.Array:
    return pa.array(np.round(_quantity(field, context), 4))


def _quantity(field: Field, context: Context) -> Floats:
    """Heavy-tailed amounts around what is typical of the unit, or evenly over a short scale; within bounds."""
    low = field.minimum if field.minimum is not None else 0.0
    high = field.maximum if field.maximum is not None else np.inf
    if high - low <= 24:
        middle = low + (high - low) * context.rng.beta(2.0, 2.5, context.size)
        return np.asarray(np.rint(middle) if field.type != "double" and not field.scale else middle)
    typical = TYPICAL.get(field.unit.lower(), 6.0)
    if field.type == "double" and field.maximum is not None and high <= 1:
        typical = 0.5
    drawn = max(low, 0.0) + typical * np.exp(1.0 * context.rng.normal(size=context.size) - 0.3)
    return np.asarray(np.clip(drawn, low, high))


def _timestamp(field: Field, context: Context, position: int) -> pa.Array:
    wait = context.rng.gamma(1.2, 120.0 * (1 + position % 4), context.size).astype(np.int64)
    last = (context.time // 86400 + 1) * 86400 - 1
    return wording.instants(np.minimum(context.time + wait, np.maximum(last, context.time)))


def _date(field: Field, context: Context, position: int) -> pa.Array:
    return wording.dates(context.time // 86400)


def _bool(field: Field, context: Context, position: int) -> pa.Array:
    share = 0.05 + 0.5 * (key(context.world.plan.seed, "share", context.schema.name, field.name) % 100) / 100
    return pa.array(context.rng.random(context.size) < share)


_FILLERS = {
    "string": _string,
    "code": _code,
    "phone": _phone,
    "short": _whole,
    "int": _whole,
    "long": _whole,
    "decimal": _decimal,
    "double": _double,
    "date": _date,
    "timestamp": _timestamp,
    "bool": _bool,
}
