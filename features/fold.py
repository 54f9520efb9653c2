"""Values of events → daily partials: days are summed, in integers, to the same rows whatever the order of events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from conf.feature import Family, Input
from conf.partial import keeps_text, keeps_time, plain
from features.arrays import ints, positions

I64 = npt.NDArray[np.int64]
_NONE = np.iinfo(np.int64).min


def fold(valued: pa.Table, family: Family) -> pa.Table:
    """The partial rows of one night and bucket.

    Args:
        valued: ``feed, day, customer_id, at`` and a column an input of ``family`` (null: does not count).
        family: the declaration.

    Returns:
        The columns of the family's partial table but its partition, ordered by customer, day, feed, input, time, text.
    """
    feeds = tuple(sorted(pc.unique(valued["feed"]).to_pylist()))
    base = {
        "feed": positions(valued["feed"], feeds), "day": ints(valued["day"].cast(pa.int32())),
        "customer_id": ints(valued["customer_id"]), "at": ints(valued["at"]),
    }  # fmt: skip
    texts = _texts(valued, family)
    parts = [part for source in family.inputs for part in _unfold(valued[source.name], source, base, texts)]
    names = [name for name, _ in parts]
    inputs = tuple(sorted(set(names)))
    if not parts:
        return _table({}, feeds, inputs, texts)
    rows = {key: np.concatenate([part[key] for _, part in parts]) for key in parts[0][1]}
    sizes = [part["day"].size for _, part in parts]
    rows["input"] = np.repeat([inputs.index(name) for name in names], sizes)
    return _table(_sum_days(rows), feeds, inputs, texts)


def _texts(valued: pa.Table, family: Family) -> tuple[str, ...]:
    found: set[str] = set()
    for source in family.inputs:
        if keeps_text(source):
            found.update(text for text in pc.unique(valued[source.name]).to_pylist() if text is not None)
    return tuple(sorted(found))


def _unfold(
    column: pa.ChunkedArray, source: Input, base: dict[str, I64], texts: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, I64]]]:
    """The rows of one input, and of each of its codes."""
    if plain(source):
        given = np.flatnonzero(np.asarray(pc.is_valid(column).to_numpy()))
        if given.size:
            part = {key: values[given] for key, values in base.items()}
            if not keeps_time(source):
                part["at"] = np.full(given.size, _NONE)
            part["text"] = positions(column, texts)[given] if keeps_text(source) else np.full(given.size, -1)
            part["value"] = ints(column)[given] if source.type == "bigint" else np.full(given.size, _NONE)
            yield source.name, part
    if source.codes:
        code = positions(column, source.codes)
        for position, name in enumerate(source.codes):
            given = np.flatnonzero(code == position)
            if given.size:
                none = np.full(given.size, _NONE)
                part = {key: values[given] for key, values in base.items()}
                yield f"{source.name}={name}", part | {"at": none, "text": np.full(given.size, -1), "value": none}


_ORDER = ("customer_id", "day", "feed", "input", "at", "text")


def _sum_days(rows: dict[str, I64]) -> dict[str, I64]:
    """One row a key (``_ORDER``) with count, sum, least and greatest of ``value``."""
    order = np.lexsort([rows[key] for key in reversed(_ORDER)])
    rows = {key: values[order] for key, values in rows.items()}
    new = np.zeros(order.size, bool)
    new[0] = True
    for key in _ORDER:
        new[1:] |= rows[key][1:] != rows[key][:-1]
    first = np.flatnonzero(new)
    value = rows["value"]
    return {key: rows[key][first] for key in _ORDER} | {
        "count": np.diff(np.append(first, order.size)),
        "sum": np.where(value[first] == _NONE, _NONE, np.add.reduceat(np.where(value == _NONE, 0, value), first)),
        "least": np.minimum.reduceat(value, first),
        "greatest": np.maximum.reduceat(value, first),
    }


def _table(rows: dict[str, I64], feeds: tuple[str, ...], inputs: tuple[str, ...], texts: tuple[str, ...]) -> pa.Table:
    empty = np.zeros(0, np.int64)

    def names(key: str, of: tuple[str, ...]) -> pa.Array:
        position = rows.get(key, empty)
        return pa.array(of, pa.string()).take(pa.array(position, pa.int64(), mask=position < 0))

    def numbers(key: str) -> pa.Array:
        values = rows.get(key, empty)
        return pa.array(values, pa.int64(), mask=values == _NONE)

    return pa.table(
        {
            "feed": names("feed", feeds),
            "day": pa.array(rows.get("day", empty).astype("datetime64[D]"), pa.date32()),
            "customer_id": numbers("customer_id"),
            "input": names("input", inputs),
            "at": numbers("at"),
            "text": names("text", texts),
            **{key: numbers(key) for key in ("count", "sum", "least", "greatest")},
        }
    )
