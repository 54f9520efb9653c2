"""The night's plan on its way out: stop-list laid over it, into the store, into a file a channel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.dates import SHANGHAI
from conf.offer import Channel, Product
from runtime import audit
from runtime import run_id as identity
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from serving import campaign_files, manifest, stock
from serving import store as serving
from serving.schema import STORED, WITHDRAWN, Connection, act_patiently, take_role, tell_roles
from serving.store_comments import comment

#: Rows a batch: bounds memory at any size of the night.
BATCH = 262_144


def keep_last(night: Night, why: str) -> None:
    """Leave the last published night in the store, without those who refused since, and say why tonight is not."""
    keys = [(key // campaign_files.SPAN, key % campaign_files.SPAN) for key in stop_keys(night).to_pylist()]
    with serving.connect(night.settings) as store:
        last = serving.last_published(store, night.date)
        if last is not None:
            for table in ("assignment", "recommendation"):
                serving.withdraw(store, table, last, keys)
        serving.mark(store, night.date, identity.run_id(night), "refused", why)


def publication_folder(night: Night) -> Path:
    """Where the files of the night go."""
    return night.settings.home / "published" / night.date.isoformat()


@dataclass
class Tally:
    """What went through the publisher's hands."""

    contacts: int = 0
    withdrawn: int = 0


class Publication:
    """Tonight's plan as a stream of batches, with the stop-list laid over it."""

    def __init__(self, night: Night, run_id: str, stops: pa.Array) -> None:
        self.night, self.run_id, self.stops = night, run_id, stops
        self.outbound = {c.id: c for c in night.catalogue.channels if c.direction == "outbound"}
        self.tally = Tally()
        self.contacts = self._contacts()

    def batches(self, table: str) -> Iterator[pa.RecordBatch]:
        """Batches of ``table`` of tonight in the order of the catalogue, with ``withdrawn`` as the last column."""
        names = [column.name for column in self.night.lake.table(table).columns]
        for batch in stream(self.night, table, names):
            stopped = campaign_files.is_stopped(batch["customer_id"], batch["channel"], self.stops)
            yield batch.append_column(WITHDRAWN.name, stopped)

    def _contacts(self) -> pa.Table:
        """Outbound contacts that may happen, with value and reason, customers ascending."""
        wanted = ["decision_id", "customer_id", "product", "channel", "value_micro", "reason"]
        schema = arrow_schema(self.night.lake.table("assignment"))
        batches = []
        for batch in stream(self.night, "assignment", wanted):
            pushed = pc.is_in(batch["channel"], value_set=pa.array(list(self.outbound), pa.int16()))
            stopped = campaign_files.is_stopped(batch["customer_id"], batch["channel"], self.stops)
            self.tally.withdrawn += pc.sum(pc.and_(pushed, stopped)).as_py() or 0
            batches.append(batch.filter(pc.and_(pushed, pc.invert(stopped))))
        contacts = pa.Table.from_batches(batches, nullable(pa.schema([schema.field(name) for name in wanted])))
        self.tally.contacts = contacts.num_rows
        return contacts.sort_by("customer_id")


