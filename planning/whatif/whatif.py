"""What a change of limits would do to everybody, from a run's frozen inputs; writes nothing live.

The solve starts at the run's final prices and looks only at customers who may change their mind (`planning.whatif.active_sets`);
where that is not enough, at everybody. Without a change it starts where the run did, so it returns the run's bytes.
The run's plan stays the incumbent wherever it still keeps the limits: a relaxed limit never lowers the value.
What a limit is worth, one amount after another: `planning.whatif.sensitivity`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from conf.errors import UserError
from models.arrays import Ints
from models.assignment.active_set import ROOMS, Active, active_set, box_of
from models.assignment.conflict import refuse_by_ray
from models.assignment.impossible_arcs import drop_impossible
from models.assignment.problem import Limits, Problem
from models.assignment.repair import Plan, sum_uses, value_of
from models.assignment.resolve import solve_again
from models.assignment.solve import Solution, SolveOptions
from planning.instance.certificate import Certificate, read_certificate
from planning.instance.plan_files import read_chosen, records
from planning.instance.reader import Instance, read_instance
from planning.instance.run_folder import RunFolder
from planning.instance.solve import solve_instance, tell_conflicts, with_start
from planning.limits.in_force import LimitInForce, LimitsInForce
from planning.whatif.active_sets import key_of, read_active, round_change, write_active

#: Customers from which on it pays to look at some of them only.
FEWEST = 10_000


@dataclass(frozen=True)
class Base:
    """A run as it was decided.

    Attributes:
        run: its inputs.
        instance: the exploiters' problem.
        certificate: what was proved of its plan.
        arcs: the plan, each block's arcs.
    """

    run: RunFolder
    instance: Instance
    certificate: Certificate
    arcs: list[Ints]

    @property
    def plan(self) -> Plan:
        """The plan with what it is worth and uses, as certified."""
        signs = self.instance.problem.limits.sign
        used = [row.used * int(sign) for row, sign in zip(self.certificate.limits, signs, strict=True)]
        return Plan(self.arcs, self.certificate.primal, used)

    @property
    def prices(self) -> dict[str, int]:
        """Final prices by limit."""
        return self.certificate.prices

    @cached_property
    def apart(self) -> dict[str, int]:
        """By limit, what of the whole amount those take who are not solved; of releases up to 0.2 what was reserved for them."""
        pairs = zip(self.run.whole_limits().limits, self.instance.limits.limits, strict=True)
        return {limit.name: limit.amount - left.amount for limit, left in pairs}

    @cached_property
    def explored(self) -> dict[str, int]:
        """By limit, what those use who are not solved; of releases up to 0.2, whose folders do not tell it, 0."""
        if not self.run.inputs().labels_first:
            return dict.fromkeys(self.apart, 0)
        claims = json.loads((self.run.path / "published.json").read_text(encoding="utf-8"))
        return {row["name"]: sum(row["used"].values()) - row["used"]["exploit"] for row in claims["limits"]}

    def is_share(self, limit: LimitInForce) -> bool:
        """Whether a limit is a share of contacts: its amount, 0 for all parts together, may be anything for one."""
        return limit.counts in self.run.inputs().arcs.shares

    def tell_whole(self, name: str, amount: int) -> str:
        """An amount of the exploiters' problem as the whole amount that it is part of."""
        return str(amount + self.apart[name])

    def largest(self, name: str) -> int:
        """The largest use of a limit by one arc, at least 1."""
        return int(self.instance.problem.scale[self.instance.problem.limits.names.index(name)])


def base_of(run: RunFolder) -> Base:
    """Read a run."""
    instance = read_instance(run.instance)
    certificate = read_certificate(run.plan)
    table = pq.read_table(run.plan / "assignment")
    product = table["product"].fill_null(-1).to_numpy().astype(np.int64)
    channel = table["channel"].fill_null(-1).to_numpy().astype(np.int64)
    arcs, at = [], 0
    for block in instance.problem.blocks:
        rows = slice(at, at + len(block))
        arcs.append(_places(instance.problem, block, product[rows], channel[rows]))
        at += len(block)
    return Base(run, instance, certificate, arcs)


