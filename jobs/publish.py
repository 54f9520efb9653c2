"""Publish the night's plan: serving store, a file for each channel, figures, and the night report.

Only a plan whose certificate was accepted is published; where it was not, last night's stays in the store and
whoever refused since is taken out of it. Consent is looked up again now: an opt-out that came after eligibility
stops the contact. Phone numbers are decrypted here and nowhere else, for the campaign files only; each file leaves
a row in ``ops_audit``.

*Reads* assignment, recommendation, limit_price, funnel, candidate, eligible, consent, subscriber, vault, outcome,
and the ops tables.
*Writes* kpi, serving, ops_audit; the serving store; ``$CPC_HOME/published/<date>/``.
*Cost* one pass over tonight's assignment and recommendation; numbers: one decryption a contact.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.errors import MendableError
from conf.table import Column
from reporting import kpi, night_report
from runtime import audit
from runtime import run_id as identity
from runtime.lake import arrow_schema, nullable
from runtime.night import Figures, Night
from serving import campaign_files, stock
from serving import store as serving
from serving.release import accepted_run, record_of

READS = (
    "assignment",
    "recommendation",
    "limit_price",
    "funnel",
    "candidate",
    "eligible",
    "customer_features",
    "consent",
    "subscriber",
    "vault",
    "ops_run",
    "ops_delivery",
    "ops_quality",
    "ops_quarantine",
    "landing",
)
WRITES = ("kpi", "serving", "ops_audit")
READS_PREVIOUS = ("assignment", "limit_price", "kpi", "ops_run", "outcome")

#: The tables of the store, and what the store's rows say besides.
STORED = ("assignment", "recommendation", "limit_price", "funnel", "kpi")
WITHDRAWN = Column(name="withdrawn", type="boolean", doc="stopped by the customer since eligibility", nullable=False)
#: Rows a batch: bounds memory at any size of the night.
BATCH = 262_144
TARGETS = ("store", "files", "report")


def run(night: Night) -> Figures:
    """Publish the night if its certificate was accepted."""
    return publish(night, TARGETS)


def publish(night: Night, targets: Sequence[str]) -> Figures:
    """Publish to the given targets; what is not named stays as it is."""
    try:
        run_id = accepted_run(night)
    except MendableError as refusal:
        keep_last(night, refusal.what)
        raise
    plan = Plan(night, run_id, stop_keys(night))
    rows = kpi_rows(night, plan)
    night.lake.replace_arrow("kpi", rows, partition=night.partition)
    delivered: dict[str, tuple[int, str]] = {}
    figures: dict[str, Any] = {"run_id": run_id, "contacts": plan.tally.contacts, "withdrawn": plan.tally.withdrawn}
    if "files" in targets:
        folder = published(night)
        files, figures["without_number"] = write_files(night, plan, folder)
        delivered |= files
        figures["files"] = len(files)
    if "store" in targets:
        stored = to_store(night, plan, rows)
        delivered |= {f"store:{name}": (count, "") for name, count in stored.items()}
        figures["store_rows"] = sum(stored.values())
    if "report" in targets:
        path = published(night) / "report.html"
        delivered["report:report.html"] = (1, night_report.write(night, run_id, path))
        figures["report"] = str(path)
    night.lake.replace_arrow("serving", served(night, run_id, delivered), partition=night.partition)
    return figures | {"kpis": rows.num_rows}


def keep_last(night: Night, why: str) -> None:
    """Leave the last published night in the store, without those who refused since, and say why tonight is not."""
    keys = [(key // campaign_files.SPAN, key % campaign_files.SPAN) for key in stop_keys(night).to_pylist()]
    with serving.connect(night.settings) as store:
        last = serving.last_published(store, night.date)
        if last is not None:
            for table in ("assignment", "recommendation"):
                serving.withdraw(store, table, last, keys)
        serving.mark(store, night.date, identity.run_id(night), "refused", why)


def published(night: Night) -> Path:
    """Where the files of the night go."""
    return night.settings.home / "published" / night.date.isoformat()


@dataclass
class Tally:
    """What went through the publisher's hands."""

    contacts: int = 0
    withdrawn: int = 0


