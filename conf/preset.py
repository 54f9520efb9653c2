"""Presets of the province in a box: base response, effect sizes, noise and faults, as facts in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field as Key

from conf.documents import Document, Strict, read_yaml, validate
from conf.errors import UserError, suggest

FOLDER = Path(__file__).resolve().parent / "presets"


class Group(Strict):
    """A product group in the province: how wanted it is, and what hidden traits it goes with."""

    base: float = Key(default=1.0, ge=0)  # factor of the organic rate
    digital: float = 0.0  # correlation of intent with being digital
    value: float = 0.0  # correlation of intent with value
    need: Literal["", "voice", "message", "data", "terminal"] = ""  # what it answers; empty: its own name, else data


class Habit(Strict):
    """A channel in the province.

    ``push`` is the mean chance that a reached customer orders because of the contact (before heterogeneity),
    ``reach`` the mean chance to reach, ``daily`` contacts a night per 1,000 customers of the past policy,
    ``organic`` its share of orders without a contact, ``digital`` its correlation with being digital.
    """

    push: float = Key(default=0.0, ge=0, le=1)
    reach: float = Key(default=0.5, ge=0, le=1)
    daily: float = Key(default=0.0, ge=0)
    organic: float = Key(default=1.0, ge=0)
    digital: float = 0.0
    seconds: int = Key(default=0, ge=0)


class ResponsePreset(Strict):
    """The known response function; rates are over the 30 days after a decision."""

    base: float = Key(default=0.0025, ge=0)  # organic chance of an average product
    spread: float = Key(default=0.9, ge=0)  # sd of the log of intent's effect on it
    effect: float = Key(default=1.0, ge=0)  # factor of every push; 0 is no effect at all
    persuasion: float = Key(default=0.7, ge=0)  # sd of the log of the push between customers
    sleeping_dogs: float = Key(default=0.35, ge=0, le=1)  # share of organic demand lost by a contact with the irritable
    discount: float = Key(default=0.1, ge=0, le=1)  # share of the price given away on a pushed offer
    cannibalisation: float = Key(default=0.3, ge=0, le=1)
    cancel_organic: float = Key(default=0.04, ge=0, le=1)
    cancel_pushed: float = Key(default=0.10, ge=0, le=1)
    lapse_organic: float = Key(default=0.012, ge=0, lt=1)  # chance a month, from the second, that a holding ends
    lapse_pushed: float = Key(default=0.03, ge=0, lt=1)  # the same where a contact led to it
    opt_out: float = Key(default=0.0015, ge=0, le=1)  # a contact's mean hazard
    complaint: float = Key(default=0.0008, ge=0, le=1)
    fatigue: float = Key(default=0.8, ge=0, le=1)  # factor of the push for each contact of the last 14 days
    event_boost: float = Key(default=2.5, ge=1)  # factor of organic demand in the 30 days after a life event


class Policy(Strict):
    """The logged past policy: shares of roles, reserve of explorers, and how wrong its crude score is."""

    nights: int = Key(default=60, ge=1)
    ends_days_before: int = Key(default=31, ge=31)  # last night this many days before the first data date
    control: float = Key(default=0.10, ge=0, lt=1)
    explore: float = Key(default=0.08, ge=0, lt=1)
    reserve: float = Key(default=0.5, ge=0, le=1)  # share of `daily` that explorers may use
    none_share: float = Key(default=0.15, ge=0, le=1)
    best_share: float = Key(default=0.5, ge=0, le=1)
    block_days: int = Key(default=5, ge=0)
    noise: float = Key(default=1.0, ge=0)


class Faults(Strict):
    """Shares of rows or files that carry the faults of real data."""

    duplicate: float = Key(default=0.002, ge=0, le=0.2)
    missing: float = Key(default=0.02, ge=0, le=0.5)
    dirty_text: float = Key(default=0.02, ge=0, le=1)
    changed_code: float = Key(default=0.0005, ge=0, le=0.005)
    bad_bytes: float = Key(default=0.0003, ge=0, le=0.005)
    late_files: float = Key(default=0.005, ge=0, le=0.1)
    resent_files: float = Key(default=0.004, ge=0, le=0.1)
    reused_numbers: float = Key(default=0.01, ge=0, le=0.1)
    last_date_missing: int = Key(default=1, ge=0)
    last_date_late: int = Key(default=1, ge=0)


class Preset(Strict):
    """A province's nature; ``noise`` is the sd of what hides the traits in behaviour (log scale)."""

    doc: str
    noise: float = Key(default=0.6, ge=0)
    response: ResponsePreset = ResponsePreset()
    policy: Policy = Policy()
    faults: Faults = Faults()
    groups: dict[str, Group] = {}
    channels: dict[str, Habit] = {}


def load_preset(name: str, folder: Path = FOLDER) -> Preset:
    """The preset ``name``: its own keys over those of the preset it ``extends``.

    Raises:
        UserError: no such preset, or a key or value that does not fit.
    """
    path = folder / f"{name}.yml"
    if not path.exists():
        known = sorted(p.stem for p in folder.glob("*.yml"))
        raise UserError(f"no preset {name!r}", where="--preset", remedy=suggest(name, known))
    document = read_yaml(path)
    data = _mapping(document)
    parent = data.pop("extends", None)
    if parent is None:
        return validate(Preset, Document(path, data, document.lines))
    known = sorted(p.stem for p in folder.glob("*.yml") if p != path)
    if parent not in known:
        what = f"no preset {parent!r} to extend"
        raise UserError(what, where=document.where(("extends",)), remedy=suggest(str(parent), known))
    below = read_yaml(folder / f"{parent}.yml")
    if "extends" in _mapping(below):
        what = f"preset {parent!r} extends another itself"
        raise UserError(what, where=document.where(("extends",)), remedy="extend one that stands alone")
    validate(Preset, below)
    return validate(Preset, Document(path, _over(below.data, data), document.lines))


def _mapping(document: Document) -> dict[str, object]:
    if not isinstance(document.data, dict):
        raise UserError(
            "the file must hold `key: value`", where=document.where(), remedy="conf/presets/easy.yml is an example"
        )
    return dict(document.data)


def _over(below: dict[str, object], above: dict[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
