import asyncio
import logging
import subprocess
import sys
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
from tests.lambda_transport import LambdaTransport

Start = Callable[[ASGIApp], Mangum]


def create_client(handler: Mangum) -> httpx.Client:
    return httpx.Client(transport=LambdaTransport(handler), base_url="https://abc123.example.com")


def run_python(code: str, **environment: str) -> str:
    """Run code in a new process, with additional environment variables. Return its output."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts an application as aws_lambda/handler.py does, and returns its handler."""
    applications = []

    def start(app: ASGIApp) -> Mangum:
        add_error_handlers(app)
        application = Lifespan(app)
        applications.append(application)
        application.start()
        return Mangum(
            AccessLog(application), lifespan="off", custom_handlers=[HttpEvent], text_mime_types=TEXT_MIME_TYPES
        )

    yield start
    for application in applications:
        application.stop()
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
        monkeypatch.setattr(sigv4, "TIMEOUT_S", 0.5)
        monkeypatch.setattr(sigv4, "RETRY_DELAY_S", 0)
        yield server
        server.stopped.set()
        server.shutdown()