def _places(problem: Problem, block: Any, product: Ints, channel: Ints) -> Ints:
    owner = np.repeat(np.arange(len(block)), np.diff(block.first))
    kind = block.kind.astype(np.int64)
    hit = np.flatnonzero(
        (problem.kinds.product[kind] == product[owner]) & (problem.kinds.channel[kind] == channel[owner])
    )
    arc = np.full(len(block), -1, np.int64)
    arc[owner[hit]] = hit
    return arc


def parse_changes(texts: list[str], base: Base) -> dict[str, int]:
    """``limits.NAME.amount=V``, V whole → amounts of the exploiters' problem: V less what explorers take of it.

    Raises:
        UserError: another form, an unknown limit, or no integer.
    """
    amounts: dict[str, int] = {}
    for text in texts:
        path, _, value = text.partition("=")
        parts = path.strip().split(".")
        known = {limit.name: limit for limit in base.instance.limits.limits}
        if len(parts) != 3 or parts[0] != "limits" or parts[2] != "amount" or parts[1] not in known:
            raise UserError(
                f"cannot change {text!r}",
                where="--set",
                remedy=f"write limits.NAME.amount=V with NAME one of: {', '.join(known)}",
            )
        try:
            total = int(value)
        except ValueError as error:
            raise UserError(f"{value!r} is no integer", where="--set", remedy="amounts are integers") from error
        limit = known[parts[1]]
        left = total - base.apart[limit.name]
        amounts[limit.name] = max(0, left) if limit.counts == 1 and limit.sign < 0 else left
        if limit.sign > 0 and not base.is_share(limit) and amounts[limit.name] < 0 <= total:
            raise UserError(
                f"explorers take {base.apart[limit.name]} of {limit.name} already: {total} is less",
                where="--set",
                remedy=f"give {base.apart[limit.name]} or more",
            )
    return amounts


def change_amounts(instance: Instance, amounts: Mapping[str, int]) -> Instance:
    """The instance with other amounts."""
    rows = tuple(limit.with_amount(amounts.get(limit.name, limit.amount)) for limit in instance.limits.limits)
    limits = LimitsInForce(choose=instance.limits.choose, limits=rows)
    return replace(instance, limits=limits, problem=replace(instance.problem, limits=limits.arrays()))


@dataclass(frozen=True)
class Answer:
    """What a change does.

    Attributes:
        solution: of the changed problem.
        figures: against the run.
        signs: +1 at most, -1 at least, of each limit.
    """

    solution: Solution
    figures: dict[str, Any]
    signs: tuple[int, ...]


def what_if(
    base: Base, amounts: Mapping[str, int], start: Mapping[str, int] | None = None, plans: Iterable[list[Ints]] = ()
) -> Answer:
    """Reassign everybody under other amounts.

    Args:
        base: the run.
        amounts: of the limits that change, by name.
        start: prices to start from, signed as in certificates; the run's final ones if not given.
        plans: other plans that are kept where they keep the limits and are worth more.

    Raises:
        UserError: the changed limits conflict.
    """
    inputs = base.run.inputs()
    before = {limit.name: limit.amount for limit in base.instance.limits.limits}
    same = all(before[name] == amount for name, amount in amounts.items())
    instance = change_amounts(base.instance, amounts)
    first = inputs.start if same else dict(start or base.prices)
    goal = with_start(SolveOptions(gap=inputs.gap), instance, first)
    changed = [name for name, amount in amounts.items() if before[name] != amount]
    where = str(base.run.instance)
    broken = [m for m, use in enumerate(base.plan.used) if use > int(instance.problem.limits.amount[m])]
    if broken:  # before everybody is looked at for what there may not be
        with tell_conflicts(instance, where, changed, base.tell_whole):
            refuse_by_ray(instance.problem, broken)
    quick = None if same else by_active_set(base, instance.problem, goal)
    solution, looked = quick or (
        solve_instance(instance, goal, where, changed=changed, tell=base.tell_whole),
        instance.problem.customers,
    )
    if not same:
        solution = with_incumbent(solution, instance.problem, base.plan)
        for arcs in plans:
            own = Plan(arcs, value_of(instance.problem, arcs), sum_uses(instance.problem, arcs))
            solution = with_incumbent(solution, instance.problem, own)
    signs = tuple(int(sign) for sign in instance.problem.limits.sign)
    return Answer(solution, _figures(base, instance, solution) | {"customers_looked_at": looked}, signs)


