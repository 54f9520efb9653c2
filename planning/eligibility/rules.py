"""Rules as steps of the funnel: SQL that gives the bits a step removes from a customer.

A step removes products (bits = product ids, on all channels of its direction) or channels (bits = channel ids);
a rule about the customer removes every channel of its direction. No customer × product × channel row is made.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from conf.catalogue import Catalogue
from conf.documents import Document, Loc, read_rows
from conf.errors import Report, UserError, suggest
from conf.offer import Channel, Product, Rule
from models.bit_sets import split_words
from planning.eligibility.customer_state import name_word, words_of
from planning.eligibility.masks import Direction, Shape

#: Reasons of the steps that come before the rules, in both languages.
_OWN = {
    "on_sale": ("not on sale on this date", "当日不在售"),
    "product_eligible": ("the product is not for this customer", "不符合产品条件"),
    "channel_eligible": ("the channel is not for this customer", "不符合渠道条件"),
}
#: Predicates whose bits are a state column as they stand.
_WHOLE = {
    "product.held": "holds",
    "product.cancelled_90d": "cancelled_90d",
    "product.refused_30d": "refused_30d",
    "channel.opted_out": "opted_out_channels",
}
_NAME = re.compile(r"\b(product|channel)\.([a-z_][a-z0-9_]*)\b")
_QUOTED = re.compile(r"('(?:[^']|'')*')")
_CONTACTS = ("contacts_1d", "contacts_7d", "contacts_30d")


@dataclass(frozen=True)
class Predicate:
    """A piece of SQL of a step as somebody wrote it: whose it is, and where.

    Attributes:
        subject: ``rule needs_5g``, ``product ring_tone`` …
        sql: Spark SQL over snapshot and state, with values in the place of ``product.x`` and ``channel.x``.
        where: file and line.
    """

    subject: str
    sql: str
    where: str


@dataclass(frozen=True)
class RuleStep:
    """One step of the funnel.

    Attributes:
        name: rule, or ``on_sale``, ``product_eligible``, ``channel_eligible``.
        scope: what its bits are: ``product`` ids or ``channel`` ids (``customer``: channel ids, all of the direction).
        sql: Spark SQL over snapshot and state, a bigint a word: the set that it removes.
        predicates: what it is made of, to name one that Spark does not understand.
    """

    name: str
    scope: Literal["customer", "product", "channel"]
    direction: Direction
    sql: tuple[str, ...]
    reason: str
    reason_zh: str
    predicates: tuple[Predicate, ...] = ()


def steps(catalogue: Catalogue, date: dt.date) -> list[RuleStep]:
    """The funnel of a night: what is on sale, what products and channels ask for, then the rules in order.

    Reported is a predicate that names an attribute that there is not, or one outside its scope.
    """
    root, report = catalogue.root, catalogue.report
    products = read_rows(root / "products.yml", "products", Product, report)
    channels = read_rows(root / "channels.yml", "channels", Channel, report)
    names = _Names(tuple(p for _, _, p in products), tuple(c for _, _, c in channels), report)
    sold = sum(1 << p.id for p in names.products if on_sale(p, date))
    unfit = [(_negate(f"product {p.code}", d, loc, names.of_product, p), p) for d, loc, p in products]
    closed = [(_negate(f"channel {c.code}", d, loc, names.of_channel, c), c) for d, loc, c in channels]
    ended = tuple(f"{bits}L" for bits in split_words(names.every & ~sold, names.words))
    order = [RuleStep("on_sale", "product", "both", ended, *_OWN["on_sale"])]
    order.append(_asks("product_eligible", "product", unfit, names.words))
    order.append(_asks("channel_eligible", "channel", closed, 1))
    for document, loc, rule in read_rows(root / "rules.yml", "rules", Rule, report):
        where = document.where((*loc, "removes"))
        sql = names.sql(rule, where)
        predicate = Predicate(f"rule {rule.name}", " | ".join(sql), where)
        order.append(RuleStep(rule.name, rule.scope, rule.direction, sql, rule.reason, rule.reason_zh, (predicate,)))
    return order


def _asks(
    name: str, scope: Literal["product", "channel"], asked: Sequence[tuple[Predicate, Any]], words: int
) -> RuleStep:
    """The step that removes the products or channels whose own predicate does not hold."""
    wanted = [(predicate, row) for predicate, row in asked if row.eligible != "true"]
    sql = _either([(predicate.sql, 1 << row.id) for predicate, row in wanted], words)
    return RuleStep(name, scope, "both", sql, *_OWN[name], tuple(predicate for predicate, _ in wanted))


def _negate(subject: str, document: Document, loc: Loc, replaced: Callable[..., str], row: Any) -> Predicate:
    """What a product or channel asks of a customer, negated: where it holds, the bit is removed."""
    where = document.where((*loc, "eligible"))
    return Predicate(subject, _no(replaced(row.eligible, row, where)), where)


def on_sale(product: Product, date: dt.date) -> bool:
    """Whether a product may be offered on a date: from its launch date to the day before its end date."""
    return product.launch_date <= date and (product.end_date is None or date < product.end_date)


def shape_of(order: Sequence[RuleStep], products: Sequence[Product], channels: Sequence[Channel]) -> Shape:
    """What the bits of the steps mean."""
    return Shape(
        tuple(step.name for step in order),
        tuple(step.scope for step in order),
        tuple(step.direction for step in order),
        tuple(product.id for product in products),
        {channel.id: channel.direction for channel in channels},
    )


@dataclass(frozen=True)
class _Names:
    """Puts values and bits in the place of ``product.x`` and ``channel.x``."""

    products: tuple[Product, ...]
    channels: tuple[Channel, ...]
    report: Report

    @property
    def every(self) -> int:
        return sum(1 << p.id for p in self.products)

    @property
    def words(self) -> int:
        return words_of(self.products)

    def sql(self, rule: Rule, where: str) -> tuple[str, ...]:
        channels = [c for c in self.channels if rule.direction in ("both", c.direction)]
        mask = sum(1 << c.id for c in channels)
        if rule.scope == "customer":
            return (f"if({_yes(self._replace(rule.removes, {}, where))}, {mask}L, 0L)",)
        words = self.words if rule.scope == "product" else 1
        if rule.removes in _WHOLE:  # the bits are there already
            sets = split_words(mask if rule.scope == "channel" else self.every, words)
            return tuple(f"({name_word(_WHOLE[rule.removes], word)} & {bits}L)" for word, bits in enumerate(sets))
        if rule.scope == "product":
            return _either([(_yes(self.of_product(rule.removes, p, where)), 1 << p.id) for p in self.products], words)
        return _either([(_yes(self.of_channel(rule.removes, c, where)), 1 << c.id) for c in channels], words)

    def of_product(self, predicate: str, product: Product, where: str) -> str:
        others = [q.id for q in self.products if q.code in product.excludes or product.code in q.excludes]
        excluded = sum(1 << other for other in others)
        keys = {key for other in self.products for key in other.attributes}
        values: dict[str, Any] = {key: product.attributes.get(key, 0) for key in sorted(keys)}
        for name in ("id", "code", "group", "price", "margin", "subsidy", "term_months"):
            values[name] = getattr(product, name)
        own = 1 << product.id
        bits = {name: self._holds_any(name, own) for name in ("cancelled_90d", "refused_30d")}
        bits |= {"held": self._holds_any("holds", own), "excluded": self._holds_any("holds", excluded)}
        known = {key: _literal(value) for key, value in values.items()} | bits
        return self._replace(predicate, {"product": known}, where)

    def _holds_any(self, name: str, wanted: int) -> str:
        """SQL of whether a state column that is a set of products holds any of those wanted."""
        sets = [(word, bits) for word, bits in enumerate(split_words(wanted, self.words)) if bits] or [(0, 0)]
        tests = [f"(({name_word(name, word)} & {bits}L) <> 0L)" for word, bits in sets]
        return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"

    def of_channel(self, predicate: str, channel: Channel, where: str) -> str:
        values = {
            name: _literal(getattr(channel, name))
            for name in ("id", "code", "direction", "cost", "seconds", "block_days")
        }
        pushed = channel.direction == "outbound"
        values |= {name: f"{name}_{channel.code}" if pushed else "0" for name in _CONTACTS}
        values["days_since_contact"] = f"days_since_contact_{channel.code}" if pushed else "cast(null as int)"
        values["opted_out"] = f"((opted_out_channels & {1 << channel.id}L) <> 0L)"
        return self._replace(predicate, {"channel": values}, where)

    def _replace(self, predicate: str, values: Mapping[str, Mapping[str, str]], where: str) -> str:
        def substitute(match: re.Match[str]) -> str:
            kind, name = match.groups()
            if kind not in values:
                remedy = f"give the rule `scope: {kind}`, or leave it out of `eligible`"
                self.report(UserError(f"{match.group()!r} is not known here", where=where, remedy=remedy))
            elif name not in values[kind]:
                remedy = suggest(name, values[kind])
                self.report(UserError(f"there is no {match.group()!r}", where=where, remedy=remedy))
            else:
                return values[kind][name]
            return "null"  # reported: what else is wrong with it is still found

        parts = _QUOTED.split(predicate)
        return "".join(part if part.startswith("'") else _NAME.sub(substitute, part) for part in parts)


def _either(parts: Sequence[tuple[str, int]], words: int) -> tuple[str, ...]:
    """SQL of the bits whose condition holds, word by word; one test for all bits of the same condition."""
    bits: dict[str, int] = {}
    for condition, bit in parts:
        bits[condition] = bits.get(condition, 0) | bit
    split = {condition: split_words(each, words) for condition, each in bits.items()}
    return tuple(
        " | ".join(f"if({condition}, {own[word]}L, 0L)" for condition, own in split.items() if own[word]) or "0L"
        for word in range(words)
    )


def _yes(predicate: str) -> str:
    return f"coalesce(({predicate}), false)"


def _no(predicate: str) -> str:
    return f"not coalesce(({predicate}), false)"


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}'"  # codes and groups: no quotes in them
    return format(value, "f") if isinstance(value, Decimal) else str(value)
