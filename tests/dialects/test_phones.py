"""One form for each number, however it is written."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.phones import PhoneForms, load_phones
from dialects import read
from dialects.phones import unify_numbers
from tests.dialects.conftest import feed_of, pseudonym, schema_of
from tests.examples import examples

FORMS = load_phones()
PREFIXES = st.lists(st.sampled_from(FORMS.prefixes), max_size=3)
NUMBERS = st.from_regex(r"\A1[0-9]{10}\Z")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("8613800000001", "13800000001"),
        ("008613800000001", "13800000001"),
        ("+8613800000001", "13800000001"),
        ("+86 138-0000-0001", "13800000001"),
        ("013800000001", "13800000001"),
        ("1795113800000001", "13800000001"),
        ("12593013800000001", "13800000001"),
        ("17951008613800000001", "13800000001"),
        ("13800000001 ", "13800000001"),
        ("138 0000 0001", "13800000001"),
        ("\u300013800000001", "13800000001"),
        ("138\u00a000000001", "13800000001"),
        ("１３８００００００01", "13800000001"),
        ("13800000001", "13800000001"),
        ("10086", "10086"),
        ("02012345678", "02012345678"),
        ("8602012345678", "8602012345678"),  # a fixed line keeps its digits
        ("1064800000001", "1064800000001"),  # so does a number of a thing, of 13 digits
        ("99913800000001", "99913800000001"),
        ("no number", "nonumber"),
        (None, None),
    ],
)
def test_a_number_has_one_form(written: str | None, number: str | None) -> None:
    assert unify_numbers(pa.array([written], pa.string()), FORMS).to_pylist() == [number]


@given(st.lists(st.tuples(PREFIXES, NUMBERS, st.sampled_from(["", *FORMS.blanks]), st.integers(0, 11)), max_size=20))
@settings(max_examples=examples(100), deadline=None)
def test_any_prefixes_and_blanks_are_taken_off(cases: list[tuple[list[str], str, str, int]]) -> None:
    written = ["".join(prefixes) + number[:at] + blank + number[at:] for prefixes, number, blank, at in cases]
    assert unify_numbers(pa.array(written, pa.string()), FORMS).to_pylist() == [number for _, number, _, _ in cases]


def test_what_is_not_declared_is_left_as_it_is() -> None:
    texts = pa.array(["8613800000001", " 1"])
    assert unify_numbers(texts, PhoneForms()) is texts


@pytest.mark.parametrize("name", ["avl_gz", "verf", "vgop", "jsonl_gz"])
def test_every_dialect_keeps_numbers_in_one_form(name: str) -> None:
    feed, schema = feed_of(name), schema_of()
    texts = ["13800000001", "+86 13800000001", "008613800000001"]
    if feed.dialect == "jsonl":
        content = "".join(f'{{"no": {n}, "phone": "{text}"}}\n' for n, text in enumerate(texts))
    else:
        mark = chr(feed.separator) if feed.separator != 0x80 else "\x80"
        fields = [field.name for field in schema.fields]
        rows = [{"no": str(n), "phone": text} for n, text in enumerate(texts)]
        lines = [
            mark.join([*([str(n + 1)] if feed.line_numbers else []), *(row.get(f, "") for f in fields)])
            for n, row in enumerate(rows)
        ]
        content = "\n".join(lines) + "\n"
    found = read(feed, schema, content.encode("latin-1"), pseudonym, phones=FORMS)
    assert found.refused == []
    assert len(set(found.table["phone"].to_pylist())) == 1
