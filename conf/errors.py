"""The one error that a user can mend: what is wrong, where, and what to do."""

from __future__ import annotations


class MendableError(Exception):
    """Something the user can put right; the command line prints it and exits with 2.

    Args:
        what: what is wrong, in one sentence.
        where: file and line, feed, table or row; empty if it has no place.
        remedy: what to do about it.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """The message as printed: what, where, how."""
        lines = [self.what]
        if self.where:
            lines.append(f"  where:  {self.where}")
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return lines
