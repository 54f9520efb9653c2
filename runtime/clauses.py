"""Spark SQL that people wrote, compiled before a night needs it: over no rows, in the engine that will run it.

Only Spark's own parser and analyser say what Spark will refuse; another engine's dialect would pass functions that
Spark lacks, and refuse some that it has. What was compiled once is not compiled again: the home keeps a fingerprint of
the texts, their columns and Spark's version, so that a check of unchanged configuration starts no JVM.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from conf.errors import MendableError
from conf.table import Column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Words with which Spark says that a name is no column: where columns are missing for another reason, it is no news.
_NO_COLUMN = ("UNRESOLVED_COLUMN", "FIELD_NOT_FOUND", "MISSING_ATTRIBUTES")
Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Clause:
    """An expression of Spark SQL over rows with the columns ``over`` (name and type), as a night will run it.

    Attributes:
        over: the columns of the rows.
        sql: the expression.
        subject: whose it is, as a message begins.
        where: file and line.
        remedy: what to do where Spark does not understand it.
        filters: it is a condition on rows, not a value.
    """

    over: Columns
    sql: str
    subject: str
    where: str
    remedy: str
    filters: bool = False


def columns_of(columns: Iterable[Column]) -> Columns:
    """Columns of the catalogue as a clause is over them."""
    return tuple((column.name, column.type) for column in columns)


def compile_clauses(
    session: Callable[[], SparkSession], clauses: Sequence[Clause], kept: Path, *, whole: bool = True
) -> list[MendableError]:
    """What Spark does not understand, clause by clause; no session is made if all was understood before.

    Args:
        session: gives the session.
        clauses: what is to be compiled.
        kept: the file that remembers what was understood last.
        whole: no column is missing because what declares it is broken.
    """
    if not clauses:
        return []
    fingerprint = _fingerprint(clauses)
    if kept.exists() and kept.read_text(encoding="utf-8") == fingerprint:
        return []
    spark = session()
    found: list[MendableError] = []
    for over, group in groupby(sorted(clauses, key=lambda clause: clause.over), key=lambda clause: clause.over):
        found += misunderstood(_empty(spark, over), list(group), whole)
    if not found and whole:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(fingerprint, encoding="utf-8")
    return found


def _fingerprint(clauses: Sequence[Clause]) -> str:
    import pyspark

    texts = sorted({(clause.over, clause.sql, clause.filters) for clause in clauses})
    return hashlib.sha256(json.dumps([pyspark.__version__, texts]).encode()).hexdigest()


def _empty(spark: SparkSession, over: Columns) -> DataFrame:
    return spark.sql("select " + ", ".join(f"cast(null as {ddl}) as `{name}`" for name, ddl in over))


def misunderstood(rows: DataFrame, clauses: Sequence[Clause], whole: bool = True) -> list[MendableError]:
    """The clauses that do not compile: all at once, and by halves where that fails."""
    from pyspark.errors import AnalysisException, ParseException

    try:
        first, *_ = rows.columns
        values = rows.selectExpr(f"`{first}` as _row", *(f"{c.sql}" for c in clauses if not c.filters))
        del values
        for clause in clauses:
            if clause.filters:
                rows.where(clause.sql)
    except (AnalysisException, ParseException) as error:
        if len(clauses) > 1:
            half = len(clauses) // 2
            return [
                *misunderstood(rows, clauses[:half], whole),
                *misunderstood(rows, clauses[half:], whole),
            ]
        if not whole and any(word in str(error) for word in _NO_COLUMN):
            return []
        clause = clauses[0]
        return [MendableError(f"{clause.subject}: {reason_of(error)}", where=clause.where, remedy=clause.remedy)]
    return []


def reason_of(error: Exception) -> str:
    """What Spark says in one line: a fault of parsing begins with an empty one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].split(" SQLSTATE")[0].rstrip(" .") if lines else type(error).__name__
