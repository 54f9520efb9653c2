"""Which run this is: the decision date and a hash of everything that goes in.

Deliveries (ids and contents), configuration, seeds, the shipped sources and the champion's text: the same
inputs have the same ``run_id`` on any machine, and any change of one of them has another.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from runtime import deliveries as ledger
from runtime.atomic_files import write_atomic
from runtime.night import Night

_HOUSE = Path(__file__).resolve().parent.parent
#: Rooms that only ask, look, or make data: a change there makes no other night.
_ASIDE = {"cli", "console", "synth", "benchmarks"}
#: What people configure, and what they program.
_DECLARED, _PROGRAMMED = frozenset({".yml"}), frozenset({".py", ".sql", ".j2"})


def run_id(night: Night) -> str:
    """The id of the night's run as pinned when its deliveries were loaded; computed where nothing is pinned."""
    attempt = read_attempt(night)
    return attempt.run_id if attempt else compute(night)


def compute(night: Night, extra_deliveries: Iterable[str] = ()) -> str:
    """The id that tonight's inputs give: ``<D>-<12 hex digits>``.

    Args:
        night: the night.
        extra_deliveries: delivery ids that the caller is about to record in the ledger (the loader's own).
    """
    inputs = {
        "date": night.date.isoformat(),
        "deliveries": sorted({*deliveries(night), *extra_deliveries}),
        "settings": night.settings.model_dump(mode="json", exclude={"name", "spark", "serving", "mlflow"}),
        "catalogue": _hash_files(str(night.catalogue.root)),
        "sources": sources(),
        "model": champion_hash(night),
    }
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return f"{night.date.isoformat()}-{digest[:12]}"


def sources() -> str:
    """Hash of the shipped sources: which code this is."""
    return _hash_files(str(_HOUSE))


def code() -> str:
    """Hash of what is programmed: the shipped sources without what is declared in YAML."""
    return _hash_files(str(_HOUSE), _PROGRAMMED)


def configuration(night: Night) -> str:
    """Hash of what is configured: every YAML of the catalogue and of the house, and the settings that make a night."""
    settings = night.settings.model_dump_json(exclude={"name", "spark", "serving", "mlflow"})
    declared = [_hash_files(str(root), _DECLARED) for root in (night.catalogue.root, _HOUSE)]
    return hashlib.sha256("\n".join([*declared, settings]).encode()).hexdigest()


def deliveries(night: Night) -> list[str]:
    """Ids of the accepted deliveries that the night may see: data before D, arrived before the cut-off."""
    rows = ledger.deliveries(night.lake, ["delivery_id"], night=night.date, states=ledger.TAKEN)
    return sorted(set(rows["delivery_id"].to_pylist()))


def champion_hash(night: Night) -> str:
    """Hash of the champion's text as registered, empty while there is none."""
    from runtime.model_pointer import champion_text_hash

    return champion_text_hash(night.settings)


@dataclass(frozen=True)
class Attempt:
    """How far the night has come: its pinned id, the jobs done under it, and whether all are."""

    run_id: str
    done: tuple[str, ...] = ()
    finished: bool = False


def read_attempt(night: Night) -> Attempt | None:
    """The last attempt at this night, None if there was none."""
    path = _attempt_path(night)
    if not path.exists():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return Attempt(data["run_id"], tuple(data["done"]), data["finished"])


def write_attempt(night: Night, attempt: Attempt) -> None:
    """Record an attempt, atomically: a killed process leaves the old record or the new one."""
    write_atomic(_attempt_path(night), json.dumps(asdict(attempt)) + "\n")


def _attempt_path(night: Night) -> Path:
    return night.settings.home / "runs" / f"attempt-{night.date}.json"


def _rooms() -> list[str]:
    """The rooms of this installation that a night runs through."""
    rooms = importlib.metadata.distribution("cpc").read_text("top_level.txt") or ""
    return sorted(set(rooms.split()) - _ASIDE)


@lru_cache(maxsize=16)
def _hash_files(root: str, suffixes: frozenset[str] = _DECLARED | _PROGRAMMED) -> str:
    """Hash of the files below ``root`` (the house: of its rooms only) whose names end so."""
    base = Path(root)
    folders = [base / room for room in _rooms()] if base == _HOUSE else [base]
    digest = hashlib.sha256()
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.suffix in suffixes):
        digest.update(str(path.relative_to(base)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
