"""Decides what may be offered to whom, where: every active customer's arcs after every rule, and the funnel.

The snapshot of D is joined with the state of the customer (`jobs/rules/state.py`); each rule becomes the bits it
removes; what is left is one mask of products a channel. The bits of every rule are kept, so that an
explanation of this night needs neither Spark nor tonight's rules.

*Reads* `customer_features` of D, `consent`, `complaint`, `order`, `contact` as the night may see them.
*Writes* `eligible` (a row for every active customer) and `funnel` (a row for every rule).
*Cost* grows with customers × rules, and with consents, tickets and orders kept; never with products × channels.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import functions as sf

from conf.errors import MendableError
from jobs import staging
from jobs.night import Figures, Night
from jobs.rules import state
from jobs.rules.arcs import Arcs
from jobs.rules.steps import Step, steps

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

READS = ("customer_features", "consent", "complaint", "order", "contact")
WRITES = ("eligible", "funnel")
READS_PREVIOUS: tuple[str, ...] = ()


def run(night: Night) -> Figures:
    """Write the arcs of every active customer, and the funnel."""
    catalogue = night.catalogue
    found = steps(catalogue, night.date)
    arcs = Arcs(found, catalogue.products, catalogue.channels)
    if not night.lake.files("customer_features", night.partition):
        raise MendableError(
            f"there is no snapshot of {night.date}", where="customer_features",
            remedy=f"cpc nightly --date {night.date} --until eligibility",
        )  # fmt: skip
    rows = decided(with_state(night), found, arcs, night.date)
    customers = staging.replace(night.lake, "eligible", rows, partitions=[night.partition])
    counts = night.tonight("eligible").selectExpr(*arcs.counts()).collect()[0].asDict()
    funnel = funnel_rows(found, counts, night.date)
    schema = night.lake.arrow("funnel").schema
    night.lake.replace_arrow("funnel", pa.Table.from_pylist(funnel, schema=schema), partition=night.partition)
    last = funnel[-1]
    return {
        "customers": customers,
        "rules": len(found),
        "customers_with_an_arc": last["customers_left"],
        "customers_with_an_outbound_arc": last["outbound_customers_left"],
        "arcs": last["arcs_before"] - last["arcs_removed"],
        "arcs_considered": funnel[0]["arcs_before"],
    }


def with_state(night: Night) -> DataFrame:
    """The snapshot of D with the state of every customer beside it."""
    catalogue = night.catalogue
    snapshot = night.tonight("customer_features").drop("business_date")
    wanted = state.columns(catalogue.channels)
    if clash := sorted(set(snapshot.columns) & set(wanted)):
        raise MendableError(
            f"a feature has the name of a state column: {clash[0]!r}", where="features/declared",
            remedy="rename the feature; docs/developer/entities.md lists the state columns",
        )  # fmt: skip

    def events(entity: str) -> DataFrame:
        return state.seen(night.table(entity), night.day_start, night.cut_off)

    recent = f"data_date >= date'{night.date - dt.timedelta(days=state.CONTACT_DAYS)}'"
    contacted = state.contacts(events("contact").where(recent), catalogue.products, catalogue.channels, night.date)
    parts = [
        state.consents(events("consent"), catalogue.channels),
        state.tickets(events("complaint"), night.date),
        state.holdings(events("order"), catalogue.products, night.date, night.day_start),
        contacted,
    ]
    if "group_id" in snapshot.columns:
        members = snapshot.where("group_id is not null").select("customer_id", "group_id")
        parts.append(state.groups(members, contacted))
    rows = snapshot
    for part in parts:
        rows = rows.join(part, "customer_id", "left")
    return state.filled(rows, wanted)


def decided(rows: DataFrame, found: Sequence[Step], arcs: Arcs, date: dt.date) -> DataFrame:
    """Rows of `eligible`: the bits each step removes, the masks left, the step that left nothing.

    Raises:
        MendableError: a predicate that Spark does not understand; names its file and line.
    """
    try:
        removed = rows.select(
            "customer_id", sf.expr(f"array({', '.join(step.sql for step in found)})").alias("removed")
        )
    except (AnalysisException, ParseException) as error:
        raise misread(rows, found, error) from error
    masked = removed.select(
        sf.lit(date).alias("business_date"), "customer_id", "removed",
        sf.expr(arcs.masks()).alias("masks"),
        sf.expr(arcs.reason()).alias("reason"),
        sf.expr(arcs.reason(("outbound",))).alias("outbound_reason"),
    )  # fmt: skip
    hashed = sf.expr("left(sha2(concat_ws(',', cast(masks as array<string>)), 256), 32)")
    ordered = masked.withColumn("eligible_hash", hashed).repartition("customer_id")
    return ordered.sortWithinPartitions("customer_id")


def misread(rows: DataFrame, found: Sequence[Step], error: Exception) -> MendableError:
    """Which rule Spark did not understand."""
    for step in found:
        try:
            rows.select(sf.expr(f"cast({step.sql} as bigint)"))
        except (AnalysisException, ParseException) as fault:
            return MendableError(
                f"rule {step.name}: {str(fault).splitlines()[0]}",
                where=step.where,
                remedy="name features of conf/generated/features.yml and state columns of docs/developer/entities.md",
            )
    return MendableError(str(error).splitlines()[0], where="rules.yml")


def funnel_rows(found: Sequence[Step], counts: dict[str, Any], date: dt.date) -> list[dict[str, Any]]:
    """Rows of `funnel` from the aggregates of `Arcs.counts` (null where there is no customer)."""
    rows = []
    for k, step in enumerate(found):
        before = "_" if k == 0 else str(k - 1)
        total = {
            name: int(counts[name] or 0) for name in (f"a{before}", f"a{k}", f"c{k}", f"oa{before}", f"oa{k}", f"oc{k}")
        }
        rows.append(
            {
                "business_date": date, "position": k, "rule": step.name,
                "arcs_before": total[f"a{before}"], "arcs_removed": total[f"a{before}"] - total[f"a{k}"],
                "customers_left": total[f"c{k}"],
                "outbound_arcs_before": total[f"oa{before}"],
                "outbound_arcs_removed": total[f"oa{before}"] - total[f"oa{k}"],
                "outbound_customers_left": total[f"oc{k}"],
                "scope": step.scope, "direction": step.direction, "reason": step.reason, "reason_zh": step.reason_zh,
            }
        )  # fmt: skip
    return rows
