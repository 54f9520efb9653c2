"""Campaign files: who may still be contacted at publication, their numbers, and cells that no spreadsheet runs.

Pure functions over Arrow tables; ``jobs.publish`` reads and writes. The number is decrypted here and nowhere else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from conf.offer import Channel, Product
from planning.plan.reasons import REASONS
from runtime.atomic_files import write_atomic

#: Position that stands for every channel in a stop key; channel ids end at 31.
EVERY = 63
#: What a campaign file says of a customer: as published in ``customer_features``, where limits and segments read it; the
#: account manager as the profile of the night has it.
PEOPLE = ("centre", "city", "grade", "manager")
#: What may replace a contact that cannot be made.
SECOND = ("second_product", "second_channel")
#: The group of products whose price is paid once, not by the month.
TERMINAL = "terminal"
SPAN = 64
#: A cell that begins so is run as a formula by spreadsheets: a sign, in full or small width too (Chinese versions run
#: these), behind whatever they skip (blanks of any kind, line feeds, marks without width); or a character that breaks
#: a line or a column. RE2's classes: Z are separators, C control and format characters.
_FORMULA = r"^([\p{Z}\p{C}]*[=+\-@＝＋－＠﹦﹢﹣﹫−]|[\t\r\n])"


@dataclass(frozen=True)
class CampaignFacts:
    """What holds for all rows of a campaign file.

    Attributes:
        campaign_id: of the channel's campaign.
        valid_until: until when its contacts may be made, local time.
    """

    campaign_id: str
    valid_until: str


def stop_list(consent: pa.Table, stopped: pa.Table, channels: Sequence[Channel]) -> pa.Array:
    """Keys ``customer · 64 + channel id`` of contacts that may not happen, from the latest statement of each kind.

    An opt-out (拒绝营销) of one channel stops that channel, of ``all`` every channel; switching personalisation or
    profiling off stops every personalised offer. A later consent lifts an earlier opt-out of the same kind and channel.

    Args:
        consent: ``customer_id, event_time, kind, channel, granted`` as stated, any order.
        stopped: ``customer_id, channel`` stopped on the serving store since the night.
        channels: the channels.

    Returns:
        int64 keys, ascending, unique.
    """
    spoken = consent.sort_by([("event_time", "ascending"), ("granted", "descending")])  # a tie is an opt-out
    latest = spoken.group_by(["customer_id", "kind", "channel"], use_threads=False).aggregate([("granted", "last")])
    refused = latest.filter(pc.invert(latest["granted_last"]))
    marketing = pc.equal(refused["kind"], "marketing")
    where = pc.if_else(marketing, refused["channel"], pa.scalar("all"))
    keys = pa.concat_arrays(
        [
            _keys(refused["customer_id"].combine_chunks(), _combine(where), channels),
            _keys(stopped["customer_id"].combine_chunks(), stopped["channel"].combine_chunks(), channels),
        ]
    )
    return pc.unique(keys.take(pc.sort_indices(keys)))


def _combine(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _keys(customers: pa.Array, codes: pa.Array, channels: Sequence[Channel]) -> pa.Array:
    """Keys of (customer, channel code); a code that is no channel's (``all``, or one retired) stops every channel."""
    known = pa.array([channel.code for channel in channels], pa.string())
    ids = pa.array([channel.id for channel in channels], pa.int64())
    position = pc.index_in(codes.cast(pa.string()), value_set=known)
    channel = pc.fill_null(ids.take(position), EVERY)
    return pc.add(pc.multiply(customers.cast(pa.int64()), SPAN), channel)


def is_stopped(customers: pa.Array, channel_ids: pa.Array, stops: pa.Array) -> pa.Array:
    """True where a contact of ``customers`` on ``channel_ids`` may not happen; a null channel is no contact."""
    base = pc.multiply(customers.cast(pa.int64()), SPAN)
    everywhere = pc.is_in(pc.add(base, EVERY), value_set=stops)
    here = pc.is_in(pc.add(base, pc.fill_null(channel_ids.cast(pa.int64()), SPAN - 2)), value_set=stops)
    return pc.and_(pc.or_(everywhere, here), pc.is_valid(channel_ids))


def holders(subscriber: pa.Table, at: dt.datetime) -> pa.Table:
    """``customer_id, phone_pseudonym`` of the numbers held at ``at``; of several, the one held longest."""
    current = subscriber.filter(
        pc.and_(
            pc.less_equal(subscriber["valid_from"], at),
            pc.or_kleene(pc.is_null(subscriber["valid_to"]), pc.greater(subscriber["valid_to"], at)),
        )
    ).sort_by([("customer_id", "ascending"), ("valid_from", "ascending"), ("phone_pseudonym", "ascending")])
    first = current.group_by(["customer_id"], use_threads=False).aggregate([("phone_pseudonym", "first")])
    return first.rename_columns(["customer_id", "phone_pseudonym"])


