"""The catalogue: everything conf knows, loaded and cross-checked once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TypeVar

from conf.documents import Document, Loc, names_written, read_folder, read_rows
from conf.errors import Report, UserError, refuse, suggest
from conf.expansion import Lists, expand
from conf.featureset import FeatureSet, load_features
from conf.feed import Feed
from conf.figure import Figure
from conf.geography import Geography, load_geography
from conf.offer import Channel, Limit, Product, ProductGroup, Rule, Segment, UsualKey
from conf.phones import PhoneForms, load_phones
from conf.references import check_group, check_limit, check_mappings, check_references, selectable
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
        report: what is done with a mistake: raised, unless all are to be found; what is broken is then left out.
    """

    root: Path
    report: Report = field(default=refuse, compare=False)

    @property
    def whole(self) -> Path:
        """The conf that has the tables and stands beside features and expectations: ``root``, or conf of an overlay."""
        return self.root if (self.root / "tables").is_dir() else ROOT

    @cached_property
    def schemas(self) -> dict[str, Schema]:
        """Schemas by name; what they conform to is a table and its columns."""
        read = read_folder(self.root / "schemas", Schema, self.report)
        documents = [(document, self._with_lists(schema) if schema.codes_of else schema) for document, schema in read]
        for document, schema in documents:
            check_mappings(schema, document, self.written_tables, self.report)
        return _by(((d, (), schema) for d, schema in documents), "name", self.report, stem=True)

    def _with_lists(self, schema: Schema) -> Schema:
        """The schema with the code lists that it takes from elsewhere in conf."""
        pushed = [channel for channel in self.channels if channel.direction == "outbound"]
        rows = {"channel": self.channels, "outbound_channel": pushed}
        taken = {name: {row.code: row.label_zh for row in rows[of]} for name, of in schema.codes_of.items()}
        own = {name: schema.codes.get(name, {}) | codes for name, codes in taken.items()}
        return schema.model_copy(update={"codes": schema.codes | own})

    @cached_property
    def feeds(self) -> dict[str, Feed]:
        """Feeds by code; unit codes are unique and every schema is known."""
        documents = list(read_folder(self.root / "feeds", Feed, self.report))
        rows = [(document, (), feed) for document, feed in documents]
        feeds = _by(rows, "code", self.report, stem=True)
        _by(rows, "unit_code", self.report)
        channels = names_written(self.root / "channels.yml", "channels", "code")
        for document, feed in documents:
            if schema := self.schemas.get(feed.schema_name):
                _check_feed(feed, schema, channels, document, self.report)
                feeds[feed.code] = _narrow(feed, schema)
            elif not any((self.root / "schemas").rglob(f"{feed.schema_name}.yml")):  # a broken one is told of itself
                self.report(
                    UserError(
                        f"feed {feed.code}: no schema {feed.schema_name!r}",
                        where=document.where(("schema",)),
                        remedy=f"write schemas/{feed.schema_name}.yml, or: {suggest(feed.schema_name, self.schemas)}",
                    )
                )
        return feeds

    @cached_property
    def groups(self) -> tuple[ProductGroup, ...]:
        """Product groups in order of id."""
        return _number(read_rows(self.root / "groups.yml", "groups", ProductGroup, self.report), self.report)

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """Products in order of id; ids and codes are unique."""
        path = self.root / "products.yml"
        rows = read_rows(path, "products", Product, self.report)
        known = names_written(path, "products", "code") or set()
        having = Counter(key for _, _, product in rows for key in product.attributes)
        some = sum(bool(product.attributes) for _, _, product in rows)
        attributes = sorted(key for key, products in having.items() if 2 * products > some)
        groups = names_written(self.root / "groups.yml", "groups", "code")
        for document, loc, product in rows:
            check_references(product, known, attributes, document, loc, self.report)
            check_group(product, groups, document, loc, self.report)
        return _number(rows, self.report)

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Channels in order of id; ids are 0 … n-1.

        Reported is an id that is missing: masks have a place for each, so that a row taken out would shift the others.
        """
        path = self.root / "channels.yml"
        channels = _number(rows := read_rows(path, "channels", Channel, self.report), self.report)
        known = {channel.id for channel in channels}
        missing = sorted(set(range(max(known, default=-1) + 1)) - known)
        if missing and len(rows) == len(names_written(path, "channels", "code") or ()):  # else a row is broken
            self.report(
                UserError(
                    f"no channel has id {missing[0]}",
                    where=str(path),
                    remedy='a channel that is given up keeps its row, with `eligible: "false"`; a new one takes the next id',
                )
            )
        return channels

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Rules in the order of the file, which is the order of the funnel."""
        rows = read_rows(self.root / "rules.yml", "rules", Rule, self.report)
        _by(rows, "name", self.report)
        return tuple(rule for _, _, rule in rows)

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """Limits in the order of the file; a row with ``for_each`` is as many as its list has."""
        rows = read_rows(self.root / "limits.yml", "limits", Limit, self.report, partial(expand, self.lists))
        report = _once_a_place(self.report)
        _by(rows, "name", report)
        known = selectable(self)
        for document, loc, limit in rows:
            check_limit(limit, known, document, loc, report)
        return tuple(limit for _, _, limit in rows)

    @cached_property
    def phones(self) -> PhoneForms:
        """How phone numbers may be written: as the overlay says, or conf's own."""
        return load_phones(self.root if (self.root / "phones.yml").exists() else None)

    @property
    def lists(self) -> Lists:
        """What rows may stand for, by the name that ``for_each`` has for it."""
        return {
            "centre": lambda: self.geography.centres,
            "city": lambda: self.geography.cities,
            "channel": lambda: self.channels,
            "group": lambda: self.groups,
            "product": lambda: self.products,
        }

    @property
    def features_folder(self) -> Path:
        """Where features are declared: ``features/declared`` beside conf, or the overlay's ``features``."""
        beside = self.root.parent / "features" / "declared"
        return beside if self.root == self.whole and beside.is_dir() else self.root / "features"

    @cached_property
    def features(self) -> FeatureSet:
        """Declared features; an overlay's replace conf's own."""
        fallback = ROOT.parent / "features" / "declared"
        tables, schemas = self.written_tables, self.schemas
        files = {p.stem for p in (*(self.root / "schemas").rglob("*.yml"), *(self.whole / "tables").glob("*.yml"))}
        broken = files - set(schemas) - set(tables)
        return load_features(self.features_folder, fallback, tables, schemas, broken, self.report)

    @cached_property
    def written_tables(self) -> dict[str, Table]:
        """The tables of ``conf/tables`` by name (an overlay has conf's own)."""
        documents = read_folder(self.whole / "tables", Table, self.report)
        return _by(((document, (), table) for document, table in documents), "name", self.report, stem=True)

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """Declared figures by name (an overlay, and a conf of an earlier release, have conf's own)."""
        folder = self.whole / "figures"
        documents = read_folder(folder if folder.is_dir() else ROOT / "figures", Figure, self.report)
        rows = [(document, (), figure) for document, figure in documents]
        for document, _, figure in rows:
            table = self.written_tables.get(figure.table)
            known = {column.name for column in table.columns} if table else set(self.written_tables)
            if (figure.column if table else figure.table) not in known:
                key = "column" if table else "table"
                what = f"figure {figure.name}: there is no {key} {getattr(figure, key)!r}"
                remedy = suggest(str(getattr(figure, key)), known)
                self.report(UserError(what, where=document.where((key,)), remedy=remedy))
        return _by(rows, "name", self.report, stem=True)

    @cached_property
    def segments(self) -> dict[str, Segment]:
        """Segments by name, in the order of the file."""
        return _by(read_rows(self.root / "segments.yml", "segments", Segment, self.report), "name", self.report)

    @cached_property
    def usual(self) -> tuple[UsualKey, ...]:
        """The order in which customers labelled usual are served; empty where none is declared."""
        path = self.root / "usual.yml"
        rows = read_rows(path, "order", UsualKey, self.report) if path.exists() else []
        return tuple(row for _, _, row in rows)

    @cached_property
    def geography(self) -> Geography:
        """Cities and centres: the overlay's, or conf's own."""
        return load_geography(self.root if (self.root / "geography.yml").exists() else None)

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Every table by name: the written ones, ``raw_<schema>`` of schemas, partials and snapshot of features."""
        raw = {f"raw_{schema.name}": raw_table(schema) for schema in self.schemas.values()}
        return self.written_tables | raw | self.features.tables()

    def feeds_of(self, schema: str) -> list[Feed]:
        """The feeds that speak ``schema``."""
        return [feed for feed in self.feeds.values() if feed.schema_name == schema]


def _narrow(feed: Feed, schema: Schema) -> Feed:
    """The feed with ``holds`` spelt out where it says what it does not hold."""
    lists = {
        name: schema.codes.get(schema.by_name[name].codes, {}) for name in feed.holds_all_but if name in schema.by_name
    }
    rest = {
        name: tuple(code for code in codes if code not in feed.holds_all_but[name]) for name, codes in lists.items()
    }
    return feed.model_copy(update={"holds": feed.holds | rest}) if rest else feed


def _check_feed(feed: Feed, schema: Schema, channels: set[str] | None, document: Document, report: Report) -> None:
    """``holds`` narrows code fields to codes of their lists; a fixed width needs the widths of all fields.

    A channel that is written, but broken, or in a file that cannot be read (None), is told of itself.
    """
    holds = [("holds", *item) for item in feed.holds.items()]
    for key, name, codes in [*holds, *(("holds_all_but", *item) for item in feed.holds_all_but.items())]:
        field, where = schema.by_name.get(name), document.where((key, name))
        if field is None or not field.codes:
            lists = [field.name for field in schema.fields if field.codes]
            what = f"feed {feed.code}: {key}: {name!r} is no code field of schema {schema.name}"
            report(UserError(what, where=where, remedy=suggest(name, lists)))
            continue
        for code in codes:
            taken = field.codes in schema.codes_of and (channels is None or code in channels)
            if code not in schema.codes[field.codes] and not taken:
                what = f"feed {feed.code}: {key}: {name} has no code {code!r} in schema {schema.name}"
                report(UserError(what, where=where, remedy=suggest(code, schema.codes[field.codes])))
    narrow = [field.name for field in schema.fields if not field.width]
    if feed.layout == "fixed" and narrow:
        report(
            UserError(
                f"feed {feed.code} is fixed-width, but {schema.name}.{narrow[0]} has no width",
                where=document.where(("layout",)),
                remedy=f"give every field of schemas/{schema.name}.yml its `width` in bytes of GB18030",
            )
        )


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


def _by(rows: Iterable[tuple[Document, Loc, Row]], name: str, report: Report, *, stem: bool = False) -> dict[str, Row]:
    """Rows by the unique value of their field ``name``; with ``stem`` the file's name must be it."""
    index: dict[str, Row] = {}
    places: dict[str, str] = {}
    for document, loc, row in rows:
        key, where = str(getattr(row, name)), document.where((*loc, name))
        if key in index:
            remedy = f"it is also in {places[key]}: rename one"
            report(UserError(f"{name} {key!r} is given twice", where=where, remedy=remedy))
            continue
        if stem and document.path.stem != key:
            what = f"the file is called {document.path.name} but declares {key!r}"
            report(UserError(what, where=where, remedy=f"rename it to {key}.yml"))
        index[key], places[key] = row, where
    return index


def _once_a_place(report: Report) -> Report:
    """The first mistake of each place: a row that stands for many is wrong once."""
    places: set[str] = set()

    def first(mistake: UserError) -> None:
        if mistake.where not in places:
            places.add(mistake.where)
            report(mistake)

    return first


Numbered = TypeVar("Numbered", Product, ProductGroup, Channel)


def _number(rows: Sequence[tuple[Document, Loc, Numbered]], report: Report) -> tuple[Numbered, ...]:
    _by(rows, "code", report)
    _by(rows, "id", report)
    return tuple(sorted((row for _, _, row in rows), key=lambda row: row.id))
