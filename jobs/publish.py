"""Publish the night's plan: serving store, a file for each channel, figures, and the night report.

Only a plan whose certificate was accepted is published; where it was not, last night's stays in the store and
whoever refused since is taken out of it. Consent is looked up again now: an opt-out that came after eligibility
stops the contact. Phone numbers are decrypted here and nowhere else, for the campaign files only; each file leaves
a row in ``ops_audit``.

*Reads* assignment, recommendation, limit_price, funnel, candidate, eligible, consent, decision, contact, order,
complaint, impression, subscriber, vault, outcome, and the ops tables.
*Writes* kpi, serving, ops_audit; the serving store; ``$CPC_HOME/published/<date>/``.
*Cost* one pass over tonight's assignment and recommendation; numbers: one decryption a contact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.errors import UserError
from reporting import earned, feed_status, goals, kpi, night_report
from runtime.figures import AssignFigures, PublishFigures
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.run_record import record_of
from serving.publication import (
    Publication,
    keep_last,
    publication_folder,
    serving_rows,
    stop_keys,
    to_store,
    write_files,
)
from serving.release import require_accepted_run

READS = (
    "assignment",
    "recommendation",
    "limit_price",
    "funnel",
    "candidate",
    "eligible",
    "customer_features",
    "consent",
    "decision",
    "contact",
    "order",
    "complaint",
    "impression",
    "subscriber",
    "vault",
    "ops_run",
    "ops_delivery",
    "ops_quality",
    "ops_quarantine",
    "landing",
)
WRITES = ("kpi", "serving", "ops_audit")
READS_PREVIOUS = ("assignment", "recommendation", "funnel", "limit_price", "kpi", "ops_run", "outcome")

TARGETS = ("store", "files", "report")


def run(night: Night) -> PublishFigures:
    """Publish the night if its certificate was accepted."""
    return publish(night, TARGETS)


def publish(night: Night, targets: Sequence[str]) -> PublishFigures:
    """Publish to the given targets; what is not named stays as it is."""
    try:
        run_id = require_accepted_run(night)
    except UserError as refusal:
        keep_last(night, refusal.what)
        raise
    plan = Publication(night, run_id, stop_keys(night))
    rows = kpi_rows(night, plan)
    night.lake.replace_arrow("kpi", rows, partition=night.partition)
    delivered: dict[str, tuple[int, str]] = {}
    extra: dict[str, int | str] = {}  # of the targets alone
    if "files" in targets:
        folder = publication_folder(night)
        files, extra["without_number"] = write_files(night, plan, folder)
        delivered |= files
        extra["files"] = len(files)
    if "store" in targets:
        stored, amiss = to_store(night, plan, rows)
        delivered |= {f"store:{name}": (count, "") for name, count in stored.items()}
        extra["store_rows"] = sum(stored.values())
        extra |= {"store_warning": amiss} if amiss else {}
    if "report" in targets:
        path = publication_folder(night) / "report.html"
        delivered["report:report.html"] = (1, night_report.write(night, run_id, path))
        extra["report"] = str(path)
    night.lake.replace_arrow("serving", serving_rows(night, run_id, delivered), partition=night.partition)
    tally, kpis = plan.tally, rows.num_rows
    return PublishFigures(run_id=run_id, contacts=tally.contacts, withdrawn=tally.withdrawn, kpis=kpis, **extra)


def kpi_rows(night: Night, plan: Publication) -> pa.Table:
    """Tonight's rows of ``kpi``."""
    catalogue = night.catalogue
    rows = tonight_figures(plan, len(catalogue.rules), sum(p.launch_date <= night.date for p in catalogue.products))
    rows += kpi.feeds(feed_status.read(night))
    if record := record_of(night, plan.run_id, AssignFigures.job):
        rows += kpi.plan_figures(record.read(AssignFigures))
    if night.lake.exists("outcome"):
        first, last = kpi.window(night.date)
        matured = night.table("outcome").where(f"matured and business_date between '{first}' and '{last}'")
        who = night.tonight("customer_features").select("customer_id", "city", "grade")
        slices = kpi.name_slices(kpi.tally(matured, who, catalogue.channels), catalogue.products, catalogue.channels)
        rows += kpi.ratios(slices, catalogue.figures)
    if night.lake.exists("decision") or night.lake.exists("assignment"):
        rows += earned.gather(night)
    rows += goals.gather(night)
    schema = nullable(arrow_schema(night.lake.table("kpi")))
    described = kpi.describe(rows, catalogue.figures)
    return pa.Table.from_pylist([{"business_date": night.date, **row} for row in described], schema=schema)


def tonight_figures(plan: Publication, rules: int, on_sale: int) -> list[dict[str, Any]]:
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
