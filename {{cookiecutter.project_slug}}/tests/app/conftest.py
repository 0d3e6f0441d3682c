from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from app.db import get_engine
from app.settings import get_settings
from app.tables import Base
from tests.postgres import new_database


@pytest.fixture(scope="session")
def migrated_database(server_url: str) -> Iterator[str]:
    with new_database(server_url) as url, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DATABASE_URL", url)
        command.upgrade(Config("alembic.ini"), "head")
        yield url


@pytest.fixture
def database(migrated_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the URL of a database with empty tables, which the application uses for one test."""
    tables = ", ".join(f'"{table}"' for table in Base.metadata.tables)
    with psycopg.connect(migrated_database) as connection:
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY".encode())
    monkeypatch.setenv("DATABASE_URL", migrated_database)
    get_settings.cache_clear()
    get_engine.cache_clear()
    yield migrated_database
    get_engine().dispose()
    get_engine.cache_clear()
    get_settings.cache_clear()
