"""The numbers behind customers, for the campaign files only: subscriber → pseudonym → vault → number.

The vault's key is not in the lake: it comes from ``CPC_VAULT_KEY`` or ``$CPC_HOME/secrets/vault.key`` (mode 600).
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from runtime.keys import vault_opener
from runtime.night import Night
from serving.campaign_files import holders

NUMBERS = pa.schema([("customer_id", pa.int64()), ("phone", pa.string())])


def numbers_of(night: Night, customers: pa.ChunkedArray) -> pa.Table:
    """``customer_id, phone`` of those customers who hold a number when the night's day begins.

    A number that has passed to somebody else since is that person's: the map is asked for the day of the contact.
    """
    wanted = pc.unique(customers).cast(pa.int64())
    if not len(wanted) or not night.lake.exists("vault"):
        return NUMBERS.empty_table()
    columns = ["customer_id", "phone_pseudonym", "valid_from", "valid_to"]
    subscribers = night.lake.delta("subscriber").to_pyarrow_dataset()
    subscriber = subscribers.to_table(columns=columns, filter=pc.field("customer_id").isin(wanted))
    pseudonyms = holders(subscriber, night.day_start)
    sealed = (
        night.lake.delta("vault")
        .to_pyarrow_dataset()
        .to_table(
            columns=["phone_pseudonym", "phone"], filter=pc.field("phone_pseudonym").isin(pseudonyms["phone_pseudonym"])
        )
    )
    rows = pseudonyms.join(sealed, "phone_pseudonym", join_type="inner").sort_by("customer_id")
    opened = vault_opener(night.settings.home)
    clear = [opened(token).decode("ascii") for token in rows["phone"].to_pylist()]
    return pa.table([rows["customer_id"].cast(pa.int64()), pa.array(clear, pa.string())], schema=NUMBERS)
