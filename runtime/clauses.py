"""Spark SQL that people wrote, compiled before a night needs it: over no rows, in the engine that will run it.

Only Spark's own parser and analyser say what Spark will refuse; another engine's dialect would pass functions that
Spark lacks, and refuse some that it has. What was compiled once is not compiled again: the home keeps fingerprints of
text, columns and Spark's version, so that a check of unchanged configuration starts no JVM.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from conf.errors import UserError
from conf.table import Column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Words with which Spark says that a name is no column: where columns are missing for another reason, it is no news.
_NO_COLUMN = ("UNRESOLVED_COLUMN", "FIELD_NOT_FOUND", "MISSING_ATTRIBUTES")
#: So many fingerprints are kept at most: those of some years of edits.
_KEPT = 20_000
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
    session: Callable[[], SparkSession], clauses: Sequence[Clause], path: Path, *, sound: bool = True
) -> list[UserError]:
    """What Spark does not understand, clause by clause; no session is made if all was understood before.

    Args:
        session: gives the session.
        clauses: what is to be compiled.
        path: the file that remembers what was understood.
        sound: no column is missing because what declares it is broken.
    """
    known = _read(path)
    new = [clause for clause in clauses if fingerprint(clause) not in known]
    if not new:
        return []
    spark = session()
    mistakes: list[UserError] = []
    good: set[str] = set()
    for over, group in groupby(sorted(new, key=lambda clause: clause.over), key=lambda clause: clause.over):
        among = list(group)
        wrong = misunderstood(_empty(spark, over), among, sound)
        if not wrong and sound:
            good |= {fingerprint(clause) for clause in among}
        mistakes += wrong
    keep_understood(path, good | (known if len(known) < _KEPT else set()))
    return mistakes


def fingerprint(clause: Clause) -> str:
    """What a clause is for Spark: its text, its columns, and Spark's version."""
    import pyspark

    text = json.dumps([pyspark.__version__, clause.over, clause.sql, clause.filters])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def keep_understood(path: Path, prints: Collection[str]) -> None:
    """Remember clauses, by their fingerprints, as understood."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text("\n".join(sorted(prints)), encoding="utf-8")
    draft.replace(path)


def _read(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").split()) if path.exists() else set()


def _empty(spark: SparkSession, over: Columns) -> DataFrame:
    return spark.sql("select " + ", ".join(f"cast(null as {ddl}) as `{name}`" for name, ddl in over))


def misunderstood(rows: DataFrame, clauses: Sequence[Clause], sound: bool = True) -> list[UserError]:
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
                *misunderstood(rows, clauses[:half], sound),
                *misunderstood(rows, clauses[half:], sound),
            ]
        if not sound and any(word in str(error) for word in _NO_COLUMN):
            return []
        clause = clauses[0]
        return [UserError(f"{clause.subject}: {reason_of(error)}", where=clause.where, remedy=clause.remedy)]
    return []


def reason_of(error: Exception) -> str:
    """What Spark says in one line: a fault of parsing begins with an empty one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].split(" SQLSTATE")[0].rstrip(" .") if lines else type(error).__name__
