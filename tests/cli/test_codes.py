"""Codes that commands take can be listed, and examples of help name what there is."""

from __future__ import annotations

import json
import re

import pytest
import typer
from typer.testing import CliRunner

from cli import COMMANDS
from cli import app as everything
from cli.codes import KINDS, app
from cli.commands_page import write_page
from conf.catalogue import load_catalogue
from conf.errors import UserError
from tests.fixtures.catalogue import frozen


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_code_is_listed(kind: str) -> None:
    answer = CliRunner().invoke(app, [kind, "--json"])
    assert answer.exit_code == 0, answer.output
    codes = [row["code"] for row in json.loads(answer.output)[kind]]
    known = {
        "products": [product.code for product in frozen().products],
        "channels": [channel.code for channel in frozen().channels],
        "limits": [limit.name for limit in frozen().limits],
        "rules": [rule.name for rule in frozen().rules],
        "segments": sorted(frozen().segments),
        "figures": sorted(frozen().figures),
    }
    assert codes == known[kind]
    text = CliRunner().invoke(app, [kind]).output
    assert all(code in text for code in codes)  # none is cut


def test_what_there_is_no_list_of_is_refused_with_what_there_is() -> None:
    answer = CliRunner().invoke(app, ["product"])
    assert isinstance(answer.exception, UserError)
    assert "products" in (answer.exception.remedy or "")


def test_examples_of_help_name_products_channels_and_limits_that_there_are() -> None:
    """Seen: `cpc offers accept 12 flow_10g website`."""
    catalogue = load_catalogue()
    page = write_page(typer.main.get_command(everything))
    examples = re.findall(r"^example: (.*)$", page, re.M)
    assert len(examples) > len(COMMANDS) // 2
    accepted = [line.split() for line in examples if "offers accept" in line]
    assert accepted
    for words in accepted:
        assert words[4] in {product.code for product in catalogue.products}
        assert words[5] in {channel.code for channel in catalogue.channels}
    limits = {name for line in examples for name in re.findall(r"(?:--limit |limits\\.)([a-z0-9_]+)", line)}
    assert limits
    assert limits <= {limit.name for limit in catalogue.limits}
