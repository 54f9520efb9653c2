"""A made home beside its truth: what each eligible arc is really worth, and the plan that a table of values leads to.

The truth lies with the landing files and is read by benchmarks and tests alone; no job opens it.
"""

from __future__ import annotations

import hmac
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.assign import population_of
from models.affinity.prune import prune
from models.affinity.scorer import Menu
from models.arrays import Flags, Floats, Ints
from models.assignment.roles import EXPLOIT
from models.assignment.solve import SolveOptions, solve
from models.lifecycle.arcs import masks_of, menu
from models.lifecycle.training_data import candidates, partition
from planning.instance.reader import read_instance
from planning.limits.amounts import shifts
from planning.limits.declared import DeclaredLimits
from planning.limits.in_force import LimitsInForce, write_limits
from runtime.keys import pseudonym_key
from runtime.night import Night


@dataclass(frozen=True)
class Chosen:
    """A plan: positions of customers and arcs, and what the solver proved of it."""

    row: Ints
    arc: Ints
    gap: float


@dataclass(frozen=True)
class ProvinceBox:
    """The exploiters of a night with an eligible outbound arc, and the truth about them.

    Attributes:
        night: the night.
        menu: products and channels.
        population: rows of ``jobs.assign.population_of``.
        snapshot: their features, ascending.
        eligible: (customers, arcs) eligible outbound arcs.
        p0: (customers, offers) chance to order within 30 days without a contact.
        delta: (customers, arcs) what a contact adds to it.
        effect: (customers, arcs) its effect on net margin, micro-元.
    """

    night: Night
    menu: Menu
    population: pa.Table
    snapshot: pa.Table
    eligible: Flags
    p0: Floats
    delta: Floats
    effect: Ints

    @cached_property
    def true_p1(self) -> Floats:
        """(customers, arcs) chance to order within the conversion window after a contact."""
        share = self.night.settings.outcome.conversion_days / 30
        return np.clip(self.delta + share * np.repeat(self.p0, len(self.menu.ways), axis=1), 0, 1)

    def plan(self, value: Ints, *, keep: int = 8, gap: float | None = None) -> Chosen:
        """The night's own optimizer on a table of values, on the whole limits.

        Args:
            value: (customers, arcs) micro-元.
            keep: arcs a customer kept by value, as pruning does on a first night; 0 keeps all.
            gap: how near the optimum; as the night by default.
        """
        declared = DeclaredLimits.from_catalogue(self.night.catalogue)
        kept = self.eligible
        if keep:
            channel = self.menu.channel()
            kept = prune(
                value, value, self.eligible, self.menu.outbound(), channel, declared.floors(), keep=keep, inbound=0
            )
        row, arc = np.nonzero(kept)
        columns = {
            "customer": pa.array(self.population["customer_id"].to_numpy()[row]),
            "product": pa.array(self.menu.product()[arc].astype(np.int16)),
            "channel": pa.array(self.menu.channel()[arc].astype(np.int16)),
            "value": pa.array(value[row, arc]),
        }
        table = declared.beside(pa.table(columns), self.population)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "arcs").mkdir()
            pq.write_table(table, folder / "arcs" / "arcs.parquet")
            write_limits(folder / "limits.yml", self.limits(declared))
            instance = read_instance(folder)
        found = solve(instance.problem, SolveOptions(gap=gap or self.night.settings.solve.gap, seconds=60))
        rows, arcs = [], []
        base = self.population["customer_id"].to_numpy()
        for block, taken in zip(instance.problem.blocks, found.plan.arcs, strict=True):
            has = taken >= 0
            kind = block.kind[taken[has]].astype(np.int64)
            rows.append(np.searchsorted(base, block.customer[has]))
            product, way = instance.problem.kinds.product[kind], instance.problem.kinds.channel[kind]
            arcs.append(self._arc(product, way))
        return Chosen(np.concatenate(rows), np.concatenate(arcs), found.gap)

    def _arc(self, product: Ints, channel: Ints) -> Ints:
        """Positions of arcs by the ids of product and channel."""
        where = {pair: k for k, pair in enumerate(zip(self.menu.product(), self.menu.channel(), strict=True))}
        return np.array([where[pair] for pair in zip(product, channel, strict=True)], np.int64)

    def limits(self, declared: DeclaredLimits) -> LimitsInForce:
        """The limits in force as the instance has them."""
        everyone = self.night.lake.arrow("eligible", partition=self.night.partition, columns=["customer_id"]).num_rows
        return declared.at(everyone, shifts(self.night), self.night.date).limits

    def worth(self, chosen: Chosen, table: Ints) -> float:
        """Sum of a table over a plan, 元."""
        return float(table[chosen.row, chosen.arc].sum()) / 1e6


