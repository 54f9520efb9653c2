"""Campaign files: cells that no spreadsheet runs, whatever stands before the sign and however text is stored."""

from __future__ import annotations

import csv
import datetime as dt
import stat
from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from conf.catalogue import load_catalogue
from jobs import publish
from runtime.night import Night
from serving import campaign_files
from serving.publication import publication_folder
from tests.nights.published import put

SIGNS = "=+-@＝＋－＠"
BEFORE = ["", " ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u200b", "\ufeff", " \u2003\t"]


@pytest.mark.parametrize("before", BEFORE, ids=repr)
def test_a_formula_is_neutral_behind_whatever_a_spreadsheet_skips(before: str) -> None:
    cells = [f"{before}{sign}SUM(1)" for sign in SIGNS]
    neutral = campaign_files.neutral(pa.table({"cell": cells}))
    assert neutral["cell"].to_pylist() == [f"'{cell}" for cell in cells]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_every_type_of_text_column_is_neutral(kind: pa.DataType) -> None:
    cells = pa.array(["=1+1", " =1+1", "\n=1+1", "＝1+1", None, "plain", "a=b", "【移动】+1", ""], pa.string())
    neutral = campaign_files.neutral(pa.table({"cell": cells.cast(kind)}))["cell"].to_pylist()
    assert neutral == ["'=1+1", "' =1+1", "'\n=1+1", "'＝1+1", None, "plain", "a=b", "【移动】+1", ""]


def test_a_price_says_its_unit_and_its_term() -> None:
    products = {product.code: product for product in load_catalogue().products}
    assert {code: campaign_files.word_price(products[code]) for code in ("upgrade_5g_128", "phone_5g_mid")} == {
        "upgrade_5g_128": "128元/月, 12个月",
        "phone_5g_mid": "1999元, 合约24个月",
    }
    assert campaign_files.word_price(products["data_day_pack"]) == "3元, 单次"
    assert campaign_files.word_price(products["ring_tone"]) == "6元/月"
    half = products["ring_tone"].model_copy(update={"price": Decimal("99.50")})
    assert campaign_files.word_price(half) == "99.5元/月"


@pytest.mark.whole
def test_a_file_says_who_where_how_urgent_what_for_how_much_and_what_else(
    planned: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    night = planned(verdict={"accepted": True, "gap": 1e-5})
    features = pa.table(
        {
            "business_date": pa.array([night.date] * 2, pa.date32()),
            "customer_id": pa.array([4, 2], pa.int64()),
            "city": ["gz", "=sz"],
            "centre": ["c1", "c2"],
            "grade": ["gold", "standard"],
        }
    )
    write_deltalake(str(night.lake.path("customer_features")), features, partition_by=["business_date"])
    at = night.day_start - dt.timedelta(days=30)
    profile = {"customer_id": 4, "valid_from": at, "arrived_at": at, "status": "active", "data_date": night.date}
    put(night, "customer", [{**profile, "manager_id": "m7"}])
    website = next(channel for channel in night.catalogue.channels if channel.code == "website")
    knowing = website.model_copy(update={"knows_numbers": True})
    channels = [knowing if channel is website else channel for channel in night.catalogue.channels]
    monkeypatch.setitem(vars(night.catalogue), "channels", channels)
    publish.publish(night, ["files"])
    folder = publication_folder(night)

    def rows_of(name: str) -> list[dict[str, str]]:
        with (folder / name).open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    sms = rows_of("contacts-sms_hall.csv")
    [row] = [row for row in sms if row["phone"] == "10000000004"]
    assert (row["city"], row["centre"], row["grade"], row["manager"]) == ("gz", "c1", "gold", "m7")
    assert row["second_product"] == night.catalogue.products[4].code
    assert row["second_channel"] == "sms_hall"
    assert row["valid_until"] == "2026-01-10 00:00"
    product = next(each for each in night.catalogue.products if each.code == row["product_code"])
    assert row["price"] == campaign_files.word_price(product)
    assert all(row[name] for name in ("reason", "reason_en", "reason_zh"))
    assert sorted(int(each["priority"]) for each in sms) == list(range(1, len(sms) + 1))
    assert max(sms, key=lambda each: int(each["decision_id"].rsplit("-", 1)[1]))["priority"] == "1"  # worth most
    assert [each["city"] for each in rows_of("contacts-wechat.csv") if each["phone"] == "10000000002"] == ["'=sz"]

    offers = rows_of("offers-website.csv")
    assert "customer_id" not in offers[0]
    assert {each["phone"] for each in offers} == {f"1000{c:07d}" for c in range(240) if c != 13}
    assert {each["slate_probability"] for each in offers} == {"0.5"}
    assert stat.S_IMODE((folder / "offers-website.csv").stat().st_mode) == 0o600
    assert "phone" not in rows_of("offers-wap.csv")[0]
    noted = [each["what"] for each in night.lake.arrow("ops_audit").to_pylist()]
    assert sum("offers-website.csv" in what for what in noted) == 1
