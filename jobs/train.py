"""Learn from matured decisions what an offer is worth, and register the model: weekly, or when features drift.

Features that are empty, or that moved since the time of the decisions, are left out and reported: a model must not
score tonight with what it never saw. The first model becomes champion; later ones wait as challenger for the gate.

*Reads*: outcome, customer_features. *Writes*: MLflow (no table).
*Cost*: one pass over the matured outcomes, then a bounded sample (``settings.affinity.rows``): constant.
"""

from __future__ import annotations

from models.lifecycle.fit import train_and_register
from models.lifecycle.training_data import read
from runtime.figures import TrainFigures
from runtime.night import Night

READS = ("outcome", "customer_features")
READS_PREVIOUS = ("outcome", "customer_features")
WRITES: tuple[str, ...] = ()


def run(night: Night) -> TrainFigures:
    """Train and register."""
    return train_and_register(night, read(night))
