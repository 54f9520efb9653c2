"""Reading YAML with line numbers, strictly: what could be read in two ways is refused with file, line and remedy.

YAML 1.1 makes 8 of ``010``, 90 of ``1:30`` and false of ``no``. Here a plain scalar is a number, a date, true, false,
null or text, each written in one way; all else that YAML 1.1 would take for one of these is refused. Keys are text as
written. Files and ``--set`` are read by the same rules.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from conf.errors import Report, UserError, raise_all, refuse, suggest

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
#: No number of any file is beyond these: nothing that is counted is, and columns have 64 bits.
_LARGEST, _DIGITS = (1 << 63) - 1, 24
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: What common patterns ask for, in words.
_PATTERNS = {
    "^[a-z][a-z0-9_]*$": "small letters, digits and _, a letter first",
    "^([01][0-9]|2[0-3]):[0-5][0-9]$": 'a time of day from "00:00" to "23:59"',
    r"^\d{5}$": 'five digits in quotes, such as "20035"',
}
#: Characters of a wrong value that a message shows.
_SHOWN = 60


class Strict(BaseModel):
    """Base of all that people write: unknown keys are refused, values are frozen once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)
Loc = tuple[Any, ...]


class Misfit(ValueError):  # noqa: N818 - what a validator raises; `validate` makes the error of it
    """Values of a model that do not go together: what is wrong, below which key of the model, and what to do."""

    def __init__(self, what: str, *loc: str | int, remedy: str = "") -> None:
        self.faults: tuple[tuple[str, Loc, str], ...] = ((what, loc, remedy),)
        super().__init__(what)

    @staticmethod
    def raise_all(misfits: Sequence[Misfit]) -> None:
        """Raise them as one, if there are any."""
        if misfits:
            first, *others = misfits
            first.faults = (*first.faults, *(fault for other in others for fault in other.faults))
            raise first


@dataclass(frozen=True)
class Document:
    """A YAML file: its data, and the line (from 1) of every key and item by its path."""

    path: Path
    data: Any
    lines: dict[Loc, int]

    def line(self, loc: Loc) -> int:
        """The line of ``loc``, or of the nearest parent that has one."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def where(self, loc: Loc = ()) -> str:
        """``file:line`` of ``loc``."""
        return f"{self.path}:{self.line(loc)}"


def read_yaml(path: Path) -> Document:
    """Read one YAML file, refusing repeated keys and what is read in two ways; cached by path, size and time.

    Raises:
        UserError: the file is absent, is no YAML in UTF-8, or has keys or values that are refused: all of them.
    """
    try:
        stat = path.stat()
        return _read(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise UserError(
            f"cannot read {path.name}: {error.strerror}", where=str(path), remedy="create it, or mend the path"
        ) from error


@lru_cache(maxsize=4096)
def _read(path: Path, _size: int, _modified: int) -> Document:
    return parse_yaml(_decode(path.read_bytes(), path), path)


def parse_yaml(text: str, path: Path) -> Document:
    """The document that ``text`` is, as `read_yaml`; ``path`` is where it says it stands."""
    if match := _UNPRINTABLE.search(text):
        raise UserError(
            f"a control character (U+{ord(match[0]):04X})",
            where=f"{path}:{text.count(chr(10), 0, match.start()) + 1}",
            remedy="delete it: the file may have been saved as something else than text",
        )
    loader = _LOADER(text)
    reader = _Reader(path)
    try:
        node = loader.get_single_node()
        data = {} if node is None else reader.value(node, ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(
            f"not valid YAML: {problem}",
            where=f"{path}:{mark.line + 1 if mark else 1}",
            remedy="indent with spaces, not tabs"
            if "\\t" in problem or "tab" in problem
            else "check indentation, colons and quotes there and in the line before",
        ) from error
    except RecursionError as error:
        raise UserError(
            "not valid YAML: nested too deeply", where=f"{path}:1", remedy="write it flat, without anchors"
        ) from error
    finally:
        loader.dispose()
    raise_all(reader.mistakes)
    return Document(path, data, reader.lines)


def parse_value(text: str, place: str) -> Any:
    """One value as ``--set`` gives it, read by the rules of files.

    Raises:
        UserError: it is no YAML, or could be read in two ways.
    """
    try:
        return parse_yaml(text, Path(place)).data if text.strip() else None
    except UserError as error:
        raise_all([UserError(mistake.what, where=place, remedy=mistake.remedy) for mistake in error.each])
        raise


def _decode(raw: bytes, path: Path) -> str:
    """The text of a file in UTF-8 (a byte order mark is no part of it)."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            known, encoding = "UTF-16", "UTF-16"
        else:
            known, encoding = _encoding_of(raw)
        raise UserError(
            f"the file is not saved as UTF-8{f' but as {known}' if known else ''}",
            where=f"{path}:{line}",
            remedy=f"save it as UTF-8: `iconv -f {encoding} -t UTF-8 {path.name} > new.yml`, or in the editor's "
            "“save as”",
        ) from error


