"""The compiled reader of JSON lines against the standard library on arbitrary lines, and what it must not lose."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialects.fields import text_of
from dialects.jsonlines import cut_objects
from dialects.scanner import BYTES, GOOD, LENGTH, LONGEST
from tests.dialects.conftest import FIELDS
from tests.examples import examples

NAMES = [field["name"] for field in FIELDS]
PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b",",
    b" ",
    b"\t",
    b"\r",
    b"\\",
    b"\\n",
    b"\\u4e2d",
    b"\\ud800",
    b"\n",
    b"-",
    b"0",
    b"1.5",
    b"1e3",
    b"01",
    b".5",
    b"true",
    b"false",
    b"null",
    b"NaN",
    b"tru",
    b'"no"',
    b'"no":1',
    b'"word":"\xe4\xb8\xad"',
    b'"more":2',
    b'{"no":7}',
    b'{"no":7,"no":8}',
    b'{"x":{"y":[1]}}',
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xf0\x9f\x98\x80",
    b"\x00",
    b"\xef\xbb\xbf",
]
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)
OBJECTS = st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=4)), VALUES, max_size=5)
LINES = st.one_of(
    OBJECTS.map(lambda one: json.dumps(one, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    OBJECTS.map(lambda one: json.dumps(one, separators=(" ,", " : ")).encode()),
    st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join),
    st.binary(max_size=30),
)


def expected(line: bytes) -> dict[str, Any] | None:
    """The values of a line as text, and what is unknown; None where it is no object of characters with keys once."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        found = json.loads(
            line.decode(), parse_float=Number, parse_int=Number, parse_constant=str, object_pairs_hook=once
        )
        json.dumps(found, ensure_ascii=False).encode()
    except ValueError:
        return None
    if not isinstance(found, dict) or controls(found):
        return None
    told: dict[str, Any] = {name: said(found.pop(name, None)) for name in NAMES}
    return told | {"_rest": dumped(found) if found else None}


def controls(value: Any) -> bool:
    """Whether a text in a value, or a key, has a control character that is no tab and ends no line."""
    if isinstance(value, dict):
        return any(controls(key) or controls(inner) for key, inner in value.items())
    if isinstance(value, list):
        return any(map(controls, value))
    return isinstance(value, str) and any(ord(c) < 32 and c not in "\t\n\r" for c in value)


class Number(str):
    """A number as it was written."""


def dumped(value: Any) -> str:
    """JSON with numbers as they were written, written out by hand."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dumped(key)}: {dumped(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dumped, value)) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def said(value: Any) -> str | None:
    """A value as the text that other dialects would hold."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value) if isinstance(value, str) else dumped(value)


def rows_of(data: bytes) -> tuple[list[int], list[dict[str, Any]]]:
    """Status of every line, and the good records."""
    cut, rest = cut_objects(data, NAMES)
    columns = {
        name: text_of(cut.source, cut.begin[n], cut.finish[n], utf8=True).to_pylist() for n, name in enumerate(NAMES)
    }
    columns["_rest"] = rest.to_pylist()
    return cut.status.tolist(), [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


@pytest.mark.whole
@given(st.lists(LINES, max_size=6))
@example([b'{"no":1,"word":"a"}', b'{"no":2,"more":3}', b'{"no":3}', b"", b" ", b"{}"])
@example([b'{"no":01}', b'{"no":-}', b'{"no":1.}', b'{"no":1e}', b'{"no":-0.5E+7}', b'{"flag":true , "at":null}\r'])
@example([b'{"\xef\xbf\xbf": null}', b'{"word":"\xef\xbf\xbf7"}', b'{"more":"\xef\xbf\xbf7"}', b'{"more":7}'])
@settings(max_examples=examples(200), deadline=None)
def test_a_line_is_what_the_standard_library_reads(lines: list[bytes]) -> None:
    data = b"\n".join(lines) + b"\n"
    lines = data.split(b"\n")[:-1]
    wanted = [expected(line.removesuffix(b"\r")) for line in lines]
    status, rows = rows_of(data)
    assert len(status) == len(lines)
    assert [one == GOOD for one in status] == [one is not None for one in wanted], lines
    assert rows == [one for one in wanted if one is not None]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"word":"\xff"}', BYTES),
        (b'{"word":"\\ud83d"}', BYTES),
        (b'{"w\xed\xa0\x80":1}', BYTES),
        (b"[1]", 9),
        (b"7", 9),
        (b"[" * 100_000, 9),
        (b'{"a":' * 50_000, 9),
        (b'{"no":1,"no":2}', 9),
        (b'{"word":"' + b"a" * LONGEST + b'"}', LENGTH),
        (b'{"word":"\x01"}', 9),
        (b"{}{}", 9),
        (b"\xef\xbb\xbf{}", 9),
    ],
)
def test_what_is_no_object_is_set_aside_and_the_next_is_read(line: bytes, code: int) -> None:
    status, rows = rows_of(line + b'\n{"no":1}\n')
    assert status == [code, GOOD]
    assert [row["no"] for row in rows] == ["1"]


def test_more_fields_than_a_word_has_bits() -> None:
    names = [f"f{n}" for n in range(80)]
    lines = [json.dumps({name: n * line for n, name in enumerate(names)}) for line in (1, 2)]
    cut, rest = cut_objects("\n".join(lines).encode(), names)
    assert cut.status.tolist() == [GOOD, GOOD]
    assert text_of(cut.source, cut.begin[79], cut.finish[79], utf8=True).to_pylist() == ["79", "158"]
    assert rest.null_count == 2


def test_unknown_keys_are_kept_beside_the_record() -> None:
    _, rows = rows_of(b'{"z":[1.50,{"y":"\xe4\xb8\xad"}],"no":3,"a":null}\n{"no":4}\n')
    assert [row["_rest"] for row in rows] == ['{"a": null, "z": [1.50, {"y": "中"}]}', None]
