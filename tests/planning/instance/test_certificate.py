"""A certificate is read as it was written, by this release and by those before; of a later form it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from conf.errors import UserError
from planning.instance.certificate import VERSION, Certificate, read_certificate, write_certificate

#: As `cpc solve` of release 0.1 wrote it, byte for byte.
OLD = """{
 "primal": 17836056,
 "bound": 17850702,
 "gap": 0.000820471934381068,
 "customers": 308,
 "arcs": 3551,
 "limits": [
  {
   "name": "sms_day",
   "used": 0,
   "amount": 60,
   "price_pico": 0
  },
  {
   "name": "floor_5g",
   "used": 7,
   "amount": 7,
   "price_pico": -1500000000000
  }
 ],
 "assignment_sha256": "c113e40c",
 "seconds": 0.129,
 "passes": 48,
 "method": "newton",
 "bound_claimed": 17836057,
 "gap_claimed": 5.606620791053358e-08
}
"""


def test_what_release_0_1_wrote_is_read_and_written_alike(tmp_path: Path) -> None:
    (tmp_path / "certificate.json").write_text(OLD, encoding="utf-8")
    found = read_certificate(tmp_path)
    assert found.prices == {"sms_day": 0, "floor_5g": -1_500_000_000_000}
    assert found.limit("floor_5g").used == 7
    write_certificate(tmp_path, found)
    assert (tmp_path / "certificate.json").read_text(encoding="utf-8") == OLD


def test_no_claim_is_no_key(tmp_path: Path) -> None:
    told = {key: value for key, value in json.loads(OLD).items() if not key.endswith("_claimed")}
    (tmp_path / "certificate.json").write_text(json.dumps(told), encoding="utf-8")
    assert read_certificate(tmp_path).as_json() == told


def test_a_later_form_and_what_is_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    for text, words in (
        (json.dumps(json.loads(OLD) | {"version": VERSION + 1}), "this release knows"),
        (OLD.replace('"primal"', '"prima"'), "no certificate"),
        ("{", "no certificate"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=words) as caught:
            read_certificate(tmp_path)
        assert caught.value.where == str(path)
    path.unlink()
    with pytest.raises(UserError, match="no certificate"):
        read_certificate(tmp_path)


def test_nobody_changes_a_certificate() -> None:
    found = Certificate.model_validate_json(OLD)
    with pytest.raises(ValidationError):
        found.primal = 1  # type: ignore[misc]