def open_box(night: Night) -> ProvinceBox:
    """The exploiters of a night of a made home, beside the truth.

    Raises:
        FileNotFoundError: the home has no truth: it was not made here.
    """
    kept = night.settings.home / "population.parquet"
    if not kept.exists():  # needs Spark for the segments that limits name: once a home
        pq.write_table(population_of(night), kept)
    population = pq.read_table(kept)
    table = menu(night.catalogue)
    everyone = table.eligible(masks_of(population)) & table.outbound()
    mine = (population["role"].to_numpy() == EXPLOIT) & everyone.any(axis=1)
    population, eligible = population.filter(pa.array(mine)), everyone[mine]
    names = ["customer_id", *candidates(night)]
    snapshot = partition(night, "customer_features", night.date, names, population["customer_id"].combine_chunks())
    p0, p1, effect = truth_of(night, population["customer_id"].to_numpy(), table)
    delta = p1 - np.repeat(p0, len(table.ways), axis=1)
    return ProvinceBox(night, table, population, snapshot, eligible, p0, delta, effect)


def truth_of(night: Night, customers: Ints, table: Menu) -> tuple[Floats, Floats, Ints]:
    """Of customers: (customers, offers) p0, (customers, arcs) p1 and effect on net margin, micro-元.

    Who is not in the truth (a number's former owner who is still active by the records) orders nothing.

    Raises:
        ValueError: that is more than one in a hundred.
    """
    rows = pq.read_table(night.landing / "truth" / "response.parquet")
    arcs = table.arcs
    phones = rows["phone"].to_numpy().reshape(-1, arcs)[:, 0]
    subscriber = night.lake.arrow("subscriber", columns=["phone_pseudonym", "customer_id", "valid_to"])
    subscriber = subscriber.filter(pc.is_null(subscriber["valid_to"]))
    key = pseudonym_key(night.settings.home)
    names = pa.array(
        [hmac.digest(key, str(phone).encode(), "sha256") for phone in phones], subscriber["phone_pseudonym"].type
    )
    place = pc.index_in(names, value_set=subscriber["phone_pseudonym"].combine_chunks())
    ids = pc.fill_null(subscriber["customer_id"].take(place), -1).to_numpy()
    order = np.argsort(ids, kind="stable")
    at = order[np.minimum(np.searchsorted(ids[order], customers), len(ids) - 1)]
    unknown = ids[at] != customers
    if unknown.mean() > 0.01:
        raise ValueError(f"{int(unknown.sum())} customers of the night that the truth does not know")
    p0 = rows["p0"].to_numpy().reshape(-1, len(table.offers), len(table.ways))[at, :, 0].astype(np.float64)
    p1 = rows["p1"].to_numpy().reshape(-1, arcs)[at].astype(np.float64)
    effect = rows["margin_effect_micro"].to_numpy().reshape(-1, arcs)[at]
    for table_of in (p0, p1, effect):
        table_of[unknown] = 0
    return p0, p1, effect


def expected_auc(box: ProvinceBox, score: Floats, arcs: Sequence[int]) -> float:
    """AUC within product × channel in expectation over answers drawn from the truth, weighted by expected orders.

    Args:
        box: the truth.
        score: (customers, arcs).
        arcs: positions of arcs that count.
    """
    total = size = 0.0
    for arc in arcs:
        mine = box.eligible[:, arc]
        if mine.sum() < 200:
            continue
        p = box.true_p1[mine, arc]
        order = np.argsort(score[mine, arc], kind="stable")
        p = p[order]
        _, first, count = np.unique(score[mine, arc][order], return_index=True, return_counts=True)
        below = np.concatenate([[0.0], np.cumsum(1 - p)])
        middle = (below[first] + below[first + count]) / 2  # ties count half
        auc = float((np.add.reduceat(p, first) * middle).sum() / (p.sum() * (1 - p).sum()))
        total, size = total + auc * p.sum(), size + p.sum()
    return total / size if size else float("nan")
