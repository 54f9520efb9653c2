"""Limits in force: tonight's, in whole units and integer columns, as ``limits.yml`` of an instance has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import Field as Key
from pydantic import StrictInt, model_validator

from conf.documents import Strict, read_yaml, validate
from conf.errors import UserError
from models.assignment.problem import Kinds, Limits


class LimitInForce(Strict):
    """A limit of an instance: ``counts`` is 1 or the name of an integer column whose sum counts."""

    name: str = Key(min_length=1)
    at_most: StrictInt | None = None
    at_least: StrictInt | None = None
    counts: Literal[1] | str = 1
    where: dict[str, list[StrictInt]] = {}

    @model_validator(mode="after")
    def _one_side(self) -> LimitInForce:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("give exactly one of at_most and at_least, an integer")
        if not -(1 << 63) < self.amount < 1 << 63:
            raise ValueError("the amount does not fit 64 bits")
        if self.counts == 1 and self.amount < 0:
            raise ValueError("a number of arcs cannot be negative")
        return self

    @property
    def amount(self) -> int:
        """The amount, whichever side it is on."""
        amount = self.at_most if self.at_least is None else self.at_least
        assert amount is not None
        return amount

    @property
    def sign(self) -> int:
        """+1 for at most, -1 for at least."""
        return 1 if self.at_least is None else -1

    def with_amount(self, amount: int) -> LimitInForce:
        """The same limit at another amount."""
        side = "at_most" if self.at_least is None else "at_least"
        return LimitInForce(**{**self.model_dump(exclude_none=True), side: amount})

    def row(self) -> dict[str, Any]:
        """As ``limits.yml`` has it."""
        return {k: v for k, v in self.model_dump(exclude_none=True).items() if k != "where" or v}


class LimitsInForce(Strict):
    """``limits.yml`` of an instance."""

    choose: Literal["at_most_one", "exactly_one"] = "at_most_one"
    limits: tuple[LimitInForce, ...] = ()

    def arrays(self) -> Limits:
        """In the at-most form, for the solver."""
        sign = np.array([limit.sign for limit in self.limits], np.int64)
        amount = np.array([limit.amount for limit in self.limits], np.int64) * sign
        return Limits(tuple(limit.name for limit in self.limits), amount, sign)

    def columns(self) -> tuple[str, ...]:
        """``product`` and ``channel``, then the columns that limits name, in the alphabet."""
        named = {key for limit in self.limits for key in limit.where}
        named |= {limit.counts for limit in self.limits if isinstance(limit.counts, str)}
        return ("product", "channel", *sorted(named - {"product", "channel"}))

    def warnings(self, kinds: Kinds) -> tuple[str, ...]:
        """Limits that no arc touches."""
        touched = set(np.unique(kinds.limit).tolist())
        return tuple(f"limit {limit.name}: no arc counts" for i, limit in enumerate(self.limits) if i not in touched)


def read_limits(path: Path) -> LimitsInForce:
    """Read and check ``limits.yml`` of an instance.

    Raises:
        UserError: names the limit's line and what is wrong.
    """
    document = read_yaml(path)
    limits = validate(LimitsInForce, document)
    seen: dict[str, int] = {}
    for i, limit in enumerate(limits.limits):
        if limit.name in seen:
            raise UserError(
                f"limit {limit.name!r} is given twice",
                where=document.where(("limits", i)),
                remedy=f"it is also limit {seen[limit.name] + 1} of the list: rename one",
            )
        seen[limit.name] = i
    return limits


def write_limits(path: Path, limits: LimitsInForce) -> None:
    """Write ``limits.yml`` of an instance."""
    document = {"choose": limits.choose, "limits": [limit.row() for limit in limits.limits]}
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=200), encoding="utf-8")
