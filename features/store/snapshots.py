"""Snapshots of features on tables: customers by bucket, partials merged by tasks, one commit for all dates."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from conf.feature import Family
from conf.featureset import FeatureSet
from conf.partial import BUCKET_BITS
from features.anchor import Anchor, Delivered, anchors, feeds_of
from features.bucket import BucketRows, code, snapshot
from features.distribution import describe
from features.listing import rows as listing
from features.store.population import population
from features.store.tiles import PartialFile, parts_of, read_groups
from runtime import spark_tables
from runtime.deliveries import TAKEN, deliveries
from runtime.figures import SnapshotFigures
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.parquet_files import WRITTEN, WrittenFile, batch_of, read_written, write_file

#: Days by which an event may be dated after the night that first saw it: files of older nights are not read.
_SLACK = 31


#: Customers whose distribution is looked at, and the PSI that is called a shift.
_PROFILED, SHIFT = 200_000, 0.25


def snapshots(night: Night, dates: Sequence[dt.date]) -> SnapshotFigures:
    """Write the snapshots of ``dates`` in one pass, each as its own night could have seen it."""
    dates = sorted(set(dates))
    ends = family_anchors(night, dates)
    night.lake.delta("customer_features")
    files = write_snapshots(night, dates, ends, night.lake.path("customer_features"))
    night.lake.commit_files("customer_features", files, replace=[{"business_date": date} for date in dates])
    drifted = write_profile(night, dates[-1])
    last = {name: of_family[-1] for name, of_family in sorted(ends.items())}
    return SnapshotFigures(
        dates=len(dates),
        features=len(night.catalogue.features.columns),
        rows=sum(file.rows for file in files),
        customers=sum(file.rows for file in files if file.partition["business_date"] == dates[-1].isoformat()),
        drifted=drifted,
        families_stale={name: end.staleness for name, end in last.items() if end.staleness},
        families_unknown=[name for name, end in last.items() if end.through is None],
    )


def write_snapshots(
    night: Night, dates: Sequence[dt.date], ends: Mapping[str, list[Anchor]], target: Path, known: dt.date | None = None
) -> list[WrittenFile]:
    """Write the files of ``customer_features`` for ``dates`` below ``target``, a bucket a task; nothing is published.

    ``known`` is the night by whose cut-off data must have arrived; None: that of each date itself.
    """
    declared = night.catalogue.features
    customers, consents = (spark_tables.read(night.spark, night.lake, name) for name in ("customer", "consent"))
    people = population(customers, consents, dates, declared.attributes, known)
    task = SnapshotTask(declared, ends, partial_files(night, [*dates, known or dates[-1]], ends, declared), target)
    most = max((file.high for files in task.files.values() for file in files), default=0)
    rows = (
        people.selectExpr("*", f"cast(shiftright(customer_id, {BUCKET_BITS}) as int) as bucket")
        .repartitionById((most >> BUCKET_BITS) + 1, "bucket")  # a hash would give some tasks three buckets, others none
        .mapInArrow(task, WRITTEN)
        .collect()
    )
    return read_written(rows)


@dataclass(frozen=True)
class SnapshotTask:
    """What a Python worker does: customers of some buckets in, written files out.

    Attributes:
        declared: the features.
        ends: family → where its windows end on each date.
        files: family → files of its partials.
        target: the folder of ``customer_features``.
    """

    declared: FeatureSet
    ends: Mapping[str, Sequence[Anchor]]
    files: Mapping[str, Sequence[PartialFile]]
    target: Path

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write one file a bucket and date."""
        batches = list(batches)
        if not batches:
            return
        people = pa.Table.from_batches(batches)
        buckets = sorted(pc.unique(people["bucket"]).to_pylist())
        yield batch_of([file for bucket in buckets for file in self._bucket(people, bucket)])

    def _bucket(self, people: pa.Table, bucket: int) -> Iterator[WrittenFile]:
        in_bucket = people.filter(pc.equal(people["bucket"], bucket))
        partials = {family.family: self._read(family, bucket) for family in self.declared.families}
        for position, date in enumerate(sorted({end.as_of for ends in self.ends.values() for end in ends})):
            then = in_bucket.filter(pc.equal(in_bucket["as_of"], pa.scalar(date, pa.date32())))
            if then.num_rows:
                ends = {family: of_family[position] for family, of_family in self.ends.items()}
                rows = snapshot(then, partials, ends, self.declared)
                yield write_file(self.target, rows, {"business_date": date})

    def _read(self, family: Family, bucket: int) -> BucketRows:
        low, high = bucket << BUCKET_BITS, ((bucket + 1) << BUCKET_BITS) - 1
        near = [part for part in self.files[family.family] if part.low <= high and part.high >= low]
        return code([read_groups(part.path, family, low, high) for part in near], family, bucket)


