"""A PostgreSQL server that checks passwords, unlike the server of the other tests."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from scripts.database import postgres

USER, DATABASE = "shop_user", "shop"
TRUST_ONLY_THE_ADMINISTRATOR = "host all postgres all trust\nhost all all all scram-sha-256\n"


@dataclass(frozen=True)
class PasswordServer:
    """A server with a database that belongs to a user with a password. `admin_url` needs no password."""

    admin_url: str

    def url(self, password: str, *, host: str = "", database: str = DATABASE) -> str:
        """Return the URL with which the user connects. The password is percent-encoded."""
        authority = host or urlsplit(self.admin_url).netloc.partition("@")[2]
        return f"postgresql://{USER}:{quote(password, safe='')}@{authority}/{database}"

    def set_password(self, password: str) -> None:
        """Change the password of the user, and end its connections, which the old password opened."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            user = sql.Identifier(USER)
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(user, sql.Literal(password)))
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [USER])


@contextmanager
def password_server(password: str) -> Iterator[PasswordServer]:
    """Start a server whose user has this password. Stop the server afterwards."""
    with postgres() as admin_url:
        server = PasswordServer(admin_url)
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(USER)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(USER))
            )
            (rules,) = connection.execute("SHOW hba_file").fetchone() or ("",)
            Path(rules).write_text(TRUST_ONLY_THE_ADMINISTRATOR, "utf-8")
            connection.execute("SELECT pg_reload_conf()")
        server.set_password(password)
        while accepts(server.url("wrong")):  # the server reads the file in the background
            time.sleep(0.02)
        yield server


def accepts(url: str) -> bool:
    """Return True if a connection with this URL succeeds."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
