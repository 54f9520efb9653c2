"""Features: what we know of a customer, each declared once; names, types and states follow from the declaration.

A *family* is a file ``<family>.yml``: events of one entity table (``source``), the schemas it reads of it, and its
*inputs*. An input is a value with a filter, and the aggregates and windows wanted of it: every pair is one feature
``<input>_<aggregate>_<window>d``. *Derived* features are formulas over others; *attributes* are what holds of the
customer on the decision date.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Literal

from pydantic import Field as Key
from pydantic import field_validator, model_validator

from conf.documents import Misfit, Strict
from conf.formula import parse
from conf.table import Column

#: What may be asked of an input over a window of days.
Aggregate = Literal[
    "sum", "count", "distinct", "min", "max", "mean", "last", "first", "recency", "frequency", "trend", "entropy", "top"
]
#: Aggregates of a customer without a single event: 0, provided that the source is known.
ZERO: frozenset[str] = frozenset({"sum", "count", "distinct", "frequency", "trend"})
_ARITHMETIC = frozenset({"sum", "mean", "trend", "min", "max"})
_OF_CODES = frozenset({"entropy", "top"})
#: A frequency counts days in a 63-bit mask; a trend needs whole weeks.
LONGEST_FREQUENCY, SHORTEST_TREND = 63, 14
Scalar = str | int | float | bool | None


class Example(Strict):
    """A worked boundary example: an event, and the value the input takes from it.

    ``cpc features check`` puts the event one microsecond before D 00:00 Shanghai (it counts), at D 00:00 (it must
    not), at both ends of every window, and lets it arrive one microsecond before and at the cut-off.
    """

    row: dict[str, Scalar]
    value: int | float | str


class Input(Strict):
    """A value of an event with a filter, and what is wanted of it.

    ``value`` and ``where`` are SQL (DuckDB's) over the source's columns. A ``bigint`` is summed exactly and divided by
    ``scale`` in the feature (bytes to MB, micro-元 to 元); a ``string`` is not summed. There are no doubles: states are
    exact, whatever the order of rows (write ``cast(round(share * 1000) as bigint)`` with ``scale: 1000``).
    """

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    value: str = "1"
    where: str = "true"
    type: Literal["bigint", "string"] = "bigint"
    scale: int = Key(default=1, ge=1)
    unit: str
    label_zh: str
    doc: str
    codes: tuple[str, ...] = ()  # the codes told apart by entropy and top
    example: Example
    features: dict[Aggregate, tuple[int, ...]] = Key(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Input:
        asked = set(self.features)
        wrong: list[Misfit] = []
        if self.type != "bigint" and (sums := sorted(asked & _ARITHMETIC)):
            what = f"{sums} need an integer: states are exact"
            wrong.append(Misfit(what, "features", sums[0], remedy="declare `type: bigint` and a `scale`"))
        if self.type != "string" and "distinct" in asked:
            wrong.append(Misfit("distinct tells texts apart", "features", "distinct", remedy="declare `type: string`"))
        if bool(asked & _OF_CODES) != bool(self.codes):
            at = ("codes",) if self.codes else ("features", sorted(asked & _OF_CODES)[0])
            wrong.append(Misfit("entropy and top need `codes`, and only they", *at, remedy="add or remove `codes`"))
        for aggregate, windows in self.features.items():
            at = ("features", aggregate)
            if not windows or min(windows) < 1 or len(set(windows)) != len(windows):
                wrong.append(Misfit("windows are different numbers of days from 1", *at, remedy="such as [7, 30]"))
            elif aggregate == "frequency" and max(windows) > LONGEST_FREQUENCY:
                what = f"frequency counts days of a window of at most {LONGEST_FREQUENCY}"
                wrong.append(Misfit(what, *at, remedy="choose a shorter window"))
            elif aggregate == "trend" and min(windows) < SHORTEST_TREND:
                what = f"trend is a slope over weeks: a window of at least {SHORTEST_TREND} days"
                wrong.append(Misfit(what, *at, remedy="choose a longer window"))
        Misfit.raise_all(wrong)
        return self


class Derived(Strict):
    """A formula over other features: ``+ - * /``, ``coalesce``, ``least`` … (``conf/formula.py``).

    A missing value and a division by zero give a missing value.
    """

    input: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    aggregate: Literal["ratio", "change", "score"]
    window: int = Key(ge=1)
    formula: str
    unit: str
    label_zh: str
    doc: str

    @field_validator("formula")
    @classmethod
    def _parses(cls, formula: str) -> str:
        parse(formula)
        return formula

    @property
    def name(self) -> str:
        """The column."""
        return f"{self.input}_{self.aggregate}_{self.window}d"


class Family(Strict):
    """The features of one kind of behaviour, from events of one entity table.

    ``schemas`` (none: all) are the interfaces whose rows count. ``purpose: profile`` is emptied for minors and those
    who refused profiling; ``service`` (limits of contact, open complaints) holds for everyone.
    """

    family: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    label_zh: str
    doc: str
    entity: Literal["customer"] = "customer"
    source: str
    schemas: tuple[str, ...] = ()
    grain: Literal["day", "month"] = "day"
    purpose: Literal["profile", "service"] = "profile"
    owner: str
    inputs: tuple[Input, ...] = Key(min_length=1, max_length=62)  # partials keep a bit of an integer for each
    derived: tuple[Derived, ...] = ()

    @property
    def table(self) -> str:
        """The table of daily partials."""
        return f"customer_day_{self.family}"

    @property
    def staleness(self) -> str:
        """The column that says how many days behind the family's last good data is."""
        return f"{self.family}_staleness_days"

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Every aggregate and window of every input, in the order of the file."""
        return tuple(
            Feature(self, source, aggregate, window)
            for source in self.inputs
            for aggregate, windows in source.features.items()
            for window in windows
        )

    @property
    def windows(self) -> tuple[int, ...]:
        """The different windows, ascending."""
        return tuple(sorted({feature.window for feature in self.features}))


class Attribute(Strict):
    """What holds of a customer on the decision date: Spark SQL over a ``customer`` row and the date ``as_of``.

    ``model: false`` keeps it from models (identifiers, minors); rules and limits may still use it.
    """

    name: str = Key(pattern=r"^[a-z][a-z0-9_]*$")
    value: str
    type: Literal["string", "int", "bigint", "double", "boolean"]
    unit: str = ""
    label_zh: str
    doc: str
    model: bool = True


class Feature:
    """One aggregate of one input over one window."""

    def __init__(self, family: Family, source: Input, aggregate: str, window: int) -> None:
        self.family, self.input, self.aggregate, self.window = family, source, aggregate, window

    @property
    def name(self) -> str:
        """The column: ``<input>_<aggregate>_<window>d``."""
        return f"{self.input.name}_{self.aggregate}_{self.window}d"

    @property
    def type(self) -> str:
        """Spark's type of the column."""
        fixed = {
            "count": "bigint",
            "distinct": "bigint",
            "recency": "int",
            "frequency": "int",
            "mean": "double",
            "trend": "double",
            "entropy": "double",
            "top": "string",
        }
        if self.aggregate in fixed:
            return fixed[self.aggregate]
        return "double" if self.input.type == "bigint" and self.input.scale != 1 else self.input.type

    @property
    def unit(self) -> str:
        """Unit of the value."""
        own = {"recency": "day", "frequency": "day", "entropy": "bit", "top": "", "count": "event", "distinct": "value"}
        if self.aggregate == "trend":
            return f"{self.input.unit}/week"
        return own.get(self.aggregate, self.input.unit)

    @property
    def doc(self) -> str:
        """One line."""
        return f"{self.input.doc}: {self.aggregate} over {self.window} days"

    @property
    def column(self) -> Column:
        """Its entry in the table catalogue."""
        return Column(name=self.name, type=self.type, doc=self.doc, unit=self.unit)


_LITERAL = re.compile(r"'(?:[^'\\]|\\.|'')*'")
_WORD = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\b(?!\s*\()")
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
    and or not null is in like rlike between case when then else end true false as int bigint double string date
    timestamp interval day days hour hours div distinct boolean cast
""",
    )
)


def names_in(sql: str) -> set[str]:
    """The column names a Spark SQL expression uses (functions, keywords and literals apart)."""
    words = {word for word in _WORD.findall(_LITERAL.sub("''", sql)) if word.lower() not in _KEYWORDS}
    return words
