"""The service as its callers see it: through the Lambda handler."""

import asyncio
import logging
from collections.abc import Callable, Iterator
{% if cookiecutter.migrations == 'alembic' %}
from contextlib import contextmanager
{% endif %}
from threading import Thread
{% if cookiecutter.migrations == 'alembic' %}
from types import SimpleNamespace
{% endif %}
from typing import Any

import httpx
{% if cookiecutter.migrations == 'alembic' %}
import psycopg
{% endif %}
import pytest
from fastapi import APIRouter

from app import aws
{% if cookiecutter.migrations == 'alembic' %}
from app.models import Base
{% endif %}
from tests.app.aws_server import AwsServer
from tests.lambda_transport import LambdaTransport
{% if cookiecutter.migrations == 'alembic' %}
from tests.postgres import new_database, server
{% endif %}


@pytest.fixture(scope="session", autouse=True)
def event_loop() -> Iterator[None]:
    """One loop for all tests, closed at the end: what a lifespan opens belongs to the loop it was entered on."""
    loop = asyncio.new_event_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "new_event_loop", lambda: loop)
        yield
    loop.close()


@pytest.fixture
def routes() -> APIRouter:
    """Routes added to the service for a test; a module that needs some overrides this."""
    return APIRouter()


@pytest.fixture
def access_log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Returns the access log's records of this test, each as a dictionary of its fields."""
    caplog.set_level(logging.INFO)
    return lambda: [vars(record) for record in caplog.records if record.name == "app.access"]


@pytest.fixture
def client(routes: APIRouter) -> Iterator[httpx.Client]:
    from app.main import app, handler

    own_routes = list(app.router.routes)
    app.include_router(routes)
    with httpx.Client(transport=LambdaTransport(handler), base_url="https://abc123.example.com") as client:
        yield client
    app.router.routes[:] = own_routes


@pytest.fixture
def aws_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    """Stands for AWS; a test that needs another service than "store" says so and gives it an `answer`."""
    with AwsServer("store", lambda request: {"Got": request["Name"]}) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setattr(aws, "RETRY_AFTER_S", 0)
        monkeypatch.setattr(aws, "TIMEOUT_S", 0.5)
        yield server
        server.stopped.set()
        server.shutdown()
{% if cookiecutter.migrations == 'alembic' %}


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    with server() as url:
        yield url


@contextmanager
def used(url: str) -> Iterator[str]:
    """The database at this URL is the service's for so long."""
    from app.db import get_engine
    from app.settings import get_settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        get_settings.cache_clear()
        get_engine.cache_clear()
        yield url
        get_engine().dispose()
        get_engine.cache_clear()
        get_settings.cache_clear()


@pytest.fixture
def empty_database(server_url: str) -> Iterator[str]:
    """The URL of a new database, which is the service's for this test."""
    with new_database(server_url) as url, used(url):
        yield url


@pytest.fixture(scope="session")
def newest(server_url: str) -> Iterator[str]:
    from app.migrate import handler

    with new_database(server_url) as url:
        with used(url):
            handler({}, SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000))
        yield url


@pytest.fixture
def database(newest: str) -> Iterator[str]:
    """The URL of a database at the newest revision, with nothing in its tables; the service's for this test."""
    tables = ", ".join(f'"{table}"' for table in Base.metadata.tables)
    with psycopg.connect(newest) as connection:
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY".encode())
    with used(newest):
        yield newest
{% endif %}
