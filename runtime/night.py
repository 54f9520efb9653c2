"""The night a job runs in: its decision date, settings, catalogue, lake, and the one Spark session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.catalogue import Catalogue
from conf.dates import cut_off, start_of_day
from conf.settings import Settings
from runtime.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Night:
    """Everything a job is given.

    Attributes:
        date: the decision date D; data up to D − 1, arrived before 04:00 of D, decide it.
        settings: the environment.
        landing: where interface files arrive.
        versions: tables that are read as of a Delta version; all others as they are.
    """

    date: dt.date
    settings: Settings
    landing: Path = field(default=Path())
    versions: Mapping[str, int] = field(default_factory=dict)

    @property
    def catalogue(self) -> Catalogue:
        """The facts in force."""
        return self.settings.catalogue

    @cached_property
    def lake(self) -> Lake:
        """The tables."""
        return Lake(self.settings.lake, self.catalogue, self.versions)

    @cached_property
    def spark(self) -> SparkSession:
        """The process's Spark session, made when first used."""
        from runtime.spark import session

        return session(self.settings)

    @property
    def day_start(self) -> dt.datetime:
        """D 00:00 Shanghai as UTC: events at or after it do not exist yet."""
        return start_of_day(self.date)

    @property
    def cut_off(self) -> dt.datetime:
        """D 04:00 Shanghai as UTC: deliveries that arrived later wait for the next night."""
        return cut_off(self.date)

    @property
    def partition(self) -> dict[str, Any]:
        """The partition of tables that keep one a night."""
        return {"business_date": self.date}

    @property
    def predicate(self) -> str:
        """The same as a SQL predicate."""
        return f"business_date = date'{self.date}'"

    def past(self, table: str) -> list[dt.date]:
        """The nights before this one that ``table`` holds, ascending; a night that was not run is none."""
        return [date for date in self.lake.dates(table) if date < self.date]

    def before(self, table: str) -> dt.date | None:
        """The last night before this one that ``table`` holds; None where there is none."""
        return max(self.past(table), default=None)

    def table(self, name: str) -> DataFrame:
        """A table as a Spark frame."""
        return self.lake.spark(self.spark, name)

    def tonight(self, name: str) -> DataFrame:
        """Tonight's partition of a table as a Spark frame."""
        return self.table(name).where(self.predicate)
