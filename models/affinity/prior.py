"""What a product on a channel is expected to answer before anything is known of the customer: a hierarchical prior.

Counts of orders by product, and by product × channel, give log-odds by a logistic regression on nested indicators
with a normal prior on each level (penalised maximum likelihood)::

    organic_pk = a + group_g + product_p + kind_k + kind × group_kg
    contact_pc = b + channel_c + slope · (organic_p − mean) + group_g + product_p + group × channel_gc + product × channel_pc

where the kinds k of nights are those of customers left alone and those on which another product was offered: these are
many more and tell the products apart, the former say how much is ordered where nobody is contacted. So
a cell without data stands on its group, its channel and on what its product sells by itself; a product or channel
that is launched tomorrow has those to start from. How far products and cells may leave their group is itself learnt:
the standard deviations of greatest evidence (Laplace's approximation, MacKay 1992) out of a few. Otherwise the
optimizer would pick the cells that were lucky. The trees of the response model add what customers differ by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from models.arrays import Flags, Floats, Ints

#: Standard deviations of the levels' effects, log-odds; those of several are chosen among by evidence.
_LEVELS = {
    "group": (1.0,),
    "product": (0.1, 0.25, 0.5),
    "channel": (1.5,),
    "group_channel": (0.05, 0.15, 0.3),
    "product_channel": (0.02, 0.1, 0.25),
    "base_product": (0.25, 0.5, 1.0, 1.5),
    "kind": (1.0,),
    "kind_group": (0.1, 0.3),
}
_SLOPE = (0.6, 0.2)  # how far a push works better for what sells by itself: mean and standard deviation
_START = (-5.0, 3.0)  # the intercept's


@dataclass(frozen=True)
class Prior:
    """Log-odds of an order.

    Attributes:
        organic: (offers,) by customers left alone.
        aside: (offers,) on nights with a contact for another product.
        contact: (offers, ways) after a contact, of a rested customer.
        fatigue: what each recent contact takes off it (``models.affinity.fatigue``).
    """

    organic: Floats
    aside: Floats
    contact: Floats
    fatigue: float = 0.0

    def predict_contact(self, arc: Ints, recent: Floats) -> Floats:
        """(rows,) after a contact on an arc (position ``offer · ways + way``) that is one of several of late."""
        return np.asarray(self.contact.ravel()[arc] - self.fatigue * recent)


def fit(answers: Floats, rows: Floats, base_answers: Floats, base_rows: Floats, group: Ints) -> Prior:
    """Fit both levels.

    Args:
        answers, rows: (offers, ways) weighted orders among weighted contacts.
        base_answers, base_rows: (2, offers) the same without a contact of the product: customers left alone, and
            nights with a contact for another product. An order that several nights see counts once.
        group: (offers,) group of each product, from 0.
    """
    offers, ways = rows.shape
    which = np.arange(offers)
    kind = np.repeat([0, 1], offers)
    twice = np.concatenate([group, group])
    nested = {
        "group": twice,
        "base_product": np.concatenate([which, which]),
        "kind": kind,
        "kind_group": kind * (int(group.max()) + 1) + twice,
    }
    alone = _Cells(base_answers.ravel(), base_rows.ravel(), nested, np.zeros(2 * offers), None)
    organic, aside = np.split(alone.logodds(), 2)
    p, c = (part.ravel() for part in np.meshgrid(which, np.arange(ways), indexing="ij"))
    levels = {
        "channel": c,
        "group": group[p],
        "product": p,
        "group_channel": group[p] * ways + c,
        "product_channel": p * ways + c,
    }
    centred = organic - np.average(organic, weights=base_rows.sum(axis=0) + 1)
    met = _Cells(answers.ravel(), rows.ravel(), levels, centred[p], _SLOPE)
    return Prior(organic, aside, met.logodds().reshape(offers, ways))


@dataclass(frozen=True)
class _Cells:
    """A penalised logistic regression on counts of cells.

    Attributes:
        answers, rows: (cells,) counts.
        levels: indicator of each level, by name.
        known: (cells,) covariate; ``slope`` is its coefficient's prior (none: it has no coefficient).
    """

    answers: Floats
    rows: Floats
    levels: dict[str, Ints]
    known: Floats
    slope: tuple[float, float] | None

    def logodds(self) -> Floats:
        """(cells,) log-odds at the posterior mode under the standard deviations of greatest evidence."""
        design = self._design()
        used = (design[self.rows > 0] != 0).any(axis=0)  # coefficients that no data touches stay at their mean
        chosen = {name: _LEVELS[name][-1] for name in self.levels}
        best, theta = self._mode(design, used, chosen, None)
        for name in self.levels:
            for deviation in _LEVELS[name][:-1]:
                evidence, other = self._mode(design, used, chosen | {name: deviation}, theta)
                if evidence > best:
                    best, theta, chosen = evidence, other, chosen | {name: deviation}
        return np.asarray(design @ theta)

    def _design(self) -> Floats:
        columns = [np.ones((len(self.rows), 1))] + ([self.known[:, None]] if self.slope else [])
        columns += [(i[:, None] == np.arange(int(i.max()) + 1)).astype(np.float64) for i in self.levels.values()]
        return np.hstack(columns)

    def _mode(
        self, design: Floats, used: Flags, deviations: dict[str, float], near: Floats | None
    ) -> tuple[float, Floats]:
        """Evidence (up to a constant) and coefficients, by Newton's method from ``near``."""
        spread, mean = [_START[1]], [_START[0]]
        if self.slope:
            spread.append(self.slope[1])
            mean.append(self.slope[0])
        for name, index in self.levels.items():
            spread += [deviations[name]] * (int(index.max()) + 1)
        centre, precision = np.zeros(len(spread)), 1 / np.array(spread) ** 2
        centre[: len(mean)] = mean
        seen, coefficients = self.rows > 0, centre.copy()
        x, y, n = design[seen][:, used], self.answers[seen], self.rows[seen]
        centre, precision = centre[used], precision[used]
        theta = centre.copy() if near is None else near[used]
        hessian = np.diag(precision)
        for _ in range(50):
            p = expit(x @ theta)
            gradient = x.T @ (y - n * p) - precision * (theta - centre)
            hessian = (x * (n * p * (1 - p))[:, None]).T @ x + np.diag(precision)
            step = np.linalg.solve(hessian, gradient)
            theta = theta + step * min(1.0, 2.0 / float(np.abs(step).max(initial=1e-12)))
            if np.abs(step).max(initial=0.0) < 1e-7:
                break
        z = x @ theta
        posterior = float((y * z - n * np.logaddexp(0, z)).sum() - (precision * (theta - centre) ** 2).sum() / 2)
        coefficients[used] = theta
        return posterior + float(np.log(precision).sum() - np.linalg.slogdet(hessian)[1]) / 2, coefficients
