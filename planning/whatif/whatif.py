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
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from conf.errors import UserError
from models.arrays import Ints
from models.assignment.active_set import ROOMS, Active, active_set, box_of
from models.assignment.conflict import refuse_by_ray
from models.assignment.impossible_arcs import drop_impossible
from models.assignment.problem import Limits, Problem, pack_key
from models.assignment.repair import Plan, sum_uses, value_of
from models.assignment.resolve import solve_again
from models.assignment.solve import Solution, SolveOptions
from planning.instance.certificate import Certificate, read_certificate
from planning.instance.plan_files import read_chosen, records
from planning.instance.reader import Instance, read_instance
from planning.instance.run_folder import RunFolder
from planning.instance.solve import LimitsConflict, solve_instance, tell_conflicts, with_start
from planning.limits.evaluator import Evaluator
from planning.limits.in_force import LimitInForce, LimitsInForce
from planning.plan.decide import leave
from planning.whatif.active_sets import key_of, read_active, round_change, write_active
from planning.whatif.displayed import unit_of

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

    @cached_property
    def reported(self) -> dict[str, LimitInForce]:
        """Limits that are counted and not kept, by name."""
        return {limit.name: limit for limit in self.run.read_reported().limits}

    def count_reported(self, arcs: list[Ints]) -> dict[str, int]:
        """What a plan of those who are solved, and explorers beside it, use of limits that are counted and not kept."""
        if not self.reported:
            return {}
        population, problem = self.run.table("population"), self.instance.problem
        claims = json.loads((self.run.path / "published.json").read_text(encoding="utf-8"))["reported"]
        apart = {row["name"]: sum(row["used"].values()) - row["used"]["exploit"] for row in claims}
        night = Evaluator(self.run.inputs().arcs, tuple(self.reported.values())).arcs(population)
        customers, used = population["customer_id"].to_numpy(), np.zeros(len(self.reported), np.int64)
        for block, arc in zip(problem.blocks, arcs, strict=True):
            product, channel, _, _ = read_chosen(block, arc, problem.kinds)
            some = arc >= 0
            row = np.searchsorted(customers, block.customer[some])
            used += night.uses[:, night.classes[row], night.of(product[some], channel[some])].sum(axis=1)
        pairs = zip(self.reported.values(), used.tolist(), strict=True)
        return {limit.name: use * limit.sign + apart[limit.name] for limit, use in pairs}

    def is_share(self, limit: LimitInForce) -> bool:
        """Whether a limit is a share of contacts: its amount, 0 for all parts together, may be anything for one."""
        return limit.counts in self.run.inputs().arcs.shares

    def limit(self, name: str) -> LimitInForce:
        """The exploiters' limit of a name that is there."""
        return next(limit for limit in self.instance.limits.limits if limit.name == name)

    def percent(self, name: str) -> int:
        """A share's percent."""
        return self.run.inputs().arcs.shares[str(self.limit(name).counts)].percent

    def tell_whole(self, name: str, amount: int) -> str:
        """An amount of the exploiters' problem as the whole amount that it is part of, in the displayed unit."""
        return unit_of(self.limit(name)).tell(amount + self.apart[name])

    def left_of(self, limit: LimitInForce, total: int, where: str = "--set") -> int:
        """What of a whole amount, which was given ``where``, is left for those who are solved.

        Raises:
            UserError: the amount cannot be, or explorers take more already.
        """
        unit, share = unit_of(limit), self.is_share(limit)
        if total < 0 and not share:
            raise UserError(f"{limit.name} cannot be below 0", where=where, remedy=f"give 0 {unit.name} or more")
        left = total - self.apart[limit.name]
        if limit.sign > 0 and not share and left < 0:
            taken = unit.tell(self.apart[limit.name])
            raise UserError(
                f"explorers take {taken} of {limit.name} already: {unit.tell(total)} is less",
                where=where,
                remedy=f"give {taken} or more",
            )
        return max(0, left) if limit.counts == 1 and limit.sign < 0 else left

    def largest(self, name: str) -> int:
        """The largest use of a limit by one arc, at least 1."""
        return int(self.instance.problem.scale[self.instance.problem.limits.names.index(name)])


def base_of(run: RunFolder) -> Base:
    """Read a run."""
    instance = read_instance(run.instance)
    certificate = read_certificate(run.plan)
    table = pq.read_table(run.plan / "assignment")
    names = ("product", "channel", *instance.problem.kinds.parts)
    label = pack_key([table[name].fill_null(-1).to_numpy() for name in names])
    arcs, at = [], 0
    for block in instance.problem.blocks:
        rows = slice(at, at + len(block))
        arcs.append(_places(instance.problem, block, label[rows]))
        at += len(block)
    return Base(run, instance, certificate, arcs)


