"""Who gets what tonight: the best plan within every limit, with its proof, explorers' draws and inbound offers.

Labels come first: controls, explorers with what they draw, and all others, for whom the optimizer solves on what explorers
leave of the limits. What it decides on is frozen below ``runs/<run_id>/`` before it starts, and the decision is a pure function of that folder. Arcs that pruning
dropped and that win at the final prices are taken back into it (`planning.plan.column_generation`).

*Reads* candidate, eligible, customer_features, shift, contact (calls of the last weeks); of earlier nights limit_price,
assignment and candidate.
*Writes* assignment (a row for every active customer), recommendation, limit_price.
*Cost* one pass over the arcs for each of some ten steps of the dual: customers x arcs kept; memory some 60 bytes
an arc of this process. Two to four passes over all eligible arcs, each as costly as scoring.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.catalogue import Catalogue
from conf.documents import read_rows
from conf.errors import UserError
from conf.money import MICRO
from conf.offer import Segment, UsualKey
from models.assignment.roles import CONTROL, EXPLOIT, EXPLORE, USUAL, roles
from models.assignment.solve import NoPlan
from models.hashing import draw_keys
from planning.instance.decision_inputs import VERSION, DecisionInputs
from planning.instance.plan_files import write_plan
from planning.instance.run_folder import RunFolder, freeze
from planning.instance.solve import LimitsConflict
from planning.limits.declared import DeclaredLimits
from planning.limits.evaluator import select_arcs, take_units
from planning.limits.floors import waive_floors
from planning.limits.in_force import LimitInForce
from planning.plan import column_generation
from planning.plan.churn import stability
from planning.plan.decide import fill_known_values, leave
from planning.plan.decision import Decision, assignment_table, table_hash
from planning.plan.exploration_cost import learning
from planning.plan.full_bound import bounds_over_all_arcs
from planning.plan.last_night import PRICES, list_prices, tell_change
from planning.plan.lift import lift_figures
from planning.plan.offers import alternates, inbound_offers
from planning.plan.published import count_uses, write_published
from planning.plan.reasons import AT_A_LOSS
from planning.plan.renewal import find_last_yearly
from planning.plan.switching_cost import stays_of, with_cost
from planning.plan.usual import ARC_COLUMNS, rank, score_eligible
from planning.plan.value_change import ValueChange, sum_value
from planning.plan.value_interval import find_interval
from planning.scoring import prices_before
from planning.whatif.displayed import unit_of
from planning.whatif.limit_cost import LimitCost, costs_tonight
from planning.whatif.whatif import base_of
from runtime import clauses, spark_tables
from runtime import run_id as identity
from runtime.figures import AssignFigures
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

READS = ("candidate", "eligible", "customer_features", "shift", "contact")
READS_PREVIOUS = ("limit_price", "assignment", "candidate")
WRITES = ("assignment", "recommendation", "limit_price")
#: What the solves aim at that are only compared with arbitrate-then-cap: a lift is told in tenths of a percent.
LIFT_GAP = 1e-3
#: Columns of ``assignment`` that only rows of releases up to 0.2 fill.
FORMER = ("ghost_product", "ghost_channel")
#: Said of a night on which explorers got nothing.
NO_DRAWS = "the limits cannot be kept together with what explorers drew: explorers get nothing tonight"


def run(night: Night) -> AssignFigures:
    """Freeze what goes in, decide, write."""
    run, decision, widened = settle(night)
    inputs = run.inputs()
    lever = fill_known_values(decision, run)
    table = assignment_table(decision, inputs)
    write_plan(run.plan, decision.instance.problem, decision.solution)
    write_published(decision, run)
    (run.path / "assignment.sha256").write_text(table_hash(table) + "\n")
    offers = inbound_offers(decision, run.table("inbound"), inputs)
    others = alternates(decision, run, inputs)
    moved = stability_of(night, table)
    for name in FORMER:
        table = table.append_column(name, pa.nulls(table.num_rows, pa.int16()))
    night.lake.replace_arrow("assignment", table, partition=night.partition)
    night.lake.replace_arrow("recommendation", pa.concat_tables([offers, others]), partition=night.partition)
    night.lake.replace_arrow(
        "limit_price", price_rows(decision, run, night, costs_of(night, run)), partition=night.partition
    )
    money = sum_value(decision, lever)
    yearly = find_last_yearly(night)
    extra = {**moved, **learning(decision, inputs), **widened}
    extra["control_yearly_until"] = yearly.isoformat() if yearly else ""
    extra |= change_figures(tell_change(night, run, money))
    if ends := find_interval(night, decision):
        extra |= {"value_low_yuan": ends[0], "value_high_yuan": ends[1]}
    return figures(decision, inputs, night, money * 1e-6, offers.num_rows, others.num_rows, extra)


def change_figures(change: ValueChange | str) -> dict[str, Any]:
    """What the run record says of the change against the night before."""
    if isinstance(change, str):
        return {"change_note": change}
    return {"value_before_micro": change.before, "change_micro": change.parts, "change_note": change.note or None}


def settle(night: Night) -> tuple[RunFolder, Decision, dict[str, Any]]:
    """Freeze what goes in and decide; where the limits conflict with what explorers drew, without their draws.

    Raises:
        UserError: the limits conflict, or no plan was found.
    """
    run = frozen_inputs(night)
    try:
        return run, *_decide(night, run)
    except LimitsConflict:
        run = frozen_inputs(night, draws=False)
        return run, *_decide(night, run)


def _decide(night: Night, run: RunFolder) -> tuple[Decision, dict[str, Any]]:
    try:
        return column_generation.generate_columns(night, run, DeclaredLimits.from_catalogue(night.catalogue).beside)
    except NoPlan as error:
        raise UserError(
            f"no plan was found: {error}",
            where=str(run.instance),
            remedy="loosen the narrowest limits in conf/limits.yml: cpc whatif --set limits.NAME.amount=V",
        ) from error


# -- what goes in ----------------------------------------------------------------------------------------------


def frozen_inputs(night: Night, *, draws: bool = True) -> RunFolder:
    """Read the night's tables and freeze what the decision needs of them.

    Args:
        night: tonight.
        draws: whether explorers get what they draw; without, all of them get none.
    """
    catalogue, settings = night.catalogue, night.settings
    declared = DeclaredLimits.from_catalogue(catalogue)
    population = population_of(night)
    limits = waive_floors(night, declared.in_force(night, population))
    run_id = identity.run_id(night)
    cost = round(settings.solve.switch_cost * MICRO)
    stays = stays_of(read_last_assignment(night) if cost else None, cost)
    scored, note = read_candidates(night, population), ""
    if settings.shares.usual:
        scored, note = add_eligible(scored, *score_eligible(night, population))
    arcs = with_cost(declared.beside(scored, population), stays, cost)
    outbound = {c.id for c in catalogue.channels if c.direction == "outbound"}
    is_out = pc.is_in(arcs["channel"], value_set=pa.array(sorted(outbound), pa.int16()))
    out, inbound = arcs.filter(is_out), arcs.filter(pc.invert(is_out))
    row = np.searchsorted(population["customer_id"].to_numpy(), out["customer"].to_numpy())
    is_exploit = population["role"].to_numpy()[row] == EXPLOIT
    inputs = DecisionInputs(
        version=VERSION,
        run_id=run_id,
        code=identity.sources()[:12],
        date=night.date,
        seed=settings.seed,
        explore=settings.shares.explore,
        usual=settings.shares.usual,
        slate_temperature=round(settings.slates.temperature * MICRO),
        gap=settings.solve.gap,
        switch_cost=cost,
        start=prices_before(night)[0],
        notes=(*limits.notes, *(() if draws else (NO_DRAWS,)), *((note,) if note else ())),
        arcs=declared.units,
        amounts=limits.amounts,
        capped=limits.capped,
        draws=draws,
    )
    out = out.drop_columns(["p_convert"])
    ranked = rank(night, population, out) if settings.shares.usual else None
    return freeze(
        settings.home / "runs" / run_id,
        inputs,
        limits.limits,
        leave(population, out, limits.limits, inputs, ranked),
        out.filter(pa.array(is_exploit)),
        {
            "population": population,
            "others": out.filter(pa.array(~is_exploit)),
            "inbound": inbound.select(["customer", "product", "channel", "value", "p_convert"]),
            "stays": stays,
            PRICES: list_prices(catalogue),
        }
        | ({} if ranked is None else {"usual": ranked}),
        limits.reported,
    )


def population_of(night: Night) -> pa.Table:
    """Every active customer: draw key, role, masks, reasons, and the columns that limits look at; ascending."""
    eligible = (
        night.lake.arrow(
            "eligible",
            partition=night.partition,
            columns=["customer_id", "draw_key", "masks", "masks_more", "reason", "outbound_reason", "eligible_hash"],
        )
        .sort_by("customer_id")
        .combine_chunks()
    )
    if not eligible.num_rows:
        raise UserError(
            f"nobody to decide for on {night.date}: `eligible` has no rows",
            where="eligible",
            remedy=f"cpc nightly --date {night.date} --until assign",
        )
    shares = night.settings.shares
    keys = draw_keys(eligible)
    eligible = eligible.set_column(1, "draw_key", pa.array(keys))
    yearly = find_last_yearly(night)
    role = roles(keys, night.date, night.settings.seed, shares.control, shares.explore, shares.usual, yearly)
    columns = DeclaredLimits.from_catalogue(night.catalogue).columns(read_limit_attributes(night, eligible))
    eligible = columns.onto(eligible.append_column("role", pa.array(role)))
    width = len(night.catalogue.channels)
    masks = eligible["masks"].combine_chunks()
    if len(masks.flatten()) != width * len(masks):
        raise UserError(
            f"`eligible` has masks of another number of channels than {width}",
            where="eligible",
            remedy=f"channels.yml has changed: cpc nightly --date {night.date} --from eligibility",
        )
    return eligible


def member_sql(segment: Segment) -> str:
    """Spark SQL over the snapshot: is a customer a member?"""
    return f"coalesce(cast(({segment.who}) as boolean), false)"


def rehearse(catalogue: Catalogue, _: dt.date) -> Iterator[clauses.Clause]:
    """What a night will compile here: every segment, over the snapshot, and the usual rule, over snapshot and arc."""
    snapshot = clauses.columns_of(catalogue.tables["customer_features"].columns)
    wide = (*(column for column in snapshot if column[0] not in ARC_COLUMNS), *ARC_COLUMNS.items())
    path = catalogue.root / "usual.yml"
    for document, loc, each in read_rows(path, "order", UsualKey, catalogue.report) if path.exists() else ():
        where = document.where((*loc, "by"))
        hint = f"name features of conf/generated/features.yml, or {', '.join(ARC_COLUMNS)}"
        yield clauses.Clause(wide, f"({each.by})", "the usual rule", where, hint)
    remedy = "name features of conf/generated/features.yml"
    over = clauses.columns_of(catalogue.tables["customer_features"].columns)
    for document, loc, segment in read_rows(catalogue.root / "segments.yml", "segments", Segment, catalogue.report):
        where = document.where((*loc, "who"))
        yield clauses.Clause(over, member_sql(segment), f"segment {segment.name}", where, remedy)


def read_limit_attributes(night: Night, eligible: pa.Table) -> pa.Table:
    """Attributes and segments that limits name, a row a customer of ``eligible``, in its order."""
    limits = DeclaredLimits.from_catalogue(night.catalogue)
    if not limits.reads:
        return eligible.select(["customer_id"])
    marks = {f"segment_{name}": member_sql(night.catalogue.segments[name]) for name in limits.segments}
    snapshot = night.tonight("customer_features")
    own = [name for name in limits.reads if name not in marks and name in snapshot.columns]
    frame = snapshot.selectExpr(
        "customer_id", *(f"`{name}`" for name in own), *(f"{sql} as `{name}`" for name, sql in marks.items())
    )
    with tempfile.TemporaryDirectory(dir=night.settings.home) as folder:
        files = spark_tables.stage(frame, Path(folder), ())
        parts = [pq.read_table(Path(folder) / file.path) for file in files]
    rows = pa.concat_tables(parts) if parts else None
    if rows is None or rows.num_rows == 0:
        raise UserError(
            f"there is no snapshot of {night.date}",
            where="customer_features",
            remedy=f"cpc nightly --date {night.date} --until assign",
        )
    rows = rows.sort_by("customer_id")
    place = pc.index_in(eligible["customer_id"], value_set=rows["customer_id"].combine_chunks())
    return rows.take(place)


def recount(night: Night) -> list[dict[str, Any]]:
    """The limits of now against the plan that ``night`` made: a row for each that is not what it was. Writes nothing.

    What the plan uses is counted again, as a limit counts now; ``beyond`` is what of it would no longer fit (of a floor:
    what would be wanting).
    """
    declared = DeclaredLimits.from_catalogue(night.catalogue)
    population = population_of(night)
    priced = night.lake.arrow("limit_price", partition=night.partition).to_pylist()
    then = {row["limit"]: _count_whole(row) for row in priced}
    plan = night.lake.arrow("assignment", partition=night.partition, columns=["customer_id", "product", "channel"])
    plan = plan.filter(pc.is_valid(plan["product"]))
    plan = declared.beside(plan.rename_columns(["customer", "product", "channel"]), population)
    seen, shape = {name: plan[name].to_numpy() for name in plan.column_names}, (plan.num_rows,)
    changed = []
    now = declared.in_force(night, population)
    for limit in (*now.limits.limits, *now.reported.limits):
        was, contacts = then.pop(limit.name, None), int(select_arcs(limit.where, seen, shape).sum())
        used = int(take_units(limit, seen, shape).sum())
        if was is None or (was["amount"], was["used"]) != (limit.amount, used):
            beyond = max(0, (used - limit.amount) * limit.sign)
            changed.append(_limit_change(limit.name, was, limit.amount, used, beyond, contacts))
    return changed + [_limit_change(name, was, None, None, 0, 0) for name, was in then.items()]


def _count_whole(row: dict[str, Any]) -> dict[str, Any]:
    """Whole amount and use of all that is published; nights of releases up to 0.2 kept the exploiters' and a reserve apart."""
    return {
        "amount": row["amount"] + (row["reserve"] or 0),
        "used": row["used"] + (row["used_explore"] or 0) + (row["used_usual"] or 0),
    }


