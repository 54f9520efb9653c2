"""Checks a plan and its bound against the instance: exact integers, one pass, bounded memory.

*Feasible*: every customer of the instance once, every chosen arc there with its value, every limit kept.
*Bound*: ceil(sum price x amount / 10^6) + sum over customers of ceil(best reduced value / 10^6), the reduced value of
an arc being 10^6 x value - sum price x use, with 0 as a choice unless everybody must take an arc. By weak duality
no feasible plan is worth more, whatever the prices. An arc that even with all negative uses of the other customers
cannot fit an at-most limit is in no feasible plan: a certificate may leave such arcs out of its bound, or not.
An arc's key is customer, product, channel and, where the instance has such columns, slot and variant.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from certify.limits import KEY_PARTS, CheckedLimit, InstanceRefused, read_certificate, read_limits

_BATCH = 1 << 19
_MOST = 1 << 62
#: Distinct rows that are numbered by a table instead of a hash.
_DENSE = 1 << 20
_TYPES = {"customer": pa.int64(), "product": pa.int16(), "channel": pa.int16(), "value": pa.int64()}
_TYPES |= dict.fromkeys(KEY_PARTS, pa.int16())


@dataclass
class _Tally:
    customers: int = 0
    arcs: int = 0
    primal: int = 0
    key: tuple[str, ...] = ("product", "channel")
    reduced: int | None = 0  # None: reduced values leave 62 bits
    used: list[int] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)


def check(instance: Path, out: Path) -> dict[str, Any]:
    """Accept a plan: returns what was re-derived.

    Raises:
        Refused: anything in the plan or its certificate is not so.
    """
    must, plain = read_limits(instance / "limits.yml")
    certificate, limits = read_certificate(out / "certificate.json", plain)
    tally = _pass(instance, out, limits, must, None)
    if tally.reduced is None or _bound(limits, tally) != certificate["bound"]:
        tally = _pass(instance, out, limits, must, _relief(instance, limits))
        if tally.reduced is None:
            raise InstanceRefused("reduced values leave 62 bits", "certificate.json")
    return _compare(certificate, limits, tally)


def _pass(instance: Path, out: Path, limits: list[CheckedLimit], must: bool, relief: list[int] | None) -> _Tally:
    """Judge all arcs and the plan; with ``relief`` the bound leaves out the arcs that fit no at-most limit."""
    key = read_key(instance / "arcs")
    tally = _Tally(used=[0] * len(limits), key=key)
    plan = _plan(out / "assignment", key)
    for rows in _whole_customers(instance / "arcs", _columns(limits, key)):
        _judge(rows, limits, must, plan, tally, relief)
    plan.refuse_rest()
    return tally


def _relief(instance: Path, limits: list[CheckedLimit]) -> list[int]:
    """Of each limit the sum over all customers of their most negative use, at most 0."""
    relief = [0] * len(limits)
    for rows in _whole_customers(instance / "arcs", _columns(limits, read_key(instance / "arcs"))):
        first, _ = _starts(rows["customer"])
        kind, classes, distinct = _kinds(rows, _class_key(limits))
        for m, limit in enumerate(limits):
            use = limit.use(distinct, classes)
            if limit.side > 0 and int(use.min()) < 0:
                relief[m] += _exact_sum(np.minimum(np.minimum.reduceat(use[kind], first), 0))
    return relief


def _starts(customer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each customer's arcs begin, and how many they are."""
    first = np.concatenate(([0], np.flatnonzero(customer[1:] != customer[:-1]) + 1))
    return first, np.diff(np.append(first, len(customer)))