def _places(problem: Problem, block: Any, label: Ints) -> Ints:
    owner = np.repeat(np.arange(len(block)), np.diff(block.first))
    kind = block.kind.astype(np.int64)
    hit = np.flatnonzero(problem.kinds.label[kind] == label[owner])
    arc = np.full(len(block), -1, np.int64)
    arc[owner[hit]] = hit
    return arc


@dataclass(frozen=True)
class Changes:
    """What is changed of a run's limits.

    Attributes:
        amounts: by limit, of the exploiters' problem.
        percents: by share, its percent.
    """

    amounts: Mapping[str, int] = field(default_factory=dict)
    percents: Mapping[str, int] = field(default_factory=dict)


def parse_changes(texts: list[str], base: Base) -> Changes:
    """``limits.NAME.amount=V``, V whole and in the displayed unit, or ``limits.NAME.percent=P`` of a share.

    Raises:
        UserError: another form, an unknown limit, or a number that cannot be.
    """
    amounts: dict[str, int] = {}
    percents: dict[str, int] = {}
    known = {limit.name: limit for limit in base.instance.limits.limits}
    for text in texts:
        path, _, value = text.partition("=")
        parts = path.strip().split(".")
        if len(parts) == 3 and parts[1] in base.reported:
            raise refuse_reported(parts[1], "--set")
        if len(parts) != 3 or parts[0] != "limits" or parts[2] not in {"amount", "percent"} or parts[1] not in known:
            raise UserError(
                f"cannot change {text!r}",
                where="--set",
                remedy=f"write limits.NAME.amount=V, or limits.NAME.percent=P of a share, with NAME one of: "
                f"{', '.join(known)}",
            )
        limit = known[parts[1]]
        if parts[2] == "percent":
            percents[limit.name] = read_percent(base, limit, value)
        else:
            amounts[limit.name] = base.left_of(limit, unit_of(limit).read(value, "--set"))
    return Changes(amounts, percents)


def refuse_reported(name: str, where: str) -> UserError:
    """Why nothing can be asked of a limit that is reported only: another amount changes no plan."""
    return UserError(
        f"{name} is reported only: it is counted and not kept, so that no amount of it changes the plan",
        where=where,
        remedy="ask of a limit that is kept, or take `reported_only` off this one in conf/limits.yml and decide a night",
    )


def read_percent(base: Base, limit: LimitInForce, text: str, where: str = "--set") -> int:
    """A share's percent from text, which was given ``where``.

    Raises:
        UserError: the limit is no share, or it is no whole percent between 1 and 99.
    """
    shares = [each.name for each in base.instance.limits.limits if base.is_share(each)]
    if not base.is_share(limit):
        raise UserError(f"{limit.name} is no share", where=where, remedy=f"shares are: {', '.join(shares) or 'none'}")
    if not text.strip().isdecimal() or not 1 <= int(text.strip()[:9]) <= 99:
        raise UserError(f"{text[:40]!r} is no percent", where=where, remedy="give a whole number from 1 to 99")
    return int(text)


def change_percents(base: Base, percents: Mapping[str, int]) -> Instance:
    """The run's instance with other percents of shares: what arcs use of them, and what explorers leave.

    An arc that is of the share uses 100 - percent, any other -percent.
    """
    instance, inputs = base.instance, base.run.inputs()
    if not percents:
        return instance
    problem, use, shares = instance.problem, instance.problem.kinds.use.copy(), dict(inputs.arcs.shares)
    for m, limit in enumerate(instance.limits.limits):
        if limit.name in percents:
            column = str(limit.counts)
            shift = shares[column].percent - percents[limit.name]
            use[problem.kinds.limit == m] += limit.sign * shift
            shares[column] = shares[column].model_copy(update={"percent": percents[limit.name]})
    problem = replace(problem, kinds=replace(problem.kinds, use=use))
    other = inputs.model_copy(update={"arcs": inputs.arcs.model_copy(update={"shares": shares})})
    left = {}
    if inputs.labels_first:
        limits = leave(base.run.table("population"), base.run.read_kept(), base.run.whole_limits(), other)
        left = {limit.name: limit.amount for limit in limits.limits if limit.name in percents}
    return change_amounts(replace(instance, problem=problem), left)


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
    base: Base,
    amounts: Mapping[str, int],
    start: Mapping[str, int] | None = None,
    plans: Iterable[list[Ints]] = (),
    percents: Mapping[str, int] | None = None,
) -> Answer:
    """Reassign everybody under other amounts.

    Args:
        base: the run.
        amounts: of the limits that change, by name.
        start: prices to start from, signed as in certificates; the run's final ones if not given.
        plans: other plans that are kept where they keep the limits and are worth more.
        percents: of the shares that change, by name.

    Raises:
        UserError: the changed limits conflict.
    """
    inputs = base.run.inputs()
    percents = {name: percent for name, percent in (percents or {}).items() if percent != base.percent(name)}
    before = {limit.name: limit.amount for limit in base.instance.limits.limits}
    same = not percents and all(before[name] == amount for name, amount in amounts.items())
    instance = change_amounts(change_percents(base, percents), amounts)
    incumbent = replace(base.plan, used=sum_uses(instance.problem, base.arcs)) if percents else base.plan
    first = inputs.start if same else dict(start or base.prices)
    goal = with_start(SolveOptions(gap=inputs.gap), instance, first)
    changed = [name for name, amount in amounts.items() if before[name] != amount] + list(percents)
    where = str(base.run.instance)
    broken = [m for m, use in enumerate(incumbent.used) if use > int(instance.problem.limits.amount[m])]
    try:
        if broken:  # before everybody is looked at for what there may not be
            with tell_conflicts(instance, where, changed, base.tell_whole):
                refuse_by_ray(instance.problem, broken)
        quick = None if same or percents else by_active_set(base, instance.problem, goal)
        solution, looked = quick or (
            solve_instance(instance, goal, where, changed=changed, tell=base.tell_whole),
            instance.problem.customers,
        )
    except LimitsConflict as error:
        if not percents:
            raise
        # an amount of a share, which is 0 for all parts together, is nothing that anybody gives
        raise LimitsConflict(error.what, where=where, remedy=loosen_percents(base, percents)) from error
    if not same:
        solution = with_incumbent(solution, instance.problem, incumbent)
        for arcs in plans:
            own = Plan(arcs, value_of(instance.problem, arcs), sum_uses(instance.problem, arcs))
            solution = with_incumbent(solution, instance.problem, own)
    signs = tuple(int(sign) for sign in instance.problem.limits.sign)
    return Answer(solution, _figures(base, instance, solution, percents) | {"customers_looked_at": looked}, signs)


