"""Public files that nobody wrote for this product: what is drafted of each reads it, or says what it cannot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from dialects.draft import draft, read_back
from dialects.sniff import sniff

pytestmark = pytest.mark.whole
DATA = Path(os.environ.get("CPC_DATA", "/nowhere"))
#: File → what its feed must say, its records, and types of some columns.
SAMPLES: dict[str, tuple[dict[str, Any], int, dict[str, str]]] = {
    "cn_unicom_phone_catalogue_gbk/phone_info.csv": (
        {"delimiter": ",", "header": True, "quoted": True},
        13_623,
        {"product_time": "date", "field_2_gmax": "int"},
    ),
    "cn_iface_derived/voice_gb18030_dollar.txt": ({"dialect": "avl", "header": True}, 5_433, {"field_1": "int"}),
    "cn_iface_derived/voice_gbk_pipe_crlf_nohdr.txt": ({"dialect": "verf"}, 5_433, {"field_35": "code"}),
    "cn_iface_derived/edge_0x80delim_trail80_gbk.txt": ({"dialect": "vgop", "line_numbers": False}, 2, {}),
    "cn_mobile_satisfaction_2022/voice_satisfaction_train.csv.gz": (
        {"encoding": "utf-8", "header": True, "compression": "gzip", "delimiter": ","},
        5_433,
        {"field_35": "code"},
    ),
    "telecom_comcast_complaints/Comcast_telecom_complaints_data.csv": (
        {"delimiter": ",", "header": True, "quoted": True},
        2_224,
        {"date_month_year": "date", "date": "string", "status": "code"},
    ),
    "telecom_megaline_cdr/megaline_calls.csv.gz": ({"header": True}, 137_735, {"call_date": "date"}),
    "telecom_megaline_cdr/megaline_users_noname.csv": ({"header": True, "quoted": True}, 500, {"churn_date": "date"}),
    "bank_marketing/bank-additional-full.csv": (
        {"delimiter": ";", "header": True, "quoted": True},
        41_188,
        {"job": "code", "emp_var_rate": "decimal"},
    ),
    "starbucks_offers/portfolio.json": ({"dialect": "jsonl"}, 10, {"channels": "string"}),
    "starbucks_offers/profile.json": ({"dialect": "jsonl"}, 17_000, {"became_member_on": "date", "gender": "code"}),
    "starbucks_offers/transcript_first30h_truncated.jsonl.gz": ({"dialect": "jsonl"}, 25_694, {"value": "string"}),
    "telco_ibm_churn/WA_Fn-UseC_-Telco-Customer-Churn.csv": (
        {"delimiter": ",", "header": True},
        7_043,
        {"customer_id": "string", "total_charges": "string", "churn": "code"},
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_public_file_is_read_by_its_draft(name: str) -> None:
    path, (said, rows, types) = DATA / name, SAMPLES[name]
    if not path.exists():
        pytest.skip("the public data sets are not on this machine")
    found = sniff(path.name, path.read_bytes())
    texts = draft(found, "drafted", set())
    feed, schema = (yaml.safe_load(text) for text in texts)
    assert {key: feed.get(key, False) for key in said} == said
    assert types.items() <= {field["name"]: field["type"] for field in schema["fields"]}.items()
    result = read_back(*texts, found)
    assert result.rows == rows
    assert result.good
