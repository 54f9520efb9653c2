"""A stop is said by id or by number, with a reason, and is in the audit."""

from __future__ import annotations

import json
from collections.abc import Callable

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cli import stop
from dialects.hmac import Keyed
from jobs import publish
from runtime.keys import pseudonym_key
from runtime.night import Night
from tests.nights.published import put

pytestmark = pytest.mark.whole


@pytest.fixture
def call(planned: Callable[..., Night], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``call(words…)`` is what `cpc stop` prints, or the message with which it refuses."""
    night = planned(verdict={"accepted": True, "gap": 1e-5})
    publish.publish(night, ["store"])
    monkeypatch.setattr(stop, "open_night", lambda date, env: night)
    pseudonym = Keyed(pseudonym_key(night.settings.home))(pa.array(["13800000004"]))[0].as_py()
    row = {"phone_pseudonym": pseudonym, "key_version": 1, "valid_from": night.cut_off.replace(year=2024)}
    put(night, "subscriber", [{**row, "valid_to": None, "customer_id": 4}])

    def run(*words: str) -> str:
        result = CliRunner().invoke(stop.app, ["stop", *words])
        return result.output if result.exit_code == 0 else str(result.exception)

    vars(run)["night"] = night
    return run


def test_a_stop_by_id_or_number_is_listed_with_its_reason_and_lifted(call: Callable[..., str]) -> None:
    assert json.loads(call("add", "2", "--why", "called 10086", "--json"))["contacts withdrawn"] == 1
    assert json.loads(call("add", "2", "--why", "again", "--json"))["contacts withdrawn"] == 0
    assert json.loads(call("add", "--number", "+86 138-0000-0004", "--channel", "website", "--why", "w", "--json")) == {
        "customer": 4,
        "channel": "website",
        "contacts withdrawn": 0,
    }
    listed = {
        (row["customer_id"], row["channel"], row["reason"]) for row in json.loads(call("list", "--why", "r", "--json"))
    }
    assert listed == {(2, "all", "called 10086"), (4, "website", "w")}
    assert "website" in call("list", "--number", "13800000004", "--why", "r")
    assert json.loads(call("remove", "2", "--why", "a slip", "--json"))["stops lifted"] == 1
    assert {row["customer_id"] for row in json.loads(call("list", "--why", "r", "--json"))} == {4}
    said = [row["what"] for row in vars(call)["night"].lake.arrow("ops_audit").to_pylist()]
    assert sum("stopped on" in what for what in said) == 3
    assert sum("lifted" in what for what in said) == 1
    assert not any("13800000004" in what for what in said)


def test_what_cannot_be_a_stop_is_told(call: Callable[..., str]) -> None:
    for words, message in (
        (("add", "--why", "x"), "name one customer"),
        (("add", "2", "--number", "1", "--why", "x"), "name one customer"),
        (("add", "--number", "13911111111", "--why", "x"), "nobody holds that number"),
        (("add", "2", "--why", " "), "needs a reason"),
        (("add", "2", "--channel", "fax", "--why", "x"), "no channel 'fax'"),
        (("add", "99999999", "--why", "x"), "no published night knows customer"),
        (("remove", "2", "--why", "x"), "is not stopped there"),
    ):
        assert message in call(*words)
