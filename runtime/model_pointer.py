"""Where the champion lies: the registry is asked for a name, its files are fetched and checked. Needs no model code.

Importing MLflow costs seconds, so the default SQLite store is read directly (two rows); other stores go through
MLflow's client. The last champion used is kept below ``$CPC_HOME/models``: where the registry is down, it keeps serving
and the night says so.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from conf.errors import UserError
from conf.settings import Settings
from runtime.atomic_files import write_atomic
from runtime.telemetry import silence_telemetry

if TYPE_CHECKING:
    from mlflow import MlflowClient


CHAMPION, CHALLENGER = "champion", "challenger"
#: Tags of a version: the digest of its files, and which version it replaced.
DIGEST_TAG, PREVIOUS_TAG = "text_sha256", "previous_champion"
#: The files of a model's folder that a run pins: its trees as text, everything else as JSON.
PINNED_FILES = ("model.lgb", "bundle.json")
_TRIES, _SECONDS = 2, 20  # a registry that is asked over the network


@dataclass(frozen=True)
class Version:
    """A registered version: where its folder is, and the digest of what it holds."""

    version: str
    source: str
    sha256: str


@dataclass(frozen=True)
class Pinned:
    """A version fetched to this machine; ``degraded`` where the registry could not be asked."""

    version: str
    folder: Path
    sha256: str
    degraded: str = ""


def digest(folder: Path) -> str:
    """SHA-256 of the files that a run pins.

    Raises:
        OSError: one of them is not there.
    """
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in PINNED_FILES)).hexdigest()


def uri(settings: Settings) -> str:
    """Address of the tracking and registry store."""
    return settings.mlflow.uri or f"sqlite:///{settings.home / 'mlflow.db'}"


def client(settings: Settings) -> MlflowClient:
    """MLflow's client (imports MLflow: seconds).

    Raises:
        UserError: the store cannot be reached.
    """
    import logging

    silence_telemetry()
    from mlflow import MlflowClient
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT

    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(_TRIES)  # by default minutes: a night must not wait for a registry that is down
    MLFLOW_HTTP_REQUEST_TIMEOUT.set(_SECONDS)
    for name in ("mlflow", "alembic"):  # after the import, which sets them: that tables are made is no news
        logging.getLogger(name).setLevel(logging.WARNING)
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        return MlflowClient(uri(settings), uri(settings))
    except Exception as error:
        raise _down(settings, error) from error


def _down(settings: Settings, error: Exception) -> UserError:
    return UserError(
        f"the model registry does not answer: {str(error).splitlines()[0]}",
        where=f"settings.mlflow.uri = {urlparse(uri(settings)).scheme}://…",
        remedy="start it or mend the address, then run again; `cpc doctor` looks at it",
    )


def look_up(settings: Settings, alias: str = CHAMPION) -> Version | None:
    """The version that an alias names, None where it names none.

    Raises:
        UserError: the registry does not answer.
    """
    address = uri(settings)
    if address.startswith("sqlite:///"):
        path = Path(address.removeprefix("sqlite:///"))
        if not path.exists():
            return None
        try:
            return _look_up_sqlite(path, settings.mlflow.model, alias)
        except sqlite3.Error as error:
            raise _down(settings, error) from error
    try:
        entry = client(settings).get_model_version_by_alias(settings.mlflow.model, alias)
    except UserError:
        raise
    except Exception as error:
        if "RESOURCE_DOES_NOT_EXIST" in str(error) or "not found" in str(error).lower():
            return None
        raise _down(settings, error) from error
    return Version(str(entry.version), str(entry.source), str(entry.tags.get(DIGEST_TAG, "")))


def _look_up_sqlite(path: Path, model: str, alias: str) -> Version | None:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as store:
        row = store.execute(
            "select v.version, v.source, t.value from registered_model_aliases a "
            "join model_versions v on v.name = a.name and v.version = a.version "
            "left join model_version_tags t on t.name = v.name and t.version = v.version and t.key = ? "
            "where a.name = ? and a.alias = ?",
            (DIGEST_TAG, model, alias),
        ).fetchone()
    return Version(str(row[0]), str(row[1]), str(row[2] or "")) if row else None


def champion_text_hash(settings: Settings) -> str:
    """Digest of the champion as registered, empty while there is none or the registry does not answer."""
    try:
        version = look_up(settings)
    except UserError:
        last = _read_kept(settings)
        return last.sha256 if last else ""
    return version.sha256 if version else ""


def champion(settings: Settings) -> Pinned:
    """The champion's folder on this machine, checked against its digest.

    Raises:
        UserError: there is no champion, or its files are not those that were registered.
    """
    try:
        version = look_up(settings)
    except UserError as error:
        last = _read_kept(settings)
        if last is None:
            raise
        return Pinned(last.version, last.folder, last.sha256, degraded=error.what)
    if version is None:
        raise UserError(
            f"there is no champion of model {settings.mlflow.model!r}",
            where=uri(settings).split("@")[-1],
            remedy="run `cpc train --date D` once: the first model becomes champion",
        )
    pinned = fetch(settings, version)
    _keep(settings, pinned)
    return pinned


def fetch(settings: Settings, version: Version) -> Pinned:
    """A version's folder on this machine.

    Raises:
        UserError: its files are gone or changed.
    """
    parsed = urlparse(version.source)
    if parsed.scheme in {"", "file"}:
        folder = Path(unquote(parsed.path))
    else:
        folder = settings.home / "models" / version.sha256
        if not (folder / "bundle.json").exists():
            silence_telemetry()
            import mlflow

            mlflow.set_tracking_uri(uri(settings))
            mlflow.artifacts.download_artifacts(artifact_uri=version.source, dst_path=str(folder))
    try:
        sha256 = digest(folder)
    except OSError as error:
        raise UserError(
            f"the files of model version {version.version} are gone",
            where=str(folder),
            remedy="restore them, or `cpc models rollback`, or train again",
        ) from error
    if version.sha256 and sha256 != version.sha256:
        raise UserError(
            f"the files of model version {version.version} are not those that were registered",
            where=str(folder),
            remedy="restore them from a copy, or `cpc models rollback`",
        )
    return Pinned(version.version, folder, sha256)


def _keep(settings: Settings, pinned: Pinned) -> None:
    """Keep a copy of the champion for nights without a registry."""
    home = settings.home / "models"
    record = home / "champion.json"
    facts = {"version": pinned.version, "sha256": pinned.sha256}
    if record.exists() and json.loads(record.read_text(encoding="utf-8")) == facts:
        return
    copy = home / f"kept-{pinned.sha256[:16]}"
    shutil.copytree(pinned.folder, copy, dirs_exist_ok=True)
    write_atomic(record, json.dumps(facts))


def _read_kept(settings: Settings) -> Pinned | None:
    record = settings.home / "models" / "champion.json"
    if not record.exists():
        return None
    facts = json.loads(record.read_text(encoding="utf-8"))
    return Pinned(facts["version"], record.parent / f"kept-{facts['sha256'][:16]}", facts["sha256"])
