import asyncio
import logging
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import httpx
import pytest
from mangum import Mangum
from starlette.types import ASGIApp

from aws_lambda import sigv4
from aws_lambda.access_log import AccessLog
from aws_lambda.errors import add_error_handlers
from aws_lambda.http_adapter import TEXT_MIME_TYPES, HttpEvent
from aws_lambda.lifespan import Lifespan
from tests.aws_lambda.application import create_app
from tests.aws_lambda.aws_server import AwsServer
from tests.helpers import LONG_TIMEOUT_S, create_client

Start = Callable[[ASGIApp], Mangum]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts an application as aws_lambda/handler.py does, and returns its handler."""
    lifespans = []

    def start(app: ASGIApp) -> Mangum:
        add_error_handlers(app)
        lifespan = Lifespan(app)
        lifespans.append(lifespan)
        lifespan.start()
        return Mangum(AccessLog(lifespan), lifespan="off", custom_handlers=[HttpEvent], text_mime_types=TEXT_MIME_TYPES)

    yield start
    for lifespan in lifespans:
        lifespan.stop()
    asyncio.set_event_loop(None)


@pytest.fixture
def handler(start: Start) -> Mangum:
    return start(create_app())


@pytest.fixture
def client(handler: Mangum) -> httpx.Client:
    return create_client(handler)


@pytest.fixture
def access_log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that returns the fields of all access log records of the test."""
    caplog.set_level(logging.INFO)
    return lambda: [vars(record) for record in caplog.records if record.name == "aws_lambda.access"]


@pytest.fixture
def aws_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    """Start a fake AWS API for a service named "store". A test may set another service and respond function."""
    with AwsServer("store", lambda request: {"Got": request["Name"]}) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setattr(sigv4, "TIMEOUT_S", LONG_TIMEOUT_S)
        monkeypatch.setattr(sigv4, "RETRY_DELAY_S", 0)
        yield server
        server.stopped.set()
        server.shutdown()