def campaign(
    contacts: pa.Table,
    phones: pa.Table,
    channel: Channel,
    products: Sequence[Product],
    people: pa.Table,
    second: pa.Table,
    facts: CampaignFacts,
) -> pa.Table:
    """The rows of a channel's campaign file, customers ascending; contacts without a number are left out.

    Args:
        contacts: ``decision_id, customer_id, product, value_micro, reason`` of the channel.
        phones: ``customer_id, phone``.
        channel: the channel.
        products: the products, for code, labels, price and the text of a message.
        people: ``customer_id`` and ``PEOPLE`` as the night's limits and segments saw them; who is not there has none.
        second: ``customer_id`` and ``SECOND``: what may replace the contact.
        facts: what holds for all rows.
    """
    offered = describe_products(products)
    if channel.message:
        offered = offered.append_column("message", pa.array([message(channel, product) for product in products]))
    rows = contacts.join(phones, "customer_id", join_type="inner").join(offered, "product", join_type="inner")
    rows = rows.join(people, "customer_id").join(second, "customer_id")
    rows = rows.sort_by([("value_micro", "descending"), ("customer_id", "ascending")])
    words = rows["reason"].to_pylist()
    extra = {
        "campaign_id": pa.array([facts.campaign_id] * rows.num_rows, pa.string()),
        "priority": pa.array(range(1, rows.num_rows + 1), pa.int64()),
        "valid_until": pa.array([facts.valid_until] * rows.num_rows, pa.string()),
        "reason_en": pa.array([REASONS.get(code, (code, code))[0] for code in words], pa.string()),
        "reason_zh": pa.array([REASONS.get(code, (code, code))[1] for code in words], pa.string()),
    }
    for name, column in extra.items():
        rows = rows.append_column(name, column)
    columns = ["decision_id", "phone", "product_code", "product_label", "product_label_zh", "price", "campaign_id"]
    columns += ["priority", *PEOPLE, *SECOND, "valid_until", "reason", "reason_en", "reason_zh"]
    if channel.message:
        columns.append("message")
    return rows.sort_by("customer_id").select(columns)


def describe_products(products: Sequence[Product]) -> pa.Table:
    """``product, product_code, product_label, product_label_zh, price`` of all products."""
    return pa.table(
        {
            "product": pa.array([product.id for product in products], pa.int16()),
            "product_code": pa.array([product.code for product in products], pa.string()),
            "product_label": pa.array([product.label for product in products], pa.string()),
            "product_label_zh": pa.array([product.label_zh for product in products], pa.string()),
            "price": pa.array([word_price(product) for product in products], pa.string()),
        }
    )


def word_price(product: Product) -> str:
    """A price with its unit and its term: ``128元/月, 12个月``; ``1999元, 合约24个月`` where it is paid once."""
    amount = f"{product.price.normalize():f}元"
    if product.group == TERMINAL:
        return f"{amount}, 合约{product.term_months}个月" if product.term_months > 1 else amount
    if product.term_months == 0:
        return f"{amount}, 单次"
    return f"{amount}/月" if product.term_months == 1 else f"{amount}/月, {product.term_months}个月"


def message(channel: Channel, product: Product) -> str:
    """The text of a message about ``product`` as ``channels.yml`` words it (with how to refuse)."""
    return channel.message.format(product=product.label, product_zh=product.label_zh, price=f"{product.price:g}")


def neutral(rows: pa.Table) -> pa.Table:
    """The same rows; text that a spreadsheet would run as a formula is led by an apostrophe."""
    return pa.table([_neutralise(column) for column in rows.columns], names=rows.column_names)


def _neutralise(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return column
    return pc.replace_substring_regex(column.cast(pa.large_string()), _FORMULA, r"'\1")


def write_csv(path: Path, rows: pa.Table, mode: int) -> str:
    """Write a CSV (UTF-8 with a byte order mark) in one step with file mode ``mode``; returns its SHA-256."""
    sink = io.BytesIO()
    sink.write(b"\xef\xbb\xbf")
    pacsv.write_csv(neutral(rows), sink)
    data = sink.getvalue()
    write_atomic(path, data, mode)
    return hashlib.sha256(data).hexdigest()


def name_campaign(run_id: str, channel: Channel) -> str:
    """The id of a night's campaign on a channel: one for all its waves, another for another run of the same date.

    It fits the 20 characters that the interfaces have for ``campaign_no``: ``260109-01-0123456789``.
    """
    return f"{run_id[2:10].replace('-', '')}-{channel.id:02d}-{run_id[11:21]}"
