"""Which feed tells a row of a ledger: one of each class (monthly archives, running feeds) that can."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from conf.catalogue import Catalogue
from conf.feed import Feed
from conf.schema import Conform, Schema
from synth.aftermath import ACTIONS, CONSENTS, KINDS, STEPS
from synth.events import Table
from synth.inverse import InverseSource, find_required_values, invert
from synth.keyed import uniform
from synth.world import World

LEDGERS = ("order", "contact", "complaint", "consent", "decision")


@dataclass(frozen=True)
class Mapping:
    """One ``conform`` of a schema read backwards for a feed.

    Attributes:
        sources: entity column → where it comes from; event: source of the event time.
        choices: column → values that this feed can tell; needs: field → values that ``where`` asks for.
    """

    conform: Conform
    sources: dict[str, InverseSource]
    event: InverseSource
    choices: dict[str, tuple[str, ...]]
    needs: dict[str, tuple[str, ...]]


def mappings(feed: Feed, schema: Schema) -> tuple[Mapping, ...]:
    """All conforms of a feed's schema, read backwards."""
    return _mappings(_Same(feed), _Same(schema))


@dataclass(frozen=True, eq=False)
class _Same:
    """A model as a key: itself, for what it holds has no hash; another catalogue's of the same name is another one."""

    model: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.model is other.model

    def __hash__(self) -> int:
        return id(self.model)


@lru_cache(maxsize=2_048)
def _mappings(feed: _Same, schema: _Same) -> tuple[Mapping, ...]:
    return tuple(_mapping(schema.model, conform, dict(feed.model.holds)) for conform in schema.model.conform)


def _mapping(schema: Schema, conform: Conform, holds: dict[str, tuple[str, ...]]) -> Mapping:
    fields = frozenset(schema.by_name)
    needs = find_required_values(conform.where, fields)
    sources = {column: invert(text, fields) for column, text in conform.columns.items()}
    choices: dict[str, tuple[str, ...]] = {}
    for column, source in sources.items():
        if source.kind == "literal" and isinstance(source.value, str):
            choices[column] = (source.value,)
        if source.kind in ("field", "codes"):
            known = _values(schema, source, holds, needs)
            if known:
                choices[column] = known
    return Mapping(conform, sources, invert(conform.event_time, fields), choices, needs)


def _values(
    schema: Schema, source: InverseSource, holds: dict[str, tuple[str, ...]], needs: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    field = schema.by_name[source.field]
    codes = holds.get(field.name) or needs.get(field.name) or tuple(schema.codes.get(field.codes, {}))
    if source.kind == "codes":
        return tuple(dict.fromkeys(value for code, value in source.codes if not codes or code in codes))
    return codes


def ledger_of(feed: Feed, schema: Schema) -> str:
    """The ledger a feed draws on, else empty (behaviour is then drawn for it)."""
    if not schema.conform or schema.conform[0].entity not in LEDGERS:
        return ""
    mapping = mappings(feed, schema)[0]
    if mapping.conform.entity == "contact":
        pushes = mapping.choices.get("direction") == ("out",) and mapping.sources.get("decision_id") is not None
        return "contact" if pushes else ""
    return mapping.conform.entity


def fits(world: World, mapping: Mapping, places: dict[str, tuple[str, ...]], table: Table) -> np.ndarray:
    """Rows of a ledger that the feed can tell."""
    ok = np.ones(len(table["time"]), dtype=bool)
    for column, values in mapping.choices.items():
        names = _names(world, mapping.conform.entity, column)
        if names is None or column not in table:
            continue
        allowed = np.array([name in values for name in names])
        position = table[column].astype(np.int64)
        ok &= np.where(position < 0, "all" in values or column == "product", allowed[np.maximum(position, 0)])
    for kind, codes in places.items():
        geography = world.plan.geography
        known = [c.code for c in (geography.centres if kind == "centre" else geography.cities)]
        ok &= np.isin(world[kind][table["customer"]], [known.index(code) for code in codes])
    return ok


def _names(world: World, entity: str, column: str) -> list[str] | None:
    """Names by position of a ledger's column."""
    if column == "channel":
        return [c.code for c in world.plan.channels]
    if column == "product" and entity == "order":
        return [p.code for p in world.plan.products]
    return {
        ("order", "action"): list(ACTIONS),
        ("complaint", "kind"): list(KINDS),
        ("complaint", "step"): list(STEPS),
        ("consent", "kind"): list(CONSENTS),
    }.get((entity, column))


def select_rows(world: World, catalogue: Catalogue, feed: Feed, table: Table, ledger: str) -> np.ndarray:
    """Which rows ``feed`` tells: of all feeds of its class that can tell a row, one does.

    It is drawn by a keyed lottery weighted by volume (Efraimidis and Spirakis 2006).
    """
    monthly = feed.granularity == "monthly"
    rivals = [
        other
        for _, other in sorted(catalogue.feeds.items())
        if (other.granularity == "monthly") == monthly
        and ledger_of(other, catalogue.schemas[other.schema_name]) == ledger
    ]
    n = len(table["time"])
    best = np.full(n, -1.0)
    winner = np.full(n, -1)
    row = (table["time"] * 31 + table["customer"]).astype(np.int64)
    for k, other in enumerate(rivals):
        schema = catalogue.schemas[other.schema_name]
        mapping = mappings(other, schema)[0]
        places = narrow_places(world, other, schema)
        lot = uniform(row, world.plan.seed, "route", other.code) ** (1.0 / other.rows_per_1000)
        score = np.where(fits(world, mapping, places, table), lot, -1.0)
        winner = np.where(score > best, k, winner)
        best = np.maximum(best, score)
    return np.asarray(winner == next(k for k, other in enumerate(rivals) if other.code == feed.code))


def narrow_places(world: World, feed: Feed, schema: Schema) -> dict[str, tuple[str, ...]]:
    """Centres or cities that a feed is narrowed to by ``holds``."""
    geography = world.plan.geography
    places: dict[str, tuple[str, ...]] = {}
    for name, values in feed.holds.items():
        if name in schema.by_name and schema.by_name[name].codes:
            codes = set(schema.codes[schema.by_name[name].codes])
            for kind, known in (("centre", geography.centres), ("city", geography.cities)):
                if codes <= {c.code for c in known} and kind not in places and set(values) != codes:
                    places[kind] = values
                    break
    return places
