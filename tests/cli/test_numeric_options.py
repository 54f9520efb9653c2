"""Every numeric option of every command has declared ends, and no value of it gives a traceback."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

import cli
from conf.bounds import OptionReader
from conf.errors import UserError

IMPOSSIBLE = ["nan", "inf", "-inf", "1e400", "1" * 23, "9" * 5_000, "x", ""]


def functions(app: typer.Typer, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for command in app.registered_commands:
        function = command.callback
        assert function is not None
        yield (*above, command.name or function.__name__.replace("_", "-")), function
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from functions(group.typer_instance, (*above, str(group.name)))


def numeric() -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Command, name and what typer is told, of every parameter that is a number."""
    for module in sorted({module for module, _ in cli.COMMANDS.values()}):
        for words, function in functions(importlib.import_module(f"cli.{module}").app):
            for name, hint in get_type_hints(function, include_extras=True).items():
                kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
                kinds = {kind, *get_args(kind)}
                if {int, float} & kinds and bool not in kinds:
                    yield words, name, get_args(hint)[1] if get_origin(hint) is Annotated else None


NUMERIC = list(numeric())


def name_of(words: tuple[str, ...], name: str) -> str:
    return " ".join((*words, name))


@pytest.mark.parametrize(("words", "name", "told"), NUMERIC, ids=[name_of(*entry[:2]) for entry in NUMERIC])
def test_it_has_declared_ends(words: tuple[str, ...], name: str, told: Any) -> None:
    assert told is not None
    assert isinstance(told.parser, OptionReader), "declare it: parser=OptionReader(NAME, a range of conf.bounds)"


@pytest.mark.parametrize("text", IMPOSSIBLE, ids=lambda text: text[:8] or "empty")
@pytest.mark.parametrize(("words", "name", "told"), NUMERIC, ids=[name_of(*entry[:2]) for entry in NUMERIC])
def test_what_cannot_be_is_refused_by_the_command(words: tuple[str, ...], name: str, told: Any, text: str) -> None:
    """By the whole command line; the message names option or argument."""
    given = [text] if told.parser.option.isupper() else [f"{told.parser.option}={text}"]
    result = CliRunner().invoke(cli.app, [*words, *given])
    assert result.exit_code != 0
    if isinstance(result.exception, UserError):
        assert result.exception.where == told.parser.option
        assert result.exception.remedy
    else:  # a usage error: told by the command line itself
        assert isinstance(result.exception, SystemExit)
        assert result.exit_code == 2


def test_there_are_as_many_as_there_were() -> None:
    assert len(NUMERIC) >= 25
