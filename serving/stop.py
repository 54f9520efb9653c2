"""Customers who are to be left alone at once: rows of ``cpc.stop``, with a reason and who said so.

From the moment a row is committed, views ``offer`` and ``contact`` leave the customer out, acceptance refuses, and the
next pull of a campaign file does too (``serving/migrations``): whoever writes the row. A stop stands until it is lifted.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.errors import UserError
from dialects.hmac import Keyed
from dialects.phones import unify_numbers
from runtime.keys import pseudonym_key
from runtime.night import Night
from serving.campaign_files import holders
from serving.schema import Connection

#: Stands for every channel.
ALL = "all"


def find_customer(night: Night, number: str) -> int:
    """The customer who holds a number when the night's day begins, however the number is written.

    Raises:
        UserError: nobody does.
    """
    digits = unify_numbers(pa.array([number.strip()], pa.string()), night.catalogue.phones)
    pseudonym = Keyed(pseudonym_key(night.settings.home))(digits)
    columns = ["customer_id", "phone_pseudonym", "valid_from", "valid_to"]
    rows = night.lake.delta("subscriber").to_pyarrow_dataset()
    owned = rows.to_table(columns=columns, filter=pc.field("phone_pseudonym").isin(pseudonym))
    who = sorted(set(holders(owned, night.day_start)["customer_id"].to_pylist()))
    if len(who) != 1:
        raise UserError(
            "nobody holds that number" if not who else f"{len(who)} customers hold that number",
            where="--number",
            remedy="check its digits; a refusal of a number without a customer comes by its feed, and is kept there",
        )
    return int(who[0])


def add(store: Connection, customer: int, channel: str, *, reason: str, who: str) -> int:
    """Stop a customer on a channel (``ALL`` for every one), from now on; said again, the first stop stands.

    Returns:
        How many contacts of the newest published night were withdrawn.

    Raises:
        UserError: no such customer was ever decided about, so it is a slip of the pen.
    """
    asked = (customer,)
    if not store.execute("SELECT 1 FROM cpc.assignment WHERE customer_id = %s LIMIT 1", asked).fetchone():
        raise UserError(
            f"no published night knows customer {customer}",
            where="cpc stop add",
            remedy="check the id, or name the person by --number",
        )
    count = "SELECT count(*) FROM cpc.assignment WHERE customer_id = %s AND withdrawn"
    [(before,)] = store.execute(count, asked).fetchall()
    store.execute(
        "INSERT INTO cpc.stop (customer_id, channel, reason, who) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (customer, channel, reason, who),
    )
    [(after,)] = store.execute(count, asked).fetchall()
    return int(after - before)


def remove(store: Connection, customer: int, channel: str | None) -> int:
    """Lift a customer's stops of a channel, or all of them; returns how many.

    Offers show the customer again at once; withdrawn contacts come back when the night is published again.
    """
    return store.execute(
        "DELETE FROM cpc.stop WHERE customer_id = %s AND (%s::text IS NULL OR channel = %s)",
        (customer, channel, channel),
    ).rowcount


def list_stops(store: Connection, customer: int | None = None) -> list[dict[str, Any]]:
    """Who is stopped: ``customer_id, channel, stopped_at, reason, who``, newest first."""
    cursor = store.execute(
        "SELECT customer_id, channel, stopped_at, reason, who FROM cpc.stop "
        "WHERE %s::bigint IS NULL OR customer_id = %s ORDER BY stopped_at DESC, customer_id, channel",
        (customer, customer),
    )
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
