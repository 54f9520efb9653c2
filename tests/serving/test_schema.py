"""A publication makes no reader wait, and takes nothing from what others have built on the store."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pyarrow as pa
import pytest

from conf.errors import UserError
from jobs import publish
from runtime.night import Night
from serving import schema, stock
from serving import store as serving

pytestmark = pytest.mark.whole
GOOD = {"accepted": True, "gap": 1e-5}
READ = ("assignment", "recommendation", "limit_price", "funnel", "kpi", "product", "channel", "night", "offer")
#: Tables as release 0.1 left them: listings without a key, stops without a reason, view `offer` over all columns.
OLD = """
CREATE SCHEMA cpc;
CREATE TABLE cpc.stop (customer_id bigint NOT NULL, channel text NOT NULL DEFAULT 'all',
    stopped_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (customer_id, channel));
INSERT INTO cpc.stop (customer_id) VALUES (4);
CREATE TABLE cpc.product (id bigint, code text, label text, label_zh text);
INSERT INTO cpc.product VALUES (0, 'old_code', 'l', 'l'), (62, 'withdrawn_long_ago', 'l', 'l');
CREATE VIEW public.of_products AS SELECT code FROM cpc.product;
"""


@pytest.fixture
def reader(store_address: str) -> Iterator[psycopg.Connection]:
    """A website's session: it has read every table, and its transaction stands idle."""
    with psycopg.connect(store_address) as connection:
        yield connection
        connection.rollback()


def read_all(connection: psycopg.Connection) -> None:
    for name in READ:
        connection.execute(f"SELECT count(*) FROM cpc.{name}").fetchone()


@pytest.mark.parametrize("days", [0, 1], ids=["the same night again", "a new night"])
def test_a_publication_beside_an_idle_reader_ends_and_lets_others_read(
    planned: Callable[..., Night], store_address: str, reader: psycopg.Connection, days: int
) -> None:
    publish.publish(planned(verdict=GOOD), ["store"])
    read_all(reader)
    night = planned(dt.date(2026, 1, 9) + dt.timedelta(days=days), verdict=GOOD)
    failures: list[BaseException] = []

    def act() -> None:
        try:
            publish.publish(night, ["store"])
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    slowest, until = 0.0, time.monotonic() + 60
    with psycopg.connect(store_address, autocommit=True) as other:
        other.execute("SET statement_timeout = '1s'")
        while thread.is_alive() and time.monotonic() < until:
            started = time.monotonic()
            read_all(other)
            slowest = max(slowest, time.monotonic() - started)
            time.sleep(0.05)
    thread.join(timeout=1)
    assert not thread.is_alive(), "the publication waits for an idle reader"
    assert failures == []
    assert slowest < 1
    with serving.connect(night.settings, alone=False) as store:
        assert store.execute("SELECT count(*) FROM cpc.assignment WHERE business_date = %s", (night.date,)).fetchone()[
            0
        ]


def test_views_and_grants_of_others_survive_publications(planned: Callable[..., Night], store_address: str) -> None:
    night = planned(verdict=GOOD)
    publish.publish(night, ["store"])
    with psycopg.connect(store_address) as store:
        store.execute("DROP VIEW IF EXISTS public.labels; DROP ROLE IF EXISTS website")
        store.execute(
            "CREATE VIEW public.labels AS SELECT a.customer_id, p.label_zh FROM cpc.assignment a "
            "JOIN cpc.product p ON p.id = a.product"
        )
        store.execute("CREATE ROLE website; GRANT USAGE ON SCHEMA cpc TO website")
        store.execute("GRANT SELECT ON cpc.product, cpc.offer, cpc.assignment TO website")
    publish.publish(night, ["store"])
    with psycopg.connect(store_address) as store:
        assert store.execute("SELECT count(*) FROM public.labels").fetchone()[0] > 0
        store.execute("SET ROLE website")
        for name in ("product", "offer", "assignment"):
            assert store.execute(f"SELECT count(*) FROM cpc.{name}").fetchone()[0] > 0
        store.execute("RESET ROLE")
        store.execute("DROP VIEW public.labels; DROP OWNED BY website; DROP ROLE website")


