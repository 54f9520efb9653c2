"""Phone numbers: what may stand before and within one, so that each has one form wherever it is written."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field as Key
from pydantic import model_validator

from conf.documents import Misfit, Strict, read_yaml, validate


class Subscriber(Strict):
    """A customer's number, written plainly: its first digits, and how many it has."""

    begins: str = Key(pattern=r"^[0-9]{1,8}$")
    digits: int = Key(ge=5, le=15)


class PhoneForms(Strict):
    """How numbers may be written.

    Attributes:
        subscriber: a customer's number; None: no text is known to be one, all keep their digits.
        prefixes: what may stand before it, in any combination.
        blanks: characters that may stand anywhere.
    """

    subscriber: Subscriber | None = None
    prefixes: tuple[str, ...] = ()
    blanks: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_marks(self) -> PhoneForms:
        wrong = [
            Misfit(f"{prefix!r} is no prefix", "prefixes", i, remedy="digits, with + before them or not")
            for i, prefix in enumerate(self.prefixes)
            if not prefix.removeprefix("+").isdigit() or not prefix.isascii()
        ]
        wrong += [
            Misfit(f"{blank!r} is part of a number", "blanks", i, remedy="one character that is neither digit nor +")
            for i, blank in enumerate(self.blanks)
            if len(blank) != 1 or blank.isalnum() or blank == "+"
        ]
        if self.prefixes and self.subscriber is None:
            wrong.append(Misfit("prefixes of what?", "prefixes", remedy="declare `subscriber`"))
        Misfit.raise_all(wrong)
        return self


def load_phones(root: Path | None = None) -> PhoneForms:
    """Read ``phones.yml`` below ``root`` (conf's own by default)."""
    return validate(PhoneForms, read_yaml((root or Path(__file__).resolve().parent) / "phones.yml"))
