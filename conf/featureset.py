"""All features of a catalogue together: read, cross-checked against the tables, and turned into table entries."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from conf.documents import Document, Loc, names_written, read_rows, read_yaml, validate
from conf.errors import Report, UserError, refuse, suggest
from conf.feature import Attribute, Derived, Family, Feature, Input, names_in
from conf.formula import names
from conf.partial import partial_table
from conf.schema import Schema
from conf.table import Column, Table
from conf.units import BY, scale_fault

#: Columns of every snapshot before its features.
KEY_COLUMNS = (
    Column(name="business_date", type="date", doc="decision date", nullable=False),
    Column(name="customer_id", type="bigint", doc="surrogate id of the subscriber", nullable=False),
    Column(
        name="draw_key",
        type="bigint",
        doc="what holdouts and other draws are hashed from, the same for good whatever the id; no feature",
    ),
)
#: Set by the snapshot itself: whether behaviour may be used (no minor, profiling not refused).
PROFILED = Column(name="profiled", type="boolean", doc="behaviour may be used: no minor, profiling not refused")


@dataclass(frozen=True)
class FeatureSet:
    """The declared families, attributes and what follows from them."""

    families: tuple[Family, ...]
    attributes: tuple[Attribute, ...]
    documents: Mapping[str, Document] = field(default_factory=dict, compare=False, repr=False)

    @property
    def places(self) -> list[tuple[Attribute, str]]:
        """Attributes, each with the file and line of its value."""
        document = self.documents.get("attributes")
        rows = document.data["attributes"] if document else []
        at = {row.get("name"): i for i, row in enumerate(rows) if isinstance(row, dict)}
        return [
            (a, document.where(("attributes", at[a.name], "value")) if document else "attributes.yml")
            for a in self.attributes
        ]

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Every aggregated feature, family by family."""
        return tuple(feature for family in self.families for feature in family.features)

    @cached_property
    def derived(self) -> tuple[tuple[Family, Derived], ...]:
        """Derived features, each after those it uses."""
        return tuple(_order([(family, derived) for family in self.families for derived in family.derived]))

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
            UserError: there is none.
        """
        for family in self.families:
            if family.family == name:
                return family
        raise UserError(
            f"no family of features {name!r}",
            where="--family",
            remedy=f"choose one of: {', '.join(f.family for f in self.families)}",
        )


def load_features(
    folder: Path,
    fallback: Path,
    tables: Mapping[str, Table],
    schemas: Mapping[str, Schema],
    broken: Collection[str] = (),
    report: Report = refuse,
) -> FeatureSet:
    """Read ``folder/*.yml`` (``attributes.yml`` apart: from ``fallback`` where the folder has none) and check it.

    Reported is an unknown table or column, a window beyond the table's retention, a name twice, a circle.

    Args:
        folder: the declarations.
        fallback: where attributes are declared for a folder that has none.
        tables: the written tables.
        schemas: the schemas.
        broken: schemas and tables that could not be read: naming them is no mistake of a family.
        report: what is done with a mistake.
    """
    check = _Checks(tables, schemas, frozenset(broken), report, {})
    families: list[Family] = []
    attributes_file = folder / "attributes.yml" if (folder / "attributes.yml").exists() else fallback / "attributes.yml"
    attributes = []
    documents: dict[str, Document] = {}
    for document, loc, attribute in read_rows(attributes_file, "attributes", Attribute, report):
        check.once(attribute.name, document, (*loc, "name"))
        if "customer" in tables:
            columns = {*_columns(tables["customer"]), "as_of"}
            check.find_columns(attribute.value, columns, "customer", document, (*loc, "value"))
        attributes.append(attribute)
        documents["attributes"] = document
    complete = len(attributes) == len(names_written(attributes_file, "attributes", "name") or [None])
    for path in sorted(folder.glob("*.yml")):
        if path.name == "attributes.yml":
            continue
        try:
            document = read_yaml(path)
            family = validate(Family, document)
        except UserError as error:
            report(error)
            complete = False
            continue
        check.family(family, document)
        families.append(family)
        documents[family.family] = document
    feature_set = FeatureSet(tuple(families), tuple(attributes), documents)
    if complete:  # else a formula may name what a broken family declares
        check.formulas(feature_set, documents)
    return feature_set


@dataclass(frozen=True)
class _Checks:
    """What declarations are held against, and the names given so far with their places."""

    tables: Mapping[str, Table]
    schemas: Mapping[str, Schema]
    broken: frozenset[str]
    report: Report
    seen: dict[str, str]

    def _wrong(self, what: str, document: Document, loc: Loc, remedy: str) -> None:
        self.report(UserError(what, where=document.where(loc), remedy=remedy))

    def once(self, name: str, document: Document, loc: Loc) -> None:
        """A name is given once in all declarations."""
        if name in self.seen:
            self._wrong(f"{name!r} is given twice", document, loc, f"it is also in {self.seen[name]}: rename one")
            return
        self.seen[name] = document.where(loc)

    def find_columns(self, sql: str, columns: set[str], table: str, document: Document, loc: Loc) -> set[str]:
        """The columns that an expression uses; those there are not are reported."""
        used = names_in(sql)
        for name in sorted(used - columns):
            self._wrong(f"{table} has no column {name!r}", document, loc, suggest(name, columns))
        return used

    def family(self, family: Family, document: Document) -> None:
        """A family against its source: table, schemas, columns, windows."""
        if document.path.stem != family.family:
            what = f"the file is called {document.path.name} but declares {family.family!r}"
            self._wrong(what, document, ("family",), f"rename it to {family.family}.yml")
        if family.source in self.broken:
            return
        table = self.tables.get(family.source)
        if table is None or table.kind != "entity" or "event_time" not in _columns(table):
            events = [t.name for t in self.tables.values() if t.kind == "entity" and "event_time" in _columns(t)]
            what = f"{family.source!r} is no table of events"
            self._wrong(what, document, ("source",), suggest(family.source, events))
            return
        fitting = [s.name for s in self.schemas.values() if any(c.entity == family.source for c in s.conform)]
        for position, name in enumerate(family.schemas):
            if name not in fitting and name not in self.broken:
                what = f"no schema {name!r} becomes {family.source}"
                self._wrong(what, document, ("schemas", position), suggest(name, fitting))
        self.once(family.staleness, document, ("family",))
        for position, source in enumerate(family.inputs):
            self._input(family, source, table, document, ("inputs", position))

    def _input(self, family: Family, source: Input, table: Table, document: Document, loc: Loc) -> None:
        columns = _columns(table)
        personal = {column.name for column in table.columns if column.personal}
        for key, sql in (("value", source.value), ("where", source.where)):
            used = self.find_columns(sql, columns, family.source, document, (*loc, key))
            if used & personal and set(source.features) - {"distinct", "count"}:
                what = f"{sorted(used & personal)[0]!r} is personal and cannot enter a feature"
                self._wrong(what, document, (*loc, key), "count it, or take its distinct number")
        if source.value in columns and (fault := scale_fault(_unit_of(source, table), source.scale, source.unit)):
            what, remedy = fault
            self._wrong(f"{source.name}: {what}", document, (*loc, "unit"), remedy)
        for name in source.example.row:
            self.find_columns(name, columns, family.source, document, (*loc, "example", "row", name))
        for feature in (f for f in family.features if f.input is source):
            place = (*loc, "features", feature.aggregate)
            self.once(feature.name, document, place)
            if feature.window > table.retention_days:
                what = f"{feature.name}: {family.source} is kept for {table.retention_days} days only"
                self._wrong(what, document, place, f"choose a window of at most {table.retention_days} days")

    def formulas(self, features: FeatureSet, documents: Mapping[str, Document]) -> None:
        """Derived features name features, and do not go round in a circle."""
        places = [
            (derived, documents[family.family], ("derived", position))
            for family in features.families
            for position, derived in enumerate(family.derived)
        ]
        for derived, document, loc in places:
            self.once(derived.name, document, (*loc, "input"))
        for derived, document, loc in places:
            for name in sorted(names(derived.formula) - set(self.seen)):
                self._wrong(
                    f"{derived.name}: no feature {name!r}", document, (*loc, "formula"), suggest(name, self.seen)
                )
        try:
            _ = features.derived
        except ValueError as circle:
            name = str(circle)
            document, loc = next((d, at) for derived, d, at in places if derived.name == name)
            what = f"derived features go round in a circle through {name!r}"
            self._wrong(what, document, (*loc, "formula"), "let one of them use aggregates only")


def _order(pairs: list[tuple[Family, Derived]]) -> list[tuple[Family, Derived]]:
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


def _unit_of(source: Input, table: Table) -> str:
    """The unit of the column that an input takes; where another column says it, of the one value that it filters."""
    column = next(column for column in table.columns if column.name == source.value)
    if not column.units:
        return column.unit
    asked = re.findall(rf"\b{column.unit.removeprefix(BY)}\s*=\s*'([^']*)'", source.where)
    return column.units.get(asked[0], "") if len(asked) == 1 else ""


def _columns(table: Table) -> set[str]:
    return {column.name for column in table.columns}
