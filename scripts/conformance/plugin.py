"""A pytest plugin that records every response that FastAPI's tests receive from Starlette's TestClient.

With `--project`, TestClient sends its requests as events to the Lambda handler of a generated project. Each client
imports `aws_lambda/handler.py` again, with the application of the test in place of `app.main.app`, because Lambda
imports it once per execution environment.
"""

import atexit
import importlib
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import httpx2
import pytest

if TYPE_CHECKING:
    from starlette.testclient import TestClient

Record = dict[str, Any]

outcomes: dict[str, str] = {}  # the outcome of each test
responses: dict[str, list[Record]] = {}  # the responses that each test received, in the order of its requests


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    parser.addoption("--record", type=Path, required=True, help="the file for the outcomes and responses")
    parser.addoption("--project", type=Path, help="the generated project whose handler receives the requests")


def pytest_configure(config: pytest.Config) -> None:
    """Replace the transport of TestClient before the tests are imported."""
    config.addinivalue_line("markers", "xdist_group: a marker of pytest-xdist, which is not installed")
    if project := config.getoption("--project"):
        LambdaTransport.project = ProjectModules(project)  # before this process imports Starlette in the usual way
    from starlette import testclient

    transport: Any = testclient._TestClientTransport
    if project:
        transport = LambdaTransport
        testclient._TestClientTransport = transport  # type: ignore[misc]
        testclient.TestClient.__enter__ = enter_client  # type: ignore[method-assign]
        testclient.TestClient.__exit__ = exit_client  # type: ignore[method-assign]
    transport.handle_request = record_responses(transport.handle_request)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests that FastAPI runs in processes of their own, which do not load this plugin."""
    items[:] = [item for item in items if not is_run_in_subprocess(item)]


def is_run_in_subprocess(item: pytest.Item) -> bool:
    """Return True if a test has the decorator `run_in_subprocess`."""
    return isinstance(item, pytest.Function) and item.function.__code__.co_filename.endswith("_subprocess.py")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the outcome of a test: the one of its call, unless another phase fails."""
    if report.when == "call" or report.outcome != "passed":
        outcomes[report.nodeid] = report.outcome


@pytest.hookimpl(trylast=True)  # after the fixtures, which may be clients
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the execution environments of a file after its last test."""
    if nextitem is None or nextitem.path != item.path:
        for transport in list(LambdaTransport.running):
            transport.stop()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes and responses."""
    content = {"outcomes": outcomes, "responses": responses}
    session.config.getoption("--record").write_text(json.dumps(content), "utf-8")


def record_responses(handle_request: Callable[[Any, httpx2.Request], Any]) -> Callable[[Any, httpx2.Request], Any]:
    """Return the function `handle_request` of a transport, with a record of each response or exception."""

    def handle_and_record(transport: Any, request: httpx2.Request) -> Any:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]  # without its phase
        record: Record = {"request": f"{request.method} {request.url}"}
        responses.setdefault(test, []).append(record)
        try:
            response = handle_request(transport, request)
        except Exception as error:
            record["error"] = repr(error)
            raise
        record |= {"status": response.status_code, "headers": response.headers.multi_items(), "body": ""}
        response.stream = RecordingStream(response.stream, record)
        return response

    return handle_and_record


class RecordingStream(httpx2.SyncByteStream):
    """Records what the test reads of the body of a response."""

    def __init__(self, stream: Any, record: Record) -> None:
        self.stream = stream
        self.record = record

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self.stream:
                self.record["body"] += chunk.decode("latin-1")
                yield chunk
        except Exception as error:  # TestClient raises an exception of the application when the body is read
            self.record["error"] = repr(error)
            raise

    def close(self) -> None:
        """Close the stream."""
        self.stream.close()


class ProjectModules:
    """The modules of a generated project that the tests use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        spec = importlib.util.spec_from_file_location("lambda_transport", folder / "tests/lambda_transport.py")
        assert spec
        assert spec.loader
        self.lambda_transport: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.lambda_transport)
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.syspath_prepend(folder)
            with importlib.import_module("aws_lambda.cold_start").faster_imports():
                from fastapi import FastAPI  # noqa: F401
        if sys.version_info >= (3, 15):
            assert "fastapi.openapi.docs" not in sys.modules, "FastAPI is not imported lazily"
        os.environ["FAST_IMPORT"] = "false"  # because the optimizations remain in effect

    def import_handler(self, app: Any) -> Any:
        """Import aws_lambda/handler.py and the modules that it uses again, for an application."""
        main: Any = ModuleType("app.main")
        main.app = app
        for name in [name for name in sys.modules if name.partition(".")[0] == "aws_lambda"]:
            del sys.modules[name]
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.syspath_prepend(self.folder)
            monkeypatch.setitem(sys.modules, "app", ModuleType("app"))
            monkeypatch.setitem(sys.modules, "app.main", main)
            return importlib.import_module("aws_lambda.handler")


class LambdaTransport(httpx2.BaseTransport):
    """Sends requests to the handler. The parameters are those of TestClient's transport.

    The handler has a thread of its own, because the event loop of a test may run in the thread of the test.
    """

    project: ClassVar[ProjectModules]
    running: ClassVar["list[LambdaTransport]"] = []

    def __init__(
        self, app: Any, portal_factory: Any, raise_server_exceptions: bool = True, root_path: str = "", **options: Any
    ) -> None:
        self.app = app
        self.raise_server_exceptions = raise_server_exceptions
        self.source_ip = options["client"][0]

    def start(self) -> None:
        """Start an execution environment. Raise the exception of the application if its lifespan does not start."""
        self.thread = ThreadPoolExecutor(1)
        self.handler = self.thread.submit(copy_context().run, self.project.import_handler, self.app).result()
        self.running.append(self)

    def stop(self) -> None:
        """Stop the application, and then the thread."""
        self.running.remove(self)
        lifespan = self.handler.lifespan
        self.thread.submit(lifespan.stop).result()
        self.thread.shutdown()
        atexit.unregister(lifespan.stop)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request as an event. Raise the exception that the adapter logs, as TestClient does."""
        if request.url.scheme in ("ws", "wss"):
            raise NotImplementedError("Lambda does not support WebSockets")
        if self not in self.running:
            self.start()

        def invoke(event: dict[str, Any], context: Any) -> Any:
            event["requestContext"]["http"]["sourceIp"] = self.source_ip
            event["headers"]["x-forwarded-proto"] = request.url.scheme
            return self.thread.submit(copy_context().run, self.handler.handler, event, context).result()

        with LoggedException() as logged:
            response = self.project.lambda_transport.LambdaTransport(invoke).handle_request(request)
        if logged.exception and self.raise_server_exceptions:
            raise logged.exception
        content = httpx2.ByteStream(b"".join(response.stream))
        return httpx2.Response(response.status_code, headers=response.headers.raw, stream=content)


class LoggedException(logging.Handler):
    """Keeps the exception of the application that Mangum logs."""

    exception: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception of a record."""
        if record.exc_info:
            self.exception = record.exc_info[1]

    def __enter__(self) -> "LoggedException":
        logging.getLogger("mangum.http").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("mangum.http").removeHandler(self)


def enter_client(client: "TestClient") -> "TestClient":
    """Start an execution environment, instead of only the lifespan of the application."""
    transport: Any = client._transport
    if transport in transport.running:
        transport.stop()
    transport.start()
    client.app_state.update(transport.handler.lifespan.state)
    return client


def exit_client(client: "TestClient", *_: object) -> None:
    """Stop the execution environment."""
    transport: Any = client._transport
    transport.stop()