class Plan:
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
        """Outbound contacts that may happen: ``decision_id, customer_id, product, channel``, customers ascending."""
        wanted = ["decision_id", "customer_id", "product", "channel"]
        schema = arrow_schema(self.night.lake.table("assignment"))
        kept = []
        for batch in stream(self.night, "assignment", wanted):
            pushed = pc.is_in(batch["channel"], value_set=pa.array(list(self.outbound), pa.int16()))
            stopped = campaign_files.is_stopped(batch["customer_id"], batch["channel"], self.stops)
            self.tally.withdrawn += pc.sum(pc.and_(pushed, stopped)).as_py() or 0
            kept.append(batch.filter(pc.and_(pushed, pc.invert(stopped))))
        contacts = pa.Table.from_batches(kept, nullable(pa.schema([schema.field(name) for name in wanted])))
        self.tally.contacts = contacts.num_rows
        return contacts.sort_by("customer_id")


def stream(night: Night, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Tonight's partition of ``table`` in batches."""
    dataset = night.lake.delta(table).to_pyarrow_dataset()
    tonight = pc.field("business_date") == pa.scalar(night.date)
    yield from dataset.to_batches(columns=list(columns), filter=tonight, batch_size=BATCH)


def stop_keys(night: Night) -> pa.Array:
    """Who may not be contacted as of now: statements that have been loaded, stops and acceptances made on the store."""
    consent = night.lake.arrow("consent", columns=["customer_id", "event_time", "kind", "channel", "granted"])
    with serving.connect(night.settings) as store:
        stopped = pa.concat_tables([serving.stops(store), stock.stops(store, night.date, night.catalogue)])
    return campaign_files.stop_list(consent, stopped, night.catalogue.channels)


def write_files(night: Night, plan: Plan, folder: Path) -> tuple[dict[str, tuple[int, str]], int]:
    """A CSV a channel: contacts with numbers for outbound ones (mode 600), ranked offers for inbound ones.

    Returns:
        rows and SHA-256 by target, and how many contacts have no number to reach them.
    """
    from serving.phone_numbers import numbers_of

    folder.mkdir(parents=True, exist_ok=True)
    phones = numbers_of(night, plan.contacts["customer_id"])
    now = dt.datetime.now(dt.UTC)
    files: dict[str, tuple[int, str]] = {}
    events = []
    for channel in plan.outbound.values():
        contacts = plan.contacts.filter(pc.equal(plan.contacts["channel"], channel.id)).drop_columns(["channel"])
        rows = campaign_files.campaign(contacts, phones, channel, night.catalogue.products)
        name = f"contacts-{channel.code}.csv"
        files[f"file:{name}"] = (rows.num_rows, campaign_files.write_csv(folder / name, rows, 0o600))
        events.append(
            {
                "at": now,
                "who": "job publish",
                "what": f"numbers written to {name} of {night.date}",
                "why": f"campaign of run {plan.run_id}",
                "rows": rows.num_rows,
            }
        )
    audit.append(night.lake, events)
    missing = plan.contacts.num_rows - sum(count for count, _ in files.values())
    return files | offers(night, plan, folder), missing


def offers(night: Night, plan: Plan, folder: Path) -> dict[str, tuple[int, str]]:
    """A CSV an inbound channel: who comes is shown these, best first; no numbers."""
    columns = ["decision_id", "customer_id", "channel", "rank", "product", "value_micro", WITHDRAWN.name]
    batches = [batch.select(columns) for batch in plan.batches("recommendation")]
    files: dict[str, tuple[int, str]] = {}
    if not batches:
        return files
    table = pa.Table.from_batches(batches)
    table = table.filter(pc.invert(table[WITHDRAWN.name])).drop_columns([WITHDRAWN.name])
    codes = pa.table(
        {
            "product": pa.array([p.id for p in night.catalogue.products], pa.int16()),
            "product_code": [p.code for p in night.catalogue.products],
        }
    )
    for channel in night.catalogue.channels:
        rows = table.filter(pc.equal(table["channel"], channel.id))
        if channel.id in plan.outbound or not rows.num_rows:
            continue
        rows = rows.join(codes, "product").sort_by([("customer_id", "ascending"), ("rank", "ascending")])
        rows = rows.select(["decision_id", "customer_id", "rank", "product_code", "value_micro"])
        name = f"offers-{channel.code}.csv"
        files[f"file:{name}"] = (rows.num_rows, campaign_files.write_csv(folder / name, rows, 0o640))
    return files


def to_store(night: Night, plan: Plan, figures: pa.Table) -> dict[str, int]:
    """Swap the night into the serving store; readers see last night's until all of it is there."""
    tables = {name: night.lake.table(name) for name in STORED}
    counts: dict[str, int] = {}
    with serving.connect(night.settings) as store:
        for name, table in tables.items():
            if name in {"assignment", "recommendation"}:
                counts[name] = serving.load(store, table, night.date, plan.batches(name), [WITHDRAWN])
            else:
                rows = figures if name == "kpi" else night.lake.arrow(name, partition=night.partition)
                ordered = rows.select([column.name for column in table.columns])
                counts[name] = serving.load(store, table, night.date, ordered.to_batches())
        for table in tables.values():
            serving.swap(store, table, night.date)
        stock.open_day(store, night.date, night.lake.arrow("limit_price", partition=night.partition), night.catalogue)
        labels = ("id", "code", "label", "label_zh")
        for name, listed in (("product", night.catalogue.products), ("channel", night.catalogue.channels)):
            serving.replace_listing(store, name, [{key: getattr(row, key) for key in labels} for row in listed])
        serving.mark(store, night.date, plan.run_id, "published")
    return counts


def kpi_rows(night: Night, plan: Plan) -> pa.Table:
    """Tonight's rows of ``kpi``."""
    catalogue = night.catalogue
    rows = tonight_figures(plan, len(catalogue.rules), sum(p.launch_date <= night.date for p in catalogue.products))
    rows += kpi.planned(record_of(night, plan.run_id, "assign") or {})
    if night.lake.exists("outcome"):
        first, last = kpi.window(night.date)
        matured = night.table("outcome").where(f"matured and business_date between '{first}' and '{last}'")
        who = night.tonight("customer_features").select("customer_id", "city", "grade")
        slices = kpi.name_slices(kpi.tally(matured, who, catalogue.channels), catalogue.products, catalogue.channels)
        rows += kpi.ratios(slices) + kpi.against_control(slices)
    schema = nullable(arrow_schema(night.lake.table("kpi")))
    return pa.Table.from_pylist([{"business_date": night.date, **row} for row in rows], schema=schema)


def tonight_figures(plan: Plan, rules: int, on_sale: int) -> list[dict[str, Any]]:
    """What the plan itself says: contacts by channel, channels a product, complexity to manage (管理复杂度)."""
    contacts = plan.contacts
    rows = [
        kpi.figure("contacts", "all", float(contacts.num_rows), 1.0),
        kpi.figure("products_on_sale", "all", float(on_sale), 1.0),
        kpi.figure("rules", "all", float(rules), 1.0),
        kpi.figure("withdrawn", "all", float(plan.tally.withdrawn), 1.0),
    ]
    for channel in plan.outbound.values():
        count = pc.sum(pc.equal(contacts["channel"], channel.id)).as_py() or 0
        rows.append(kpi.figure("contacts", f"channel:{channel.code}", float(count), 1.0))
    pairs = contacts.group_by(["product", "channel"]).aggregate([])
    if pairs.num_rows:
        distinct = len(pc.unique(pairs["product"]))
        rows.append(kpi.figure("channels_per_product", "all", float(pairs.num_rows), float(distinct)))
    return rows


def served(night: Night, run_id: str, delivered: Mapping[str, tuple[int, str]]) -> pa.Table:
    """Tonight's rows of ``serving``."""
    rows = [
        {"business_date": night.date, "run_id": run_id, "target": target, "rows": count, "sha256": digest or None}
        for target, (count, digest) in sorted(delivered.items())
    ]
    return pa.Table.from_pylist(rows, schema=nullable(arrow_schema(night.lake.table("serving"))))