def _limit_change(
    name: str, was: dict[str, Any] | None, amount: int | None, used: int | None, beyond: int, contacts: int
) -> dict[str, Any]:
    before = {"amount_then": was["amount"] if was else None, "used_then": was["used"] if was else None}
    return {"limit": name, **before, "amount_now": amount, "used_now": used, "beyond": beyond, "contacts": contacts}


def read_candidates(night: Night, population: pa.Table) -> pa.Table:
    """Tonight's candidates as arcs, ascending."""
    arcs = night.lake.arrow(
        "candidate",
        partition=night.partition,
        columns=["customer_id", "product", "channel", "value_micro", "p_convert"],
    ).rename_columns(["customer", "product", "channel", "value", "p_convert"])
    arcs = arcs.sort_by([(name, "ascending") for name in ("customer", "product", "channel")])
    unknown = pc.invert(pc.is_in(arcs["customer"], value_set=population["customer_id"].combine_chunks()))
    if count := pc.sum(unknown).as_py():
        raise UserError(
            f"{count} candidates are of nobody in `eligible`",
            where="candidate",
            remedy=f"score again: cpc nightly --date {night.date} --from score",
        )
    return arcs


def add_eligible(candidates: pa.Table, more: pa.Table | None, why: str) -> tuple[pa.Table, str]:
    """Candidates with further scored arcs, and what is odd about it: the usual rule looks at all eligible arcs.

    Args:
        candidates: arcs that pruning kept, ascending.
        more: eligible arcs of those who are served as before; None where they could not be scored.
        why: they could not.
    """
    if more is None:
        return candidates, f"customers are served as before from kept arcs alone: {why}"
    key = ["customer", "product", "channel"]
    new = more.join(candidates.select(key), key, join_type="left anti").select(candidates.column_names)
    both = pa.concat_tables([candidates, new.cast(candidates.schema)])
    return both.sort_by([(name, "ascending") for name in key]), ""