def _encoding_of(raw: bytes) -> tuple[str, str]:
    """What a file that is no UTF-8 may be: what to call it, and its name for iconv."""
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError:
        return "", "ENCODING"
    return "GBK (GB18030)", "GB18030"


class _Reader:
    """Nodes → values, lines and mistakes of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Loc, int] = {}
        self.mistakes: list[UserError] = []
        self._above: list[int] = []

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        """The value of a node; what is refused becomes None and a mistake."""
        self.lines.setdefault(loc, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._above:
            return self._wrong(node, "an anchor holds itself", "write it out instead")
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            return self._wrong(node, f"the tag {node.tag.removeprefix(_TAG)!r} is not read here", "leave it out")
        self._above.append(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._item(item, (*loc, position)) for position, item in enumerate(node.value)]
            return self._mapping(node, loc)
        finally:
            self._above.pop()

    def _item(self, node: yaml.Node, loc: Loc) -> Any:
        self.lines[loc] = node.start_mark.line + 1
        return self.value(node, loc)

    def _mapping(self, node: yaml.Node, loc: Loc) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag in (f"{_TAG}null", f"{_TAG}merge"):
                self._wrong(key_node, "a key must be a word", "write `key: value`; quote a key that is no plain word")
                continue
            key, line = key_node.value, key_node.start_mark.line + 1
            if key in mapping:
                self._wrong(
                    key_node,
                    f"key {key!r} is given twice: in line {self.lines[(*loc, key)]} and in line {line}",
                    "keep one of them",
                )
                continue
            self.lines[(*loc, key)] = line
            mapping[key] = self.value(value, (*loc, key))
        return mapping

    def _too_large(self, node: yaml.ScalarNode) -> Any:
        text = node.value if len(node.value) <= _DIGITS else f"{node.value[:_DIGITS]}… ({len(node.value)} characters)"
        remedy = "write a number that can be counted with, or put it in quotes if it is text"
        return self._wrong(node, f"{text} is too large for a number: it does not fit 64 bits", remedy)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text, tag = node.value, node.tag.removeprefix(_TAG)
        if tag == "str" and (node.style or not _NUMBER.fullmatch(text) or not text):
            return text
        if node.style:
            return self._wrong(node, f"the tag {tag!r} is not read here", "leave it out")
        if tag == "null":
            return None if text else self._wrong(node, "a value is missing", "write one, or leave the key out")
        if tag == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if tag == "timestamp":
            return self._date(node)
        if tag in ("int", "float", "str") and _INTEGER.fullmatch(text):
            return int(text) if len(text) < _DIGITS and abs(int(text)) <= _LARGEST else self._too_large(node)
        if tag in ("int", "float", "str") and _NUMBER.fullmatch(text):
            return number if math.isfinite(number := float(text)) and abs(number) <= _LARGEST else self._too_large(node)
        if tag in ("merge", "value"):
            return text
        meant = {"bool": "true or false", "int": "a plain decimal number", "float": "a plain decimal number"}
        if tag not in meant:
            return self._wrong(node, f"the tag {tag!r} is not read here", "leave it out")
        return self._wrong(
            node, f"{text} can be read in two ways", f'write {meant[tag]}, or "{text}" in quotes if it is text'
        )

    def _date(self, node: yaml.ScalarNode) -> Any:
        if not _DATE.fullmatch(node.value):
            return node.value
        try:
            return dt.date.fromisoformat(node.value)
        except ValueError:
            return self._wrong(node, f"there is no date {node.value}", "write a day of the calendar as YYYY-MM-DD")

    def _wrong(self, node: yaml.Node, what: str, remedy: str) -> None:
        self.mistakes.append(UserError(what, where=f"{self.path}:{node.start_mark.line + 1}", remedy=remedy))


def validate(model: type[Model], document: Document, data: Any = None, loc: Loc = ()) -> Model:
    """Check ``data`` (the whole document by default; ``loc`` is its path inside) against ``model``.

    Nothing is converted: a number in quotes is no number, and 1 is not true.

    Raises:
        UserError: every fault with its file and line.
    """
    data = document.data if data is None else data
    try:
        return model.model_validate_json(json.dumps(data, default=_iso, ensure_ascii=False), strict=True)
    except ValidationError as error:
        raise_all([_explain(fault, document, loc) for fault in _faults(model, data, error.errors())])
        raise


def _iso(value: Any) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in YAML")


@dataclass(frozen=True)
class _Fault:
    """One fault of validation: its path in the data, pydantic's word for it, the message, and the model it is of."""

    place: Loc
    kind: str
    message: str
    value: Any
    model: type[BaseModel] | None
    remedy: str = ""