def test_a_store_of_an_old_release_is_brought_up_to_date_with_what_hangs_on_it(
    planned: Callable[..., Night], store_address: str
) -> None:
    night = planned(verdict=GOOD)
    with psycopg.connect(store_address) as store:
        store.execute("DROP SCHEMA IF EXISTS cpc CASCADE; DROP VIEW IF EXISTS public.of_products")
        store.execute(OLD)
    assert publish.publish(night, ["store"]).withdrawn == 1  # the stop of before
    with serving.connect(night.settings, alone=False) as store:
        assert not schema.is_behind(store, night.catalogue.tables)
        assert store.execute("SELECT code, in_use FROM cpc.product WHERE id IN (0, 62) ORDER BY id").fetchall() == [
            (night.catalogue.products[0].code, True),
            ("withdrawn_long_ago", False),
        ]
        codes = {code for (code,) in store.execute("SELECT code FROM public.of_products").fetchall()}
        assert night.catalogue.products[0].code in codes
        store.execute("DROP VIEW public.of_products")


def test_what_may_be_null_by_now_may_be_so_in_a_store_of_an_old_release(
    planned: Callable[..., Night], store_address: str
) -> None:
    """Release 0.2 forbade null propensities; published nights stay."""
    night = planned(verdict=GOOD)
    publish.publish(night, ["store"])
    with psycopg.connect(store_address) as store:
        store.execute("ALTER TABLE cpc.assignment ALTER COLUMN pscore SET NOT NULL")
    with serving.connect(night.settings, alone=False) as store:
        assert not store.execute("SELECT * FROM cpc.assignment WHERE pscore IS NULL").fetchall()
    plan = night.lake.arrow("assignment", partition=night.partition)
    none = pa.nulls(plan.num_rows, pa.float64())
    plan = plan.set_column(plan.column_names.index("pscore"), "pscore", none)
    night.lake.replace_arrow("assignment", plan, partition=night.partition)
    publish.publish(night, ["store"])
    with psycopg.connect(store_address) as store:
        [(count, known)] = store.execute("SELECT count(*), count(pscore) FROM cpc.assignment").fetchall()
        assert (count > 0, known) == (True, 0)