def _fits(
    kind: np.ndarray,
    uses: list[np.ndarray],
    limits: list[CheckedLimit],
    starts: tuple[np.ndarray, np.ndarray],
    relief: list[int],
) -> np.ndarray:
    """Which arcs could fit every at-most limit if the other customers gave all the room that they can."""
    fits = np.ones(len(kind), bool)
    for limit, use, other in zip(limits, uses, relief, strict=True):
        if limit.side > 0:
            by_arc = use[kind]
            own = np.minimum(np.minimum.reduceat(by_arc, starts[0]), 0)
            room = [min(max(limit.amount - other + int(u), -_MOST * 2), _MOST * 2 - 1) for u in own.tolist()]
            fits &= by_arc <= np.repeat(np.array(room, np.int64), starts[1])
    return fits


def _class_key(limits: list[CheckedLimit]) -> list[str]:
    """The columns that limits look at, whatever their names: what arcs of one class must share."""
    named = {key for limit in limits for key in limit.where}
    return sorted(named | {limit.counts for limit in limits if limit.counts is not None})


def read_key(folder: Path) -> tuple[str, ...]:
    """``product``, ``channel`` and the other parts of the key that the files of a folder have, all of them alike."""
    keys = {}
    for path in _files(folder):
        try:
            names = pq.read_schema(path).names
        except (pa.ArrowException, OSError) as error:
            raise InstanceRefused("not a Parquet file, or a broken one", str(path)) from error
        keys[("product", "channel", *(name for name in KEY_PARTS if name in names))] = path.name
    if len(keys) > 1:
        raise InstanceRefused("slot or variant is a column of some files and not of others", [*keys.values()][-1])
    return next(iter(keys))


def pack_key(rows: dict[str, np.ndarray], key: tuple[str, ...]) -> np.ndarray:
    """The parts of the key, 16 bits each, as digits of one integer."""
    packed = rows[key[0]].astype(np.int64)
    for name in key[1:]:
        packed = packed * (1 << 16) + rows[name]
    return packed


def record_type(key: tuple[str, ...]) -> np.dtype[Any]:
    """What a plan's hash is made of, row by row."""
    return np.dtype([("customer", "<i8"), *((name, "<i2") for name in key), ("value", "<i8")])


def _columns(limits: list[CheckedLimit], key: tuple[str, ...]) -> list[str]:
    own = ["customer", *key, "value"]
    return [*own, *(name for name in _class_key(limits) if name not in own)]


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.parquet"), key=lambda path: path.name)
    if not files:
        raise InstanceRefused("there are no Parquet files", str(folder))
    return files


def _read(path: Path, columns: list[str], nulls: bool) -> Iterator[dict[str, np.ndarray]]:
    """Batches of integer columns; where nulls are allowed, ``product`` etc. are -1, -1, 0 with ``none`` true."""
    try:
        with pq.ParquetFile(path) as file:
            for name in columns:
                if file.schema_arrow.names.count(name) != 1:
                    raise InstanceRefused(f"no column {name!r}, or several", path.name)
                kind = file.schema_arrow.field(name).type
                if not pa.types.is_integer(kind) or kind == pa.uint64() or kind != _TYPES.get(name, kind):
                    raise InstanceRefused(f"column {name!r} is {kind}", path.name)
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                yield _batch(batch, columns, nulls, path)
    except (pa.ArrowException, OSError) as error:
        raise InstanceRefused("not a Parquet file, or a broken one", str(path)) from error


def _batch(batch: pa.RecordBatch, columns: list[str], nulls: bool, path: Path) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    none = np.zeros(batch.num_rows, bool)
    if nulls:
        none = batch.column(columns[1]).is_null().to_numpy(zero_copy_only=False)
    for name in columns:
        column = batch.column(name)
        allowed = nulls and name != "customer"
        if column.null_count != (int(none.sum()) if allowed else 0) or (
            allowed and (column.is_null().to_numpy(zero_copy_only=False) != none).any()
        ):
            raise InstanceRefused(f"column {name!r} has nulls where none may be", path.name)
        if column.null_count:
            column = column.fill_null(0 if name == "value" else -1)
        arrays[name] = column.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
        if arrays[name].size and int(arrays[name].min()) == -(1 << 63):
            raise InstanceRefused(f"column {name!r} has the least int64, which has no positive", path.name)
    if nulls:  # a plan, whose columns have other names; in the arcs a column may be called so
        arrays["none"] = none
    return arrays


