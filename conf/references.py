"""What one file says of another: products of products, limits of products, channels and customers, mappings of tables.

Every mistake is reported with its own line; what a broken row or file would have given is not told a second time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.documents import Document, Loc, names_written
from conf.errors import MendableError, Report, suggest
from conf.offer import Limit, Product, ShiftAmount
from conf.schema import Schema
from conf.table import Table

if TYPE_CHECKING:
    from conf.catalogue import Catalogue

#: Columns of an entity that conforming fills itself.
FILLED = (
    "customer_id",
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


def check_references(
    product: Product, known: Collection[str], attributes: Collection[str], document: Document, loc: Loc, report: Report
) -> None:
    """A product excludes others that there are, and has the attributes that all have: rules name them.

    A product without any attribute has 0 of each; one that has some, but not all, has misspelt one.
    """
    for position, code in enumerate(product.excludes):
        if code not in known or code == product.code:
            what = f"product {product.code} excludes {code!r}, which is " + (
                "itself" if code in known else "no product"
            )
            where = document.where((*loc, "excludes", position))
            report(MendableError(what, where=where, remedy=suggest(code, set(known) - {product.code})))
    if not product.attributes:
        return
    for key in attributes:
        if key not in product.attributes:
            report(
                MendableError(
                    f"product {product.code} has no attribute {key!r}, which another product has",
                    where=document.where((*loc, "attributes")),
                    remedy=f"give it a value (0 where it does not apply); this one has: {', '.join(product.attributes)}",
                )
            )


def check_limit(limit: Limit, catalogue: Catalogue, document: Document, loc: Loc, report: Report) -> None:
    """What a limit selects exists, and the calendar it takes its amount from has such a service."""
    _check_where(limit, limit.where, catalogue, document, (*loc, "where"), report)
    if limit.share:
        _check_where(limit, limit.share.of, catalogue, document, (*loc, "share", "of"), report)
    if isinstance(limit.amount, ShiftAmount):
        amount, place = limit.amount, (*loc, limit.side)
        answering = {centre.code: centre.services for centre in catalogue.geography.centres}
        if amount.centre not in answering:
            what = f"limit {limit.name}: no centre {amount.centre!r}"
            where = document.where((*place, "centre"))
            report(MendableError(what, where=where, remedy=suggest(amount.centre, answering)))
        elif amount.service not in answering[amount.centre]:
            having = [code for code, services in answering.items() if amount.service in services]
            what = f"limit {limit.name}: centre {amount.centre!r} has no service {amount.service!r}"
            remedy = f"centres that have it: {', '.join(having)}"
            report(MendableError(what, where=document.where((*place, "service")), remedy=remedy))


def _check_where(
    limit: Limit, where: Mapping[str, Any], catalogue: Catalogue, document: Document, loc: Loc, report: Report
) -> None:
    known = _known_values(catalogue)
    attributes = {attribute.name for attribute in catalogue.features.attributes}
    for key, value in where.items():
        at = document.where((*loc, key))
        if key not in known and key not in attributes:
            names = {*_arc_values(catalogue), *attributes}
            what = f"limit {limit.name}: nothing is called {key!r} that a limit can select by"
            report(MendableError(what, where=at, remedy=suggest(key, names)))
            continue
        for each in value if isinstance(value, list) else [value]:
            if key in known and str(each) not in known[key]:
                what = f"limit {limit.name}: no {key} {str(each)!r}"
                report(MendableError(what, where=at, remedy=suggest(str(each), known[key])))


def _arc_values(catalogue: Catalogue) -> dict[str, set[str]]:
    root = catalogue.root
    return {
        "product": names_written(root / "products.yml", "products", "code"),
        "group": {product.group for product in catalogue.products},
        "channel": names_written(root / "channels.yml", "channels", "code"),
        "segment": names_written(root / "segments.yml", "segments", "name"),
    }


def _known_values(catalogue: Catalogue) -> dict[str, set[str]]:
    """Every key whose values are known: those of arcs, and attributes that are codes of a profile as they stand."""
    return _coded_attributes(catalogue) | _arc_values(catalogue)


def _coded_attributes(catalogue: Catalogue) -> dict[str, set[str]]:
    said: dict[str, list[set[str] | None]] = {}
    for schema in catalogue.schemas.values():
        for conform in schema.conform:
            if conform.entity == "customer":
                for column, sql in conform.columns.items():
                    field = schema.by_name.get(sql)
                    said.setdefault(column, []).append(
                        set(schema.codes[field.codes]) if field and field.codes else None
                    )
    codes = {column: [of for of in lists if of is not None] for column, lists in said.items() if None not in lists}
    found = {a.name: set().union(*codes[a.value]) for a in catalogue.features.attributes if a.value in codes}
    centres = {centre.code for centre in catalogue.geography.centres}
    cities = {city.code for city in catalogue.geography.cities}
    own = (catalogue.root / "geography.yml").exists()
    return found | {key: values for key, values in (("centre", centres), ("city", cities)) if own and key in found}


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
            report(MendableError(what, where=document.where((*loc, "entity")), remedy=remedy))
            continue
        columns = {column.name for column in table.columns} - set(FILLED)
        for name in conform.columns:
            if name not in columns:
                what = f"schema {schema.name}: {conform.entity} has no column {name!r} that a mapping fills"
                remedy = suggest(name, columns)
                report(MendableError(what, where=document.where((*loc, "columns", name)), remedy=remedy))


def schema_path(root: Path, name: str) -> Path | None:
    """Where a schema is written."""
    return next(iter(sorted((root / "schemas").rglob(f"{name}.yml"))), None)
