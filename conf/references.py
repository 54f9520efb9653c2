"""What one file says of another: products of products, limits of products, channels and customers, mappings of tables.

Every mistake is reported with its own line; what a broken row or file would have given is not told a second time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.documents import Document, Loc, names_written
from conf.errors import Report, UserError, suggest
from conf.feature import names_in
from conf.geography import Geography
from conf.offer import Limit, Product, ShiftAmount
from conf.schema import NUMBERS, Schema
from conf.table import Table
from conf.units import BY, conversion_fault

if TYPE_CHECKING:
    from conf.catalogue import Catalogue

#: Columns of an entity that conforming fills itself.
FILLED = (
    "customer_id",
    "draw_key",
    "event_time",
    "arrived_at",
    "schema",
    "feed",
    "data_date",
    "delivery_id",
    "line",
    "valid_from",
    "valid_to",
)


#: What limits select arcs by, beside attributes of customers: the rows that say its values, and in which key.
_OF_ARCS = {
    "product": ("products", "code"),
    "group": ("groups", "code"),
    "channel": ("channels", "code"),
    "segment": ("segments", "name"),
}


def check_references(
    product: Product, known: Collection[str], attributes: Collection[str], document: Document, loc: Loc, report: Report
) -> None:
    """A product excludes others that there are, and has the ``attributes`` that most have: rules name them.

    A product without any attribute has 0 of each; one that has some, but not these, has misspelt one.
    """
    for position, code in enumerate(product.excludes):
        if code not in known or code == product.code:
            what = f"product {product.code} excludes {code!r}, which is " + (
                "itself" if code in known else "no product"
            )
            where = document.where((*loc, "excludes", position))
            report(UserError(what, where=where, remedy=suggest(code, set(known) - {product.code})))
    if not product.attributes:
        return
    for key in attributes:
        if key not in product.attributes:
            report(
                UserError(
                    f"product {product.code} has no attribute {key!r}, which most products have",
                    where=document.where((*loc, "attributes")),
                    remedy=f"give it a value (0 where it does not apply); this one has: {', '.join(product.attributes)}",
                )
            )


def check_group(product: Product, groups: Collection[str] | None, document: Document, loc: Loc, report: Report) -> None:
    """A product is of a group that there is (None where the file that says them cannot be read)."""
    if groups is not None and product.group not in groups:
        what = f"product {product.code}: no group {product.group!r} in groups.yml"
        report(UserError(what, where=document.where((*loc, "group")), remedy=suggest(product.group, groups)))


@dataclass(frozen=True)
class Selectable:
    """What limits may select by.

    Attributes:
        attributes: of customers; none where they cannot be read.
        values: of every key whose values are known.
        services: of each centre; None where geography cannot be read.
    """

    attributes: frozenset[str]
    values: Mapping[str, set[str]]
    services: Mapping[str, tuple[str, ...]] | None


def selectable(catalogue: Catalogue) -> Selectable:
    """What the limits of a catalogue may select by."""
    geography = _geography(catalogue)
    services = {centre.code: centre.services for centre in geography.centres} if geography else None
    attributes = frozenset(attribute.name for attribute in catalogue.features.attributes)
    return Selectable(attributes, _find_coded_attributes(catalogue) | _arc_values(catalogue), services)


def check_limit(limit: Limit, known: Selectable, document: Document, loc: Loc, report: Report) -> None:
    """What a limit selects exists, and the calendar it takes its amount from has such a service."""
    _check_where(limit, limit.where, known, document, (*loc, "where"), report)
    if limit.share:
        _check_where(limit, limit.share.of, known, document, (*loc, "share", "of"), report)
    if isinstance(limit.amount, ShiftAmount) and known.services is not None:
        amount, place, answering = limit.amount, (*loc, limit.side), known.services
        if amount.centre not in answering:
            what = f"limit {limit.name}: no centre {amount.centre!r}"
            where = document.where((*place, "centre"))
            report(UserError(what, where=where, remedy=suggest(amount.centre, answering)))
        elif amount.service not in answering[amount.centre]:
            having = [code for code, services in answering.items() if amount.service in services]
            what = f"limit {limit.name}: centre {amount.centre!r} has no service {amount.service!r}"
            remedy = f"centres that have it: {', '.join(having)}"
            report(UserError(what, where=document.where((*place, "service")), remedy=remedy))


def _check_where(
    limit: Limit, where: Mapping[str, Any], known: Selectable, document: Document, loc: Loc, report: Report
) -> None:
    for key, value in where.items():
        at = document.where((*loc, key))
        if key not in _OF_ARCS and key not in known.attributes and known.attributes:
            names = {*_OF_ARCS, *known.attributes}
            what = f"limit {limit.name}: nothing is called {key!r} that a limit can select by"
            report(UserError(what, where=at, remedy=suggest(key, names)))
            continue
        for each in value if isinstance(value, list) else [value]:
            if key in known.values and str(each) not in known.values[key]:
                what = f"limit {limit.name}: no {key} {str(each)!r}"
                report(UserError(what, where=at, remedy=suggest(str(each), known.values[key])))


def _arc_values(catalogue: Catalogue) -> dict[str, set[str]]:
    """What keys of arcs may be, as far as the files that say it can be read."""
    written = {key: names_written(catalogue.root / f"{rows}.yml", rows, name) for key, (rows, name) in _OF_ARCS.items()}
    return {key: names for key, names in written.items() if names is not None}


def _find_coded_attributes(catalogue: Catalogue) -> dict[str, set[str]]:
    """Attributes that are codes of a profile as they stand, and what these may be."""
    code_lists: dict[str, list[set[str] | None]] = {}
    for schema in catalogue.schemas.values():
        for conform in schema.conform:
            if conform.entity == "customer":
                for column, sql in conform.columns.items():
                    field = schema.by_name.get(sql)
                    code_lists.setdefault(column, []).append(
                        set(schema.codes[field.codes]) if field and field.codes else None
                    )
    codes = {
        column: [of for of in lists if of is not None] for column, lists in code_lists.items() if None not in lists
    }
    attributes = {a.name: set().union(*codes[a.value]) for a in catalogue.features.attributes if a.value in codes}
    geography = _geography(catalogue) if (catalogue.root / "geography.yml").exists() else None
    if geography is None:
        return attributes
    own = {"centre": {c.code for c in geography.centres}, "city": {c.code for c in geography.cities}}
    return attributes | {key: values for key, values in own.items() if key in attributes}


def _geography(catalogue: Catalogue) -> Geography | None:
    """Cities and centres; None where they cannot be read, which is told of their file."""
    try:
        return catalogue.geography
    except UserError:
        return None


def check_mappings(schema: Schema, document: Document, tables: Mapping[str, Table], report: Report) -> None:
    """Every mapping of a schema makes columns that its entity has, and that the job does not fill itself."""
    for position, conform in enumerate(schema.conform):
        loc: Loc = ("conform", position)
        table = tables.get(conform.entity)
        if table is None or table.kind != "entity":
            if (document.path.parents[1] / "tables" / f"{conform.entity}.yml").exists() and table is None:
                continue  # the table is broken: that is told of itself
            entities = [name for name, table in tables.items() if table.kind == "entity"]
            what = f"schema {schema.name}: no entity {conform.entity!r}"
            remedy = suggest(conform.entity, entities)
            report(UserError(what, where=document.where((*loc, "entity")), remedy=remedy))
            continue
        _check_units(schema, position, table, document, report)
        columns = {column.name for column in table.columns} - set(FILLED)
        for name in conform.columns:
            if name not in columns:
                what = f"schema {schema.name}: {conform.entity} has no column {name!r} that a mapping fills"
                remedy = suggest(name, columns)
                report(UserError(what, where=document.where((*loc, "columns", name)), remedy=remedy))


def _check_units(schema: Schema, position: int, table: Table, document: Document, report: Report) -> None:
    """An amount becomes an amount of the same kind, converted where the units differ."""
    conform = schema.conform[position]
    columns = {column.name: column for column in table.columns}
    for name, sql in conform.columns.items():
        if name not in columns:
            continue
        used = [schema.by_name[field] for field in sorted(names_in(sql)) if field in schema.by_name]
        given = {field.name: field.unit for field in used if field.type in NUMBERS}
        by = columns[name].unit.removeprefix(BY) if columns[name].units else ""
        unit_sql = conform.columns.get(by, "")
        wanted = columns[name].units.get(unit_sql.strip("'"), "") if by else columns[name].unit
        if by and set(given.values()) == {f"{BY}{unit_sql}"}:
            continue  # the same words say the unit on both sides
        if fault := conversion_fault(sql, given, wanted):
            what, remedy = fault
            where = document.where(("conform", position, "columns", name))
            what = f"conform to {conform.entity}: {name}: {what}"
            report(UserError(what, where=where, remedy=remedy))


def schema_path(root: Path, name: str) -> Path | None:
    """Where a schema is written."""
    return next(iter(sorted((root / "schemas").rglob(f"{name}.yml"))), None)