def with_incumbent(solution: Solution, problem: Problem, plan: Plan) -> Solution:
    """A plan that is there already where it keeps the limits and is worth more."""
    keeps = all(u <= int(b) for u, b in zip(plan.used, problem.limits.amount, strict=True))
    if keeps and plan.primal > solution.plan.primal:
        return replace(solution, plan=plan, method=solution.method + " + incumbent")
    return solution


def by_active_set(base: Base, problem: Problem, goal: SolveOptions) -> tuple[Solution, int] | None:
    """The solution under other limits and how many customers it looked at; None where everybody has to be looked at.

    The sets are made for a round change of the same limits in the same directions, so that what is found does not
    depend on what was asked before.
    """
    wide = round_change(base.instance.problem.limits, problem.limits, base.plan.used)
    if wide is None or problem.customers < FEWEST:
        return None
    if any(drop_impossible(each) is not None for each in (base.instance.problem, problem)):
        return None  # a set is of all arcs, whose bound is another one
    for room in ROOMS:
        active = active_of(base, wide, room)
        if active is None:
            break
        outcome = solve_again(problem, active, goal)
        if isinstance(outcome, Solution):
            return outcome, active.customers
        if not active.leans(outcome.prices):
            break
    return None


def active_of(base: Base, limits: Limits, room: float) -> Active | None:
    """Who may change their mind under other limits, as kept with the run or made now; None where integers are too large."""
    problem, path = base.instance.problem, base.run.path / "active" / key_of(base.certificate, limits, room)
    active = read_active(path, problem, base.arcs)
    if active is None:
        prices = np.array([*base.prices.values()], np.int64) * problem.limits.sign
        active = active_set(problem, prices, box_of(problem, prices, limits, room))
        if active is not None:
            write_active(path, active, base.arcs)
    return active


def plan_sha(problem: Problem, plan: Plan) -> str:
    """The hash that certificates state."""
    digest = hashlib.sha256()
    for block, arc in zip(problem.blocks, plan.arcs, strict=True):
        digest.update(records(block.customer, *read_chosen(block, arc, problem.kinds)))
    return digest.hexdigest()


def _figures(base: Base, instance: Instance, solution: Solution) -> dict[str, Any]:
    was, bound_was = base.certificate.primal, base.certificate.bound
    primal, bound = solution.plan.primal, solution.dual.bound
    low, high = (primal - bound_was) * 1e-6, (bound - was) * 1e-6
    change = (primal - was) * 1e-6
    moved = sum(int((a != b).sum()) for a, b in zip(solution.plan.arcs, base.arcs, strict=True))
    contacts = sum(int((a >= 0).sum()) for a in solution.plan.arcs)
    contacts_was = sum(int((a >= 0).sum()) for a in base.arcs)
    sha = plan_sha(instance.problem, solution.plan)
    signs = instance.problem.limits.sign
    explored = base.explored
    return {
        "value_yuan": primal * 1e-6,
        "change_yuan": change,
        "change_at_least": low,
        "change_at_most": high,
        "wide": bool(high - low > 0.1 * abs(change)) and moved > 0,
        "gap": solution.gap,
        "contacts": contacts,
        "contacts_change": contacts - contacts_was,
        "customers_who_change": moved,
        "passes": solution.passes,
        "seconds": round(solution.seconds, 3),
        "same_bytes": sha == base.certificate.assignment_sha256,
        "assignment_sha256": sha,
        "limits": [
            {
                "limit": row.name,
                "amount_was": row.amount + base.apart[row.name],
                "amount": int(b * s) + base.apart[row.name],
                "used_was": row.used + explored[row.name],
                "used": u * int(s) + explored[row.name],
                "price_yuan_was": row.price_pico * 1e-12,
                "price_yuan": int(p * s) * 1e-12,
            }
            for row, b, s, u, p in zip(
                base.certificate.limits,
                instance.problem.limits.amount,
                signs,
                solution.plan.used,
                solution.dual.prices,
                strict=True,
            )
        ],
    }
