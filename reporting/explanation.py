"""Why one customer was decided as they were: every arc with the rule that removed it, or its value and what it paid.

All comes from the tables of that night (`eligible` keeps what each rule removed, `funnel` what the rules were), from the
run's frozen inputs (what limits charge) and from that night's model, which scores again what pruning dropped: neither
Spark nor tonight's rules are needed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from conf.catalogue import Catalogue
from conf.dates import parse_date
from conf.errors import UserError
from conf.offer import Channel
from models.assignment.problem import PICO
from models.bit_sets import join_words
from planning.eligibility.masks import Shape, first_remover
from planning.instance.run_folder import RunFolder, open_run
from planning.limits.declared import DeclaredLimits
from planning.limits.evaluator import Charges
from planning.plan.customer_charges import charge_customer
from planning.plan.propensities import rebuild
from planning.rescoring import COLUMNS, Scored, score_all_arcs
from reporting import explanation_text
from reporting.absence import explain_unlisted
from runtime.night import Night


@dataclass(frozen=True)
class ExplanationFacts:
    """What the tables of a night hold of one customer.

    Attributes:
        funnel: the rules in order.
        removed: bits that each rule removed.
        candidates: scored arcs that were kept.
        assignment: the decision, None before the night's assignment.
        offers: ranked offers for inbound channels.
        charges: what limits charge each arc at the final prices, pico-元; None where the run's inputs are gone.
        scored: every eligible arc as the night's model scores it, pruned ones too.
        unscored: why ``scored`` is empty; empty text where it is not.
    """

    date: dt.date
    customer: int
    funnel: Sequence[Mapping[str, Any]]
    removed: Sequence[int]
    candidates: Sequence[Mapping[str, Any]]
    assignment: Mapping[str, Any] | None
    offers: Sequence[Mapping[str, Any]]
    charges: Charges | None
    scored: Scored
    unscored: str


def date_of_run(run: str) -> dt.date:
    """The decision date that a run id begins with."""
    try:
        return parse_date(run[:10])
    except UserError as error:
        raise UserError(f"{run!r} is no run id", where="--run", remedy="`cpc runs` lists them") from error


def read(night: Night, customer: int, run: str | None = None) -> ExplanationFacts:
    """Everything a night knows of a customer.

    Raises:
        UserError: the night has not decided on this customer, or another run than ``run`` is in the lake.
    """
    eligible = rows_of(night, "eligible", customer)
    if not eligible:
        raise UserError(
            explain_unlisted(night, customer),
            where="eligible",
            remedy="check the id (cpc explain takes a customer_id) and the date, or run that night first",
        )
    assignment = next(iter(rows_of(night, "assignment", customer)), None)
    if run and assignment and assignment["run_id"] != run:
        raise UserError(
            f"the plan of {night.date} in the lake is that of another run",
            where=f"--run {run}",
            remedy=f"it is {assignment['run_id']}; `cpc replay {run}` rebuilds the one you named",
        )
    funnel = night.lake.arrow("funnel", partition=night.partition).sort_by("position").to_pylist()
    prices = night.lake.arrow("limit_price", partition=night.partition, columns=["limit", "price_pico"]).to_pylist()
    home = night.settings.home / "runs"
    signed = {row["limit"]: row["price_pico"] for row in prices}
    charges = charge_customer(RunFolder(home / assignment["run_id"]), customer, signed) if assignment else None
    candidates = rows_of(night, "candidate", customer)
    version = candidates[0]["model_version"] if candidates else None
    scored, unscored = score_all_arcs(night, customer, version)
    offers = sorted(rows_of(night, "recommendation", customer), key=lambda row: (row["channel"], row["rank"]))
    return ExplanationFacts(
        night.date,
        customer,
        funnel,
        _join_sets(eligible[0]["removed"] or [], eligible[0].get("removed_more") or []),
        candidates,
        assignment,
        offers,
        charges,
        scored,
        unscored,
    )


def _join_sets(first: Sequence[int], more: Sequence[int]) -> list[int]:
    """Sets as the table has them, the first word of each and then all further ones, as integers of any size."""
    return [join_words([word, *more[k :: len(first)]]) for k, word in enumerate(first)]


def tell_propensities(night: Night, facts: ExplanationFacts) -> dict[str, Any]:
    """How probable each kept arc of the customer was on the night, and none, the likeliest first.

    Raises:
        UserError: there is no plan, no draw of the customer, or the run does not tell.
    """
    row = facts.assignment
    if row is None:
        raise UserError(
            "no plan has been made for this night", where="assignment", remedy=f"cpc nightly --date {night.date}"
        )
    known = rebuild(
        open_run(night.settings, row["run_id"]), facts.customer, (row["greedy_product"], row["greedy_channel"])
    )
    products = {product.id: product.code for product in night.catalogue.products}
    channels = {channel.id: channel.code for channel in night.catalogue.channels}
    rows = [
        (int(p), int(c), float(chance), bool(able))
        for p, c, chance, able in zip(known.product, known.channel, known.p, known.supported, strict=True)
    ]
    arcs = [
        {
            "product": None if p is None else products.get(p, str(p)),
            "channel": None if c is None else channels.get(c, str(c)),
            "p": chance,
            "supported": able,
            "greedy": (p, c) == (row["greedy_product"], row["greedy_channel"]),
            "given": (p, c) == (row["product"], row["channel"]),
        }
        for p, c, chance, able in [*rows, (None, None, known.none, True)]
    ]
    return {
        "run_id": row["run_id"],
        "role": known.role,
        "pscore": row["pscore"],
        "sum": known.sum,
        "arcs": sorted(arcs, key=lambda arc: -float(str(arc["p"]))),
    }


def rows_of(night: Night, table: str, customer: int) -> list[dict[str, Any]]:
    """A customer's rows of a night's partition of a table."""
    if not night.lake.exists(table):
        return []
    match = (ds.field("business_date") == pa.scalar(night.date)) & (ds.field("customer_id") == customer)
    rows: list[dict[str, Any]] = night.lake.delta(table).to_pyarrow_dataset().to_table(filter=match).to_pylist()
    return rows


def explain(facts: ExplanationFacts, catalogue: Catalogue) -> dict[str, Any]:
    """Every arc of the customer with what became of it, the decision, and a sentence in both languages."""
    shape = Shape(
        tuple(row["rule"] for row in facts.funnel),
        tuple(row["scope"] for row in facts.funnel),
        tuple(row["direction"] for row in facts.funnel),
        tuple(product.id for product in catalogue.products),
        {channel.id: channel.direction for channel in catalogue.channels},
    )
    candidates = {(row["product"], row["channel"]): row for row in facts.candidates}
    taken = facts.assignment or {}
    arcs = []
    every = product(catalogue.products, catalogue.channels)
    for (offer, channel), limit in zip(every, DeclaredLimits.from_catalogue(catalogue).closing(), strict=True):
        pair = (offer.id, channel.id)
        arc: dict[str, Any] = {"product": offer.code, "channel": channel.code, "direction": channel.direction}
        step = first_remover(facts.removed, shape, *pair)
        if step is not None:
            rule = facts.funnel[step]
            arc |= {
                "state": "removed",
                "rule": rule["rule"],
                "reason": rule["reason"],
                "reason_zh": rule["reason_zh"],
            }
        elif limit and channel.direction == "outbound" and pair not in candidates:
            arc |= {"state": "closed", "limit": limit, **dict.fromkeys(COLUMNS)}
        else:
            arc["state"] = "considered" if pair in candidates else "pruned"
            if pair == (taken.get("product"), taken.get("channel")):
                arc["state"] = "chosen"
            score = candidates.get(pair) or facts.scored.get(pair)
            arc |= dict.fromkeys(COLUMNS) if score is None else figures(score, pair, channel, facts)
        arcs.append(arc)
    decision = describe_decision(taken, catalogue) if facts.assignment else None
    arcs.sort(key=rank)
    outbound = {channel.code for channel in catalogue.channels if channel.direction == "outbound"}
    ranked = [describe_offer(row, catalogue) for row in facts.offers]
    offers = [offer for offer in ranked if offer["channel"] not in outbound]
    alternates = sorted((o for o in ranked if o["channel"] in outbound), key=lambda o: o["rank"])
    shown = {(offer["product"], offer["channel"]): offer["rank"] for offer in offers}
    chosen = next((arc for arc in arcs if arc["state"] == "chosen"), None)
    for arc in arcs:
        arc["why"] = explanation_text.of_arc(arc, decision, chosen, shown.get((arc["product"], arc["channel"])))
    answer = {
        "customer_id": facts.customer,
        "business_date": facts.date,
        "run_id": taken.get("run_id"),
        "decision": decision,
        "arcs": arcs,
        "offers": offers,
        "alternates": alternates,
        "pruned_arcs_scored": not facts.unscored,
        "note": facts.unscored,
    }
    return answer | {"sentence": explanation_text.of_decision(answer, catalogue)}


def figures(
    score: Mapping[str, Any], pair: tuple[int, int], channel: Channel, facts: ExplanationFacts
) -> dict[str, Any]:
    """Value, price by limit and reduced value of a scored arc; prices are null where the run's inputs are gone.

    An inbound offer is charged for what acceptance takes: price x P(accept).
    """
    values: dict[str, Any] = {name: score[name] for name in COLUMNS}
    values |= {"price_micro": None, "reduced_micro": None, "paid": {}}
    if facts.charges is not None:
        part = 1.0 if channel.direction == "outbound" else score["p_convert"] or 0.0
        paid = {name: charge * part for name, charge in facts.charges.get(pair, {}).items()}
        price = sum(paid.values())
        values |= {
            "price_micro": round(price / PICO),
            "reduced_micro": round(score["value_micro"] - price / PICO),
            "paid": {name: round(charge / PICO) for name, charge in sorted(paid.items())},
        }
    return values


def rank(arc: Mapping[str, Any]) -> tuple[Any, ...]:
    """Chosen first, then considered by reduced value, pruned, closed, removed."""
    order = ("chosen", "considered", "pruned", "closed", "removed").index(arc["state"])
    worth = arc.get("reduced_micro")
    worth = (arc.get("value_micro") or 0) if worth is None else worth
    return (order, -worth, arc["product"], arc["channel"])


def describe_decision(row: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """The decision, with codes for ids."""
    codes = {"product": _code(catalogue.products, row["product"]), "channel": _code(catalogue.channels, row["channel"])}
    names = ("decision_id", "value_micro", "price_micro", "role", "reason", "pscore", "marginal")
    return codes | {name: row[name] for name in names}


def describe_offer(row: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """A ranked inbound offer, with codes for ids."""
    return {
        "channel": _code(catalogue.channels, row["channel"]),
        "rank": row["rank"],
        "product": _code(catalogue.products, row["product"]),
        "value_micro": row["value_micro"],
        "slate_probability": row.get("slate_probability"),
    }


def _code(entries: Sequence[Any], number: int | None) -> str | None:
    return next((entry.code for entry in entries if entry.id == number), None)
