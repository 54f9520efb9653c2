"""The catalogue: everything conf knows, loaded and cross-checked once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

from conf.documents import Document, Loc, read_folder, read_rows
from conf.errors import MendableError
from conf.featureset import FeatureSet, load_features
from conf.feed import Feed
from conf.offer import Channel, Limit, Product, Rule, Segment
from conf.schema import Schema
from conf.table import Column, Table

ROOT = Path(__file__).resolve().parent
Row = TypeVar("Row")
#: Columns the loader puts before the schema's own.
RAW_COLUMNS = (
    Column(name="feed", type="string", doc="code of the feed", nullable=False),
    Column(name="data_date", type="date", doc="the date the delivery is about", nullable=False),
    Column(name="hour", type="int", doc="hour of an hourly feed, -1 otherwise", nullable=False),
    Column(name="delivery_id", type="string", doc="content-derived id of the delivery", nullable=False),
    Column(name="file", type="string", doc="name of the file", nullable=False),
    Column(name="line", type="bigint", doc="line in the file, from 1", nullable=False),
)
#: And after them.
REST = Column(name="_rest", type="string", doc="keys of a jsonl object that the schema does not know, as JSON")
_SPARK_TYPE = {
    "string": "string",
    "code": "string",
    "phone": "binary",
    "short": "smallint",
    "int": "int",
    "long": "bigint",
    "double": "double",
    "date": "date",
    "timestamp": "timestamp",
    "bool": "boolean",
}


@dataclass(frozen=True)
class Catalogue:
    """What is written below one folder of conf: the operator's own, or a demo's overlay that replaces it.

    Attributes:
        root: the folder with ``feeds/``, ``schemas/``, ``products.yml`` … (``conf/`` or ``conf/demo/NAME/``).
    """

    root: Path

    @cached_property
    def schemas(self) -> dict[str, Schema]:
        """Schemas by name."""
        return _by(read_folder(self.root / "schemas", Schema), lambda schema: schema.name, stem=True)

    @cached_property
    def feeds(self) -> dict[str, Feed]:
        """Feeds by code; unit codes are unique and every schema is known."""
        documents = list(read_folder(self.root / "feeds", Feed))
        feeds = _by(documents, lambda feed: feed.code, stem=True)
        _by(documents, lambda feed: feed.unit_code)
        for document, feed in documents:
            if feed.schema_name not in self.schemas:
                raise MendableError(
                    f"feed {feed.code}: no schema {feed.schema_name!r}",
                    where=document.where(("schema",)),
                    remedy=f"write {self.root / 'schemas' / (feed.schema_name + '.yml')}, or name one that exists",
                )
            if fault := _narrowing_fault(feed, self.schemas[feed.schema_name]):
                raise MendableError(
                    f"feed {feed.code}: {fault}",
                    where=document.where(("holds",)),
                    remedy="name code fields of the schema and codes of their lists",
                )
        return feeds

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """Products in order of id; ids and codes are unique."""
        return _listed(read_rows(self.root / "products.yml", "products", Product))

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Channels in order of id; ids are 0 … n-1.

        Raises:
            MendableError: an id is missing: masks have a place for each, so that a row taken out would shift the others.
        """
        rows = read_rows(self.root / "channels.yml", "channels", Channel)
        channels = _listed(rows)
        known = {channel.id for channel in channels}
        if missing := sorted(set(range(max(known, default=-1) + 1)) - known):
            raise MendableError(
                f"no channel has id {missing[0]}",
                where=str(self.root / "channels.yml"),
                remedy='a channel that is given up keeps its row, with `eligible: "false"`; a new one takes the next id',
            )
        return channels

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Rules in the order of the file, which is the order of the funnel."""
        rows = read_rows(self.root / "rules.yml", "rules", Rule)
        _by(((document, rule) for document, _, rule in rows), lambda rule: rule.name)
        return tuple(rule for _, _, rule in rows)

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """Limits in the order of the file."""
        rows = read_rows(self.root / "limits.yml", "limits", Limit)
        _by(((document, limit) for document, _, limit in rows), lambda limit: limit.name)
        for document, loc, limit in rows:
            self._known_codes(limit, document, loc)
        return tuple(limit for _, _, limit in rows)

    @cached_property
    def features(self) -> FeatureSet:
        """Declared features: ``features/declared`` beside conf, or the overlay's ``features`` that replace them."""
        own = ROOT.parent / "features" / "declared"
        folder = own if self.root == ROOT else self.root / "features"
        return load_features(folder, own, self.written_tables, self.schemas)

    @cached_property
    def written_tables(self) -> dict[str, Table]:
        """The tables of ``conf/tables`` by name (always conf's own)."""
        return _by(read_folder(ROOT / "tables", Table), lambda table: table.name, stem=True)

    @cached_property
    def segments(self) -> dict[str, Segment]:
        """Segments by name, in the order of the file."""
        rows = read_rows(self.root / "segments.yml", "segments", Segment)
        return _by(((document, segment) for document, _, segment in rows), lambda segment: segment.name)

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Every table by name: the written ones, ``raw_<schema>`` of schemas, partials and snapshot of features."""
        raw = {f"raw_{schema.name}": raw_table(schema) for schema in self.schemas.values()}
        return self.written_tables | raw | self.features.tables()

    def _known_codes(self, limit: Limit, document: Document, loc: Loc) -> None:
        known: dict[str, set[str]] = {
            "product": {product.code for product in self.products},
            "group": {product.group for product in self.products},
            "channel": {channel.code for channel in self.channels},
            "segment": set(self.segments),
        }
        chosen = [*limit.where.items(), *(limit.share.of.items() if limit.share else ())]
        for key, value in chosen:
            values = value if isinstance(value, list) else [value]
            if key in known and (lost := sorted({str(v) for v in values} - known[key])):
                raise MendableError(
                    f"limit {limit.name}: no {key} {', '.join(lost)}",
                    where=document.where((*loc, "where")),
                    remedy=f"choose among: {', '.join(sorted(known[key]))}",
                )

    def feeds_of(self, schema: str) -> list[Feed]:
        """The feeds that speak ``schema``."""
        return [feed for feed in self.feeds.values() if feed.schema_name == schema]


def _narrowing_fault(feed: Feed, schema: Schema) -> str:
    """What is wrong with ``holds``; empty if nothing."""
    for name, codes in feed.holds.items():
        field = schema.by_name.get(name)
        if field is None or not field.codes:
            return f"holds: {name!r} is no code field of schema {schema.name}"
        if unknown := sorted(set(codes) - set(schema.codes[field.codes])):
            return f"holds: {name} has no codes {unknown} in schema {schema.name}"
    return ""


def raw_table(schema: Schema) -> Table:
    """The table of records of ``schema`` as sent, typed."""
    own = tuple(
        Column(
            name=field.name,
            type=f"decimal(18,{field.scale})" if field.type == "decimal" else _SPARK_TYPE[field.type],
            doc=field.doc or field.label,
            unit=field.unit,
            personal=field.personal != "none",
        )
        for field in schema.fields
    )
    return Table(
        name=f"raw_{schema.name}",
        row=f"a record of {schema.doc}, as sent, typed",
        writer="ingest",
        kind="raw",
        key=("feed", "data_date", "hour", "line"),
        partition_by=("data_date", "feed"),
        columns=(*RAW_COLUMNS, *own, REST),
    )


@lru_cache(maxsize=8)
def load_catalogue(root: Path = ROOT) -> Catalogue:
    """The catalogue below ``root``, one object a process."""
    return Catalogue(root)


def _by(
    documents: Iterable[tuple[Document, Row]], key: Callable[[Row], Hashable], *, stem: bool = False
) -> dict[str, Row]:
    """Rows by a unique key; with ``stem`` the file's name must be the key."""
    found: dict[str, Row] = {}
    places: dict[str, str] = {}
    for document, row in documents:
        name = str(key(row))
        if name in found:
            raise MendableError(
                f"{name!r} is given twice", where=document.where(), remedy=f"it is also in {places[name]}: rename one"
            )
        if stem and document.path.stem != name:
            raise MendableError(
                f"the file is called {document.path.name} but declares {name!r}",
                where=document.where(),
                remedy=f"rename it to {name}.yml",
            )
        found[name], places[name] = row, document.where()
    return found


Numbered = TypeVar("Numbered", Product, Channel)


def _listed(rows: Sequence[tuple[Document, Loc, Numbered]]) -> tuple[Numbered, ...]:
    pairs = [(document, row) for document, _, row in rows]
    _by(pairs, lambda row: row.code)
    _by(pairs, lambda row: row.id)
    return tuple(sorted((row for _, row in pairs), key=lambda row: row.id))