def test_a_change_of_the_schema_gives_way_to_readers_and_says_who_holds_it(
    planned: Callable[..., Night], store_address: str, reader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = planned(verdict=GOOD)
    publish.publish(night, ["store"])
    read_all(reader)
    monkeypatch.setattr(schema, "PATIENCE_SECONDS", 1.0)
    with psycopg.connect(store_address) as store:
        store.execute("UPDATE cpc.migration SET sha256 = '' WHERE name = '01-tables'")  # as of an older release
    with pytest.raises(UserError, match="in use") as refusal:
        publish.publish(night, ["store"])
    assert f"session {reader.info.backend_pid} of" in refusal.value.what
    assert "pg_terminate_backend" in refusal.value.remedy
    reader.rollback()
    publish.publish(night, ["store"])
    with serving.connect(night.settings) as store:
        assert not schema.is_behind(store, night.catalogue.tables)


def test_rows_that_others_hold_for_long_end_in_a_message(
    planned: Callable[..., Night], reader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = planned(verdict=GOOD)
    publish.publish(night, ["store"])
    reader.execute("DELETE FROM cpc.product WHERE id = 0")
    monkeypatch.setattr(serving, "WAIT", "300ms")
    monkeypatch.setattr(serving, "TRIES", 2)
    with pytest.raises(UserError, match="2 times") as refusal:
        publish.publish(night, ["store"])
    assert f"session {reader.info.backend_pid} of" in refusal.value.what


def test_publishing_the_same_night_writes_only_what_differs(planned: Callable[..., Night]) -> None:
    night = planned(verdict=GOOD)
    publish.publish(night, ["store"])

    def versions() -> dict[int, str]:
        with serving.connect(night.settings, alone=False) as store:
            return dict(store.execute("SELECT customer_id, xmin::text FROM cpc.assignment").fetchall())

    before = versions()
    with serving.connect(night.settings) as store:
        store.execute("INSERT INTO cpc.stop (customer_id) VALUES (3)")  # without a contact: nothing to mark
        store.execute("UPDATE cpc.assignment SET value_micro = 7 WHERE customer_id = 5")
    publish.publish(night, ["store"])
    after = versions()
    assert {customer for customer in after if after[customer] != before[customer]} == {5}


def test_each_role_may_do_what_it_is_for(planned: Callable[..., Night], store_address: str) -> None:
    night = planned(verdict=GOOD)
    publish.publish(night, ["store"])
    with psycopg.connect(store_address) as store:
        store.execute("SET ROLE cpc_read")
        read_all(store)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            store.execute("INSERT INTO cpc.stop (customer_id) VALUES (2)")
        store.rollback()
        store.execute("SET ROLE cpc_api")
        assert stock.accept(store, night.date, 2, 5, 5, [0, 1, 2]).withdrawn == 1
        store.execute("INSERT INTO cpc.stop (customer_id) VALUES (4)")
        assert store.execute("SELECT count(*) FROM cpc.assignment WHERE withdrawn").fetchone() == (2,)
        store.execute("DELETE FROM cpc.stop WHERE customer_id = 4")
        for refused in ("DELETE FROM cpc.assignment", "UPDATE cpc.assignment SET product = 1", "DROP TABLE cpc.stop"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), store.transaction():
                store.execute(refused)
        store.rollback()


def test_who_is_only_in_cpc_write_publishes(planned: Callable[..., Night], store_address: str) -> None:
    night = planned(verdict=GOOD)
    publish.publish(night, ["store"])  # by the owner of the server: new rows are cpc_write's all the same
    with psycopg.connect(store_address) as store:
        store.execute("DROP ROLE IF EXISTS publisher; CREATE ROLE publisher LOGIN IN ROLE cpc_write")
    address = store_address.replace("//postgres:", "//publisher:")
    assert address != store_address
    for day in (9, 10):
        other = planned(dt.date(2026, 1, day), verdict=GOOD)
        settings = other.settings.model_copy(
            update={"serving": other.settings.serving.model_copy(update={"url": address})}
        )
        publish.publish(Night(other.date, settings, other.landing), ["store"])
    with psycopg.connect(store_address) as store:
        owners = store.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'cpc'").fetchall()
        store.execute("DROP OWNED BY publisher; DROP ROLE publisher")
    assert owners == [("cpc_write",)]


def test_who_may_not_make_roles_publishes_and_is_told_what_a_superuser_has_to_do(
    planned: Callable[..., Night], store_address: str
) -> None:
    night = planned(verdict=GOOD)
    with psycopg.connect(store_address) as store:
        for role in ("cpc_read", "cpc_api", "cpc_write", "plain"):
            if store.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                store.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        store.execute("CREATE ROLE plain LOGIN NOCREATEROLE; GRANT CREATE ON DATABASE postgres TO plain")
    address = store_address.replace("//postgres:", "//plain:")
    assert address != store_address
    serving_settings = night.settings.serving.model_copy(update={"url": address})
    night = Night(night.date, night.settings.model_copy(update={"serving": serving_settings}), night.landing)
    for _ in range(2):
        warning = publish.publish(night, ["store"]).store_warning
        assert "plain may not make them" in warning
    with psycopg.connect(store_address) as store:
        assert store.execute("SELECT count(*) FROM cpc.assignment").fetchone() == (240,)
        store.execute(warning.split("`")[1].encode())  # as it says
    assert publish.publish(night, ["store"]).store_warning is None
    with psycopg.connect(store_address) as store:
        store.execute("SET ROLE cpc_read")
        read_all(store)
        store.execute("SET ROLE cpc_api")
        store.execute("INSERT INTO cpc.stop (customer_id) VALUES (4)")
        assert store.execute("SELECT count(*) FROM cpc.assignment WHERE withdrawn").fetchone() == (1,)
        store.execute("RESET ROLE")
        owners = store.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'cpc'").fetchall()
        assert owners == [("cpc_write",)]
        store.execute("DROP SCHEMA cpc CASCADE; DROP OWNED BY plain; DROP ROLE plain")  # whose schema it is