def read_last_assignment(night: Night) -> pa.Table | None:
    """What customers were given on the night before."""
    last = night.before("limit_price")
    seen = ["customer_id", "product", "channel", "role", "eligible_hash"]
    return night.lake.arrow("assignment", partition={"business_date": last}, columns=seen) if last else None


def stability_of(night: Night, table: pa.Table) -> dict[str, Any]:
    """Churn of tonight's plan against that of the last night before this one."""
    columns = ["customer_id", "product", "channel", "value_micro"]
    dates = (night.date, night.before("limit_price") or night.date)
    arcs, arcs_before = (night.lake.arrow("candidate", partition={"business_date": d}, columns=columns) for d in dates)
    return stability(table, read_last_assignment(night), arcs, arcs_before)


# -- what comes out --------------------------------------------------------------------------------------------


def costs_of(night: Night, run: RunFolder) -> dict[str, LimitCost]:
    """What each limit costs tonight, proved over all arcs where the scorer is there, by one pass for all limits."""
    return costs_tonight(base_of(run), lambda asked: bounds_over_all_arcs(night, run, asked))


def price_rows(decision: Decision, run: RunFolder, night: Night, costs: Mapping[str, LimitCost]) -> pa.Table:
    """Rows of ``limit_price``: whole amounts, the price, what each part of the plan uses, and what the limit costs.

    A limit that is reported only charges nothing and costs nothing.
    """
    solution, inputs = decision.solution, run.inputs()
    units = {limit.name: limit.unit for limit in night.catalogue.limits}
    explored, served = (np.flatnonzero((decision.role == of) & (decision.given >= 0)) for of in (EXPLORE, USUAL))

    def row(limit: LimitInForce, amount: int, used: int, drawn: int, usual: int, price: int) -> dict[str, Any]:
        unit = unit_of(limit)
        return {
            "business_date": night.date,
            "limit": limit.name,
            "kind": "at_most" if limit.sign > 0 else "at_least",
            "unit": units[limit.name],
            "amount": amount,
            "used": used,
            "price_pico": price,
            "price_yuan": price * 1e-12,
            "used_explore": drawn,
            "used_usual": usual,
            "shown_unit": unit.name,
            "shown_amount": float(unit.show(amount)),
            "shown_used": float(unit.show(used + drawn + usual)),
            "shown_price_yuan": price * 1e-12 * unit.size,
        }

    rows = []
    for m, limit in enumerate(decision.instance.limits.limits):
        apart = [
            int(decision.arcs.uses[m][decision.arcs.classes[who], decision.given[who]].sum())
            for who in (explored, served)
        ]
        used, price = solution.plan.used[m], int(solution.dual.prices[m])
        shown = row(limit, *(n * limit.sign for n in (inputs.amounts[m], used, *apart, price)))
        cost = costs.get(limit.name)
        money = {"cost_micro": cost and cost.cost, "cost_least_micro": cost and cost.least}
        rows.append(shown | money | {"cost_most_micro": cost and cost.most, "cost_all_arcs": cost and cost.over_all})
    reported = run.read_reported().limits
    counted = count_uses(decision, inputs, reported) if reported else ()
    for limit, uses in zip(reported, counted, strict=True):
        drawn, usual = int(uses[explored].sum()), int(uses[served].sum())
        solved, sign = int(uses.sum()) - drawn - usual, limit.sign
        shown = row(limit, limit.amount, solved * sign, drawn * sign, usual * sign, 0)
        costless = dict.fromkeys(("cost_micro", "cost_least_micro", "cost_most_micro"), 0)
        rows.append(shown | costless | {"reported_only": True})
    return pa.Table.from_pylist(rows, schema=nullable(arrow_schema(night.lake.table("limit_price"))))


