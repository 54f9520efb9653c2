"""A trained affinity model as a folder of text: LightGBM's model text and one JSON. No pickles.

``model.lgb`` is LightGBM's text over (kept customer features, arc attributes); ``bundle.json`` holds everything else:
features and their categories, calibration, lifts, hazards. A run pins the SHA-256 of both (`runtime.model_pointer.digest`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.affinity.calibrate import Channels, Map
from models.affinity.effect import Hazard, Lifts
from models.affinity.encode import EncodedFeature

FORMAT = 3
TEXT, FACTS = "model.lgb", "bundle.json"


@dataclass(frozen=True)
class Bundle:
    """Everything scoring needs.

    Attributes:
        text: LightGBM's model text.
        features: customer features in the order of the trees' columns.
        channels: what each channel makes of the trees' sum after a contact.
        contact, base: calibration with and without a contact.
        priors: log-odds that the trees start from, by ``product|channel`` and, without a contact, ``product|`` (ids).
        offsets: shift of the log-odds by ``product|channel`` (ids).
        fatigue: what each recent contact takes off the log-odds of an order.
        lifts: by ``product group|channel`` (codes).
        kept: share of an order's list margin that is left, by product group (code); ``""`` is the whole.
        reversals: share of orders that are cancelled within the horizon, by product id; ``""`` is the whole.
        opt_out, complaint: what a contact adds to these rates.
        trailing_micro: expected reduced value a customer and night, used until there is a history, micro-元.
        facts: data versions, label window, dates, metrics; shown on the model card.
    """

    text: str
    features: tuple[EncodedFeature, ...]
    channels: Channels
    contact: Map
    base: Map
    priors: dict[str, float]
    offsets: dict[str, float]
    fatigue: float
    lifts: Lifts
    kept: dict[str, float]
    reversals: dict[str, float]
    opt_out: Hazard
    complaint: Hazard
    trailing_micro: int
    facts: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write the folder's two files."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TEXT).write_text(self.text, encoding="utf-8")
        (folder / FACTS).write_text(json.dumps(self._facts(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _facts(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "features": [[feature.name, feature.kind, list(feature.categories)] for feature in self.features],
            "channels": {name: _by_id(values) for name, values in vars(self.channels).items()},
            "contact": self.contact.to_dict(),
            "base": self.base.to_dict(),
            "priors": dict(sorted(self.priors.items())),
            "offsets": dict(sorted(self.offsets.items())),
            "fatigue": self.fatigue,
            "lifts": self.lifts.to_dict(),
            "kept": dict(sorted(self.kept.items())),
            "reversals": dict(sorted(self.reversals.items())),
            "opt_out": _hazard(self.opt_out),
            "complaint": _hazard(self.complaint),
            "trailing_micro": self.trailing_micro,
            "facts": self.facts,
        }


def load(folder: Path) -> Bundle:
    """Read a folder written by ``Bundle.save``.

    Raises:
        ValueError: the folder is of another format.
        OSError: a file is missing.
    """
    data = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    if data.get("format") != FORMAT:
        raise ValueError(f"model format {data.get('format')!r}, this release reads {FORMAT}")
    return Bundle(
        text=(folder / TEXT).read_text(encoding="utf-8"),
        features=tuple(EncodedFeature(name, kind, tuple(categories)) for name, kind, categories in data["features"]),
        channels=Channels(**{name: _read_ids(values) for name, values in data["channels"].items()}),
        contact=Map.from_dict(data["contact"]),
        base=Map.from_dict(data["base"]),
        priors=data["priors"],
        offsets=data["offsets"],
        fatigue=data["fatigue"] if "fatigue" in data else data["wearout"],  # its name in models of release 0.1
        lifts=Lifts.from_dict(data["lifts"]),
        kept=data["kept"],
        reversals=data["reversals"],
        opt_out=_read_hazard(data["opt_out"]),
        complaint=_read_hazard(data["complaint"]),
        trailing_micro=data["trailing_micro"],
        facts=data["facts"],
    )


def _by_id(values: Mapping[int, float]) -> dict[str, float]:
    return {str(key): value for key, value in sorted(values.items())}


def _read_ids(values: Mapping[str, float]) -> dict[int, float]:
    return {int(key): value for key, value in values.items()}


def _hazard(hazard: Hazard) -> dict[str, Any]:
    return {"whole": hazard.whole, "channels": _by_id(hazard.channels)}


def _read_hazard(data: dict[str, Any]) -> Hazard:
    return Hazard(data["whole"], _read_ids(data["channels"]))
