"""Say what we know of every active customer on the decision date, and of any past date as it was known then.

A row of ``customer_features`` sees events before D 00:00 Shanghai that had arrived by the night's cut-off (04:00):
attributes from ``customer``, windows of 1 to 180 days merged from the daily partials, ratios and trends over them.
A feed that brought nothing is not 0: its windows end where its last good data ends, and a staleness column says so.

Spark finds the customers of each date and hands them out by bucket; a task reads its bucket's partials and writes its
file by Arrow; one transaction publishes all dates.

*Reads* ``customer``, ``consent``, ``customer_day_<family>``, ``ops_delivery``. *Writes* ``customer_features``,
``feature_profile``. *Cost* grows with customers × days with events within the longest window of each family; several
dates share one pass over the partials.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from conf.catalogue import Catalogue
from features.store.population import attribute_sql
from features.store.snapshots import snapshots
from runtime.clauses import Clause, columns_of
from runtime.figures import SnapshotFigures
from runtime.night import Night

READS = ("customer", "consent", "customer_day", "ops_delivery")
WRITES = ("customer_features", "feature_profile")
READS_PREVIOUS = ("feature_profile",)


def run(night: Night) -> SnapshotFigures:
    """Write the snapshot of tonight."""
    return snapshots(night, [night.date])


def rehearse(catalogue: Catalogue, _: dt.date) -> Iterator[Clause]:
    """What a night will compile here: every attribute, over the version of a customer in force."""
    version = [column for column in catalogue.tables["customer"].columns if column.name != "customer_id"]
    over = (("as_of", "date"), ("customer_id", "bigint"), *columns_of(version), ("refused", "boolean"))
    for attribute, where in catalogue.features.places:
        remedy = "it is Spark SQL over the columns of conf/tables/customer.yml and the date as_of"
        yield Clause(over, attribute_sql(attribute), f"attribute {attribute.name}", where, remedy)