def _faults(model: type[BaseModel], data: Any, errors: Sequence[Any]) -> list[_Fault]:
    """The faults of the data: the branches of a choice are one fault, and a misspelt key is not missing as well."""
    faults: dict[Loc, _Fault] = {}
    for error in errors:
        if error["type"] == "default_factory_not_called":  # what it follows from is wrong, and is told
            continue
        place, value = _locate(data, error)
        kind, message = error["type"], error["msg"].removeprefix("Value error, ")
        misfit = error.get("ctx", {}).get("error")
        if isinstance(misfit, Misfit):
            for what, below, remedy in misfit.faults:
                faults[(*place, *below)] = _Fault((*place, *below), "misfit", what, None, None, remedy)
            continue
        if kind in ("missing", "extra_forbidden"):
            value = None
        fault = _Fault(place, kind, message, value, model_at(model, place[:-1], data))
        before = faults.get(place)
        if before is not None and before.kind.endswith("_type") == kind.endswith("_type"):
            if message not in before.message:
                faults[place] = replace(before, message=f"{before.message}; or: {_lower(message)}")
        elif before is None or before.kind.endswith("_type"):  # the branch of the right type says what is wrong
            faults[place] = fault
    places = list(faults)
    deepest = [fault for place, fault in faults.items() if not any(_below(other, place) for other in places)]
    extra = [fault for fault in deepest if fault.kind == "extra_forbidden"]
    return [fault for fault in deepest if fault.kind != "missing" or not any(_is_misspelt(fault, x) for x in extra)]


def _below(place: Loc, other: Loc) -> bool:
    return len(place) > len(other) and place[: len(other)] == other


def _is_misspelt(missing: _Fault, extra: _Fault) -> bool:
    return missing.place[:-1] == extra.place[:-1] and suggest(str(extra.place[-1]), [missing.place[-1]]).startswith(
        "did"
    )


def _locate(data: Any, error: Any) -> tuple[Loc, Any]:
    """Where in the data a fault is: names of branches and of pydantic's own steps are left out."""
    place: list[Any] = []
    for position, part in enumerate(error["loc"]):
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            data = data[part]
        elif error["type"] == "missing" and position == len(error["loc"]) - 1:
            data = None
        else:
            continue
        place.append(part)
    return tuple(place), data


def model_at(model: type[BaseModel], place: Loc, data: Any) -> type[BaseModel] | None:
    """The model of what lies at ``place``, None where it is no model."""
    at: Any = model
    for part in place:
        at = _inside(at, part)
    return next(iter(_models(at)), None)


def _inside(annotation: Any, part: Any) -> Any:
    for model in _models(annotation):
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                return field.annotation
    for option in _options(annotation):
        arguments = get_args(option)
        origin = get_origin(option)
        if origin is dict and isinstance(part, str):
            return arguments[1]
        if origin in (list, tuple) and isinstance(part, int) and arguments:
            return arguments[0]
    return None


