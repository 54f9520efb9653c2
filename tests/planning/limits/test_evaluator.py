"""What a limit takes of an arc, against a plain loop over customers, arcs and limits: all that read limits agree with it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.catalogue import ROOT, Catalogue
from conf.offer import Channel, Limit, Product
from models.assignment.problem import Kinds
from planning.instance.reader import read_instance
from planning.limits.arc_units import ArcUnits, ChannelUnits
from planning.limits.declared import DeclaredLimits
from planning.limits.evaluator import Evaluator, select_arcs, take_units, takes_stock
from planning.limits.in_force import LimitInForce, LimitsInForce, write_limits
from tests.examples import examples

CATALOGUE = Catalogue(ROOT)
PRODUCTS, CHANNELS = CATALOGUE.products[:7], CATALOGUE.channels[:7]
CENTRES, GRADES, SEGMENTS = ["gz", "sz", "fs"], [1, 2, 3], ["senior", "rural", "newcomer"]
CUSTOMERS = [
    {
        "customer_id": 10 + 3 * i,
        "centre": [*CENTRES, None][i % 4],
        "grade": GRADES[i % 3],
        **{f"segment_{name}": bool(i >> k & 1) for k, name in enumerate(SEGMENTS)},
    }
    for i in range(12)
]
ROWS = pa.Table.from_pylist(CUSTOMERS)


def some(values: list[Any]) -> st.SearchStrategy[Any]:
    """One value, or a list of a few."""
    one = st.sampled_from(values)
    return one | st.lists(one, min_size=1, max_size=3, unique=True)


where = st.fixed_dictionaries(
    {},
    optional={
        "product": some([p.code for p in PRODUCTS]),
        "group": some(sorted({p.group for p in PRODUCTS})),
        "channel": some([c.code for c in CHANNELS]),
        "centre": some([*CENTRES, "nowhere"]),
        "grade": some(GRADES),
        "segment": some(SEGMENTS),
    },
)
counts = st.sampled_from(["contacts", "seconds", "cost_micro", "callback_0", "callback_1", "callback_3"])


@st.composite
def limits(draw: st.DrawFn) -> tuple[Limit, ...]:
    """Up to six limits of any kind, with at least one that shares nothing."""
    found = []
    for m in range(draw(st.integers(1, 6))):
        row: dict[str, Any] = {"name": f"l{m}", "where": draw(where)}
        side = draw(st.sampled_from(["at_most", "at_least"]))
        if draw(st.integers(0, 3)) == 0 and (of := draw(where)):
            row |= {side: 0, "share": {"of": of, "percent": draw(st.integers(1, 99))}}
        else:
            row |= {side: draw(st.integers(0, 50)), "counts": draw(counts)}
        found.append(Limit.model_validate(row))
    return tuple(found)


def fits(where: Mapping[str, Any], product: Product, channel: Channel, customer: Mapping[str, Any]) -> bool:
    """Whether an arc of a customer is selected, as conf/limits.yml is read."""
    for key, value in where.items():
        wanted = value if isinstance(value, list) else [value]
        if key == "segment":
            hit = any(customer[f"segment_{name}"] for name in wanted)
        else:
            own = {"product": product.code, "group": product.group, "channel": channel.code}
            hit = (own[key] if key in own else customer[key]) in wanted
        if not hit:
            return False
    return True


def plain(limit: Limit, product: Product, channel: Channel, customer: Mapping[str, Any]) -> int:
    """Units that a limit takes of an arc, at most or at least."""
    if not fits(limit.where, product, channel, customer):
        return 0
    if limit.share:
        return 100 - limit.share.percent if fits(limit.share.of, product, channel, customer) else -limit.share.percent
    if limit.counts == "contacts":
        return 1
    if limit.counts == "seconds":
        return channel.seconds
    if limit.counts == "cost_micro":
        return int(channel.cost * 1_000_000)
    lag = int(limit.counts[-1])
    return channel.callbacks[lag] if lag < len(channel.callbacks) else 0


def declare(limits: tuple[Limit, ...]) -> DeclaredLimits:
    catalogue = Catalogue(ROOT)
    catalogue.__dict__.update(limits=limits, products=PRODUCTS, channels=CHANNELS)
    return DeclaredLimits.from_catalogue(catalogue)


def uses_of(kinds: Kinds, kind: int) -> dict[int, int]:
    """What an arc of a kind takes of each limit that it uses."""
    span = slice(int(kinds.first[kind]), int(kinds.first[kind + 1]))
    return dict(zip(kinds.limit[span].tolist(), kinds.use[span].tolist(), strict=True))


def population_of(declared: DeclaredLimits) -> pa.Table:
    return declared.columns(ROWS).onto(ROWS.select(["customer_id"]))


@given(limits())
@settings(max_examples=examples(60), deadline=None)
def test_classes_explanations_and_pruning_take_what_a_plain_loop_does(rows: tuple[Limit, ...]) -> None:
    declared = declare(rows)
    population = population_of(declared)
    arcs = declared.evaluator.arcs(population)
    prices = {limit.name: (7 + 10 * m) * 10**9 * (1 if limit.at_least is None else -1) for m, limit in enumerate(rows)}
    pruning = declared.charges(ROWS.select(["customer_id", "centre", "grade"]), prices)
    priced = [limit for limit in rows if "segment" not in {*limit.where, *(limit.share.of if limit.share else {})}]
    for i, customer in enumerate(CUSTOMERS):
        charges = declared.evaluator.charges(population.slice(i, 1), prices)
        for p, product in enumerate(PRODUCTS):
            for c, channel in enumerate(CHANNELS):
                uses = {limit.name: plain(limit, product, channel, customer) for limit in rows}
                seen = sum(round(uses[limit.name] * prices[limit.name] / 10**6) for limit in priced)
                assert pruning[i, p * len(CHANNELS) + c] == seen
                if channel.direction == "outbound":
                    place = arcs.of(np.array([product.id]), np.array([channel.id]))[0]
                    signs = [1 if limit.at_least is None else -1 for limit in rows]
                    taken_here = (arcs.uses[:, arcs.classes[i], place] * signs).tolist()
                    assert taken_here == list(uses.values())
                    paid = {name: use * prices[name] for name, use in uses.items() if use}
                    assert charges.get((product.id, channel.id), {}) == paid


@pytest.mark.parametrize("mapped", [False, True])
@given(limits())
@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_optimizers_instance_takes_what_a_plain_loop_does(mapped: bool, rows: tuple[Limit, ...]) -> None:
    declared = declare(rows)
    population = population_of(declared)
    pairs = [
        (customer, product, channel)
        for i, customer in enumerate(CUSTOMERS)
        for j, product in enumerate(PRODUCTS)
        for k, channel in enumerate(CHANNELS)
        if (i + 3 * j + 5 * k) % 4 == 0
    ]
    arcs = pa.table(
        {
            "customer": pa.array([customer["customer_id"] for customer, _, _ in pairs], pa.int64()),
            "product": pa.array([product.id for _, product, _ in pairs], pa.int16()),
            "channel": pa.array([channel.id for _, _, channel in pairs], pa.int16()),
            "value": pa.array([1] * len(pairs), pa.int64()),
        }
    )
    in_force = LimitsInForce(
        limits=tuple(
            LimitInForce(name=x.name, counts=x.counts, where=x.where, **{x.limit.side: x.limit.amount})  # type: ignore[arg-type]
            for x in declared.limits
        )
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "instance"
        (folder / "arcs").mkdir(parents=True)
        pq.write_table(declared.beside(arcs, population), folder / "arcs" / "part.parquet")
        write_limits(folder / "limits.yml", in_force)
        problem = read_instance(folder, Path(scratch) / "work" if mapped else None).problem
        own = {
            (customer["customer_id"], product.id, channel.id): (product, channel, customer)
            for customer, product, channel in pairs
        }
        seen = 0
        for block in problem.blocks:
            for i in range(len(block)):
                for arc in range(int(block.first[i]), int(block.first[i + 1])):
                    kind = int(block.kinds_of(i, arc))
                    product, channel = int(problem.kinds.product[kind]), int(problem.kinds.channel[kind])
                    arc_of = own[int(block.customer[i]), product, channel]
                    signed = [plain(x, *arc_of) * (1 if x.at_least is None else -1) for x in rows]
                    assert uses_of(problem.kinds, kind) == {m: use for m, use in enumerate(signed) if use}
                    seen += 1
        assert seen == len(pairs)


def test_a_column_that_is_not_at_hand_is_left_to_whoever_has_it() -> None:
    limit = LimitInForce(name="x", at_most=1, counts="seconds", where={"channel": [1], "c_centre": [2]})
    columns = {"channel": np.array([0, 1, 1]), "seconds": np.array([7, 8, 9]), "c_centre": np.array([2, 2, 1])}
    arc = {name: columns[name] for name in ("channel", "seconds")}
    own = {"c_centre": columns["c_centre"]}
    of_arc, of_customer = (take_units(limit, part, (3,), part=True) for part in (arc, own))
    assert of_arc.tolist() == [0, 8, 9]
    assert of_customer.tolist() == [1, 1, 0]
    assert (of_arc * of_customer).tolist() == take_units(limit, columns, (3,)).tolist() == [0, 8, 0]
    for part in (arc, own):  # who wants the whole must have all columns: none is taken to hold silently
        with pytest.raises(KeyError):
            take_units(limit, part, (3,))
    assert select_arcs({}, {}, (2,)).tolist() == [True, True]


def test_acceptance_takes_of_caps_on_products_whatever_the_channel() -> None:
    units = ArcUnits(
        products=(4, 9),
        channels=(
            ChannelUnits(id=0, direction="outbound", units={}),
            ChannelUnits(id=2, direction="inbound", units={}),
        ),
        shares={},
    )
    stock = LimitInForce(name="stock", at_most=3, where={"product": [9, 5], "c_centre": [1]})
    floor = LimitInForce(name="floor", at_least=3, where={"product": [9]})
    calls = LimitInForce(name="calls", at_most=3, where={"product": [9], "channel": [0]})
    assert [takes_stock(limit) for limit in (stock, floor, calls)] == [True, False, False]
    prices = {"stock": 11, "floor": -2, "calls": 5}
    evaluator = Evaluator(units, (stock, floor, calls))
    here, elsewhere = (pa.table({"customer_id": [1], "c_centre": pa.array([code], pa.int16())}) for code in (1, 2))
    assert evaluator.charges(here, prices) == {(9, 0): {"stock": 11, "floor": -2, "calls": 5}, (9, 2): {"stock": 11}}
    assert evaluator.charges(elsewhere, prices) == {(9, 0): {"floor": -2, "calls": 5}}


def test_two_hundred_products_have_their_arcs_and_uses() -> None:
    """Ids of products and channels may be of any size."""
    channels = tuple(
        ChannelUnits(id=c, direction="outbound", units={"seconds": 180 if c == 40 else 0}) for c in (0, 40)
    )
    units = ArcUnits(products=tuple(range(200)), channels=channels, shares={})
    limits = (
        LimitInForce(name="calls", at_most=900, counts="seconds"),
        LimitInForce(name="late", at_most=9, where={"product": [150, 199]}),
    )
    arcs = Evaluator(units, limits).arcs(pa.table({"customer_id": [1, 2]}))
    assert len(arcs.product) == 400
    product, channel = np.array([0, 150, 199, 199]), np.array([40, 0, 0, 40])
    place = arcs.of(product, channel)
    assert (arcs.product[place] == product).all()
    assert (arcs.channel[place] == channel).all()
    assert arcs.uses[:, 0, place].tolist() == [[180, 0, 0, 180], [0, 1, 1, 1]]
    assert arcs.stock_uses(1, [199])[199].tolist() == [1]
