"""A tiny world with a known response: four products, three channels, two features that matter and three that do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit

from models.affinity.encode import EncodedFeature, Offer, Way
from models.affinity.scorer import Menu
from models.affinity.signals import HEARD, MISSED, REFUSED, UNKNOWN
from models.affinity.training import CONTROL, EXPLOIT, EXPLORE, TrainingSample


def make_menu(products: int = 4) -> Menu:
    offers = tuple(Offer(p, p % 2, 10.0 * (p + 1), 8.0 * (p + 1), 0.0, 1.0) for p in range(products))
    ways = (Way(0, False, 0.5, 60, 7), Way(1, False, 0.05, 0, 3), Way(2, True, 0.01, 0, 0))
    return Menu(
        offers,
        ways,
        tuple(["voice", "data"][p % 2] for p in range(products)),
        ("call", "sms", "web"),
        tuple(8_000_000 * (p + 1) for p in range(products)),
        (500_000, 50_000, 10_000),
        (0,) * products,
    )


def truth(X: np.ndarray, product: np.ndarray, channel: np.ndarray, effect: float = 1.0) -> np.ndarray:
    """P(order within the window): channel −1 is no contact; ``effect`` 0 makes contacts useless."""
    taste = X[:, 0] * np.where(product % 2 == 0, 1.0, -1.0)
    lift = np.where(channel == 0, 1.6, np.where(channel == 1, 0.9, 0.0)) + 0.5 * X[:, 1] * (channel >= 0)
    return expit(-4.2 + 0.8 * taste - 0.2 * product + effect * lift * (channel >= 0))


def make_sample(
    customers: int = 1500, nights: int = 20, seed: int = 0, effect: float = 1.0, products: int = 4
) -> TrainingSample:
    rng = np.random.default_rng(seed)
    n = customers * nights
    customer, day = np.repeat(np.arange(customers), nights), np.tile(np.arange(nights), customers)
    X = np.repeat(rng.normal(size=(customers, 5)), nights, axis=0)
    X[rng.random(X.shape) < 0.02] = np.nan
    role = np.repeat(rng.choice([EXPLOIT, EXPLORE, CONTROL], customers, p=[0.5, 0.3, 0.2]), nights)
    contacted = (role != CONTROL) & (rng.random(n) < 0.4)
    product = np.where(contacted, rng.integers(0, products, n), -1)
    channel = np.where(contacted, rng.integers(0, 2, n), -1)
    clean = np.nan_to_num(X)
    ordered = np.zeros(n, np.int64)
    for p in range(products):
        chance = truth(clean, np.full(n, p), np.where(product == p, channel, -1), effect)
        ordered |= (rng.random(n) < chance).astype(np.int64) << p
    margin = sum((ordered >> p & 1) * 8.0 * (p + 1) for p in range(products)) + rng.gamma(0.3, 3.0, n)
    converted = (ordered >> np.maximum(product, 0) & 1).astype(bool) & contacted
    reached = rng.random(n) < np.where(channel == 0, 0.4, 0.9)
    answer = np.where(reached, np.where(rng.random(n) < expit(-1.5 - X[:, 1]), REFUSED, HEARD), MISSED)
    pscore = np.where(role == CONTROL, 1.0, np.where(contacted, 0.4 / (2 * products), 0.6))
    return TrainingSample(
        X,
        customer,
        day,
        role,
        product,
        channel,
        pscore,
        np.zeros(n),
        ordered[:, None],
        np.where(contacted, answer, UNKNOWN),
        converted,
        converted & (rng.random(n) < 0.1),
        rng.random(n) < np.where(contacted, 0.004, 0.002),
        rng.random(n) < 0.002,
        margin,
        np.ones(n),
    )


FEATURES = tuple(EncodedFeature(f"f{k}", "number") for k in range(5))


@pytest.fixture(scope="session")
def menu() -> Menu:
    return make_menu()


@pytest.fixture(scope="session")
def world() -> Callable[..., TrainingSample]:
    return make_sample


@pytest.fixture(scope="session")
def chance() -> Callable[..., np.ndarray]:
    return truth


@pytest.fixture(scope="session")
def features() -> tuple[EncodedFeature, ...]:
    return FEATURES