def loosen_percents(base: Base, percents: Mapping[str, int]) -> str:
    """What to change where shares at other percents leave no plan: the night kept them as declared."""
    ways = (
        f"{'lower' if base.limit(name).sign < 0 else 'raise'} {name} from {percent} % towards {base.percent(name)} %, "
        "which the night kept"
        for name, percent in percents.items()
    )
    return "; ".join(ways)


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
    before, possible = drop_impossible(base.instance.problem), drop_impossible(problem)
    if before is not None or possible is not None:
        if before is None or possible is None or not all(map(np.array_equal, before.arcs, possible.arcs)):
            return None  # other arcs count: everybody has to be looked at
        other = replace(base.instance, problem=before.problem)
        quick = _by_active_set(
            replace(base, instance=other, arcs=before.shift(base.arcs)), possible.problem, wide, goal
        )
        return quick and (replace(quick[0], plan=possible.complete(quick[0].plan)), quick[1])
    return _by_active_set(base, problem, wide, goal)


def _by_active_set(base: Base, problem: Problem, wide: Limits, goal: SolveOptions) -> tuple[Solution, int] | None:
    """The same of a problem whose arcs can all be held."""
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
        digest.update(records(block.customer, read_chosen(block, arc, problem.kinds)))
    return digest.hexdigest()


def _percent_row(base: Base, name: str, percents: Mapping[str, int]) -> dict[str, int]:
    """A share's percent before and now; nothing of another limit."""
    if not base.is_share(base.limit(name)):
        return {}
    return {"percent_was": base.percent(name), "percent": percents.get(name, base.percent(name))}


def _figures(base: Base, instance: Instance, solution: Solution, percents: Mapping[str, int]) -> dict[str, Any]:
    was, bound_was = base.certificate.primal, base.certificate.bound
    primal, bound = solution.plan.primal, solution.dual.bound
    low, high = (primal - bound_was) * 1e-6, (bound - was) * 1e-6
    change = (primal - was) * 1e-6
    moved = sum(int((a != b).sum()) for a, b in zip(solution.plan.arcs, base.arcs, strict=True))
    contacts = sum(int((a >= 0).sum()) for a in solution.plan.arcs)
    contacts_was = sum(int((a >= 0).sum()) for a in base.arcs)
    sha = plan_sha(instance.problem, solution.plan)
    signs = instance.problem.limits.sign
    apart, explored = dict(base.apart), dict(base.explored)
    for limit in instance.limits.limits:
        if limit.name in percents:  # explorers use the share by its new percent too
            apart[limit.name] += base.limit(limit.name).amount - limit.amount
            explored[limit.name] = apart[limit.name]
    reported_was, reported = base.count_reported(base.arcs), base.count_reported(solution.plan.arcs)
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
                "amount": int(b * s) + apart[row.name],
                "used_was": row.used + base.explored[row.name],
                "used": u * int(s) + explored[row.name],
                **_percent_row(base, row.name, percents),
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
        "reported": [
            {"limit": name, "amount": limit.amount, "used_was": reported_was[name], "used": reported[name]}
            for name, limit in base.reported.items()
        ],
    }