def stream(night: Night, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Tonight's partition of ``table`` in batches."""
    dataset = night.lake.open(table).to_pyarrow_dataset()
    tonight = pc.field("business_date") == pa.scalar(night.date)
    yield from dataset.to_batches(columns=list(columns), filter=tonight, batch_size=BATCH)


def stop_keys(night: Night) -> pa.Array:
    """Who may not be contacted as of now: statements that have been loaded, stops and acceptances made on the store."""
    consent = night.lake.arrow("consent", columns=["customer_id", "event_time", "kind", "channel", "granted"])
    with serving.connect(night.settings, alone=False) as store:
        stopped = pa.concat_tables([serving.stops(store), stock.stops(store, night.date, night.catalogue)])
    return campaign_files.stop_list(consent, stopped, night.catalogue.channels)


def write_files(
    night: Night, plan: Publication, folder: Path, only: Channel | None = None
) -> tuple[dict[str, tuple[int, str]], int]:
    """A release of the campaign folder: contacts with numbers for outbound channels (mode 600), offers for inbound ones.

    Args:
        night: the night.
        plan: its plan.
        folder: the campaign folder.
        only: the one channel whose file is written; else all, and the folder holds nothing else of the plan.

    Returns:
        rows and SHA-256 by target, and how many contacts have no number to reach them.
    """
    from serving.phone_numbers import numbers_of

    why = f"campaign of run {plan.run_id}"
    channels = [channel for channel in night.catalogue.channels if only in (None, channel)]
    outbound = [channel for channel in channels if channel.id in plan.outbound]
    contacts = plan.contacts.filter(pc.is_in(plan.contacts["channel"], pa.array([c.id for c in outbound], pa.int16())))
    phones = numbers_of(night, contacts["customer_id"])
    people, second = read_people(night), read_second(night, plan)
    until = f"{night.date + dt.timedelta(days=1)} 00:00"
    with manifest.release(folder, plan.run_id, who=audit.name_user(), why=why, only=only is not None) as wave:
        files = {}
        for channel in outbound:
            rows = contacts.filter(pc.equal(contacts["channel"], channel.id)).drop_columns(["channel"])
            campaign = campaign_files.name_campaign(plan.run_id, channel)
            facts = campaign_files.CampaignFacts(campaign, until)
            rows = campaign_files.campaign(rows, phones, channel, night.catalogue.products, people, second, facts)
            name = name_file(channel)
            files[f"file:{name}"] = wave.add(name, rows, 0o600, channel=channel.code, campaign=campaign)
        missing = contacts.num_rows - sum(count for count, _ in files.values())
        inbound = [channel for channel in channels if channel.direction == "inbound"]
        files |= _write_offers(night, plan, wave, inbound, people)
        with_numbers = [channel for channel in channels if channel in outbound or channel.knows_numbers]
        audit.append(night.lake, [_note_numbers(night, channel, files, why) for channel in with_numbers])
        return files, missing


def _note_numbers(night: Night, channel: Channel, files: Mapping[str, tuple[int, str]], why: str) -> dict[str, Any]:
    name = name_file(channel)
    rows, _ = files.get(f"file:{name}", (0, ""))
    return audit.make_event(f"job publish: numbers written to {name} of {night.date}", why, rows)


def read_people(night: Night) -> pa.Table:
    """``customer_id`` and `campaign_files.PEOPLE`` of tonight's population.

    Centre, city and grade are those of ``customer_features``, as published, which limits and segments read; the account
    manager is that of the profile in force. What a home of before does not have is null.
    """
    names = [name for name in campaign_files.PEOPLE if name != "manager"]
    schema = pa.schema([("customer_id", pa.int64()), *((name, pa.string()) for name in names)])
    people = schema.empty_table()
    if night.lake.exists("customer_features"):
        dataset = night.lake.delta("customer_features").to_pyarrow_dataset()
        have = [name for name in names if name in dataset.schema.names]
        tonight = pc.field("business_date") == pa.scalar(night.date)
        read = dataset.to_table(columns=["customer_id", *have], filter=tonight)
        columns = [read[n] if n in read.column_names else pa.nulls(read.num_rows, pa.string()) for n in schema.names]
        people = pa.table(columns, names=schema.names).cast(schema)
    return people.join(_read_managers(night), "customer_id")


def _read_managers(night: Night) -> pa.Table:
    """``customer_id, manager`` of the profiles in force when the night's day begins."""
    empty = pa.schema([("customer_id", pa.int64()), ("manager", pa.string())]).empty_table()
    if not night.lake.exists("customer"):
        return empty
    known = (pc.field("valid_from") < night.day_start) & (pc.field("arrived_at") < night.cut_off)
    columns = ["customer_id", "valid_from", "arrived_at", "manager_id"]
    rows = night.lake.delta("customer").to_pyarrow_dataset().to_table(columns=columns, filter=known)
    latest = rows.sort_by([(name, "ascending") for name in columns]).group_by("customer_id", use_threads=False)
    return latest.aggregate([("manager_id", "last")]).rename_columns(["customer_id", "manager"]).cast(empty.schema)


def read_second(night: Night, plan: Publication) -> pa.Table:
    """``customer_id`` and `campaign_files.SECOND`` (codes): the first alternate of those who are contacted."""
    columns = ["customer_id", "channel", "rank", "product", WITHDRAWN.name]
    pushed = pa.array(list(plan.outbound), pa.int16())
    parts = []
    for batch in plan.batches("recommendation"):
        rows = batch.select(columns)
        second = pc.and_(pc.is_in(rows["channel"], value_set=pushed), pc.equal(rows["rank"], 2))
        parts.append(rows.filter(pc.and_(second, pc.invert(rows[WITHDRAWN.name]))))
    empty = pa.schema([("customer_id", pa.int64()), *((name, pa.string()) for name in campaign_files.SECOND)])
    if not parts:
        return empty.empty_table()
    rows = pa.Table.from_batches(parts)
    products = _name_codes(rows["product"], night.catalogue.products)
    channels = _name_codes(rows["channel"], night.catalogue.channels)
    return pa.table([rows["customer_id"], products, channels], names=empty.names).cast(empty)


def _name_codes(ids: pa.ChunkedArray, listed: Sequence[Product] | Sequence[Channel]) -> pa.ChunkedArray:
    known, codes = pa.array([row.id for row in listed], ids.type), pa.array([row.code for row in listed], pa.string())
    return codes.take(pc.index_in(ids.combine_chunks(), value_set=known))


def name_file(channel: Channel) -> str:
    """The file of a channel in the campaign folder."""
    return f"{'contacts' if channel.direction == 'outbound' else 'offers'}-{channel.code}.csv"


def _write_offers(
    night: Night, plan: Publication, wave: manifest.Release, channels: Sequence[Channel], people: pa.Table
) -> dict[str, tuple[int, str]]:
    """A CSV an inbound channel: who comes is shown these, best first.

    Rows are keyed by customer, or by number (mode 600) where the channel is declared to know numbers.
    """
    from serving.phone_numbers import numbers_of

    taken = ["decision_id", "customer_id", "channel", "rank", "product", "value_micro", "slate_probability"]
    columns = [*taken, "valid_until", WITHDRAWN.name]
    batches = [batch.select(columns) for batch in plan.batches("recommendation")] if channels else []
    files: dict[str, tuple[int, str]] = {}
    if not batches:
        return files
    table = pa.Table.from_batches(batches)
    table = table.filter(pc.invert(table[WITHDRAWN.name])).drop_columns([WITHDRAWN.name])
    local = table["valid_until"].cast(pa.timestamp("s", SHANGHAI.key))
    table = table.drop_columns(["valid_until"]).append_column("valid_until", pc.strftime(local, "%Y-%m-%d %H:%M"))
    codes = campaign_files.describe_products(night.catalogue.products)
    for channel in channels:
        rows = table.filter(pc.equal(table["channel"], channel.id))
        if not rows.num_rows:
            continue
        key = "customer_id"
        if channel.knows_numbers:
            key = "phone"
            rows = rows.join(numbers_of(night, rows["customer_id"]), "customer_id", join_type="inner")
        campaign = campaign_files.name_campaign(plan.run_id, channel)
        rows = rows.join(codes, "product").join(people, "customer_id")
        rows = rows.append_column("campaign_id", pa.array([campaign] * rows.num_rows, pa.string()))
        rows = rows.sort_by([("customer_id", "ascending"), ("rank", "ascending")])
        shown = ["decision_id", key, "rank", "product_code", "product_label", "product_label_zh", "price"]
        shown += ["value_micro", "slate_probability", "valid_until", "campaign_id", *campaign_files.PEOPLE]
        name = name_file(channel)
        mode = 0o600 if channel.knows_numbers else 0o640
        files[f"file:{name}"] = wave.add(name, rows.select(shown), mode, channel=channel.code, campaign=campaign)
    return files


def to_store(night: Night, plan: Publication, figures: pa.Table) -> tuple[dict[str, int], str]:
    """Put the night into the serving store; readers see what was there until all of it is, and none of them waits.

    Returns:
        rows by table, and what is amiss with the store's roles, empty if nothing is.
    """
    counts = serving.publish_patiently(night.settings, lambda store: _fill(store, night, plan, figures))
    with serving.connect(night.settings, alone=False) as store:

        def withdraw(alone: Connection) -> None:
            take_role(alone)
            serving.withdraw_stopped(alone, night.date)

        act_patiently(store, withdraw, "stops of this moment")
        return counts, tell_roles(store)


def _fill(store: Connection, night: Night, plan: Publication, figures: pa.Table) -> dict[str, int]:
    tables = {name: night.lake.table(name) for name in STORED}
    counts: dict[str, int] = {}
    for name, table in tables.items():
        if name in {"assignment", "recommendation"}:
            counts[name] = serving.load(store, table, night.date, plan.batches(name), [WITHDRAWN])
        else:
            rows = figures if name == "kpi" else night.lake.arrow(name, partition=night.partition)
            ordered = rows.select([column.name for column in table.columns])
            counts[name] = serving.load(store, table, night.date, ordered.to_batches())
    for table in tables.values():
        serving.swap(store, table, night.date)
    comment(store, tables.values(), night.catalogue.figures)
    stock.open_day(store, night.date, night.lake.arrow("limit_price", partition=night.partition), night.catalogue)
    serving.update_listing(store, "product", [list_product(product) for product in night.catalogue.products])
    serving.update_listing(store, "channel", [list_channel(channel) for channel in night.catalogue.channels])
    serving.mark(store, night.date, plan.run_id, "published")
    return counts


def list_product(product: Product) -> dict[str, Any]:
    """What the store says of a product."""
    labels = {key: getattr(product, key) for key in ("id", "code", "label", "label_zh", "price", "term_months")}
    days = {"launch_date": product.launch_date, "end_date": product.end_date}
    return {**labels, "product_group": product.group, **days}


def list_channel(channel: Channel) -> dict[str, Any]:
    """What the store says of a channel."""
    return {key: getattr(channel, key) for key in ("id", "code", "label", "label_zh", "direction", "cost")}


def serving_rows(night: Night, run_id: str, delivered: Mapping[str, tuple[int, str]]) -> pa.Table:
    """Tonight's rows of ``serving``."""
    rows = [
        {"business_date": night.date, "run_id": run_id, "target": target, "rows": count, "sha256": digest or None}
        for target, (count, digest) in sorted(delivered.items())
    ]
    return pa.Table.from_pylist(rows, schema=nullable(arrow_schema(night.lake.table("serving"))))
