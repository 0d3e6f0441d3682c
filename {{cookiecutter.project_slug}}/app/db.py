"""The database connection."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from app.settings import get_settings

if TYPE_CHECKING:
    import psycopg

TIMEOUT_S = 5


def connect() -> "psycopg.Connection[Any]":
    """Open a connection. DATABASE_URL may contain any option of libpq, such as `?sslmode=verify-full`."""
    import psycopg  # Import the driver with the first connection, so that no cold start waits for it.

    settings = get_settings()
    try:
        return psycopg.connect(
            settings.database_url.get_secret_value(),
            connect_timeout=TIMEOUT_S,
            tcp_user_timeout=TIMEOUT_S * 1000,  # ms; a connection that a firewall dropped fails soon and is replaced
            application_name=f"{{ cookiecutter.project_slug }}-{settings.stage}",
            prepare_threshold=None,  # prepared statements pin connections in RDS Proxy and fail in PgBouncer
        )
    except psycopg.ProgrammingError:  # its message contains parts of the URL, and so of the password
        raise ValueError("DATABASE_URL is not a valid URL: percent-encode special characters in it") from None


@lru_cache
def get_engine() -> Engine:
    """Return the engine. Lambda sends one request at a time to an environment, so one connection is enough."""
    return create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=1,
        max_overflow=1,  # for a route that opens a second session
        pool_timeout=TIMEOUT_S,
        pool_pre_ping=True,  # the server may have closed the connection since the last request
    )


def get_session() -> Iterator[Session]:
    with Session(get_engine()) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