def family_anchors(night: Night, dates: Iterable[dt.date], known: dt.date | None = None) -> dict[str, list[Anchor]]:
    """Where the windows of every family end on each date, from the deliveries as they arrived (by ``known``)."""
    ledger = deliveries(night.lake, ["feed", "data_date", "arrived_at"], states=TAKEN)
    delivered = [Delivered(**row) for row in ledger.to_pylist()]
    dates = list(dates)
    return {
        family.family: anchors(feeds_of(family, night.catalogue), delivered, dates, known)
        for family in night.catalogue.features.families
    }


def write_profile(night: Night, date: dt.date) -> list[str]:
    """Write the distribution of ``date``'s columns against the snapshot before; returns what shifted (PSI > 0.25).

    A sample of whole files, up to ``_PROFILED`` customers, is looked at.
    """
    files = night.lake.files("customer_features", {"business_date": date})
    sample = ds.dataset(files).head(_PROFILED) if files else None
    if sample is None or not sample.num_rows:
        night.lake.replace_arrow(
            "feature_profile", night.lake.arrow("feature_profile").slice(0, 0), partition={"business_date": date}
        )
        return []
    before = _profile_before(night, date)
    rows = [
        {"business_date": date, "feature": row["name"], "family": row["family"], "customers": sample.num_rows}
        | describe(sample[row["name"]], before.get(row["name"]))
        for row in listing(night.catalogue.features)
    ]
    schema = nullable(arrow_schema(night.lake.table("feature_profile")))
    night.lake.replace_arrow("feature_profile", pa.Table.from_pylist(rows, schema), partition={"business_date": date})
    return [row["feature"] for row in rows if (row["psi"] or 0.0) > SHIFT]


def _profile_before(night: Night, date: dt.date) -> dict[str, dict[str, Any]]:
    """Feature → bins of the latest snapshot before ``date`` that has a profile."""
    profile = night.lake.arrow("feature_profile", columns=["business_date", "feature", "bins"])
    earlier = profile.filter(pc.less(profile["business_date"], pa.scalar(date, pa.date32())))
    if not earlier.num_rows:
        return {}
    last = earlier.filter(pc.equal(earlier["business_date"], pc.max(earlier["business_date"])))
    return {row["feature"]: json.loads(row["bins"]) for row in last.to_pylist()}


def partial_files(
    night: Night, dates: Sequence[dt.date], ends: Mapping[str, Sequence[Anchor]], declared: FeatureSet
) -> dict[str, list[PartialFile]]:
    """Family → live files of the partials that any of ``dates`` may need."""
    files: dict[str, list[PartialFile]] = {}
    for family in declared.families:
        through = [end.through for end in ends[family.family] if end.through]
        oldest = min(through, default=dates[-1]) - dt.timedelta(days=max(family.windows) + _SLACK)
        parts = parts_of(night.lake, family) if through else []
        files[family.family] = [part for part in parts if part.last >= oldest and part.first <= dates[-1]]
    return files
