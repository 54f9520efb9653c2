"""How numbers may be written: what is declared, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.errors import UserError
from conf.phones import PhoneForms, load_phones
from tests.fixtures.catalogue import frozen


def test_the_forms_of_the_catalogue_are_those_of_its_file() -> None:
    forms = frozen().phones
    assert forms.subscriber is not None
    assert {"+86", "0086", "86", "0", "17951", "12593"} <= set(forms.prefixes)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('subscriber: {begins: "1", digits: 11}\nprefixes: ["8x"]', "'8x' is no prefix"),
        ('subscriber: {begins: "1", digits: 11}\nblanks: ["1"]', "is part of a number"),
        ('subscriber: {begins: "1", digits: 11}\nblanks: ["--"]', "is part of a number"),
        ('prefixes: ["86"]', "prefixes of what?"),
        ('subscriber: {begins: "x", digits: 11}', "begins"),
    ],
)
def test_what_is_no_form_is_refused_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "phones.yml").write_text(text + "\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        load_phones(tmp_path)
    assert what in error.value.what
    assert "phones.yml:" in str(error.value.where)


def test_nothing_is_declared_by_default() -> None:
    assert PhoneForms() == PhoneForms(subscriber=None, prefixes=(), blanks=())
