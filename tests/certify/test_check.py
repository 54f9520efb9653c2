"""The checker accepts what is so and refuses everything else: a test a refusal."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from certify.check import check
from certify.limits import InstanceRefused
from tests.examples import examples

# customer, product, channel, value, cost
ARCS = [(1, 1, 0, 500, 3), (1, 2, 0, 300, 1), (2, 1, 1, 400, 2), (4, 1, 0, -50, 1), (4, 2, 1, 700, 5)]
PLAN: list[tuple[Any, ...]] = [(1, 2, 0, 300), (2, None, None, None), (4, 2, 1, 700)]
LIMITS: dict[str, Any] = {
    "choose": "at_most_one",
    "limits": [
        {"name": "budget", "at_most": 6, "counts": "cost"},
        {"name": "floor_2", "at_least": 1, "counts": 1, "where": {"product": [2]}},
    ],
}
#: Budget: 80 micro-yuan a unit; floor: nothing.
PRICES = [80_000_000, 0]


def bound_of(arcs: list[tuple[int, ...]], prices: list[int], must: bool = False) -> int:
    """The bound by its definition, in plain Python."""
    best: dict[int, int] = {}
    for customer, product, _, value, cost in arcs:
        reduced = 10**6 * value - prices[0] * cost - prices[1] * (product == 2)
        best[customer] = max(best.get(customer, reduced if must else 0), reduced)
    amounts = prices[0] * 6 + prices[1] * 1
    return -(-amounts // 10**6) + sum(-(-b // 10**6) for b in best.values())


def certificate(plan: list[tuple[Any, ...]], prices: list[int]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for customer, product, channel, value in plan:
        digest.update(struct.pack("<qhhq", customer, *((-1, -1, 0) if product is None else (product, channel, value))))
    held = {(c, p, ch): cost for c, p, ch, _, cost in ARCS}
    used = [sum(held[r[:3]] for r in plan if r[1] is not None), sum(r[1] == 2 for r in plan)]
    primal = sum(r[3] or 0 for r in plan)
    bound = bound_of(ARCS, prices)
    return {
        "primal": primal,
        "bound": bound,
        "gap": (bound - primal) / max(1, abs(bound)),
        "customers": 3,
        "arcs": 5,
        "limits": [
            {"name": "budget", "used": used[0], "amount": 6, "price_pico": prices[0]},
            {"name": "floor_2", "used": used[1], "amount": 1, "price_pico": prices[1]},
        ],
        "assignment_sha256": digest.hexdigest(),
        "seconds": 0.1,
        "passes": 1,
        "method": "by hand",
    }


def write_arcs(folder: Path, arcs: list[tuple[Any, ...]], name: str = "a.parquet", **types: pa.DataType) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {
        "customer": pa.int64(),
        "product": pa.int16(),
        "channel": pa.int16(),
        "value": pa.int64(),
        "cost": pa.int64(),
    }
    columns = list(zip(*arcs, strict=True)) if arcs else [[]] * 5
    kinds |= types
    arrays = [pa.array(c, k) for c, k in zip(columns, kinds.values(), strict=True)]
    pq.write_table(pa.table(dict(zip(kinds, arrays, strict=True))), folder / name)


def write_plan(folder: Path, plan: list[tuple[Any, ...]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    kinds = [("customer", pa.int64()), ("product", pa.int16()), ("channel", pa.int16()), ("value", pa.int64())]
    rows = [dict(zip([k for k, _ in kinds], row, strict=True)) for row in plan]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(kinds)), folder / "part.parquet")


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """A right instance with a right plan."""
    write_arcs(tmp_path / "in" / "arcs", ARCS)
    (tmp_path / "in" / "limits.yml").write_text(yaml.safe_dump(LIMITS, sort_keys=False))
    write_plan(tmp_path / "out" / "assignment", PLAN)
    (tmp_path / "out" / "certificate.json").write_text(json.dumps(certificate(PLAN, PRICES)))
    return tmp_path / "in", tmp_path / "out"


def say(out: Path, change: Callable[[dict[str, Any]], object], plan: list[tuple[Any, ...]] = PLAN) -> None:
    said = certificate(plan, PRICES)
    change(said)
    (out / "certificate.json").write_text(json.dumps(said))


def test_a_right_plan_is_accepted(made: tuple[Path, Path]) -> None:
    found = check(*made)
    assert found["primal"] == 1000
    assert found["bound"] == 480 + (500 - 240) + (400 - 160) + (700 - 400)
    assert found["used"] == {"budget": 6, "floor_2": 2}


def test_a_claim_that_is_possible_is_accepted(made: tuple[Path, Path]) -> None:
    say(made[1], lambda said: said.update(bound_claimed=1250, gap_claimed=0.2))
    assert check(*made)["bound"] == 1280


def test_customers_may_lie_across_files(made: tuple[Path, Path]) -> None:
    (made[0] / "arcs" / "a.parquet").unlink()
    write_arcs(made[0] / "arcs", ARCS[:1], "0.parquet")
    write_arcs(made[0] / "arcs", ARCS[1:4], "1.parquet")
    write_arcs(made[0] / "arcs", ARCS[4:], "2.parquet")
    assert check(*made)["bound"] == 1280


def set_limit(key: str, value: Any, at: int = 0) -> Callable[[dict[str, Any]], object]:
    return lambda said: said["limits"][at].__setitem__(key, value)


def drop(said: dict[str, Any]) -> object:
    return said.pop("method")


REFUSED_CERTIFICATES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda s: s.update(primal=1001), "primal is 1000, not 1001"),
    (lambda s: s.update(primal=1000.0), "primal is 1000.0, not an integer"),
    (lambda s: s.update(bound=s["bound"] - 1), "bound is 1280, not 1279"),
    (lambda s: s.update(gap=0.0), "gap is"),
    (lambda s: s.update(customers=4), "customers is 3, not 4"),
    (lambda s: s.update(arcs=6), "arcs is 5, not 6"),
    (lambda s: s.update(assignment_sha256="0" * 64), "assignment_sha256 is"),
    (lambda s: s.update(extra=1), "unknown keys"),
    (drop, "lacks some"),
    (set_limit("used", 5), "6 is used, not 5"),
    (set_limit("used", True), "not an integer"),
    (set_limit("amount", 7), "the amount is 6, not 7"),
    (set_limit("price_pico", 8e7), "not an integer"),
    (set_limit("price_pico", -1), "wrong sign"),
    (set_limit("price_pico", 1, at=1), "wrong sign"),
    (set_limit("price_pico", 1 << 63), "leaves 64 bits"),
    (set_limit("price_pico", 1 << 61), "leave 62 bits"),
    (set_limit("name", "other"), "not those of limits.yml"),
    (lambda s: s["limits"].append(s["limits"][0]), "not those of limits.yml"),
    (lambda s: s["limits"].reverse(), "not those of limits.yml"),
    (set_limit("more", 1), "unknown or missing keys"),
    (lambda s: s.update(bound_claimed=999, gap_claimed=0.0), "between primal and bound"),
    (lambda s: s.update(bound_claimed=1e3, gap_claimed=0.0), "between primal and bound"),
    (lambda s: s.update(bound_claimed=1100, gap_claimed=0.0), "gap_claimed is not"),
    (lambda s: s.update(bound_claimed=1000), "go together"),
    (lambda s: s.update(seconds=-1), "no duration"),
    (lambda s: s.update(passes=1.5), "passes or method"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED_CERTIFICATES)
def test_a_wrong_certificate_is_refused(
    made: tuple[Path, Path], change: Callable[[dict[str, Any]], object], told: str
) -> None:
    say(made[1], change)
    with pytest.raises(InstanceRefused, match=told):
        check(*made)


@pytest.mark.parametrize("text", ["{", '{"primal": 1, "primal": 1}', "[]", ""])
def test_a_broken_certificate_is_refused(made: tuple[Path, Path], text: str) -> None:
    (made[1] / "certificate.json").write_text(text)
    with pytest.raises(InstanceRefused, match=r"certificate\.json"):
        check(*made)


REFUSED_PLANS: list[tuple[list[tuple[Any, ...]], str]] = [
    ([(1, 1, 0, 500), (2, None, None, None), (4, 2, 1, 700)], "limit budget is broken: 8 against 6"),
    ([(1, None, None, None), (2, None, None, None), (4, 1, 0, -50)], "limit floor_2 is broken: 0 against 1"),
    (PLAN[:2], "ends before the instance"),
    ([*PLAN, (5, None, None, None)], "beyond the instance"),
    ([PLAN[1], PLAN[0], PLAN[2]], "not the instance's, in order"),
    ([PLAN[0], PLAN[0], PLAN[2]], "not the instance's, in order"),
]


@pytest.mark.parametrize(("plan", "told"), REFUSED_PLANS)
def test_a_wrong_plan_is_refused(made: tuple[Path, Path], plan: list[tuple[Any, ...]], told: str) -> None:
    write_plan(made[1] / "assignment", plan)
    say(made[1], lambda said: None, plan)
    with pytest.raises(InstanceRefused, match=told):
        check(*made)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ((1, 2, 1, 300), "customer 1 has no such arc"),
        ((1, 2, 0, 301), "a value in the plan is not the arc's"),
        ((1, 2, None, 300), "nulls where none may be"),
    ],
)
def test_an_arc_that_is_not_there_is_refused(made: tuple[Path, Path], row: tuple[Any, ...], told: str) -> None:
    write_plan(made[1] / "assignment", [row, *PLAN[1:]])
    with pytest.raises(InstanceRefused, match=told):
        check(*made)


@pytest.mark.parametrize(
    ("arcs", "types", "told"),
    [
        ([*ARCS[2:], *ARCS[:2]], {}, "out of order"),
        ([ARCS[0], ARCS[0], *ARCS[1:]], {}, "twice"),
        ([(None, *ARCS[0][1:]), *ARCS[1:]], {}, "nulls"),
        (ARCS, {"value": pa.float64()}, "column 'value' is double"),
        (ARCS, {"product": pa.int32()}, "column 'product' is int32"),
        (ARCS, {"cost": pa.float32()}, "column 'cost' is float"),
        ([(c, p, ch, v + (1 << 50), x) for c, p, ch, v, x in ARCS], {}, "leave 62 bits|not the arc's"),
    ],
)
def test_wrong_arcs_are_refused(
    made: tuple[Path, Path], arcs: list[tuple[Any, ...]], types: dict[str, pa.DataType], told: str
) -> None:
    write_arcs(made[0] / "arcs", arcs, **types)
    with pytest.raises(InstanceRefused, match=told):
        check(*made)


def test_missing_columns_files_and_folders_are_refused(made: tuple[Path, Path]) -> None:
    path = made[0] / "arcs" / "a.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["cost"]), path)
    with pytest.raises(InstanceRefused, match="no column 'cost'"):
        check(*made)
    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(InstanceRefused, match="not a Parquet file"):
        check(*made)
    path.unlink()
    with pytest.raises(InstanceRefused, match="no Parquet files"):
        check(*made)


def changed_limit(**keys: Any) -> dict[str, Any]:
    return {**LIMITS, "limits": [{**LIMITS["limits"][0], **keys}, LIMITS["limits"][1]]}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (changed_limit(at_least=1), "exactly one of"),
        (changed_limit(at_most=None), "exactly one of"),
        (changed_limit(at_most=6.0), "not an integer"),
        (changed_limit(wher={}), "unknown keys"),
        (changed_limit(name="floor_2"), "two limits of one name"),
        (changed_limit(counts=2), "counts 2"),
        (changed_limit(where={"product": 1}), "columns with lists"),
        ({**LIMITS, "choose": "some"}, "choose is"),
        ({**LIMITS, "more": 1}, "unknown keys"),
    ],
)
def test_wrong_limits_are_refused(made: tuple[Path, Path], document: dict[str, Any], told: str) -> None:
    (made[0] / "limits.yml").write_text(yaml.safe_dump(document))
    with pytest.raises(InstanceRefused, match=told):
        check(*made)


def test_a_key_twice_is_refused(made: tuple[Path, Path]) -> None:
    text = (made[0] / "limits.yml").read_text().replace("at_most: 6", "at_most: 9\n  at_most: 6")
    (made[0] / "limits.yml").write_text(text)
    with pytest.raises(InstanceRefused, match="given twice"):
        check(*made)


def test_exactly_one_needs_an_arc_for_everybody(made: tuple[Path, Path]) -> None:
    (made[0] / "limits.yml").write_text(yaml.safe_dump({**LIMITS, "choose": "exactly_one"}))
    with pytest.raises(InstanceRefused, match="without an arc under exactly_one"):
        check(*made)


def test_sums_beyond_64_bits_are_exact(made: tuple[Path, Path]) -> None:
    arcs = [(i, 1, 0, 1, 1 << 61) for i in range(1, 9)]
    write_arcs(made[0] / "arcs", arcs)
    limits = {"limits": [{"name": "budget", "at_most": (1 << 63) - 1, "counts": "cost"}]}
    (made[0] / "limits.yml").write_text(yaml.safe_dump(limits))
    plan = [(i, 1, 0, 1) for i in range(1, 9)]
    write_plan(made[1] / "assignment", plan)
    said = {
        **certificate(PLAN, PRICES),
        "limits": [{"name": "budget", "used": 1 << 64, "amount": (1 << 63) - 1, "price_pico": 0}],
    }
    (made[1] / "certificate.json").write_text(json.dumps(said))
    with pytest.raises(InstanceRefused, match=f"budget is broken: {1 << 64} against"):
        check(*made)


def test_products_and_channels_below_zero_are_refused(made: tuple[Path, Path]) -> None:
    write_arcs(made[0] / "arcs", [(1, -1, -1, 500, 3), *ARCS[1:]])
    with pytest.raises(InstanceRefused, match="below 0"):
        check(*made)


def test_a_broken_page_is_refused(made: tuple[Path, Path]) -> None:
    path = made[0] / "arcs" / "a.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(200) + whole[204:])
    with pytest.raises(InstanceRefused, match="broken"):
        check(*made)


@pytest.mark.parametrize("change", [set_limit("used", 10**30), lambda s: s.update(gap=10**400)])
def test_integers_of_any_size_are_compared(made: tuple[Path, Path], change: Callable[[dict[str, Any]], object]) -> None:
    say(made[1], change)
    with pytest.raises(InstanceRefused):
        check(*made)


def test_a_row_that_is_no_limit_is_refused(made: tuple[Path, Path]) -> None:
    say(made[1], lambda said: said["limits"].append(5))
    with pytest.raises(InstanceRefused, match="not those of"):
        check(*made)


# --- hostile instances: every verdict against one that is found by brute force from the words of the contract ---

#: Columns with names that mean something elsewhere in the checker.
HOSTILE = ("customer", "product", "channel", "value", "cost", "none", "segment")


def use_of(arc: dict[str, int], limit: dict[str, Any]) -> int:
    if not all(arc[name] in values for name, values in limit.get("where", {}).items()):
        return 0
    return 1 if limit["counts"] == 1 else arc[limit["counts"]]


def hostile_limit(random: Random, number: int, arcs: list[dict[str, int]]) -> dict[str, Any]:
    counts: Any = random.choice([1, *HOSTILE])
    where = {}
    for name in random.sample(HOSTILE, random.choice([0, 0, 1, 1, 2])):
        values = sorted({arc[name] for arc in arcs})
        where[name] = random.sample(values, random.randint(1, len(values))) + (
            [1 << 70] if random.random() < 0.1 else []
        )
    side = random.choice(["at_most", "at_least"])
    limit: dict[str, Any] = {"name": f"m{number}", "counts": counts, "where": where}
    return {**limit, side: random.randint(-3, 12) if counts != 1 else random.randint(0, 4)}


def hostile_arcs(random: Random) -> list[dict[str, int]]:
    arcs = []
    for customer in sorted(random.sample(range(-3, 9), random.randint(1, 5))):
        pairs = sorted(random.sample([(p, c) for p in range(3) for c in range(2)], random.randint(1, 3)))
        segment = random.randint(0, 2)
        for product, channel in pairs:
            arc = {"customer": customer, "product": product, "channel": channel, "value": random.randint(-2, 9)}
            arcs.append(arc | {"cost": random.randint(-3, 5), "none": random.randint(0, 2), "segment": segment})
    return arcs


@dataclass
class Slow:
    """A plan judged one arc after another, from the words of the contract alone."""

    arcs: list[dict[str, int]]
    limits: list[dict[str, Any]]
    must: bool
    prices: list[int]
    plan: dict[int, dict[str, int] | None]
    without_impossible: bool = False

    def by_customer(self) -> dict[int, list[dict[str, int]]]:
        found: dict[int, list[dict[str, int]]] = {}
        for arc in self.arcs:
            found.setdefault(arc["customer"], []).append(arc)
        return found

    def used(self) -> list[int]:
        return [sum(use_of(arc, limit) for arc in self.plan.values() if arc is not None) for limit in self.limits]

    def may_fit(self, arc: dict[str, int]) -> bool:
        """Whether all other customers together can give the room that an arc needs of every at-most limit."""
        for limit in self.limits:
            others = [own for c, own in self.by_customer().items() if c != arc["customer"]]
            room = sum(min(0, *(use_of(other, limit) for other in own)) for own in others)
            if "at_most" in limit and use_of(arc, limit) + room > limit["at_most"]:
                return False
        return True

    def bound(self) -> int:
        total = sum(
            p * limit.get("at_most", limit.get("at_least")) for p, limit in zip(self.prices, self.limits, strict=True)
        )
        bound = -(-total // 10**6)
        for own in self.by_customer().values():
            reduced = [
                10**6 * arc["value"] - sum(p * use_of(arc, m) for p, m in zip(self.prices, self.limits, strict=True))
                for arc in own
                if not self.without_impossible or self.may_fit(arc)
            ] or [0]
            bound += -(-max(reduced if self.must else [*reduced, 0]) // 10**6)
        return bound

    def holds(self) -> bool:
        if self.must and any(arc is None for arc in self.plan.values()):
            return False
        return all(
            used <= limit["at_most"] if "at_most" in limit else used >= limit["at_least"]
            for used, limit in zip(self.used(), self.limits, strict=True)
        )

    def write(self, folder: Path) -> tuple[Path, Path]:
        (folder / "in" / "arcs").mkdir(parents=True)
        table = pa.Table.from_pylist(self.arcs)
        kinds = {"product": pa.int16(), "channel": pa.int16()}
        table = table.cast(pa.schema([(name, kinds.get(name, pa.int64())) for name in table.column_names]))
        pq.write_table(table, folder / "in" / "arcs" / "a.parquet")
        choose = "exactly_one" if self.must else "at_most_one"
        (folder / "in" / "limits.yml").write_text(yaml.safe_dump({"choose": choose, "limits": self.limits}))
        rows = [
            (c, None, None, None) if arc is None else (c, arc["product"], arc["channel"], arc["value"])
            for c, arc in self.plan.items()
        ]
        write_plan(folder / "out" / "assignment", rows)
        digest = hashlib.sha256()
        for customer, product, channel, value in rows:
            digest.update(
                struct.pack("<qhhq", customer, *((-1, -1, 0) if product is None else (product, channel, value)))
            )
        primal, bound = sum(row[3] or 0 for row in rows), self.bound()
        said = {
            "primal": primal,
            "bound": bound,
            "gap": (bound - primal) / max(1, abs(bound)),
            "customers": len(rows),
            "arcs": len(self.arcs),
            "limits": [
                {"name": m["name"], "used": u, "amount": m.get("at_most", m.get("at_least")), "price_pico": p}
                for m, u, p in zip(self.limits, self.used(), self.prices, strict=True)
            ],
            "assignment_sha256": digest.hexdigest(),
            "seconds": 0.0,
            "passes": 0,
            "method": "",
        }
        (folder / "out" / "certificate.json").write_text(json.dumps(said))
        return folder / "in", folder / "out"


def hostile(seed: int) -> Slow:
    random = Random(seed)
    arcs = hostile_arcs(random)
    limits = [hostile_limit(random, m, arcs) for m in range(random.randint(0, 4))]
    prices = [random.choice([0, random.randint(0, 5_000_000)]) * (1 if "at_most" in m else -1) for m in limits]
    case = Slow(arcs, limits, random.random() < 0.4, prices, {}, without_impossible=random.random() < 0.5)
    for _ in range(30):  # a right plan where one comes up, else one that breaks something
        for customer, own in case.by_customer().items():
            case.plan[customer] = random.choice(own if case.must else [*own, None])
        if case.holds() != (seed % 3 == 0):
            break
    return case


def test_no_hostile_instance_fools_the_checker(tmp_path: Path) -> None:
    right, wrong, seeds = 0, 0, examples(400)
    for seed in range(seeds):
        case = hostile(seed)
        instance, out = case.write(tmp_path / str(seed))
        if case.holds():
            found, right = check(instance, out), right + 1
            assert (found["bound"], list(found["used"].values())) == (case.bound(), case.used()), seed
            said = json.loads((out / "certificate.json").read_text())
            (out / "certificate.json").write_text(json.dumps(said | {"bound": said["bound"] - 1}))
            with pytest.raises(InstanceRefused):
                check(instance, out)
        else:
            wrong += 1
            with pytest.raises(InstanceRefused, match=r"is broken|without an arc|no arc that fits"):
                check(instance, out)
    assert right > seeds // 4
    assert wrong > seeds // 4


def test_a_plan_that_breaks_a_limit_on_customers_is_refused(tmp_path: Path) -> None:
    arcs = [{"customer": c, "product": 0, "channel": 0, "value": 10} for c in range(6)]
    limits = [{"name": "these", "at_most": 1, "counts": 1, "where": {"customer": [1, 2, 3]}}]
    case = Slow(arcs, limits, False, [0], {arc["customer"]: arc for arc in arcs})
    with pytest.raises(InstanceRefused, match="these is broken: 3 against 1"):
        check(*case.write(tmp_path))


def test_an_arc_that_cannot_fit_may_be_out_of_the_bound_and_of_the_62_bits(tmp_path: Path) -> None:
    arcs = [{"customer": c, "product": p, "channel": 0, "value": 10 + p, "cost": 3} for c in range(4) for p in range(2)]
    arcs[1] |= {"cost": 1 << 61, "value": 1 << 41}
    limits = [{"name": "budget", "at_most": 6, "counts": "cost", "where": {}}]
    plan: dict[int, dict[str, int] | None] = {0: None, 1: None, 2: arcs[5], 3: arcs[7]}
    case = Slow(arcs, limits, False, [3_000_000], plan, without_impossible=True)
    assert check(*case.write(tmp_path / "out"))["bound"] == case.bound() == 18 + 1 + 3 * 2
    case.prices = [0]
    assert check(*case.write(tmp_path / "none"))["bound"] == 10 + 3 * 11
    case.without_impossible = False  # as certificates of earlier releases have it: a bound too, if a poor one
    assert check(*case.write(tmp_path / "in"))["bound"] == (1 << 41) + 33


# customer, product, channel, slot, value, cost: two arcs of customer 1 differ by their slot alone
SLOTTED = [(1, 1, 0, 0, 500, 3), (1, 1, 0, 1, 400, 1), (2, 1, 1, 1, 400, 2), (4, 2, 1, 0, 700, 5)]
SLOTTED_PLAN: list[tuple[Any, ...]] = [(1, 1, 0, 1, 400), (2, None, None, None, None), (4, 2, 1, 0, 700)]
KEYED = [(name, pa.int16()) for name in ("product", "channel", "slot")]


def make_slotted(
    tmp_path: Path,
    plan: list[tuple[Any, ...]],
    arcs: list[tuple[int, ...]],
    logged: list[tuple[Any, ...]] | None = None,
) -> tuple[Path, Path]:
    """An instance whose arcs have slots, with a plan, and a certificate of the plan that is ``logged``."""
    schema = pa.schema([("customer", pa.int64()), *KEYED, ("value", pa.int64()), ("cost", pa.int64())])
    rows = [dict(zip(schema.names, row, strict=True)) for row in arcs]
    for folder in ("in/arcs", "out/assignment"):
        (tmp_path / folder).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "in" / "arcs" / "a.parquet")
    (tmp_path / "in" / "limits.yml").write_text(yaml.safe_dump(LIMITS, sort_keys=False))
    chosen = [dict(zip(schema.names, row, strict=False)) for row in plan]
    pq.write_table(pa.Table.from_pylist(chosen, schema=schema.remove(5)), tmp_path / "out" / "assignment" / "a.parquet")
    digest = hashlib.sha256()
    for row in logged or plan:
        digest.update(struct.pack("<qhhhq", *(row if row[1] is not None else (row[0], -1, -1, -1, 0))))
    document = certificate([(1, 2, 0, 300), (2, None, None, None), (4, 2, 1, 700)], PRICES)
    bound = bound_of([(c, p, ch, v, cost) for c, p, ch, _, v, cost in SLOTTED], PRICES)
    document |= {"bound": bound, "primal": 1100, "gap": (bound - 1100) / bound, "arcs": 4}
    document["limits"][1]["used"] = 1
    (tmp_path / "out" / "certificate.json").write_text(json.dumps(document | {"assignment_sha256": digest.hexdigest()}))
    return tmp_path / "in", tmp_path / "out"


def test_arcs_that_differ_only_by_slot_are_two(tmp_path: Path) -> None:
    assert check(*make_slotted(tmp_path, SLOTTED_PLAN, SLOTTED))["primal"] == 1100


@pytest.mark.parametrize(
    ("slot", "word"), [(0, "not the arc's"), (2, "no such arc"), (-1, "no such arc"), (None, "nulls where none may be")]
)
def test_a_plan_that_names_a_wrong_slot_is_refused(tmp_path: Path, slot: int | None, word: str) -> None:
    plan = [(1, 1, 0, slot, 400), *SLOTTED_PLAN[1:]]
    with pytest.raises(InstanceRefused, match=word):
        check(*make_slotted(tmp_path, plan, SLOTTED, logged=SLOTTED_PLAN))


def test_a_hash_that_leaves_out_the_slot_is_refused(tmp_path: Path) -> None:
    instance, out = make_slotted(tmp_path, SLOTTED_PLAN, SLOTTED)
    digest = hashlib.sha256()
    for row in SLOTTED_PLAN:
        digest.update(struct.pack("<qhhq", *((row[0], -1, -1, 0) if row[1] is None else (*row[:3], row[4]))))
    document = json.loads((out / "certificate.json").read_text()) | {"assignment_sha256": digest.hexdigest()}
    (out / "certificate.json").write_text(json.dumps(document))
    with pytest.raises(InstanceRefused, match="assignment_sha256"):
        check(instance, out)


def test_an_arc_with_its_slot_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstanceRefused, match="twice"):
        check(*make_slotted(tmp_path, SLOTTED_PLAN, [SLOTTED[1], *SLOTTED[1:]]))


def test_a_plan_without_the_slots_of_its_instance_is_refused(tmp_path: Path) -> None:
    instance, out = make_slotted(tmp_path, SLOTTED_PLAN, SLOTTED)
    path = out / "assignment" / "a.parquet"
    pq.write_table(pq.read_table(path).drop_columns("slot"), path)
    with pytest.raises(InstanceRefused, match="slot"):
        check(instance, out)


def test_a_plan_with_slots_that_its_instance_has_not_is_refused(made: tuple[Path, Path]) -> None:
    path = made[1] / "assignment" / "part.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("slot", pa.array([1, None, 1], pa.int16())), path)
    with pytest.raises(InstanceRefused, match="the plan has a slot"):
        check(*made)


def test_files_of_arcs_must_agree_on_slots(made: tuple[Path, Path]) -> None:
    arcs = made[0] / "arcs"
    table = pq.read_table(arcs / "a.parquet")
    late = table.slice(3)
    pq.write_table(table.slice(0, 3), arcs / "a.parquet")
    pq.write_table(late.append_column("slot", pa.array([0] * late.num_rows, pa.int16())), arcs / "b.parquet")
    with pytest.raises(InstanceRefused, match="of some files and not of others"):
        check(*made)
