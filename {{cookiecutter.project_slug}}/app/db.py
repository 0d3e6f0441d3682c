"""The database connection."""

# Python 3.15 imports SQLAlchemy with the first session, older versions with this module.
__lazy_modules__ = ["sqlalchemy"]

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends
from sqlalchemy import Engine, create_engine, orm

from app.settings import get_settings
from aws_lambda import database
from aws_lambda.secrets import reload_secrets

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.orm import Session

TIMEOUT_S = 5


def connect() -> "psycopg.Connection[Any]":
    """Open a connection. If the server rejects the password, because it was changed, read the new one."""
    try:
        return open_connection()
    except Exception as error:
        if not database.failed_after_password(error) or not reload_secrets():
            raise
    get_settings.cache_clear()
    return open_connection()


def open_connection() -> "psycopg.Connection[Any]":
    """Open a connection. DATABASE_URL may contain any option of libpq, such as `?sslmode=verify-full`."""
    settings = get_settings()
    return database.connect(
        settings.database_url.get_secret_value(),
        connect_timeout=TIMEOUT_S,
        tcp_user_timeout=TIMEOUT_S * 1000,  # ms; a connection that a firewall dropped fails soon and is replaced
        application_name=f"{{ cookiecutter.project_slug }}-{settings.stage}",
        prepare_threshold=None,  # prepared statements pin connections in RDS Proxy and fail in PgBouncer
    )


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


def get_session() -> "Iterator[Session]":
    # Without expire_on_commit, an item that is used after the commit needs no other query.
    with orm.Session(get_engine(), expire_on_commit=False) as session:
        yield session


# In quotes: FastAPI evaluates the annotations of routes and dependencies, which would import SQLAlchemy now.
SessionDep = Annotated["Session", Depends(get_session)]