def figures(
    decision: Decision,
    inputs: DecisionInputs,
    night: Night,
    value_yuan: float,
    offers: int,
    alternates: int,
    extra: dict[str, Any],
) -> AssignFigures:
    """What the summary and the run record say.

    Args:
        decision: the plan.
        inputs: what it was made from.
        night: tonight.
        value_yuan: of the plan, without the cost of switching.
        offers: ranked for those who come.
        alternates: to outbound contacts.
        extra: churn, the cost of learning, what was taken back and since when control is renewed, by their names.
    """
    lost = {reason: (decision.reason == reason) for reason in AT_A_LOSS}
    support = decision.exploration.support(decision.population) if decision.exploration else {}
    solution, role, given = decision.solution, decision.role, decision.given
    code = {channel.id: channel.code for channel in night.catalogue.channels}
    channel = decision.arcs.channel[given[given >= 0]]
    budgets = [limit.name for limit in decision.instance.limits.limits if limit.counts == "cost_micro"]
    compared = lift_figures(decision.instance.problem, solution, LIFT_GAP, budgets)
    return AssignFigures(
        customers=len(role),
        contacts=int((given >= 0).sum()),
        gap=solution.gap,
        value_yuan=value_yuan,
        **compared,
        primal=solution.plan.primal,
        bound=solution.dual.bound,
        passes=solution.passes,
        method=solution.method,
        bound_claimed=solution.bound_claimed,
        solve_seconds=round(solution.seconds, 3),
        by_channel={code[c]: int((channel == c).sum()) for c in sorted(set(channel.tolist()))},
        by_role={
            "exploit": int((role == EXPLOIT).sum()),
            "explore": int((role == EXPLORE).sum()),
            "control": int((role == CONTROL).sum()),
        },
        at_a_loss={reason: int(rows.sum()) for reason, rows in lost.items() if rows.any()},
        loss_yuan={reason: -int(decision.value[rows].sum()) * 1e-6 for reason, rows in lost.items() if rows.any()},
        marginal=int((decision.marginal & (given >= 0)).sum()),
        support={code[channel]: counts for channel, counts in support.items()},
        explored=int(((role == EXPLORE) & (given >= 0)).sum()),
        withdrawn=decision.withdrawn,
        arcs=decision.instance.problem.arcs,
        moved=solution.moved,
        offers=offers,
        alternates=alternates,
        **extra,
        binding=sum(1 for p in solution.dual.prices if p),
        warnings=[*decision.instance.warnings, *inputs.notes],
    )
