"""The database: one engine for each execution environment, made by the first request that needs it."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

{% if cookiecutter.cold_starts == 'snapstart' %}
from app.restore import on_restore
{% endif %}
from app.settings import get_settings

CONNECT_TIMEOUT_S = 5


def connect() -> Any:
    """A new connection; DATABASE_URL is what libpq takes, with `?sslmode=verify-full` and the like."""
    import psycopg  # with the first connection, so that no cold start waits for it

    return psycopg.connect(
        get_settings().database_url.get_secret_value(),
        connect_timeout=CONNECT_TIMEOUT_S,
        application_name=f"{{ cookiecutter.project_slug }}-{get_settings().stage}",
        prepare_threshold=None,  # a prepared statement would pin its connection in RDS Proxy, and break in PgBouncer
    )


@lru_cache
def get_engine() -> Engine:
    """An environment serves one request at a time, so it needs one connection; the second is for a nested need."""
    return create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=1,
        max_overflow=1,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=True,  # an environment sleeps for minutes, and the server or a proxy may hang up meanwhile
    )


{% if cookiecutter.cold_starts == 'snapstart' %}
def _own_connections() -> None:
    if get_engine.cache_info().currsize:
        get_engine().dispose(close=False)  # what was opened before the snapshot is no environment's own


on_restore(_own_connections)


{% endif %}
def get_session() -> Iterator[Session]:
    with Session(get_engine()) as session:
        yield session


Database = Annotated[Session, Depends(get_session)]
