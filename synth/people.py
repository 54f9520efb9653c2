"""The population: what the operator's own registers say of customers, numbers re-used by a new owner included."""

from __future__ import annotations

import numpy as np

from conf.geography import GRADES
from synth.keyed import hash64, stream
from synth.plan import Ints, LoggedPlan
from synth.traits import EVENTS, Columns

PLANS = (("p19", 19), ("p39", 39), ("p59", 59), ("p88", 88), ("p128", 128), ("p198", 198), ("p298", 298))
BRANDS = (  # brand, share, list price in 元, share that is 5G
    ("Huawei", 0.24, 3600, 0.62),
    ("Apple", 0.18, 6200, 0.75),
    ("OPPO", 0.16, 2300, 0.58),
    ("vivo", 0.16, 2200, 0.57),
    ("Xiaomi", 0.14, 2000, 0.60),
    ("Honor", 0.08, 2100, 0.55),
    ("Nokia", 0.04, 300, 0.0),
)
NUMBERS = 100_000_000
FIRST_NUMBER = 10_000_000_000  # mobile numbers begin with 13 … 19: 100 is never assigned
MANAGED = 40  # members of a group customer, on average


def phones(index: Ints) -> Ints:
    """The synthetic number of each position: a bijection on 100xxxxxxxx."""
    return FIRST_NUMBER + (index * 7_368_787 + 1_234_567) % NUMBERS


def people(plan: LoggedPlan, block: int, first: int, hidden: Columns) -> Columns:
    """Registers of the customers ``first … first + n − 1``; ``active_from``/``active_to`` bound their life (days)."""
    rng = stream(plan.seed, "people", block)
    n = len(hidden["value"])
    value, digital = hidden["value"].astype(float), hidden["digital"].astype(float)
    city = rng.choice(len(plan.geography.cities), size=n, p=[c.weight / 1000 for c in plan.geography.cities])
    age = np.clip(42 - 9 * digital + 11 * rng.normal(size=n), 12, 90).astype(np.int64)
    member = rng.random(n) < np.clip(0.18 + 0.08 * value, 0.02, 0.6)
    group = hash64(np.arange(first, first + n), plan.seed, "group") % np.uint64(max(1, plan.customers // MANAGED // 5))
    rank = value + 0.5 * rng.normal(size=n)
    year = 2026 - age
    columns: Columns = {
        "index": np.arange(first, first + n),
        "city": city.astype(np.int16),
        "centre": _centre_positions(plan)[city].astype(np.int16),
        "birth_year": year,
        "gender": rng.choice(3, size=n, p=[0.50, 0.46, 0.04]).astype(np.int8),
        "minor": year > 2026 - 18,
        "group": np.where(member, group.astype(np.int64), -1),
        "grade": _grades(member, rank),
        "star": np.clip(np.round(3 + 1.4 * rank), 0, 7).astype(np.int8),
        "plan": np.clip(np.round(2.2 + 1.1 * value + 0.5 * rng.normal(size=n)), 0, len(PLANS) - 1).astype(np.int8),
        "real_name": rng.random(n) < 0.985,
        "broadband": rng.random(n) < 0.35 + 0.05 * value.clip(-2, 2),
        "household": (1 + rng.poisson(0.9, size=n)).astype(np.int8),
        "consent_profiling": rng.random(n) < 0.94,
        "consent_personal": rng.random(n) < 0.97,
        "opted_out": rng.random(n) < 0.03,
    }
    return columns | _terminals(plan, rng, hidden) | _lives(plan, rng, hidden, first)


def _centre_positions(plan: LoggedPlan) -> Ints:
    codes = [centre.code for centre in plan.geography.centres]
    return np.array([codes.index(city.centre) for city in plan.geography.cities], dtype=np.int64)


def _grades(member: np.ndarray, rank: np.ndarray) -> np.ndarray:
    step = np.digitize(rank, [-0.4, 0.5, 1.3, 2.0])  # standard … diamond
    return np.where(member, len(GRADES) - 1 - step, len(GRADES) - 1).astype(np.int8)


def _terminals(plan: LoggedPlan, rng: np.random.Generator, hidden: Columns) -> Columns:
    n = len(hidden["value"])
    brand = rng.choice(len(BRANDS), size=n, p=[b[1] for b in BRANDS])
    price = np.array([b[2] for b in BRANDS])[brand] * np.exp(0.25 * hidden["value"] + 0.2 * rng.normal(size=n))
    five = rng.random(n) < np.array([b[3] for b in BRANDS])[brand] * np.clip(1 + 0.25 * hidden["digital"], 0.2, 1.5)
    # who changes the phone in these months replaces a 5G one: what a customer may have holds for the whole history
    five |= hidden["event_day"][:, list(EVENTS).index("terminal")] >= 0
    return {
        "brand": brand.astype(np.int8),
        "model": rng.integers(1, 30, size=n).astype(np.int16),
        "terminal_price": (np.round(price / 10) * 10).astype(np.int64),
        "terminal_5g": five,
        "terminal_since": (plan.first_day - rng.integers(20, 1200, size=n)).astype(np.int64),
    }


def _lives(plan: LoggedPlan, rng: np.random.Generator, hidden: Columns, first: int) -> Columns:
    """When lines begin and end, contracts, and numbers that a later customer takes over."""
    n = len(hidden["value"])
    opened = plan.first_day - 30 - (rng.gamma(1.6, 900, size=n)).astype(np.int64)
    fresh = rng.random(n) < 0.02
    opened = np.where(fresh, rng.integers(plan.first_day, plan.end_day, size=n), opened)
    closes = rng.random(n) < 0.01
    ends = np.where(closes, opened.clip(plan.first_day) + rng.integers(20, 200, size=n), 10**6)
    ends = np.where(ends >= plan.end_day, 10**6, ends)
    number = np.arange(first, first + n)
    middle = max(plan.first_day + 1, plan.start_day - 90)
    heirs = int(n * plan.preset.faults.reused_numbers)
    if heirs and n >= 2 * heirs:  # the block's last take the numbers of its first, which end before
        ends[:heirs] = middle - rng.integers(0, 20, size=heirs).clip(max=middle - plan.first_day - 1)
        opened[:heirs] = np.minimum(opened[:heirs], plan.first_day - 100)
        opened[-heirs:] = middle + rng.integers(1, 40, size=heirs)
        ends[-heirs:] = 10**6
        number[-heirs:] = number[:heirs]
    status = rng.random(n) < 0.01  # suspended
    end = hidden["event_day"][:, 1].astype(np.int64)
    return {
        "phone": phones(number),
        "opened": opened,
        "closed": ends,
        "suspended": status,
        "contract_end": np.where(end > 0, end + 15, plan.end_day + rng.integers(-400, 700, size=n)),
    }
