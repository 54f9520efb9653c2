"""The certificate of a plan, typed: what the solver claims, and what the checker found.

`cpc solve` and every night write the former beside the plan (``certificate.json``); what-ifs start from it. The checker
has a reader of its own (`certify`): it shares nothing with who wrote it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from conf.errors import UserError

#: The first form of the file has no word of its version: checkers of others refuse what they do not know.
FIRST = 1
VERSION = 1


class LimitCertificate(BaseModel):
    """A limit in a certificate, signed as in ``limits.yml``."""

    model_config = ConfigDict(frozen=True)

    name: str
    used: int
    amount: int
    price_pico: int


class Certificate(BaseModel):
    """Plan, bound and prices as integers.

    Attributes:
        bound_claimed: what an exact solver proved beyond what the prices can; None where none did.
        gap_claimed: of that bound.
    """

    model_config = ConfigDict(frozen=True)

    version: int = FIRST
    primal: int
    bound: int
    gap: float
    customers: int
    arcs: int
    limits: tuple[LimitCertificate, ...]
    assignment_sha256: str
    seconds: float
    passes: int
    method: str
    bound_claimed: int | None = None
    gap_claimed: float | None = None

    @property
    def prices(self) -> dict[str, int]:
        """Final prices by limit, pico-元 a unit."""
        return {limit.name: limit.price_pico for limit in self.limits}

    def limit(self, name: str) -> LimitCertificate:
        """What is said of a limit."""
        return next(limit for limit in self.limits if limit.name == name)

    def as_json(self) -> dict[str, Any]:
        """What the file holds."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"version"} if self.version == FIRST else None)


def write_certificate(folder: Path, certificate: Certificate) -> None:
    """Write ``certificate.json`` into the folder of a plan."""
    text = json.dumps(certificate.as_json(), indent=1) + "\n"
    (folder / "certificate.json").write_text(text, encoding="utf-8")


def read_certificate(folder: Path) -> Certificate:
    """The certificate of a plan.

    Raises:
        UserError: it is none, or of a form that a later release writes.
    """
    path = folder / "certificate.json"
    try:
        document = Certificate.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(
            f"no certificate: {error}", where=str(path), remedy="solve again, or `cpc nightly --from assign`"
        ) from error
    if document.version > VERSION:
        raise UserError(
            f"the certificate has form {document.version}, this release knows {VERSION}",
            where=str(path),
            remedy="read it with the release that wrote it, or a later one",
        )
    return document


class Checked(BaseModel):
    """What the independent checker found.

    Attributes:
        run_id: the night's run; None of a plan that is no night's.
        covers: which arcs the bound is over, where that is to be said.
        used: use by limit; of a night, by all that is published, where that was checked.
        published: whether the limits hold for all that is published; why that was not checked. None of a plan that is no night's.
        contacts: published, of all labels.
        published_bound: what no plan with these draws is worth more than, micro-yuan.
        reported: use by limits that are counted and not kept, by all that is published; None where there are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str | None = None
    covers: str | None = None
    customers: int
    arcs: int
    primal: int
    bound: int
    assignment_sha256: str
    gap: float
    used: dict[str, int]
    published: str | None = None
    contacts: int | None = None
    published_bound: int | None = None
    reported: dict[str, int] | None = None

    def as_json(self) -> dict[str, Any]:
        """What the command prints."""
        return self.model_dump(mode="json", exclude_none=True)
