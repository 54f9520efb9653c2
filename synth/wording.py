"""Words and codes of made-up records, as Arrow arrays: drawn from small pools, so that a million cost one take."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.plan import Floats, Ints

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗"
ASKS = [
    "客户来电咨询",
    "客户要求办理",
    "客户反映",
    "用户投诉",
    "客户询问",
    "客户表示不满",
    "用户申请",
    "回访得知",
    "系统提示",
    "客户多次来电反映",
]
THINGS = [
    "流量套餐超出后资费过高",
    "晚上八点后上网很慢",
    "电梯里没有信号",
    "宽带经常掉线",
    "收到大量营销短信",
    "5G套餐升档优惠",
    "国际漫游开通方式",
    "合约到期后如何续约",
    "积分兑换话费",
    "亲情网成员变更",
    "充值未到账",
    "彩铃被莫名订购",
    "换机补贴活动",
    "營業廳排隊時間過長",
    "個人資料需要變更",
    "珠江東路基站故障",
]
ENDS = ["，已解释", "，请核实", "，要求尽快回复", "。", "，客户认可", "，待回访", "，已转后台处理", "，情绪激动！"]
DIRT = ["　", "？？", "……", "【重复】", "锟斤拷", "～", "ＡＢＣ", "客戶　", "·", "—"]
PLACES = [
    "天河区",
    "福田区",
    "南山区",
    "禅城区",
    "香洲区",
    "龙湖区",
    "赤坎区",
    "越秀区",
    "宝安区",
    "东城街道",
    "石岐街道",
    "惠城区",
]


def texts(rng: np.random.Generator, n: int, longest: int, dirty: float) -> pa.Array:
    """Chinese remarks of at most ``longest`` characters (0: no limit), a share of them dirty."""
    a, b, c = (rng.integers(0, len(pool), n) for pool in (ASKS, THINGS, ENDS))
    marks = np.where(rng.random(n) < dirty, rng.integers(1, len(DIRT) + 1, n), 0)
    parts = [
        pa.array(pool).take(pa.array(index))
        for pool, index in ((ASKS, a), (["", *DIRT], marks), (THINGS, b), (ENDS, c))
    ]
    joined = pc.binary_join_element_wise(*parts, "")
    return pc.utf8_slice_codeunits(joined, 0, longest) if longest else joined


def names(rng: np.random.Generator, n: int, longest: int) -> pa.Array:
    """Masked names."""
    pool = [f"{surname}*" for surname in SURNAMES] + [f"{surname}**" for surname in SURNAMES]
    return take_words(pool, rng.integers(0, len(pool), n), longest)


def places(rng: np.random.Generator, n: int, longest: int) -> pa.Array:
    """Districts with a number."""
    pool = [f"{place}{k}号" for place in PLACES for k in (1, 18, 66, 108)]
    return take_words(pool, rng.integers(0, len(pool), n), longest)


def take_words(pool: list[str], index: Ints, longest: int = 0) -> pa.Array:
    """Strings of a pool by index, cut to ``longest`` characters."""
    short = [word[:longest] if longest else word for word in pool]
    return pa.array(short, pa.string()).take(pa.array(index))


def make_codes(prefix: str, numbers: Ints, width: int = 0, longest: int = 0) -> pa.Array:
    """``prefix`` followed by numbers padded to ``width``; digits are cut from the left beyond ``longest``."""
    digits = pa.array(numbers).cast(pa.string())
    if width:
        digits = pc.utf8_lpad(digits, width, "0")
    if longest and width > longest - len(prefix) > 0:
        digits = pc.utf8_slice_codeunits(digits, len(prefix) - longest, None)
    text = pc.binary_join_element_wise(prefix, digits, "")
    return pc.utf8_slice_codeunits(text, 0, longest) if longest else text


def decimals(units: Ints, scale: int) -> pa.Array:
    """decimal(18, scale) of integers in units of 10^−scale."""
    low = np.ascontiguousarray(units, dtype=np.int64)
    pairs = np.stack([low, low >> 63], axis=1)
    return pa.Array.from_buffers(pa.decimal128(18, scale), len(low), [None, pa.py_buffer(pairs)])


def instants(seconds: Ints) -> pa.Array:
    """UTC timestamps of local (Shanghai) seconds since 1970-01-01 00:00 local time."""
    return pa.array((np.asarray(seconds, dtype=np.int64) - 8 * 3600) * 1_000_000).cast(pa.timestamp("us", tz="UTC"))


def dates(days: Ints) -> pa.Array:
    """Dates of day numbers."""
    return pa.array(np.asarray(days, dtype=np.int32)).cast(pa.date32())


def with_nulls(array: pa.Array, null: np.ndarray | Floats) -> pa.Array:
    """``array`` with null where the mask is true."""
    mask = np.asarray(null, dtype=bool)
    return pc.if_else(pa.array(~mask), array, pa.scalar(None, array.type)) if mask.any() else array