def _options(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from _options(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _options(option)
    else:
        yield annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [o for o in _options(annotation) if isinstance(o, type) and issubclass(o, BaseModel)]


def _explain(fault: _Fault, document: Document, loc: Loc) -> UserError:
    place = (*loc, *fault.place)
    name = ".".join(str(part) for part in place) or "the document"
    where = document.where(place)
    if fault.kind == "extra_forbidden":
        key = str(place[-1])
        known = [field.alias or n for n, field in fault.model.model_fields.items()] if fault.model else []
        return UserError(f"{name}: there is no key {key!r}", where=where, remedy=suggest(key, known))
    if fault.kind == "missing":
        return UserError(f"{name}: the key is missing", where=where, remedy=f"add `{place[-1]}:`")
    if fault.kind == "misfit":
        return UserError(f"{name}: {_lower(fault.message)}", where=where, remedy=fault.remedy or _remedy(fault))
    if isinstance(fault.value, dict | list) and fault.kind not in ("value_error", "assertion_error"):
        shown = "a list" if isinstance(fault.value, list) else "keys and values"
    else:
        shown = "empty" if fault.value is None else json.dumps(fault.value, ensure_ascii=False, default=_iso)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    note = "" if isinstance(fault.value, dict | list) and fault.kind == "value_error" else f" (it is {shown})"
    return UserError(f"{name}: {_lower(fault.message)}{note}", where=where, remedy=_remedy(fault))


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _remedy(fault: _Fault) -> str:
    if fault.kind == "literal_error" and isinstance(fault.value, str):
        return suggest(fault.value, re.findall(r"'([^']*)'", fault.message))
    if fault.kind == "string_pattern_mismatch":
        return _PATTERNS.get(re.findall(r"'([^']*)'", fault.message)[0], "write it as this pattern says")
    if fault.value is None and fault.kind != "misfit":
        return "write a value, or leave the key out"
    return "change the value; conf/README.md shows an annotated example of this kind of file"


def read_folder(folder: Path, model: type[Model], report: Report = refuse) -> Iterator[tuple[Document, Model]]:
    """Every ``*.yml`` below ``folder`` in name order, checked against ``model``; what is wrong is reported and left out."""
    for path in sorted(folder.rglob("*.yml")):
        try:
            document = read_yaml(path)
            checked = validate(model, document)
        except UserError as error:
            report(error)
            continue
        yield document, checked


def read_rows(
    path: Path,
    key: str,
    model: type[Model],
    report: Report = refuse,
    expand: Callable[[Any, Document, Loc], list[Any]] = lambda row, document, loc: [row],
) -> list[tuple[Document, Loc, Model]]:
    """The list under ``key`` of one file, each row (or what it stands for) checked; an absent file is an empty list."""
    if not path.exists():
        return []
    rows = []
    try:
        document = read_yaml(path)
        for loc, row in _list_rows(document, key):
            try:
                rows += [(document, loc, validate(model, document, each, loc)) for each in expand(row, document, loc)]
            except UserError as error:
                report(error)
    except UserError as error:
        report(error)
    return rows


def _list_rows(document: Document, key: str) -> list[tuple[Loc, Any]]:
    data = document.data
    if not isinstance(data, dict) or set(data) != {key}:
        wrong = [name for name in data if name != key] if isinstance(data, dict) else []
        raise UserError(
            f"the only top-level key must be {key!r}",
            where=document.where((wrong[0],) if wrong else ()),
            remedy=f"start with `{key}:`, the rows below it",
        )
    if not isinstance(data[key], list):
        raise UserError(
            f"{key!r} must be a list of rows",
            where=document.where((key,)),
            remedy=f"write each row below it as `- {{…}}`, or `{key}: []` if there is none",
        )
    return [((key, i), {} if row is None else row) for i, row in enumerate(data[key])]


def names_written(path: Path, key: str, name: str) -> set[str] | None:
    """The names that rows of a file give, sound or not: a reference to a broken row is no second mistake.

    None where the file cannot be read: nothing can be said of references then.
    """
    if not path.exists():
        return set()
    try:
        data: Mapping[str, Any] = read_yaml(path).data
        return {str(row[name]) for row in data[key] if isinstance(row, dict) and name in row}
    except (UserError, KeyError, TypeError):
        return None
