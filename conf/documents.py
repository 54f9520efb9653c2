"""Reading YAML with line numbers, strictly: a key given twice or unknown is refused with file, line and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from conf.errors import MendableError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Strict(BaseModel):
    """Base of all that people write: unknown keys are refused, values are frozen once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)
Loc = tuple[Any, ...]


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
    """Read one YAML file, refusing repeated keys; cached by path, size and modification time.

    Raises:
        MendableError: the file is absent, is no YAML, or gives a key twice.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise MendableError(
            f"cannot read {path.name}", where=str(path), remedy="create it, or mend the path"
        ) from error
    return _read(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _read(path: Path, _size: int, _modified: int) -> Document:
    text = path.read_text(encoding="utf-8")
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        lines: dict[Loc, int] = {}
        if node is None:
            return Document(path, {}, lines)
        _index(node, (), lines, path)
        return Document(path, loader.construct_document(node), lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error)
        raise MendableError(
            f"not valid YAML: {problem}", where=f"{path}:{line}", remedy="check indentation, colons and quotes there"
        ) from error
    finally:
        loader.dispose()


def _index(node: yaml.Node, loc: Loc, lines: dict[Loc, int], path: Path) -> None:
    lines.setdefault(loc, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            key = (*loc, key_node.value)
            line = key_node.start_mark.line + 1
            if key in lines:
                raise MendableError(
                    f"key {key_node.value!r} is given twice", where=f"{path}:{line}", remedy="keep one of them"
                )
            lines[key] = line
            _index(value, key, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            lines[(*loc, position)] = item.start_mark.line + 1
            _index(item, (*loc, position), lines, path)


def validate(model: type[Model], document: Document, data: Any = None, loc: Loc = ()) -> Model:
    """Check ``data`` (the whole document by default; ``loc`` is its path inside) against ``model``.

    Raises:
        MendableError: names the first fault by file and line, and counts the others.
    """
    try:
        return model.model_validate(document.data if data is None else data)
    except ValidationError as error:
        faults = error.errors()
        first = faults[0]
        place = (*loc, *(part for part in first["loc"] if isinstance(part, str | int)))
        name = ".".join(str(part) for part in place) or "document"
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise MendableError(
            f"{name}: {first['msg']}{more}", where=document.where(place), remedy=_remedy(model, first)
        ) from error


def _remedy(model: type[BaseModel], fault: Any) -> str:
    kind = fault["type"]
    if kind == "extra_forbidden":
        return f"remove or respell it; {model.__name__} knows: {', '.join(sorted(model.model_fields))}"
    if kind == "missing":
        return "add this key"
    return "change the value; conf/README.md shows an annotated example of this kind of file"


def read_folder(folder: Path, model: type[Model]) -> Iterator[tuple[Document, Model]]:
    """Every ``*.yml`` below ``folder`` in name order, checked against ``model``."""
    for path in sorted(folder.rglob("*.yml")):
        document = read_yaml(path)
        yield document, validate(model, document)


def read_rows(path: Path, key: str, model: type[Model]) -> list[tuple[Document, Loc, Model]]:
    """The list under ``key`` of one file, each row checked; an absent file is an empty list."""
    if not path.exists():
        return []
    document = read_yaml(path)
    if not isinstance(document.data, dict) or set(document.data) != {key}:
        raise MendableError(
            f"the only top-level key must be {key!r}", where=document.where(), remedy=f"start with `{key}:`"
        )
    rows = document.data[key] or []
    return [(document, (key, i), validate(model, document, row, (key, i))) for i, row in enumerate(rows)]
