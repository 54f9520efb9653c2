"""The compiled listing ``conf/generated/features.yml``: every column of a snapshot, for review."""

from __future__ import annotations

from pathlib import Path

from conf.catalogue import ROOT
from conf.featureset import FeatureSet
from conf.table import Column

GENERATED = ROOT / "generated" / "features.yml"
_HEAD = "# Compiled from features/declared by `make generate`: every column of customer_features, in order.\n"


def rows(declared: FeatureSet) -> list[dict[str, str]]:
    """Name, family, type, unit, source and doc of every column, in the order of the snapshot."""
    family = {f.staleness: f.family for f in declared.families}
    family |= {feature.name: feature.family.family for feature in declared.features}
    family |= {derived.name: f.family for f, derived in declared.derived}
    return [_row(column, family.get(column.name, "attributes"), declared) for column in declared.columns]


def _row(column: Column, family: str, declared: FeatureSet) -> dict[str, str]:
    return {
        "name": column.name,
        "family": family,
        "type": column.type,
        "unit": column.unit,
        "doc": column.doc,
        "models": "no" if column.name in declared.not_for_models else "yes",
    }


def render(declared: FeatureSet) -> str:
    """The text of the listing, one line a column."""
    lines = [
        f'  - {{name: {row["name"]}, family: {row["family"]}, type: {row["type"]}, unit: "{row["unit"]}", '
        f'models: "{row["models"]}", doc: "{_escape(row["doc"])}"}}'
        for row in rows(declared)
    ]
    return _HEAD + "\n".join(["features:", *lines]) + "\n"


def write(declared: FeatureSet, path: Path = GENERATED) -> bool:
    """Write the listing; True where it changed."""
    text = render(declared)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
