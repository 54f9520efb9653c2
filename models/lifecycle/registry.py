"""The model registry: MLflow behind four verbs (keep, look up, promote, roll back).

SQLite at ``$CPC_HOME/mlflow.db`` and artefacts below ``$CPC_HOME/mlruns`` by default; ``settings.mlflow.uri`` names
another. A version's folder is an MLflow LightGBM model with ``bundle.json`` beside the text, and carries the digest
of both as a tag. `runtime.model_pointer` looks the champion up without MLflow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conf.errors import UserError
from conf.settings import Settings
from runtime.model_pointer import CHALLENGER, CHAMPION, DIGEST_TAG, PREVIOUS_TAG, Version, client, digest, look_up


def register(settings: Settings, folder: Path, run_id: str, artifact_uri: str, tags: dict[str, str]) -> str:
    """Register the folder logged at ``artifact_uri``; the first version becomes champion, later ones challenger.

    Returns:
        The version.
    """
    from mlflow.exceptions import MlflowException

    store = client(settings)
    name = settings.mlflow.model
    try:
        store.get_registered_model(name)
    except MlflowException:
        store.create_registered_model(name, description="P(order), lift and fatigue of customer x product x channel")
    made = store.create_model_version(name, artifact_uri, run_id, tags={DIGEST_TAG: digest(folder), **tags})
    first = look_up(settings) is None
    store.set_registered_model_alias(name, CHAMPION if first else CHALLENGER, made.version)
    return str(made.version)


def promote(settings: Settings, version: str) -> Version:
    """Make ``version`` (a number or an alias) the champion; the one before is remembered for a rollback.

    Raises:
        UserError: there is no such version.
    """
    store = client(settings)
    name = settings.mlflow.model
    version = version_of(settings, version).version
    before = look_up(settings)
    if before and before.version != version:
        store.set_model_version_tag(name, version, PREVIOUS_TAG, before.version)
    store.set_registered_model_alias(name, CHAMPION, version)
    challenger = look_up(settings, CHALLENGER)
    if challenger and challenger.version == version:
        store.delete_registered_model_alias(name, CHALLENGER)
    current = look_up(settings)
    assert current is not None
    return current


def rollback(settings: Settings) -> Version:
    """Make the champion before this one the champion again.

    Raises:
        UserError: there is none.
    """
    now = look_up(settings)
    before = _version(settings, now.version).tags.get(PREVIOUS_TAG) if now else None
    if now is None or before is None:
        raise UserError(
            "there is no earlier champion",
            where=f"model {settings.mlflow.model!r}",
            remedy="`cpc models list` shows the versions; `cpc models promote VERSION` chooses one",
        )
    client(settings).set_registered_model_alias(settings.mlflow.model, CHAMPION, before)
    current = look_up(settings)
    assert current is not None
    return current


def _version(settings: Settings, version: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client(settings).get_model_version(settings.mlflow.model, version)
    except MlflowException as error:
        raise UserError(
            f"model {settings.mlflow.model!r} has no version {version!r}",
            where="VERSION",
            remedy="`cpc models list` shows the versions",
        ) from error


def version_of(settings: Settings, version: str) -> Version:
    """A version by number or by alias.

    Raises:
        UserError: there is none.
    """
    if not version.isdigit():
        match = look_up(settings, version)
        if match is None:
            raise UserError(
                f"model {settings.mlflow.model!r} has no alias {version!r}",
                where="VERSION",
                remedy="`cpc models list` shows the aliases; give one of them, or a version",
            )
        return match
    known = _version(settings, version)
    return Version(str(known.version), str(known.source), str(known.tags.get(DIGEST_TAG, "")))


def versions(settings: Settings) -> list[dict[str, Any]]:
    """Every version, newest first: version, aliases, when it was made, its digest and figures."""
    store = client(settings)
    entries = store.search_model_versions(f"name='{settings.mlflow.model}'")
    aliases: dict[str, list[str]] = {}
    if entries:
        for alias, version in store.get_registered_model(settings.mlflow.model).aliases.items():
            aliases.setdefault(str(version), []).append(alias)
    rows = [
        {
            "version": str(v.version),
            "aliases": sorted(aliases.get(str(v.version), [])),
            "made_at": v.creation_timestamp,
            "run": v.run_id,
            "sha256": v.tags.get(DIGEST_TAG, ""),
            "auc": v.tags.get("auc"),
            "ratio": v.tags.get("ratio"),
            "date": v.tags.get("date"),
        }
        for v in entries
    ]
    return sorted(rows, key=lambda row: -int(row["version"]))
