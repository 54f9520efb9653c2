"""Campaign files: cells that no spreadsheet runs, whatever stands before the sign and however text is stored."""

from __future__ import annotations

import pyarrow as pa
import pytest

from serving import campaign_files

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
