"""All features of a catalogue together: read, cross-checked against the tables, and turned into table entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from conf.documents import Document, Loc, read_rows, read_yaml, validate
from conf.errors import MendableError
from conf.feature import Attribute, Derived, Family, Feature, names_in
from conf.formula import names
from conf.partial import partial_table
from conf.schema import Schema
from conf.table import Column, Table

#: Columns of every snapshot before its features.
KEY_COLUMNS = (
    Column(name="business_date", type="date", doc="decision date", nullable=False),
    Column(name="customer_id", type="bigint", doc="surrogate id of the subscriber", nullable=False),
)
#: Set by the snapshot itself: whether behaviour may be used (no minor, profiling not refused).
PROFILED = Column(name="profiled", type="boolean", doc="behaviour may be used: no minor, profiling not refused")


@dataclass(frozen=True)
class FeatureSet:
    """The declared families, attributes and what follows from them."""

    families: tuple[Family, ...]
    attributes: tuple[Attribute, ...]

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Every aggregated feature, family by family."""
        return tuple(feature for family in self.families for feature in family.features)

    @cached_property
    def derived(self) -> tuple[tuple[Family, Derived], ...]:
        """Derived features, each after those it uses."""
        return tuple(_ordered([(family, derived) for family in self.families for derived in family.derived]))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns of ``customer_features`` after its key."""
        attributes = [Column(name=a.name, type=a.type, doc=a.doc, unit=a.unit) for a in self.attributes]
        stale = [
            Column(
                name=family.staleness,
                type="int",
                unit="day",
                doc=f"days by which the last good data of family {family.family} is behind the night; null: none yet",
            )
            for family in self.families
        ]
        derived = [Column(name=d.name, type="double", doc=d.doc, unit=d.unit) for _, d in self.derived]
        return (*attributes, PROFILED, *stale, *(feature.column for feature in self.features), *derived)

    @cached_property
    def not_for_models(self) -> frozenset[str]:
        """Columns that rules may name and models may not: identifiers, minors, consent."""
        return frozenset({PROFILED.name, *(a.name for a in self.attributes if not a.model)})

    def tables(self) -> dict[str, Table]:
        """The snapshot and the partials as tables of the catalogue."""
        snapshot = Table(
            name="customer_features",
            row="an active customer on a decision date: attributes and features",
            writer="snapshot",
            kind="feature",
            key=("business_date", "customer_id"),
            partition_by=("business_date",),
            columns=(*KEY_COLUMNS, *self.columns),
        )
        return {snapshot.name: snapshot} | {family.table: partial_table(family) for family in self.families}

    def family(self, name: str) -> Family:
        """A family by name.

        Raises:
            MendableError: there is none.
        """
        for family in self.families:
            if family.family == name:
                return family
        raise MendableError(
            f"no family of features {name!r}",
            where="--family",
            remedy=f"choose one of: {', '.join(f.family for f in self.families)}",
        )


def load_features(
    folder: Path, fallback: Path, tables: Mapping[str, Table], schemas: Mapping[str, Schema]
) -> FeatureSet:
    """Read ``folder/*.yml`` (``attributes.yml`` apart: from ``fallback`` where the folder has none) and check it.

    Raises:
        MendableError: an unknown table or column, a window beyond the table's retention, a name twice, a circle.
    """
    seen: dict[str, str] = {}
    families: list[Family] = []
    attributes_file = folder / "attributes.yml" if (folder / "attributes.yml").exists() else fallback / "attributes.yml"
    attributes = []
    for document, loc, attribute in read_rows(attributes_file, "attributes", Attribute):
        _once(attribute.name, document, loc, seen)
        _known(attribute.value, {*_columns(tables["customer"]), "as_of"}, "customer", document, (*loc, "value"))
        attributes.append(attribute)
    documents: dict[str, Document] = {}
    for path in sorted(folder.glob("*.yml")):
        if path.name == "attributes.yml":
            continue
        document = read_yaml(path)
        family = validate(Family, document)
        _check_family(family, document, tables, schemas, seen)
        families.append(family)
        documents[family.family] = document
    found = FeatureSet(tuple(families), tuple(attributes))
    _check_derived(found, documents, seen)
    return found


def _check_family(
    family: Family, document: Document, tables: Mapping[str, Table], schemas: Mapping[str, Schema], seen: dict[str, str]
) -> None:
    if document.path.stem != family.family:
        raise MendableError(
            f"the file is called {document.path.name} but declares {family.family!r}",
            where=document.where(("family",)),
            remedy=f"rename it to {family.family}.yml",
        )
    table = tables.get(family.source)
    if table is None or table.kind != "entity" or "event_time" not in _columns(table):
        known = sorted(t.name for t in tables.values() if t.kind == "entity" and "event_time" in _columns(t))
        raise MendableError(
            f"{family.source!r} is no table of events",
            where=document.where(("source",)),
            remedy=f"choose one of: {', '.join(known)}",
        )
    for position, name in enumerate(family.schemas):
        if not any(conform.entity == family.source for conform in schemas[name].conform) if name in schemas else True:
            fitting = sorted(s.name for s in schemas.values() if any(c.entity == family.source for c in s.conform))
            raise MendableError(
                f"no schema {name!r} becomes {family.source}",
                where=document.where(("schemas", position)),
                remedy=f"those that do: {', '.join(fitting) or 'none'}",
            )
    _once(family.staleness, document, ("family",), seen)
    columns = _columns(table)
    personal = {column.name for column in table.columns if column.personal}
    for position, source in enumerate(family.inputs):
        loc: Loc = ("inputs", position)
        for key, sql in (("value", source.value), ("where", source.where)):
            used = _known(sql, columns, family.source, document, (*loc, key))
            if used & personal and set(source.features) - {"distinct", "count"}:
                raise MendableError(
                    f"{sorted(used & personal)[0]!r} is personal and cannot enter a feature",
                    where=document.where((*loc, key)),
                    remedy="count it, or take its distinct number",
                )
        _known(" ".join(source.example.row), columns, family.source, document, (*loc, "example", "row"))
        for feature in (f for f in family.features if f.input is source):
            _once(feature.name, document, (*loc, "features", feature.aggregate), seen)
            if feature.window > table.retention_days:
                raise MendableError(
                    f"{feature.name}: {family.source} is kept for {table.retention_days} days only",
                    where=document.where((*loc, "features", feature.aggregate)),
                    remedy=f"choose a window of at most {table.retention_days} days",
                )


def _check_derived(features: FeatureSet, documents: Mapping[str, Document], seen: dict[str, str]) -> None:
    for family in features.families:
        for position, derived in enumerate(family.derived):
            _once(derived.name, documents[family.family], ("derived", position), seen)
    for family in features.families:
        for position, derived in enumerate(family.derived):
            loc = ("derived", position, "formula")
            if unknown := sorted(names(derived.formula) - set(seen)):
                raise MendableError(
                    f"{derived.name}: no feature {unknown[0]!r}",
                    where=documents[family.family].where(loc),
                    remedy="`cpc features list` shows those there are",
                )
    try:
        _ = features.derived
    except ValueError as circle:
        name = str(circle)
        family, position = next((f, i) for f in features.families for i, d in enumerate(f.derived) if d.name == name)
        raise MendableError(
            f"derived features go round in a circle through {name!r}",
            where=documents[family.family].where(("derived", position, "formula")),
            remedy="let one of them use aggregates only",
        ) from circle


def _ordered(pairs: list[tuple[Family, Derived]]) -> list[tuple[Family, Derived]]:
    waiting = {d.name: (f, d) for f, d in pairs}
    done: set[str] = set()
    order: list[tuple[Family, Derived]] = []
    known = set(waiting)
    while waiting:
        ready = [n for n, (_, d) in waiting.items() if names(d.formula) & known <= done]
        if not ready:
            raise ValueError(sorted(waiting)[0])
        for name in ready:
            order.append(waiting.pop(name))
            done.add(name)
    return order


def _columns(table: Table) -> set[str]:
    return {column.name for column in table.columns}


def _known(sql: str, columns: set[str], table: str, document: Document, loc: Loc) -> set[str]:
    used = names_in(sql)
    if unknown := sorted(used - columns):
        raise MendableError(
            f"{table} has no column {unknown[0]!r}",
            where=document.where(loc),
            remedy=f"it has: {', '.join(sorted(columns)) if len(columns) < 60 else 'see `cpc features list`'}",
        )
    return used


def _once(name: str, document: Document, loc: Loc, seen: dict[str, str]) -> None:
    if name in seen:
        raise MendableError(
            f"{name!r} is given twice", where=document.where(loc), remedy=f"it is also in {seen[name]}: rename one"
        )
    seen[name] = document.where(loc)
