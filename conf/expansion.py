"""``for_each``: one row of a file that stands for many, one for each code of a list that the catalogue declares.

``for_each: centre`` takes all centres, ``for_each: {centre: [gz, sz]}`` these. In every text of the row ``{centre}`` is
the code, ``{centre_en}`` and ``{centre_zh}`` its labels; a value may also be given by code (``at_most: {gz: 620, sz:
1050}``), then it has every code and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from conf.documents import Document, Loc
from conf.errors import UserError, suggest

KEY = "for_each"


class Coded(Protocol):
    """What lists have: a code and its labels."""

    @property
    def code(self) -> str:
        """The code."""
        ...

    @property
    def label(self) -> str:
        """The English label."""
        ...

    @property
    def label_zh(self) -> str:
        """The 中文 label."""
        ...


#: The lists by the name that ``for_each`` knows them by; read when they are asked for.
Lists = Mapping[str, Callable[[], Sequence[Coded]]]


def expand(lists: Lists, row: Any, document: Document, loc: Loc) -> list[Any]:
    """The rows that ``row`` stands for, itself where it has no ``for_each``; in the order of the list.

    Raises:
        UserError: there is no such list or code, or a value by code lacks one.
    """
    if not isinstance(row, dict) or KEY not in row:
        return [row]
    name, wanted = _choose(row[KEY], lists, document, (*loc, KEY))
    known = {item.code: item for item in lists[name]()}
    codes = list(known) if wanted is None else wanted
    for code in codes:
        if code not in known:
            _refuse(f"for_each: no {name} {code!r}", suggest(str(code), known), document, (*loc, KEY))
    rest = {key: value for key, value in row.items() if key != KEY}
    by_code = {key for key, value in rest.items() if isinstance(value, dict) and set(value) & set(codes)}
    for key in by_code:
        given = {code for code, value in rest[key].items() if value is not None}
        if odd := sorted({*codes} ^ given, key=str):
            missing = odd[0] in codes
            what = (
                f"{key}: no value for {name} {odd[0]!r}" if missing else f"{key}: {odd[0]!r} is no {name} of this row"
            )
            _refuse(what, f"give a value for each of: {', '.join(codes)}", document, (*loc, key))
    return [
        {key: value[code] if key in by_code else _fill(value, name, known[code]) for key, value in rest.items()}
        for code in codes
    ]


def _choose(choice: Any, lists: Lists, document: Document, loc: Loc) -> tuple[str, list[str] | None]:
    name, wanted = next(iter(choice.items())) if isinstance(choice, dict) and len(choice) == 1 else (choice, None)
    if not isinstance(name, str) or name not in lists:
        _refuse(f"for_each: there is no list {name!r}", suggest(str(name), lists), document, loc)
    if wanted is not None and not (isinstance(wanted, list) and wanted):
        _refuse(f"for_each: {name} needs a list of codes", f"write `for_each: {name}` for all", document, loc)
    return name, wanted


def _fill(value: Any, name: str, item: Coded) -> Any:
    if isinstance(value, dict):
        return {key: _fill(each, name, item) for key, each in value.items()}
    if isinstance(value, list):
        return [_fill(each, name, item) for each in value]
    if isinstance(value, str):
        for word, text in ((name, item.code), (f"{name}_en", item.label), (f"{name}_zh", item.label_zh)):
            value = value.replace(f"{{{word}}}", text)
    return value


def _refuse(what: str, remedy: str, document: Document, loc: Loc) -> None:
    raise UserError(what, where=document.where(loc), remedy=remedy)