def _whole_customers(folder: Path, columns: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """The arcs in order, cut so that no customer is in two pieces."""
    rest: dict[str, np.ndarray] | None = None
    last = None
    for path in _files(folder):
        for part in _ahead(_read(path, columns, nulls=False)):
            customer = part["customer"]
            if not len(customer):
                continue
            if (customer[1:] < customer[:-1]).any() or (last is not None and int(customer[0]) < last):
                raise InstanceRefused("customers are out of order", path.name)
            last = int(customer[-1])
            if rest is not None:
                part = {name: np.concatenate((rest[name], part[name])) for name in part}
            cut = int(np.searchsorted(part["customer"], last))
            if cut:
                yield {name: values[:cut] for name, values in part.items()}
            rest = {name: values[cut:] for name, values in part.items()}
    if rest is not None:
        yield rest


def _ahead(items: Iterator[dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    """The items; another thread reads the next one meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


class _plan:  # noqa: N801 - a reader with a place in its files
    """The plan's rows in order, handed out as the arcs ask for them."""

    def __init__(self, folder: Path, key: tuple[str, ...]) -> None:
        if beyond := sorted(set(read_key(folder)) - set(key)):
            raise InstanceRefused(f"the plan has a {beyond[0]}, the instance has none", "assignment")
        columns = ["customer", *key, "value"]
        self.parts = (part for path in _files(folder) for part in _read(path, columns, nulls=True))
        self.rest: dict[str, np.ndarray] | None = None
        self.last: int | None = None

    def take(self, count: int) -> dict[str, np.ndarray]:
        """The next ``count`` rows."""
        have: list[dict[str, np.ndarray]] = [] if self.rest is None else [self.rest]
        while sum(len(part["customer"]) for part in have) < count:
            more = next(self.parts, None)
            if more is None:
                raise InstanceRefused("the plan ends before the instance", "assignment")
            have.append(more)
        rows = {name: np.concatenate([part[name] for part in have]) for name in have[0]}
        self.rest = {name: values[count:] for name, values in rows.items()}
        return {name: values[:count] for name, values in rows.items()}

    def refuse_rest(self) -> None:
        """Refuse rows beyond the instance."""
        left = 0 if self.rest is None else len(self.rest["customer"])
        if left or any(len(part["customer"]) for part in self.parts):
            raise InstanceRefused("the plan has rows beyond the instance's customers", "assignment")


def _judge(
    rows: dict[str, np.ndarray],
    limits: list[CheckedLimit],
    must: bool,
    plan: _plan,
    tally: _Tally,
    relief: list[int] | None,
) -> None:
    """One piece: the arcs' reduced values for the bound, the chosen arcs for feasibility."""
    customer = rows["customer"]
    for name in tally.key:
        if int(rows[name].min()) < 0:
            raise InstanceRefused(f"a {name} below 0, which means none in a plan", "arcs")
    first, size = _starts(customer)
    kind, classes, distinct = _kinds(rows, _class_key(limits))
    uses = [limit.use(distinct, classes) for limit in limits]
    fits = np.ones(len(kind), bool) if relief is None else _fits(kind, uses, limits, (first, size), relief)
    tally.reduced = _add_best(rows["value"], kind, fits, limits, uses, first, must, tally.reduced)
    chosen = plan.take(len(first))
    if (chosen["customer"] != customer[first]).any():
        raise InstanceRefused("the plan's customers are not the instance's, in order", "assignment")
    if must and chosen["none"].any():
        raise InstanceRefused("a customer without an arc under exactly_one", "assignment")
    arc = _find(rows, first, size, chosen, tally.key)
    tally.customers += len(first)
    tally.arcs += len(customer)
    tally.primal += _exact_sum(rows["value"][arc])
    counts = np.bincount(kind[arc], minlength=classes)
    for m, use in enumerate(uses):
        tally.used[m] += _exact_product(use, counts)
    records = np.empty(len(first), record_type(tally.key))
    for name in records.dtype.names or ():
        records[name] = chosen[name]
    tally.digest.update(records.tobytes())


def _kinds(rows: dict[str, np.ndarray], named: list[str]) -> tuple[np.ndarray, int, dict[str, np.ndarray]]:
    """Arcs that are alike in every column that limits look at: each arc's class, how many there are, and a row of each.

    A use is then derived once a class instead of once an arc.
    """
    code, size = np.zeros(len(rows["customer"]), np.int64), 1
    for name in named:
        values = rows[name]
        low = int(values.min())
        count = int(values.max()) - low + 1
        if count > _DENSE:
            places = pa.array(values).dictionary_encode()
            values, low, count = places.indices.to_numpy(), 0, len(places.dictionary)
        code, size = code * count + (values - low), size * count
        if size > _DENSE:
            code, size = _dense(code)
    code, size = _dense(code)
    example = np.empty(size, np.int64)
    example[code] = np.arange(len(code))
    return code, size, {name: rows[name][example] for name in named}


def _dense(code: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers without holes, and how many there are."""
    if int(code.max()) >= 4 * _DENSE:
        places = pa.array(code).dictionary_encode()
        return places.indices.to_numpy().astype(np.int64), len(places.dictionary)
    there = np.zeros(int(code.max()) + 1, bool)
    there[code] = True
    number = np.cumsum(there) - 1
    return number[code], int(number[-1]) + 1


def _exact_product(use: np.ndarray, counts: np.ndarray) -> int:
    """Sum of use x counts as an integer of any size."""
    if _size(use) * int(counts.sum()) < _MOST:
        return int(use @ counts)
    return sum(int(u) * int(c) for u, c in zip(use, counts, strict=True) if c)


def _size(values: np.ndarray) -> int:
    return max(abs(int(values.max())), abs(int(values.min()))) if len(values) else 0


def _add_best(
    value: np.ndarray,
    kind: np.ndarray,
    fits: np.ndarray,
    limits: list[CheckedLimit],
    uses: list[np.ndarray],
    first: np.ndarray,
    must: bool,
    total: int | None,
) -> int | None:
    """``total`` and the customers' best reduced values over arcs that fit; None where they leave 62 bits.

    10^6 x max|value| + sum |price| x max|use| must stay below 2^62, or integers would overflow unseen.
    """
    there = np.bincount(kind[fits], minlength=len(uses[0]) if uses else 1) > 0
    largest = 1_000_000 * _size(value[fits])
    charge = np.zeros(len(there), np.int64)
    for limit, use in zip(limits, uses, strict=True):
        largest += abs(limit.price) * _size(use[there])
    if total is None or largest >= _MOST:
        return None
    for limit, use in zip(limits, uses, strict=True):
        charge[there] += limit.price * use[there]
    reduced = np.where(fits, np.where(fits, value, 0) * 1_000_000 - charge[kind], -_MOST)
    best = np.maximum.reduceat(reduced, first)
    if must and (best == -_MOST).any():
        raise InstanceRefused("a customer has no arc that fits under exactly_one", "arcs")
    best = best if must else np.maximum(best, 0)
    return total + _exact_sum(-((-best) // 1_000_000))


def _bound(limits: list[CheckedLimit], tally: _Tally) -> int:
    """What limits charge for their amounts, and what customers' best arcs leave, micro-yuan."""
    amounts = sum(limit.price * limit.amount for limit in limits)
    return -((-amounts) // 1_000_000) + (tally.reduced or 0)


def _exact_sum(values: np.ndarray) -> int:
    """The sum as an integer of any size: high and low halves apart."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def _find(
    rows: dict[str, np.ndarray],
    first: np.ndarray,
    size: np.ndarray,
    chosen: dict[str, np.ndarray],
    key: tuple[str, ...],
) -> np.ndarray:
    """The arc of each choice; refuses one that the customer does not have, or whose value is another."""
    owner = np.repeat(np.arange(len(first)), size)
    k, o = pack_key(rows, key), owner
    hit = (k == pack_key(chosen, key)[owner]) & ~chosen["none"][owner]
    if ((o[1:] == o[:-1]) & (k[1:] <= k[:-1])).any():
        order = np.lexsort((k, o))
        k, o = k[order], o[order]
        if ((k[1:] == k[:-1]) & (o[1:] == o[:-1])).any():
            raise InstanceRefused("an arc is in the instance twice", "arcs")
    matches = np.bincount(owner[hit], minlength=len(first))
    lost = np.flatnonzero((matches == 0) & ~chosen["none"])
    if len(lost):
        raise InstanceRefused(f"customer {int(chosen['customer'][lost[0]])} has no such arc", "assignment")
    arc = np.flatnonzero(hit)
    if (rows["value"][arc] != chosen["value"][~chosen["none"]]).any():
        raise InstanceRefused("a value in the plan is not the arc's", "assignment")
    return arc


def _compare(certificate: dict[str, Any], limits: list[CheckedLimit], tally: _Tally) -> dict[str, Any]:
    """What the certificate says against what was found."""
    bound = _bound(limits, tally)
    for limit, used in zip(limits, tally.used, strict=True):
        if limit.used_said != used:
            raise InstanceRefused(f"limit {limit.name}: {used} is used, not {limit.used_said}", "certificate.json")
        if limit.side * used > limit.side * limit.amount:
            raise InstanceRefused(f"limit {limit.name} is broken: {used} against {limit.amount}", "assignment")
    gap = (bound - tally.primal) / max(1, abs(bound))
    derived = {
        "customers": tally.customers,
        "arcs": tally.arcs,
        "primal": tally.primal,
        "bound": bound,
        "assignment_sha256": tally.digest.hexdigest(),
    }
    for key, value in derived.items():
        if certificate[key] != value:
            raise InstanceRefused(f"{key} is {value}, not {certificate[key]}", "certificate.json")
    if not _is_near(certificate["gap"], gap):
        raise InstanceRefused(f"gap is {gap}, not {certificate['gap']}", "certificate.json")
    _claims(certificate, tally.primal, bound)
    return {**derived, "gap": gap, "used": {limit.name: used for limit, used in zip(limits, tally.used, strict=True)}}


def _is_near(number: Any, derived: float) -> bool:
    """Whether a number in the certificate is the one derived, but for the last digits of a float."""
    try:
        return type(number) in {int, float} and math.isclose(number, derived, rel_tol=1e-9, abs_tol=1e-15)
    except OverflowError:  # an integer that no float holds
        return False


def _claims(certificate: dict[str, Any], primal: int, bound: int) -> None:
    """What cannot be re-derived must at least be possible."""
    if ("bound_claimed" in certificate) != ("gap_claimed" in certificate):
        raise InstanceRefused("bound_claimed and gap_claimed go together", "certificate.json")
    if "bound_claimed" in certificate:
        claimed, gap = certificate["bound_claimed"], certificate["gap_claimed"]
        if type(claimed) is not int or not primal <= claimed <= bound:
            raise InstanceRefused("bound_claimed is no integer between primal and bound", "certificate.json")
        if not _is_near(gap, (claimed - primal) / max(1, abs(claimed))):
            raise InstanceRefused("gap_claimed is not that of bound_claimed", "certificate.json")
    if type(certificate["seconds"]) not in {int, float} or not 0 <= certificate["seconds"] < math.inf:
        raise InstanceRefused("seconds is no duration", "certificate.json")
    if (
        type(certificate["passes"]) is not int
        or certificate["passes"] < 0
        or not isinstance(certificate["method"], str)
    ):
        raise InstanceRefused("passes or method is not what it should be", "certificate.json")
