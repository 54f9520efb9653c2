"""The one error that a user can mend: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

#: Names that a remedy lists at most: a message is read, not searched.
_LISTED = 24


class UserError(Exception):
    """Something the user can put right; the command line prints it and exits with 2.

    Args:
        what: what is wrong, in one sentence.
        where: file and line, feed, table or row; empty if it has no place.
        remedy: what to do about it.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__("\n".join(self.lines()))

    @property
    def each(self) -> tuple[UserError, ...]:
        """The mistakes it tells of: itself, or those of `Mistakes`."""
        return (self,)

    def lines(self) -> list[str]:
        """The message as printed: what, where, how."""
        lines = [self.what]
        if self.where:
            lines.append(f"  where:  {self.where}")
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return lines


class Mistakes(UserError):  # noqa: N818 - it is errors
    """Several mistakes at once, each with its own place and remedy."""

    def __init__(self, mistakes: Sequence[UserError]) -> None:
        self._each = tuple(error for mistake in mistakes for error in mistake.each)
        first = self._each[0]
        super().__init__(first.what, where=first.where, remedy=first.remedy)

    @property
    def each(self) -> tuple[UserError, ...]:
        """The mistakes."""
        return self._each

    def lines(self) -> list[str]:
        """All messages, one after the other."""
        return [line for mistake in self._each for line in mistake.lines()]


#: What is done with a mistake: `refuse` it at once, or collect it and go on.
Report = Callable[[UserError], None]


def refuse(mistake: UserError) -> None:
    """Raise the mistake: what everything that decides does with one."""
    raise mistake


def raise_all(mistakes: Sequence[UserError]) -> None:
    """Raise what was collected: nothing, the one mistake, or all in one."""
    if mistakes:
        raise mistakes[0] if len(mistakes) == 1 else Mistakes(mistakes)


def suggest(word: str, known: Iterable[str]) -> str:
    """A remedy for a name that is none of the known ones: the nearest, and what there is."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    listed = ", ".join(names[:_LISTED]) + (f" … ({len(names)} in all)" if len(names) > _LISTED else "")
    if near:
        return f"did you mean {' or '.join(repr(name) for name in near)}? There are: {listed}"
    return f"choose among: {listed or 'there is none yet'}"
