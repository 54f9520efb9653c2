"""Homes that benchmarks measure: the folders below ``CPC_PROVINCES``, named like ``real-11`` or ``pega-00``."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

from cli.demo import LAST
from conf.errors import UserError
from conf.settings import load_settings
from runtime.night import Night


def homes(holding: str) -> list[Path]:
    """The homes that hold a file or folder, by name.

    Raises:
        UserError: there are none.
    """
    folder = os.environ.get("CPC_PROVINCES", "")
    found = sorted(path for path in Path(folder).glob("*-*") if (_root(path) / holding).exists()) if folder else []
    if not found:
        raise UserError(
            "no homes to measure",
            where="CPC_PROVINCES",
            remedy="make some: python -m benchmarks.province_home FOLDER/real-11 --seed 11 --preset real",
        )
    return found


def night_of(home: Path) -> Night:
    """The last night of a home: of a province, or of a real set named like its demo."""
    os.environ["CPC_HOME"] = str(home)
    if _root(home) != home:
        name = home.name.rsplit("-", 1)[0]
        settings = load_settings("local", (f"demo={name}",))
        return Night(import_module(f"synth.real.{name}").NIGHT, settings, settings.landing)
    box = json.loads((home / "province.json").read_text(encoding="utf-8"))
    settings = load_settings("local", tuple(box.get("set", (f"seed={box['seed']}",))))
    return Night(LAST, settings, settings.landing)


def _root(home: Path) -> Path:
    """Where a home's tables lie: a real set's below the name of its demo."""
    real = home / "demo" / home.name.rsplit("-", 1)[0]
    return real if real.exists() else home
