"""The two keys of personal data, kept outside the lake: of pseudonyms, and of the vault.

Each comes from the environment or from a file of mode 600 below ``$CPC_HOME/secrets``, made on first use.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from conf.errors import UserError

KEY_VERSION = 1


def pseudonym_key(home: Path) -> bytes:
    """The key of the pseudonyms, 32 bytes (``CPC_PSEUDONYM_KEY`` in hex).

    Raises:
        UserError: it is no hex, or shorter than 32 bytes.
    """
    text = os.environ.get("CPC_PSEUDONYM_KEY") or _read_key(
        home / "secrets" / "pseudonym.key", lambda: secrets.token_hex(32)
    )
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) < 32:
        raise UserError(
            "the key of the pseudonyms is not 32 bytes in hex",
            where="CPC_PSEUDONYM_KEY or secrets/pseudonym.key",
            remedy="restore it: another key would give every number a new pseudonym",
        )
    return key


def vault_key(home: Path) -> bytes:
    """The key of the vault (``CPC_VAULT_KEY``, a Fernet key)."""
    text = os.environ.get("CPC_VAULT_KEY") or _read_key(
        home / "secrets" / "vault.key", lambda: Fernet.generate_key().decode("ascii")
    )
    return text.encode("ascii")


def vault_opener(home: Path) -> Callable[[bytes], bytes]:
    """What opens a number of the vault, or the bytes of a record that was set aside.

    Raises:
        UserError: there is no key, or it is not the vault's.
    """
    path = home / "secrets" / "vault.key"
    remedy = "set CPC_VAULT_KEY, or restore that file from its backup: without it no number can be read"
    try:
        box = Fernet(os.environ.get("CPC_VAULT_KEY") or path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise UserError("the vault's key is missing or malformed", where=str(path), remedy=remedy) from error

    def open_token(token: bytes) -> bytes:
        try:
            return box.decrypt(token)
        except InvalidToken as error:
            raise UserError("the key does not open the vault", where=str(path), remedy=remedy) from error

    return open_token


def _read_key(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(make() + "\n")
    return path.read_text(encoding="ascii").strip()
