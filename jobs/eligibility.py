"""Decides what may be offered to whom, where: every active customer's arcs after every rule, and the funnel.

The snapshot of D is joined with the state of the customer (`planning/eligibility/customer_state.py`); each rule becomes the bits it
removes; what is left is one mask of products a channel. The bits of every rule are kept, so that an
explanation of this night needs neither Spark nor tonight's rules. While too many refusals are of numbers that nobody
holds, whom not to contact is not known, and nobody is contacted.

*Reads* `customer_features` of D, `consent`, `complaint`, `order`, `contact` as the night may see them.
*Writes* `eligible` (a row for every active customer) and `funnel` (a row for every rule).
*Cost* grows with customers × rules, and with consents, tickets and orders kept; never with products × channels.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import functions as sf

from conf.catalogue import Catalogue
from conf.errors import UserError, raise_all
from models.arrays import Ints
from models.bit_sets import read_sets, widen, write_sets
from planning.eligibility import customer_state
from planning.eligibility import masks as arcs
from planning.eligibility.masks import Shape
from planning.eligibility.rules import RuleStep, shape_of, steps
from runtime import spark_tables
from runtime.clauses import Clause, Columns, columns_of, misunderstood, reason_of
from runtime.figures import EligibilityFigures
from runtime.holds import OUTBOUND_STOP, read_unowned_refusals
from runtime.night import Night
from runtime.parquet_files import WrittenFile, write_file

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

READS = ("customer_features", "consent", "complaint", "order", "contact")
WRITES = ("eligible", "funnel")
READS_PREVIOUS = ("ops_reconciliation", "ops_release")


#: Up to this many customers are decided in this process; more are spread as tasks that get file names.
ALONE = 2_000_000


def run(night: Night) -> EligibilityFigures:
    """Write the arcs of every active customer, and the funnel."""
    catalogue = night.catalogue
    rules, stop = funnel_steps(night), read_unowned_refusals(night.lake, catalogue, night.date)
    shape = shape_of(rules, catalogue.products, catalogue.channels)
    if not night.lake.files("customer_features", night.partition):
        raise UserError(
            f"there is no snapshot of {night.date}",
            where="customer_features",
            remedy=f"cpc nightly --date {night.date} --until eligibility",
        )
    root = night.lake.path("eligible")
    night.lake.delta("eligible")
    files, counts = [], np.zeros((4, len(rules) + 1), np.int64)
    with tempfile.TemporaryDirectory(dir=night.settings.home) as folder:
        staged = spark_tables.stage(removals(with_state(night), rules), Path(folder), ())
        parts = [str(Path(folder) / file.path) for file in staged]
        decide = partial(decide_part, root=str(root), date=night.date, shape=shape)
        if sum(file.rows for file in staged) <= ALONE:
            done = [decide(part) for part in parts]
        else:
            done = night.spark.sparkContext.parallelize(parts, len(parts)).map(decide).collect()
    for file, part in done:
        files.append(file)
        counts += part
    night.lake.commit_files("eligible", files, replace=[night.partition])
    funnel = funnel_rows(rules, counts, night.date)
    schema = night.lake.arrow("funnel").schema
    night.lake.replace_arrow("funnel", pa.Table.from_pylist(funnel, schema=schema), partition=night.partition)
    return EligibilityFigures(
        customers=sum(file.rows for file in files),
        rules=len(rules),
        customers_with_an_arc=int(counts[1, -1]),
        customers_with_an_outbound_arc=int(counts[3, -1]),
        arcs=int(counts[0, -1]),
        arcs_considered=int(counts[0, 0]),
        outbound_stopped="; ".join(f"{hold.feed}: {', '.join(hold.checks)}" for hold in stop) or None,
    )


def funnel_steps(night: Night) -> list[RuleStep]:
    """The funnel of a night: what conf says, and at its end the stop of all outbound contacts where refusals ask for it."""
    catalogue = night.catalogue
    order = steps(catalogue, night.date)
    stop = read_unowned_refusals(night.lake, catalogue, night.date)
    if not stop:
        return order
    refusals, feeds = sum(hold.records for hold in stop), ", ".join(sorted({hold.feed for hold in stop}))
    outbound = sum(1 << channel.id for channel in catalogue.channels if channel.direction == "outbound")
    reason = f"nobody is contacted: whose {refusals:,} refusals of {feeds} are is not known"
    return [
        *order,
        RuleStep(
            OUTBOUND_STOP,
            "customer",
            "outbound",
            (f"{outbound}L",),
            reason,
            f"{feeds} 的 {refusals:,} 条拒绝无法匹配客户",
        ),
    ]


def recount(night: Night) -> dict[str, Any]:
    """What the rules of now remove over the snapshot of ``night``, against what they removed in it. Writes nothing.

    Returns:
        ``rules``: a row for each rule whose bits are not for every customer what they were; ``arcs`` and ``customers``
        left by all of them, then and now.
    """
    catalogue = night.catalogue
    rules = funnel_steps(night)
    shape = shape_of(rules, catalogue.products, catalogue.channels)
    with tempfile.TemporaryDirectory(dir=night.settings.home) as folder:
        staged = spark_tables.stage(removals(with_state(night), rules), Path(folder), ())
        rows = pa.concat_tables([pq.read_table(Path(folder) / file.path) for file in staged]).sort_by("customer_id")
    removed = _bits(rows, len(rules))
    customers = rows["customer_id"].to_numpy()
    now = {row["rule"]: row for row in funnel_rows(rules, arcs.totals(arcs.leave(removed, shape)), night.date)}
    then = {row["rule"]: row for row in _in_order(night.lake.arrow("funnel", partition=night.partition))}
    names = ["customer_id", "removed", "removed_more"]
    eligible = night.lake.arrow("eligible", partition=night.partition, columns=names).sort_by("customer_id")
    before = read_sets(eligible, "removed")
    words = max(before.shape[2], removed.shape[2])  # a product may have been the first one of a word
    before, removed = widen(before, words), widen(removed, words)
    _, here, there = np.intersect1d(customers, eligible["customer_id"].to_numpy(), return_indices=True)
    columns = {name: before[:, k] for k, name in enumerate(then)}
    changed = []
    for k, step in enumerate(rules):
        was, bits = columns.get(step.name), removed[:, k]
        if was is None or not np.array_equal(was[there], bits[here]):
            changed.append(_change(step.name, was, bits, then.get(step.name), now[step.name]))
    changed += [_change(name, columns[name], None, then[name], None) for name in then if name not in now]
    return {"rules": changed, "then": _count_left(then.values()), "now": _count_left(now.values())}


def _bits(rows: pa.Table, steps: int) -> Ints:
    """What `removals` gives, (customers, steps, words): there it is all steps' first words, then all their second ones."""
    flat = rows["removed"].combine_chunks().flatten().to_numpy()
    return flat.reshape(rows.num_rows, -1, steps).transpose(0, 2, 1)


