"""How large a number may be, declared once: for settings, limits, changes of limits and options of commands.

Ends are chosen so that sums over a province fit 64 bits and dates stay within the calendar; what is outside them is a
slip of the hand, and is told as one before anything is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field as Key

from conf.errors import UserError

#: Amounts stay below this: sums over a province fit 64 bits.
LARGEST_AMOUNT = 1 << 53
#: Ten years: longer windows leave the calendar that files keep.
LONGEST_DAYS = 3_650
#: Rows, trees, leaves that a setting may ask for.
MOST = 100_000_000
#: Characters of a wrong number that a message repeats.
_SHOWN = 24

#: Days of a window or horizon of a setting: at most ten years.
Days = Annotated[int, Key(ge=0, le=LONGEST_DAYS)]
#: How many of something a setting asks for.
Count = Annotated[int, Key(ge=1, le=MOST)]
#: Money of a setting in 元, never negative.
SettingYuan = Annotated[float, Key(ge=0, le=1e9, allow_inf_nan=False)]
#: Where all draws begin: any 63-bit number.
Seed = Annotated[int, Key(ge=0, lt=1 << 63)]


@dataclass(frozen=True)
class WholeRange:
    """Whole numbers from ``least`` to ``most``, both included."""

    least: int
    most: int

    def read(self, text: object, where: str) -> int:
        """The number that ``text`` says.

        Raises:
            UserError: none, or one outside the range.
        """
        try:
            number = int(str(text))
        except ValueError as error:
            raise self._refuse(text, where) from error
        if not self.least <= number <= self.most:
            raise self._refuse(text, where)
        return number

    def _refuse(self, text: object, where: str) -> UserError:
        what = f"{_cut(text)} is no whole number from {self.least} to {self.most}"
        return UserError(what, where=where, remedy=f"give one, such as {_example(self.least, self.most)}")


@dataclass(frozen=True)
class RealRange:
    """Finite numbers from ``least`` to ``most``; ends are outside where ``inside`` says so."""

    least: float
    most: float
    inside: bool = False

    def read(self, text: object, where: str) -> float:
        """The number that ``text`` says.

        Raises:
            UserError: none, NaN, infinity, or one outside the range.
        """
        try:
            number = float(str(text))
        except ValueError as error:
            raise self._refuse(text, where) from error
        within = self.least < number < self.most if self.inside else self.least <= number <= self.most
        if not (math.isfinite(number) and within):
            raise self._refuse(text, where)
        return number

    def _refuse(self, text: object, where: str) -> UserError:
        words = "between" if self.inside else "from"
        joint = "and" if self.inside else "to"
        what = f"{_cut(text)} is no number {words} {self.least:g} {joint} {self.most:g}"
        return UserError(what, where=where, remedy="write it in digits with a point, within these ends")


@dataclass(frozen=True)
class OptionReader:
    """Reads a numeric option of a command within its range.

    Attributes:
        option: its name, for the message.
        numbers: the range.
    """

    option: str
    numbers: WholeRange | RealRange

    @property
    def __name__(self) -> str:
        """What help shows in the place of the value."""
        return "INTEGER" if isinstance(self.numbers, WholeRange) else "FLOAT"

    def __call__(self, text: object) -> int | float:
        """The option's value."""
        return self.numbers.read(text, self.option)


def _cut(text: object) -> str:
    written = str(text)
    return written if len(written) <= _SHOWN else f"{written[:_SHOWN]}… ({len(written)} characters)"


def _example(least: int, most: int) -> int:
    return max(least, min(most, 10))


#: Ids of customers.
CUSTOMER = WholeRange(1, (1 << 63) - 1)
#: Amounts of limits, below 0 for a share of contacts.
AMOUNT = WholeRange(-LARGEST_AMOUNT, LARGEST_AMOUNT)
#: Value of a plan, 元: in micro-元 it fits 64 bits.
PLAN_YUAN = RealRange(-1e12, 1e12)
#: A share of something, neither none nor all.
SHARE = RealRange(0, 1, inside=True)
#: Customers of a made province, or of an experiment.
PEOPLE = WholeRange(100, 1_000_000_000)
#: Days of a province, nights looked back on.
NIGHTS = WholeRange(1, LONGEST_DAYS)
#: Repeats of a bootstrap.
REPEATS = WholeRange(0, 1_000_000)
