"""How a file is written may differ from its dialect's own way, within what can be read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.dialects.conftest import feed_of


def test_a_feed_is_written_as_its_dialect_unless_it_says_otherwise() -> None:
    ways = {
        form: (feed.delimiter, feed.encoding, feed.line_numbers)
        for form in ("avl", "verf", "vgop", "jsonl_gz")
        for feed in [feed_of(form)]
    }
    assert ways == {
        "avl": ("$", "gb18030", False),
        "verf": ("|", "gb18030", False),
        "vgop": ("0x80", "gb18030", True),
        "jsonl_gz": ("", "utf-8", False),
    }
    assert feed_of("verf", delimiter=";").separator == 0x3B
    assert feed_of("vgop").separator == 0x80
    assert not feed_of("vgop", line_numbers=False).line_numbers


@pytest.mark.parametrize(
    ("form", "changes", "says"),
    [
        ("verf", {"delimiter": "||"}, "delimiter '||' is none"),
        ("verf", {"delimiter": "a"}, "delimiter 'a' is none"),
        ("verf", {"delimiter": "\n"}, "is none"),
        ("verf", {"delimiter": '"'}, "is none"),
        ("verf", {"delimiter": ""}, "is none"),
        ("vgop", {"encoding": "utf-8"}, "0x80 separates GB18030 only"),
        ("verf", {"encoding": "big5"}, "encoding"),
        ("verf_fixed", {"header": True}, "header is for delimited files"),
        ("verf_fixed", {"encoding": "utf-8"}, "encoding is for delimited files"),
        ("jsonl_gz", {"quoted": True}, "quoted is for delimited files"),
        ("jsonl_gz", {"encoding": "gb18030"}, "encoding is for delimited files"),
        ("verf", {"dialect": ["verf"]}, "dialect"),
    ],
)
def test_what_cannot_be_read_is_refused(form: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        feed_of(form, **changes)