def _in_order(funnel: pa.Table) -> list[dict[str, Any]]:
    return sorted(funnel.to_pylist(), key=lambda row: row["position"])


def _change(
    name: str,
    was: Ints | None,
    bits: Ints | None,
    then: Mapping[str, Any] | None,
    now: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """A rule then and now: customers it bears on, and arcs it removes in its place in the funnel."""
    return {
        "rule": name,
        "customers_then": int(was.any(axis=1).sum()) if was is not None else 0,
        "customers_now": int(bits.any(axis=1).sum()) if bits is not None else 0,
        "arcs_then": then["arcs_removed"] if then else 0,
        "arcs_now": now["arcs_removed"] if now else 0,
    }


def _count_left(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """What the last rule of a funnel leaves."""
    last = list(rows)[-1]
    arcs_left = {of: last[f"{of}arcs_before"] - last[f"{of}arcs_removed"] for of in ("", "outbound_")}
    customers = {of: last[f"{of}customers_left"] for of in arcs_left}
    return {f"{of}arcs": count for of, count in arcs_left.items()} | {
        f"{of}customers": n for of, n in customers.items()
    }


def decide_part(path: str, *, root: str, date: dt.date, shape: Shape) -> tuple[WrittenFile, Ints]:
    """A task: bits removed of some customers → their rows of `eligible`, written below ``root``, and their counts."""
    rows = pq.read_table(path).sort_by("customer_id")
    table, counts = build_eligible(rows, date, shape)
    return write_file(Path(root), table, {"business_date": date}), counts


def build_eligible(rows: pa.Table, date: dt.date, shape: Shape) -> tuple[pa.Table, Ints]:
    """Rows of `eligible` (without its partition column) from those of `removals`, and `arcs.totals` of them."""
    removed = _bits(rows, len(shape.names))
    left = arcs.leave(removed, shape)
    masks, more_masks = write_sets(left.masks)
    each, more_each = write_sets(removed)
    table = pa.table(
        {
            "customer_id": rows["customer_id"],
            "draw_key": rows["draw_key"],
            "recent_milli": rows["recent_milli"],
            "masks": masks,
            "masks_more": more_masks,
            "reason": pa.array(arcs.first_empty(left.arcs, shape.names), pa.string()),
            "outbound_reason": pa.array(arcs.first_empty(left.outbound, shape.names), pa.string()),
            "removed": each,
            "removed_more": more_each,
            "eligible_hash": pa.array(arcs.hashes(left.masks), pa.string()),
        }
    )
    return table, arcs.totals(left)


def with_state(night: Night) -> DataFrame:
    """The snapshot of D with the state of every customer beside it."""
    catalogue = night.catalogue
    snapshot = night.tonight("customer_features").drop("business_date")
    wanted = customer_state.columns(catalogue.channels, customer_state.words_of(catalogue.products))
    raise_all(list(clashes(snapshot.columns, wanted)))

    def events(entity: str) -> DataFrame:
        return customer_state.select_visible(night.table(entity), night.day_start, night.cut_off)

    recent = f"data_date >= date'{night.date - dt.timedelta(days=customer_state.CONTACT_DAYS)}'"
    contacted = customer_state.contacts(
        events("contact").where(recent), catalogue.products, catalogue.channels, night.date
    )
    parts = [
        customer_state.consents(events("consent"), catalogue.channels),
        customer_state.tickets(events("complaint"), night.date),
        customer_state.holdings(events("order"), catalogue.products, night.date, night.day_start),
        contacted,
    ]
    if "group_id" in snapshot.columns:
        members = snapshot.where("group_id is not null").select("customer_id", "group_id")
        parts.append(customer_state.groups(members, contacted))
    rows = snapshot
    for part in parts:
        rows = rows.join(part, "customer_id", "left")
    return customer_state.fill_state(rows, wanted)


def removals(rows: DataFrame, rules: Sequence[RuleStep]) -> DataFrame:
    """``customer_id, draw_key, recent_milli, removed``: recent contacts, and the set that each step removes, alone.

    ``removed`` has the first word of every step, then the second of every step, and so on.

    Raises:
        UserError: a predicate that Spark does not understand; names its file and line.
    """
    try:
        count = max((len(step.sql) for step in rules), default=1)
        words = [step.sql[word] if word < len(step.sql) else "0L" for word in range(count) for step in rules]
        bits = sf.expr(f"array({', '.join(words)})").alias("removed")
        return rows.select("customer_id", "draw_key", "recent_milli", bits)
    except (AnalysisException, ParseException) as error:
        raise_all(misunderstood(rows, clauses_of(rules, tuple(rows.dtypes))))
        raise UserError(reason_of(error), where="rules.yml", remedy="`cpc check` compiles each rule") from error


def clauses_of(rules: Sequence[RuleStep], over: Columns) -> list[Clause]:
    """What products, channels and rules say, each by itself."""
    remedy = "name features of conf/generated/features.yml and state columns of docs/developer/entities.md"
    return [
        Clause(over, predicate.sql, predicate.subject, predicate.where, remedy)
        for step in rules
        for predicate in step.predicates
    ]


def rehearse(catalogue: Catalogue, date: dt.date) -> Iterator[UserError | Clause]:
    """What a night will compile here: predicates of products, channels and rules, over snapshot and state."""
    snapshot = [column for column in catalogue.tables["customer_features"].columns if column.name != "business_date"]
    wanted = customer_state.columns(catalogue.channels, customer_state.words_of(catalogue.products))
    yield from clashes([column.name for column in snapshot], wanted)
    states = tuple((name, fill.ddl) for name, fill in wanted.items())
    yield from clauses_of(steps(catalogue, date), (*columns_of(snapshot), *states))


def clashes(snapshot: Sequence[str], wanted: Collection[str]) -> Iterator[UserError]:
    """Features that have the name of a state column."""
    for name in sorted(set(snapshot) & set(wanted)):
        yield UserError(
            f"a feature has the name of a state column: {name!r}",
            where="features/declared",
            remedy="rename the feature; docs/developer/entities.md lists the state columns",
        )


def funnel_rows(rules: Sequence[RuleStep], counts: Ints, date: dt.date) -> list[dict[str, Any]]:
    """Rows of `funnel` from `arcs.totals`."""
    every, customers, outbound, outbound_customers = counts.tolist()
    return [
        {
            "business_date": date,
            "position": k,
            "rule": step.name,
            "arcs_before": every[k],
            "arcs_removed": every[k] - every[k + 1],
            "customers_left": customers[k + 1],
            "outbound_arcs_before": outbound[k],
            "outbound_arcs_removed": outbound[k] - outbound[k + 1],
            "outbound_customers_left": outbound_customers[k + 1],
            "scope": step.scope,
            "direction": step.direction,
            "reason": step.reason,
            "reason_zh": step.reason_zh,
        }
        for k, step in enumerate(rules)
    ]
